"""The report of generated digits: figures of merit, and all pictures of the talk."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from jetvae_jax.report import curves, page, pixels
from jetvae_jax.report import latents as latent_panels
from jetvae_jax.report.page import Plot
from jetvae_jax.types import PixelSets

COLUMNS = 12
GENERATED_ROWS = 5


def write(
    path: str | os.PathLike,
    *,
    title: str,
    summary: page.Summary,
    rows: Sequence[tuple[str, Sequence[str]]],
    samples: Mapping[str, PixelSets],
    reconstructed: Mapping[str, Mapping[str, PixelSets]],
    by_digit: Mapping[str, PixelSets],
    asked: bool = False,
    lines: PixelSets | None = None,
    history: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    latents: Mapping[str, np.ndarray] | None = None,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write.
        title: heading of the page.
        summary: notes.
        rows: label and cells of every figure of merit, the floor last.
        samples: name to sets ``[J, K, 3]``, ``"input"`` first.
        reconstructed: part (``"test"``, ``"training"``) to rows of images: the image,
            its set, its reconstructions.
        by_digit: name to sets whose labels are their rows in a grid.
        asked: those labels are what was asked for, not what the classifier sees.
        lines: ``[S, T, K, 3]``, decoded along lines in the latent space.
        history: ``"vae"`` and ``"flow"`` to a dict per epoch.
        latents: ``"posterior"`` and ``"flow"`` to ``[J, L]``.

    Returns:
        The path.

    Raises:
        InputError: a file cannot be written.
    """
    names = [name for name in samples if name != "input"]
    parts = [
        f"<h1>{escape(title)}</h1>",
        page.summary(summary),
        "<h2>Figures of merit</h2>",
        _table([*names, "real"], rows),
        f'<p class="note">{escape(FIGURES)}</p>',
    ]
    sample = _sample_plots(samples, reconstructed, by_digit, asked, lines)
    training = _training_plots(history or {}, latents or {})
    return page.write(path, title, parts, [*sample, *training])


FIGURES = (
    "Features and accuracy are those of a small PointNet that was trained on real "
    "images of the training part. 'real' compares real images with other real ones: "
    "the Fréchet distance between two halves of the test images, the accuracy on them, "
    "and pixel errors between a test image and another image of the same digit, which "
    "a good reconstruction is far below."
)
RENDERING = (
    "Rendering, here and below: every point lights the pixel nearest to it, and a "
    "pixel with several points has the largest of their intensities."
)


def _table(names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("", *names))
    body = "\n".join(
        f'<tr><th scope="row">{escape(label)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for label, cells in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _sample_plots(samples, reconstructed, by_digit, asked, lines) -> Iterator[Plot]:
    for part, given in reconstructed.items():
        yield Plot(
            f"reconstructions_{part}",
            "Reconstructions",
            f"Images of the {part} part. {RENDERING}",
            lambda given=given: pixels.rows(given, columns=COLUMNS),
        )
    for name, sets in samples.items():
        if name == "reconstruction":
            continue
        few = PixelSets(*(np.asarray(a)[: COLUMNS * GENERATED_ROWS] for a in sets))
        yield Plot(
            f"images_{name}",
            "Images",
            f"{'real images' if name == 'input' else name}: the first of them, not "
            "chosen.",
            lambda few=few: pixels.grid(few, columns=COLUMNS),
        )
    told = "the digit that was asked for" if asked else "the digit the classifier sees"
    for name, sets in by_digit.items():
        what = "its label" if name == "input" else told
        yield Plot(
            f"digits_{name}",
            "Digit by digit",
            f"{'real images' if name == 'input' else name}: a row is {what}.",
            lambda sets=sets: pixels.by_digit(sets, columns=COLUMNS),
        )
    yield Plot(
        "intensities",
        "Intensity of the pixels",
        "Share of the pixels in each bin of intensity, and the number of pixels.",
        lambda: pixels.intensities(samples),
    )
    if lines is not None:
        yield Plot(
            "interpolation",
            "Interpolation",
            "Decoded along straight lines between the posterior means of two test "
            "images.",
            lambda: pixels.interpolation(lines),
        )


def _training_plots(history, latents) -> Iterator[Plot]:
    if "posterior" in latents:
        yield Plot(
            "latents",
            "Latent variables",
            "Encoded test images, and what the flow makes of noise.",
            lambda: latent_panels.figure(latents["posterior"], latents.get("flow")),
        )
    for name, given in history.items():
        if curves.terms(given):
            yield Plot(
                f"curves_{name}",
                "Training",
                f"Terms of the {name} loss, mean per image.",
                lambda given=given: curves.figure(given),
            )
