"""The report of generated digits: metrics, images, reconstructions, interpolation."""

import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import pictures
from jetvae_jax.report import page, tables, training_plots
from jetvae_jax.report.page import Heading, Paragraph, Plot

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
METRICS = (
    "Features and accuracy are those of a small PointNet that was trained on real "
    "images of the training part. The floor compares real images with other real ones: "
    "the Fréchet distance between two halves of the test images, the accuracy on them, "
    "and pixel errors between a test image and another image of the same digit. A good "
    "reconstruction has far smaller pixel errors."
)
RENDERING = (
    "In all images every point sets the pixel nearest to it, and a pixel with several "
    "points has the largest of their intensities."
)
SPREAD = (
    "In all images every superpixel sets the five pixels nearest to it, about the size "
    "of its segment; a pixel of several superpixels has the largest intensity."
)
Draw = Callable[[PixelSets], PixelSets]
"""What is drawn for sets: the sets, or their superpixels as several pixels."""


def write(
    path: str | os.PathLike,
    *,
    title: str,
    about: page.Table,
    summary: page.Summary,
    rows: Sequence[tuple[str, Sequence[str]]],
    samples: Mapping[str, PixelSets],
    reconstructed: Mapping[str, Mapping[str, PixelSets]],
    by_digit: Mapping[str, PixelSets],
    asked: bool = False,
    superpixels: bool = False,
    lines: PixelSets | None = None,
    ends: PixelSets | None = None,
    history: training_plots.History | None = None,
    latents: Mapping[str, np.ndarray] | None = None,
    conditions: Mapping[str, Any] | None = None,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        title: of the page.
        about: date, seed and so on: `report.about.table`.
        summary: a text, the lines of a list, or names and values.
        rows: label and cells of every metric, the floor last.
        samples: name to sets ``[J, K, 3]``, ``"input"`` first.
        reconstructed: part (``"test"``, ``"training"``) to rows of images: the image,
            its set, its reconstructions.
        by_digit: name to sets whose labels are their rows in a grid.
        asked: the labels of generated sets are the requested digits, not those that
            the classifier finds.
        superpixels: points are drawn as segments, not as pixels.
        lines: ``[S, T, K, 3]``, decoded along lines in the latent space.
        ends: ``[S, 2, K, 3]``, the real images at their ends.
        history: ``"vae"`` and ``"flow"`` to a dict per epoch.
        latents: ``"posterior"`` and ``"flow"`` to ``[J, L]``.
        conditions: boundary conditions, of `metrics.conditions.gathered`.

    Returns:
        The path.

    Raises:
        InputError: a file cannot be written.
    """
    names = [name for name in samples if name != "input"]
    draw: Draw = pictures.spread if superpixels else (lambda sets: sets)
    blocks = (
        about,
        *page.summary(summary),
        Heading("Metrics"),
        table([*names, tables.FLOOR], rows),
        Paragraph(METRICS, "note"),
        *tables.conditions(conditions or {}),
        *reconstruction_plots(reconstructed, superpixels=superpixels),
        *_sample_plots(samples, draw),
        *_digit_plots(by_digit, asked, draw),
        *_pixel_plots(samples),
        *_line_plots(lines, ends, draw),
        *_training_plots(history or {}, latents or {}),
    )
    return page.write(path, title, blocks)


def table(
    names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]
) -> page.Table:
    """A table of rows, each a label and its cells, with the names of the columns."""
    return page.table(["", *names], ([label, *cells] for label, cells in rows))


def reconstruction_plots(
    reconstructed: Mapping[str, Mapping[str, PixelSets]],
    *,
    columns: int = COLUMNS,
    superpixels: bool = False,
) -> Iterator[Plot]:
    """A figure for each part, reconstructions below their originals.

    Args:
        reconstructed: part to rows: ``"image"`` with all its pixels, and sets.
        columns: images in a row.
        superpixels: sets are drawn as segments, not as pixels.
    """
    for i, (part, given) in enumerate(reconstructed.items()):
        note = (SPREAD if superpixels else RENDERING) if i == 0 else ""
        shown = {
            name: pictures.spread(sets) if superpixels and name != "image" else sets
            for name, sets in given.items()
        }
        yield Plot(
            f"reconstructions_{part}",
            "Reconstructions",
            f"The first images of the {part} part. {note}".rstrip(),
            lambda shown=shown: pictures.rows(shown, columns=columns),
        )


def _sample_plots(samples: Mapping[str, PixelSets], draw: Draw) -> Iterator[Plot]:
    for name, sets in samples.items():
        if name == "reconstruction":
            continue
        few = PixelSets(*(np.asarray(a)[: COLUMNS * GENERATED_ROWS] for a in sets))
        yield Plot(
            f"images_{name}",
            "Images",
            f"{FROM.get(name, name)}: the first ones, without selection.",
            lambda few=few: pictures.grid(draw(few), columns=COLUMNS),
        )


def _digit_plots(
    by_digit: Mapping[str, PixelSets], asked: bool, draw: Draw
) -> Iterator[Plot]:
    if all(len(np.unique(sets.labels)) == 1 for sets in by_digit.values()):
        return  # one row each, which the images above are
    made = "the requested digit" if asked else "the digit that the classifier finds"
    for name, sets in by_digit.items():
        row = "the true digit" if name == "input" else made
        yield Plot(
            f"digits_{name}",
            "Digit by digit",
            f"{FROM.get(name, name)}: each row is {row}.",
            lambda sets=sets: pictures.by_digit(draw(sets), columns=COLUMNS),
        )


def _pixel_plots(samples: Mapping[str, PixelSets]) -> Iterator[Plot]:
    yield Plot(
        "intensities",
        "Intensity of the pixels",
        "Fraction of the pixels in each bin of intensity, and number of pixels.",
        lambda: pictures.intensities(samples),
    )


def _line_plots(
    lines: PixelSets | None, ends: PixelSets | None, draw: Draw
) -> Iterator[Plot]:
    if lines is not None:
        yield Plot(
            "interpolation",
            "Interpolation",
            "Decoded along straight lines between the posterior means of two test "
            "images, which are shown at the ends. A decoder that is conditioned on "
            "the digit is given that of the nearer image.",
            lambda: pictures.interpolation(
                draw(lines), None if ends is None else draw(ends)
            ),
        )


def _training_plots(
    history: training_plots.History, latents: Mapping[str, np.ndarray]
) -> Iterator[Plot]:
    if "posterior" in latents:
        yield Plot(
            "latents",
            "Latent variables",
            "Encoded test images, and samples of the flow.",
            lambda: training_plots.latents(latents["posterior"], latents.get("flow")),
        )
    yield from training_plots.curve_plots(history, "image", {"vae": "model"})
