"""The report of generated digits: figures of merit, and all pictures of the talk."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import pictures
from jetvae_jax.images.render import spread
from jetvae_jax.report import curves, page
from jetvae_jax.report import latents as latent_panels
from jetvae_jax.report.page import Plot

LOSS_LABELS: dict[str, str] = {
    "pixel_positions": "Eq. 1, positions only",
    "pixel_matched": "Eq. 2, matched",
    "pixel_third_axis": "Eq. 3, third axis",
}
"""Losses of the ConVAE study of sparse MNIST, by their equations there."""
COLUMNS = 12
GENERATED_ROWS = 5
FROM = {
    "input": "Real images of the test part",
    "prior": "Generated from latents of the prior",
    "flow": "Generated from latents of the flow",
    "copula": "Generated from latents of the copula",
}
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
SPREAD = (
    "Rendering, here and below: every superpixel lights the five pixels nearest to it, "
    "about the size of its segment; where several meet, the largest intensity is shown."
)


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
    superpixels: bool = False,
    lines: PixelSets | None = None,
    ends: PixelSets | None = None,
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
        superpixels: points are drawn as segments, not as pixels.
        lines: ``[S, T, K, 3]``, decoded along lines in the latent space.
        ends: ``[S, 2, K, 3]``, the real images at their ends.
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
        table([*names, "real"], rows),
        f'<p class="note">{escape(FIGURES)}</p>',
    ]
    drawn = spread if superpixels else (lambda sets: sets)
    plots = [
        *reconstruction_plots(reconstructed, superpixels=superpixels),
        *_sample_plots(samples, drawn),
        *_digit_plots(by_digit, asked, drawn),
        Plot(
            "intensities",
            "Intensity of the pixels",
            "Share of the pixels in each bin of intensity, and the number of pixels.",
            lambda: pictures.intensities(samples),
        ),
        *_line_plots(lines, ends, drawn),
        *_training_plots(history or {}, latents or {}),
    ]
    return page.write(path, title, parts, plots)


def table(names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A label and cells a row, under names, as HTML."""
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


def reconstruction_plots(
    reconstructed: Mapping[str, Mapping[str, PixelSets]],
    *,
    columns: int = COLUMNS,
    superpixels: bool = False,
) -> Iterator[Plot]:
    """A figure for each part, the images below their originals.

    Args:
        reconstructed: part to rows: ``"image"`` with all its pixels, and sets.
        columns: images in a row.
        superpixels: sets are drawn as segments, not as pixels.
    """
    for i, (part, given) in enumerate(reconstructed.items()):
        note = (SPREAD if superpixels else RENDERING) if i == 0 else ""
        shown = {
            name: spread(sets) if superpixels and name != "image" else sets
            for name, sets in given.items()
        }
        yield Plot(
            f"reconstructions_{part}",
            "Reconstructions",
            f"Images of the {part} part, the first of them. {note}".rstrip(),
            lambda shown=shown: pictures.rows(shown, columns=columns),
        )


def _sample_plots(samples, drawn) -> Iterator[Plot]:
    for name, sets in samples.items():
        if name == "reconstruction":
            continue
        few = PixelSets(*(np.asarray(a)[: COLUMNS * GENERATED_ROWS] for a in sets))
        yield Plot(
            f"images_{name}",
            "Images",
            f"{FROM.get(name, name)}: the first of them, not chosen.",
            lambda few=few: pictures.grid(drawn(few), columns=COLUMNS),
        )


def _digit_plots(by_digit, asked, drawn) -> Iterator[Plot]:
    if all(len(np.unique(sets.labels)) == 1 for sets in by_digit.values()):
        return  # one row each, which the images above are
    told = "the digit that was asked for" if asked else "the digit the classifier sees"
    for name, sets in by_digit.items():
        what = "its label" if name == "input" else told
        yield Plot(
            f"digits_{name}",
            "Digit by digit",
            f"{FROM.get(name, name)}: a row is {what}.",
            lambda sets=sets: pictures.by_digit(drawn(sets), columns=COLUMNS),
        )


def _line_plots(lines, ends, drawn) -> Iterator[Plot]:
    if lines is not None:
        yield Plot(
            "interpolation",
            "Interpolation",
            "Decoded along straight lines between the posterior means of two test "
            "images, which stand at the ends; a decoder that is told the digit is told "
            "that of the nearer.",
            lambda: pictures.interpolation(
                drawn(lines), None if ends is None else drawn(ends)
            ),
        )


def _training_plots(history, latents) -> Iterator[Plot]:
    if "posterior" in latents:
        yield Plot(
            "latents",
            "Latent variables",
            "Encoded test images, and what the flow makes of noise.",
            lambda: latent_panels.figure(latents["posterior"], latents.get("flow")),
        )
    names = {"vae": "VAE", "flow": "flow"}
    for name, given in history.items():
        if curves.terms(given):
            yield Plot(
                f"curves_{name}",
                "Training",
                f"Terms of the loss of the {names.get(name, name)}, mean per image.",
                lambda given=given: curves.figure(given),
            )
