"""The report of the losses of sparse images: tables, and their images side by side."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import pictures, report
from jetvae_jax.report import page, training_plots
from jetvae_jax.report.page import Block, Heading, Items, Paragraph, Plot

COLUMNS = 16
NOTE = (
    "Mean and standard deviation over the seeds; lower is better, but of what is "
    "recognised higher. The floor compares real images with other real ones; a good "
    "reconstruction is far closer to its image than another image of the digit is. "
    "Fréchet distance and recognition are by a small PointNet trained on real images "
    "of the training part. All images are of the first seed."
)
Tables = Mapping[str, tuple[Sequence[str], Sequence[tuple[str, Sequence[str]]]]]


def write(
    path: str | os.PathLike,
    *,
    about: page.Table,
    tables: Tables,
    verdicts: Mapping[str, Sequence[str]],
    reconstructed: Mapping[str, Mapping[str, PixelSets]],
    generated: Mapping[str, Mapping[str, PixelSets]],
    again: Mapping[str, PixelSets],
    history: training_plots.History,
    superpixels: bool = False,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        about: date, seeds and so on: `report.about.table`.
        tables: what is compared (such as positions) to the columns and rows of a table.
        verdicts: the same to the conclusions, a sentence each.
        reconstructed: part to rows of images: image, input, and one for each loss.
        generated: ``"prior"``, ``"flow"`` to ``"real"`` and the images of each loss.
        again: ``"input"`` and, for each loss, the reconstructions of all test images.
        history: loss to a dict per epoch.
        superpixels: points are drawn as segments, not as pixels.

    Raises:
        InputError: a file cannot be written.
    """
    blocks = (
        about,
        Paragraph(NOTE, "note"),
        *_tables(tables, verdicts),
        *report.reconstruction_plots(
            reconstructed, columns=COLUMNS, superpixels=superpixels
        ),
        *_generated(generated, superpixels),
        Plot(
            "intensities",
            "Intensity of the pixels",
            "Test images, and their reconstructions by each loss. With the loss of "
            "positions only all pixels are white.",
            lambda: pictures.intensities(again),
        ),
        *training_plots.curve_plots(history, "image", report.LOSS_LABELS),
    )
    return page.write(path, "Losses of sparse images", blocks)


def _tables(tables: Tables, verdicts: Mapping[str, Sequence[str]]) -> Iterator[Block]:
    for view, (columns, rows) in tables.items():
        yield Heading(f"Compared by {view}")
        yield report.table(columns, rows)
        if verdicts[view]:
            yield Items(verdicts[view])


def _generated(
    generated: Mapping[str, Mapping[str, PixelSets]], superpixels: bool
) -> Iterator[Plot]:
    for kind, samples in generated.items():
        if superpixels:
            samples = {name: pictures.spread(sets) for name, sets in samples.items()}
        yield Plot(
            f"generated_{kind}",
            "Generated",
            f"{report.FROM.get(kind, kind)}, the first ones, below real images.",
            lambda samples=samples: pictures.rows(samples, columns=COLUMNS),
        )
