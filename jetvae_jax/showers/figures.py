"""Figures of samples of showers: means, layers, sparsity, response."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jetvae_jax.core.types import Showers
from jetvae_jax.metrics import binned
from jetvae_jax.metrics.binned import Binned
from jetvae_jax.report import style
from jetvae_jax.showers import incident, observables
from jetvae_jax.showers.geometry import Geometry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Samples = Mapping[str, Showers]
COLUMNS = 5
"""Single showers of each sample."""
_SHOWERS = 2000  # for the sparsity
_SHARES = 10.0 ** np.linspace(-5, 0, 51)


def view(geometry: Geometry) -> str:
    """What an image shows, in words."""
    if geometry.form == "rings":
        return "summed over the angles of each ring, layers from left to right"
    if geometry.num_layers > 1:
        return "summed over layers, seen from the front"
    return "seen from the front"


def image(geometry: Geometry, energies: np.ndarray) -> np.ndarray:
    """Energies ``[..., C]`` as ``[..., H, W]``.

    Of a grid rows and columns, summed over layers; of rings radii and layers, summed
    over angles.
    """
    assert geometry.shape is not None
    shape = (*energies.shape[:-1], *geometry.shape)
    whole = np.reshape(energies, shape)
    if geometry.form == "rings":
        return np.swapaxes(whole.sum(-2), -1, -2)
    return whole.sum(-3)


def _axes_of(geometry: Geometry) -> tuple[str, str, tuple[float, float, float, float]]:
    """Labels of both axes, and the extent of an image."""
    assert geometry.shape is not None
    layers, rows, columns = geometry.shape
    if geometry.form == "rings":
        return "layer", "ring", (0.0, layers, 0.0, columns)
    x, y = columns * geometry.side / 2, rows * geometry.side / 2
    return "x [mm]", "y [mm]", (-x, x, -y, y)


def mean(geometry: Geometry, samples: Samples) -> "Figure":
    """Mean image of every sample, and its difference from the input's below.

    Args:
        geometry: of C cells, with a shape.
        samples: name to showers ``[J, C]``, ``"input"`` first.
    """
    from matplotlib.colors import LogNorm, Normalize

    images = {
        name: image(geometry, np.asarray(np.mean(showers.energies, axis=0)))
        for name, showers in samples.items()
    }
    others = {n: i - images["input"] for n, i in images.items() if n != "input"}
    figure = style.new_figure(2.9 * len(images) + 1.1, 5.8)
    axes = figure.subplots(2, len(images), squeeze=False)
    brightest = max(i.max() for i in images.values()) or 1.0
    light = LogNorm(brightest * 1e-5, brightest, clip=True)
    drawn: Any = None
    for axis, (name, pixels) in zip(axes[0], images.items(), strict=True):
        drawn = _shown(axis, geometry, pixels, norm=light, cmap="viridis")
        axis.set_title(style.plain(name))
    figure.colorbar(drawn, ax=list(axes[0]), label="mean energy [GeV]")
    axes[1, 0].set_axis_off()
    most = max((np.abs(gap).max() for gap in others.values()), default=0.0) or 1.0
    for axis, (name, gap) in zip(axes[1, 1:], others.items(), strict=True):
        drawn = _shown(axis, geometry, gap, norm=Normalize(-most, most), cmap="RdBu_r")
        axis.set_title(f"{style.plain(name)} - input")
    if others:
        figure.colorbar(drawn, ax=list(axes[1]), label="difference [GeV]")
    _labelled(axes[0], geometry)
    _labelled(axes[1, 1:], geometry)
    return figure


def alike(samples: Samples, *, columns: int = COLUMNS) -> dict[str, Showers]:
    """The first real showers, and of every sample those whose particles are nearest.

    Args:
        samples: name to showers ``[J, C]``, ``"input"`` first.
        columns: of each, at most.
    """
    real = samples["input"]
    count = min(columns, len(real.energy))
    chosen = {name: nearest(real, s, count) for name, s in samples.items()}
    chosen["input"] = np.arange(count)
    return {
        name: jax.tree.map(lambda a, rows=rows: np.asarray(a)[rows], samples[name])
        for name, rows in chosen.items()
    }


def nearest(real: Showers, showers: Showers, count: int) -> np.ndarray:
    """Rows of the showers whose incident particles are nearest to the first real ones.

    In units of the deviations of the real particles.

    Args:
        real: ``[J, C]``.
        showers: ``[M, C]``.
        count: of real showers.
    """
    known = incident.known(real)
    rows = np.asarray(incident.rows_of(known, real))
    units = incident.measured(known, rows)
    wanted, there = (
        np.asarray(incident.scaled(r, units), np.float64)
        for r in (rows[:count], np.asarray(incident.rows_of(known, showers)))
    )
    gaps = np.square(wanted[:, None] - there).sum(-1)
    return np.argmin(gaps, axis=-1)


def layers(geometry: Geometry, samples: Samples) -> "Figure":
    """Mean energy of each layer, and its ratio to the input's."""
    figure = style.new_figure(6.4, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    edges = np.arange(geometry.num_layers + 1) - 0.5
    means = {
        name: np.mean(observables.layer_energies(geometry, showers), axis=0)
        for name, showers in samples.items()
    }
    handles: dict[str, Any] = {}
    for name, line in style.lines(samples).items():
        handles[name] = upper.stairs(means[name], edges, **line)
        there = means["input"] > 0
        ratio = np.where(
            there, means[name] / np.where(there, means["input"], 1), np.nan
        )
        lower.stairs(ratio, edges, baseline=None, **line)
    upper.set_yscale("log")
    upper.set_ylabel("mean energy [GeV]")
    lower.set_ylabel("ratio to input")
    lower.set_ylim(0.5, 1.5)
    lower.set_xlabel("layer")
    style.legend_above(figure, handles)
    return figure


def sparsity(geometry: Geometry, samples: Samples) -> "Figure":
    """Share of the cells above each share of the shower's energy."""
    figure = style.new_figure(6.4, 4.2)
    axis = figure.subplots()
    x, handles = np.log10(_SHARES), {}
    for name, line in style.lines(samples).items():
        showers = samples[name]
        few = jax.tree.map(lambda a: a[:_SHOWERS], showers)
        shares = np.stack(
            [
                np.asarray(observables.sparsity(geometry, few, _SHARES[i : i + 1]))[
                    :, 0
                ]
                for i in range(len(_SHARES))
            ],
            axis=-1,
        )
        if name == "input":
            low, high = np.quantile(shares, [0.16, 0.84], axis=0)
            axis.fill_between(x, low, high, color=style.BAND, linewidth=0)
        (handles[name],) = axis.plot(x, shares.mean(0), **line)
    axis.set_xlabel("log$_{10}$ of the share of the energy")
    axis.set_ylabel("share of the cells above it")
    axis.set_xlim(x[0], x[-1])
    axis.set_ylim(bottom=0)
    style.legend_above(figure, handles)
    return figure


def response(
    responses: Mapping[str, Mapping[str, Binned]], reach: binned.Reach | None = None
) -> "Figure":
    """Mean response and resolution against the incident energy, with errors.

    Args:
        responses: kind of the particle, a row each, and name of the sample to the
            response in bins of the energy.
        reach: energies of the training; beyond them the area is grey.
    """
    from matplotlib.ticker import NullFormatter

    figure = style.new_figure(9.6, 0.9 + 3.0 * len(responses))
    grid = figure.subplots(len(responses), 2, squeeze=False)
    handles: dict[str, Any] = {}
    for (kind, own), axes in zip(responses.items(), grid, strict=True):
        names = style.lines(own)
        for axis, field, label in zip(
            axes, ("mean", "resolution"), ("mean response", "resolution"), strict=True
        ):
            for i, (name, line) in enumerate(names.items()):
                found = own[name]
                apart = 1 + 0.015 * (i - (len(names) - 1) / 2)
                handles[name] = axis.errorbar(
                    found.condition * apart, getattr(found, field),
                    getattr(found, f"{field}_error"), marker="o", markersize=3,
                    capsize=2, **line,
                )  # fmt: skip
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())  # they would overlap
            _shade(axis, next(iter(own.values())), reach)
            axis.set_title(kind)
            axis.set_ylabel(label)
    for axis in grid[-1]:
        axis.set_xlabel("incident energy [GeV]")
    style.legend_above(figure, handles)
    return figure


def _shade(axis: "Axes", found: Binned, reach: binned.Reach | None) -> None:
    """Grey areas beyond the training."""
    if reach is None:
        return
    for low, high, is_beyond in zip(
        found.edges, found.edges[1:], binned.beyond(found.edges, reach), strict=False
    ):
        if is_beyond:
            axis.axvspan(low, high, color="#eeeeee", zorder=0)


def _shown(axis: "Axes", geometry: Geometry, pixels: np.ndarray, **look: Any) -> Any:
    *_, extent = _axes_of(geometry)
    aspect = "auto" if geometry.form == "rings" else "equal"
    axis.minorticks_off()
    return axis.imshow(
        pixels, origin="lower", extent=extent, aspect=aspect,
        interpolation="nearest", **look,
    )  # fmt: skip


def _labelled(row: Any, geometry: Geometry, *, last: bool = True) -> None:
    """Labels at the outer axes of a row of images."""
    x, y, _ = _axes_of(geometry)
    for i, axis in enumerate(row):
        axis.locator_params(nbins=4)
        axis.tick_params(labelleft=i == 0, labelbottom=last)
        if last:
            axis.set_xlabel(x)
        if i == 0:
            axis.set_ylabel(y)
