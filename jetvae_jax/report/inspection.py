"""Plots of a file of jets, without any model (experiments/inspect_jets.py)."""

import os
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from jetvae_jax.core.files import write_atomically
from jetvae_jax.data.inspection import FIT, Look
from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_JET = {"particles": "particles per jet"}


def figure(seen: Look) -> "Figure":
    """A panel for each observable of the jets and of the particles.

    Args:
        seen: what :func:`~jetvae_jax.data.inspection.look` returned.

    Returns:
        The figure; with a text in it if there are no good jets to draw.
    """
    panels = {
        _JET.get(name, f"jet {name}"): np.histogram(values, _edges(name, values))
        for name, values in seen.jets.items()
        if len(values)
    }
    panels |= {f"particle: {name}": counts for name, counts in seen.particles.items()}
    drawn = style.new_figure(15, 6)
    fit = "" if seen.verdict == FIT else "not "
    file = pathlib.Path(str(seen.summary["file"])).name
    drawn.suptitle(f"{style.plain(file)}: {fit}{FIT}")
    axes = drawn.subplots(2, 5)
    for axis in axes.flat:
        axis.set_axis_off()
    if not any(name.startswith("jet") for name in panels):
        axes.flat[0].text(0, 0.5, "no good jets to draw")
        return drawn
    for axis, (name, (counts, edges)) in zip(axes.flat, panels.items(), strict=False):
        axis.set_axis_on()
        axis.stairs(counts, edges, **style.INPUT)
        axis.set_xlabel(name)
        axis.set_ylim(bottom=0)
        axis.set_ylabel("particles" if name.startswith("particle:") else "jets")
        if name.startswith("particle:"):
            axis.set_yscale("log")
            axis.set_ylim(bottom=0.5)
    return drawn


def write(path: str | os.PathLike, seen: Look) -> None:
    """Draws :func:`figure` into a PNG, completely or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with style.look():
        image = style.png(figure(seen))
    with write_atomically(path) as part:
        part.write_bytes(image)


def _edges(name: str, values: np.ndarray) -> np.ndarray:
    if name == "particles":
        step = max(1, int(np.ptp(values)) // 60)
        return np.arange(values.min(), values.max() + 2 * step, step) - 0.5
    return np.histogram_bin_edges(values, 60)
