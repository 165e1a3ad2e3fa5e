"""The report on the losses of sparse images: tables, and all pictures side by side."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import pictures, report
from jetvae_jax.images.render import spread
from jetvae_jax.report import curves, page
from jetvae_jax.report.page import Plot

COLUMNS = 16
NOTE = (
    "Mean and standard deviation over the seeds. 'real' compares real images with "
    "other real ones; a good reconstruction is far closer to its image than another "
    "image of the digit is. Fréchet distance and recognition are by a small PointNet "
    "trained on real images of the training part. Figures: the first seed."
)


def write(
    path: str | os.PathLike,
    *,
    tables: Mapping[str, tuple[Sequence[str], Sequence[tuple[str, Sequence[str]]]]],
    verdicts: Mapping[str, Sequence[str]],
    reconstructed: Mapping[str, Mapping[str, PixelSets]],
    generated: Mapping[str, Mapping[str, PixelSets]],
    again: Mapping[str, PixelSets],
    history: Mapping[str, Sequence[Mapping[str, Any]]],
    superpixels: bool = False,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write.
        tables: how it was judged to the columns and rows of a table.
        verdicts: the same to what follows, a sentence each.
        reconstructed: part to rows of images: image, input, and one a loss.
        generated: ``"prior"``, ``"flow"`` to ``"real"`` and what each loss led to.
        again: ``"input"`` and the reconstructions of all test images, one a loss.
        history: loss to a dict per epoch.
        superpixels: points are drawn as segments, not as pixels.

    Raises:
        InputError: a file cannot be written.
    """
    title = "Losses of sparse images"
    parts = [f"<h1>{title}</h1>", f'<p class="note">{escape(NOTE)}</p>']
    for view, (columns, rows) in tables.items():
        parts += [f"<h2>Judged by {escape(view)}</h2>", report.table(columns, rows)]
        parts.append(page.summary(list(verdicts[view])))
    plots = [
        *report.reconstruction_plots(
            reconstructed, columns=COLUMNS, superpixels=superpixels
        ),
        *_generated(generated, superpixels),
        *_intensities(again),
        *_curves(history),
    ]
    return page.write(path, title, parts, plots)


def _generated(generated, superpixels) -> Iterator[Plot]:
    for kind, samples in generated.items():
        if superpixels:
            samples = {name: spread(sets) for name, sets in samples.items()}
        yield Plot(
            f"generated_{kind}",
            "Generated",
            f"{report.FROM.get(kind, kind)}, the first of them, below real images.",
            lambda samples=samples: pictures.rows(samples, columns=COLUMNS),
        )


def _intensities(again) -> Iterator[Plot]:
    yield Plot(
        "intensities",
        "Intensity of the pixels",
        "Reconstructions of the test images by each approach, and the images. "
        "Positions only: all pixels are white.",
        lambda: pictures.intensities(again),
    )


def _curves(history) -> Iterator[Plot]:
    for name, given in history.items():
        if curves.terms(given):
            yield Plot(
                f"curves_{name}",
                "Training",
                f"{report.LOSS_LABELS.get(name, name)}: terms of the loss, mean per image.",
                lambda given=given: curves.figure(given),
            )
