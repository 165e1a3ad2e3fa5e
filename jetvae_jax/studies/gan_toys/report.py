"""The report of objectives of GANs on a ring: one paragraph, one plot, one table."""

import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.report import about, page, style
from jetvae_jax.report.page import Heading, Paragraph, Plot
from jetvae_jax.report.tables import with_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "minimax": "minimax",
    "classic": "classic, -log D",
    "lsgan": "least squares",
    "wgan": "WGAN, clipped",
    "wgan_gp": "WGAN, penalty",
    "cramer": "CramerGAN",
}
_COLORS = ("#D55E00", "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#CC79A7")
LOOKS: dict[str, Any] = {
    name: {"color": color, "linestyle": line}
    for (name, color), line in zip(
        zip(NAMES, _COLORS, strict=True), ("-", "--", ":", "-.", "-", "-"), strict=True
    )
}


def write(
    path: str | os.PathLike,
    result: Mapping[str, Any],
    samples: Mapping[str, np.ndarray],
    centres: np.ndarray,
) -> pathlib.Path:
    """Writes the page, and its figure as PNG beside it.

    Args:
        path: the HTML file; its folder must exist.
        result: what the study writes as JSON.
        samples: of each objective, points ``[P, 2]`` at the end of a training.
        centres: ``[M, 2]`` of the modes.

    Raises:
        InputError: a file cannot be written.
    """
    settings = result["settings"]
    blocks = (
        about.table(seed=settings["seed"]),
        Paragraph(result["verdict"], "strong"),
        Plot(
            "gan_toys", "Modes and gradients",
            "Above: generated points of the first seed, and where the modes are. "
            "Below, left: modes found, mean of the seeds with its standard error. "
            "Right: pull of the generator's loss on a Gaussian at that distance from "
            "the data, at the best critic.",
            lambda: figure(result, samples, centres),
        ),
        Heading("At the end of the training"),
        _table(result),
        Paragraph(
            "Errors are standard errors of the mean over seeds. A mode is found if it "
            "has a fifth of its share of the points. The energy distance is from an "
            "independent sample, without bias: it can be negative.",
            "note",
        ),
        Heading("Settings"),
        page.pairs({name: value for name, value in settings.items() if name != "seed"}),
    )  # fmt: skip
    return page.write(path, "GANs on a ring of Gaussians", blocks)


def figure(
    result: Mapping[str, Any], samples: Mapping[str, np.ndarray], centres: np.ndarray
) -> "Figure":
    """Points of each objective; modes in the course of the training; gradients."""
    number = len(samples)
    drawn = style.new_figure(max(2.2 * number, 7.5), 5.6)
    halves: Any = drawn.subfigures(2, 1, height_ratios=(1, 1.25))
    above, below = halves
    settings = result["settings"]
    size = settings["radius"] + 6 * settings["deviation"]
    for axis, (name, points) in zip(
        above.subplots(1, number, squeeze=False)[0], samples.items(), strict=True
    ):
        axis.scatter(*points.T, s=1.5, lw=0, color=LOOKS[name]["color"])
        axis.scatter(
            *centres.T, s=90, facecolors="none", edgecolors="#333333", linewidths=0.8
        )
        axis.set(
            xlim=(-size, size), ylim=(-size, size), aspect="equal", title=NAMES[name]
        )
        axis.set_xticks([])
        axis.set_yticks([])
    left, right = below.subplots(1, 2)
    for name, history in result["rings"].items():
        modes = np.array(history["modes"])
        left.errorbar(
            history["steps"], modes.mean(1),
            modes.std(1, ddof=1) / modes.shape[1] ** 0.5,
            label=NAMES[name], elinewidth=0.8, **LOOKS[name],
        )  # fmt: skip
    left.set(
        xlabel="updates of the generator",
        ylabel="modes found",
        ylim=(0, settings["modes"] + 0.5),
    )
    left.legend(fontsize=8, loc="best")
    pulled = result["pulls"]
    for name in ("minimax", "classic", "wgan", "cramer"):
        value = np.array(pulled[name]["value"])
        right.plot(pulled["distance"], np.maximum(value, 1e-12), label=NAMES[name],
                   **LOOKS[name])  # fmt: skip
    right.set_yscale("log")
    right.set(xlabel="distance [standard deviations]", ylabel="pull on the generator",
              ylim=(1e-6, 30))  # fmt: skip
    right.legend(fontsize=8, loc="best")
    return drawn


def _table(result: Mapping[str, Any]) -> page.Table:
    rows = []
    for name, history in result["rings"].items():
        cells = [NAMES[name]]
        for field in ("modes", "near", "energy"):
            values = np.array(history[field][-1])
            error = values.std(ddof=1) / len(values) ** 0.5
            cells.append(with_error(float(values.mean()), float(error)))
        rows.append(cells)
    head = ["objective", "modes found", "points near a mode", "energy distance"]
    return page.table(head, rows)
