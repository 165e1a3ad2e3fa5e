"""Correlation matrices of jet observables: real, generated, and their difference."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.metrics.labels import label
from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNIFICANT = 3.0
"""Differences beyond this many standard deviations are bold, or have a dot."""
_SHOWN = 12  # observables; with more, numbers in the cells are too small to read


def figure(
    matrices: Mapping[str, np.ndarray],
    names: Sequence[str],
    *,
    sizes: Mapping[str, int],
    trained_on: Collection[str] = (),
) -> "Figure":
    """A row for each sample: the input's matrix, the sample's, and the difference.

    Args:
        matrices: sample to matrix ``[F, F]``, ``"input"`` among them; NaN is drawn
            grey.
        names: ``[F]`` observables.
        sizes: sample to number of jets, for the statistical errors.
        trained_on: observables that were part of the training loss, marked by ``*``.
    """
    from matplotlib.colors import Normalize

    real = np.asarray(matrices["input"], np.float64)
    others = {k: np.asarray(m, np.float64) for k, m in matrices.items() if k != "input"}
    gaps = {name: matrix - real for name, matrix in others.items()}
    stars = ["*" if name in trained_on else "" for name in names]
    labels = [
        style.plain(label(n)) + star for n, star in zip(names, stars, strict=True)
    ]
    panel = (0.33 if len(names) <= _SHOWN else 0.2) * max(len(names), 5) + 0.2
    rows, columns = max(len(others), 1), 3 if others else 1
    drawn = style.new_figure(columns * panel + 1.3, rows * (panel + 0.35) + 1.7)
    axes = drawn.subplots(rows, columns, squeeze=False)
    largest = max((np.nanmax(np.abs(g), initial=0) for g in gaps.values()), default=0)
    largest = max(float(largest), 0.02)
    whole, part = Normalize(-1, 1), Normalize(-largest, largest)
    difference = None
    for row in axes:
        image = _panel(row[0], real, labels, "RdBu_r", whole)
        row[0].set_title("input")
    for row, (name, matrix) in zip(axes, others.items(), strict=False):
        short = style.plain(name)
        image = _panel(row[1], matrix, labels, "RdBu_r", whole)
        sigma = np.hypot(error(real, sizes["input"]), error(matrix, sizes[name]))
        gap = gaps[name]
        strong = np.abs(gap) > SIGNIFICANT * np.where(sigma > 0, sigma, np.inf)
        difference = _panel(row[2], gap, labels, "PuOr_r", part, strong=strong)
        row[1].set_title(short)
        row[2].set_title(f"{short} - input")
        for axis in row[1:]:
            axis.tick_params(labelleft=False)
    for row in axes[:-1]:
        for axis in row:
            axis.tick_params(labelbottom=False)
    bars: dict[str, Any] = {"location": "bottom", "pad": 0.01, "shrink": 0.8}
    left = axes[:, :2] if others else axes
    drawn.colorbar(image, ax=left, label="correlation", aspect=40, **bars)
    if difference is not None:
        drawn.colorbar(difference, ax=axes[:, 2], label="difference", aspect=20, **bars)
    return drawn


def error(matrix: np.ndarray, num_jets: int) -> np.ndarray:
    """Statistical error of each coefficient, ``(1 - r^2) / sqrt(J - 1)``.

    That of normally distributed observables (Fisher, Biometrika 10 (1915) 507), a
    rough measure for others.
    """
    return (1 - np.square(matrix)) / np.sqrt(max(num_jets - 1, 1))


def _panel(axis, matrix, labels, colours: str, norm, *, strong=None):
    import matplotlib

    colours_with_grey = matplotlib.colormaps[colours].with_extremes(bad="#dddddd")
    image = axis.imshow(np.ma.masked_invalid(matrix), cmap=colours_with_grey, norm=norm)
    ticks = range(len(labels))
    axis.set_xticks(ticks, labels, rotation=60, ha="right", rotation_mode="anchor")
    axis.set_yticks(ticks, labels)
    axis.minorticks_off()
    axis.tick_params(length=0, labelsize=8)
    if len(labels) > _SHOWN:
        y, x = np.nonzero(strong) if strong is not None else ([], [])
        axis.scatter(x, y, s=4, color="black", linewidth=0)
        return image
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            dark = abs(norm(value) - 0.5) > 0.32
            bold = strong is not None and bool(strong[i, j])
            quiet = strong is not None and not bold
            axis.text(
                j,
                i,
                _short(value),
                ha="center",
                va="center",
                fontsize=7,
                fontweight="bold" if bold else "normal",
                color="white" if dark else "#777777" if quiet else "black",
                in_layout=False,  # it is inside: no margin has to be measured for it
            )
    return image


def _short(value: float) -> str:
    """Two digits without the zero in front, to fit the cell."""
    if not np.isfinite(value):
        return "-"
    if abs(value) > 0.995:
        return f"{value:.0f}"
    text = f"{value:.2f}".replace("0.", ".")
    return "0" if text in (".00", "-.00") else text
