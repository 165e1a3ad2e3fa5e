"""Distributions of jets and of particles, each with its ratio to the input."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jetvae_jax.core.types import Jets, RelativeJets
from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.labels import LABELS, UNITS
from jetvae_jax.metrics.observables import particle_observables
from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN = {bins.name: bins for bins in (*binning.JETS, *binning.RELATIVE_JETS)} | {
    "phi": binning.Binning("phi", 100, -np.pi, np.pi, "rad")
}
"""Ranges that are drawn: those of the metrics, but for phi, which ends at 3 there."""
_FEWEST = 4  # entries of the input in a bin, to draw a ratio
_LOGARITHMIC = ("multiplicity", "px", "py", "pz", "ptrel", "etarel", "phirel")
_COLUMNS = 3

Values = Mapping[str, np.ndarray]


class Histogram(NamedTuple):
    """Counts, not normalised, for statistical errors.

    Attributes:
        edges: ``[B + 1]``.
        counts: ``[B]`` entries inside the range.
        total: number of values, inside or not.
    """

    edges: np.ndarray
    counts: np.ndarray
    total: int


def jets(values: Mapping[str, Values], *, trained_on: Collection[str] = ()) -> "Figure":
    """Jet features of every sample over the input's.

    Args:
        values: sample to observable to ``[J]``, ``"input"`` among the samples.
        trained_on: observables that were part of the training loss.
    """
    bins = binnings(values["input"])
    return grid(counts(values, bins), bins, "jets", trained_on=trained_on)


def particles(
    samples: Mapping[str, Jets | RelativeJets], *, trained_on: Collection[str] = ()
) -> "Figure":
    """Particle features of every sample over the input's.

    Args:
        samples: name to jets, ``"input"`` among them.
        trained_on: observables that were part of the training loss.
    """
    bins = binning.PARTICLES
    if any(isinstance(jets, RelativeJets) for jets in samples.values()):
        bins = binning.RELATIVE_PARTICLES
    number = int(np.sum(samples["input"].mask))
    # One sample after the other: relative features need as much memory as the jets.
    drawn = {
        n: _counted(particle_observables(s), bins, number) for n, s in samples.items()
    }
    return grid(drawn, bins, "particles", trained_on=trained_on)


def counts(
    values: Mapping[str, Values], binnings: Sequence[binning.Binning]
) -> dict[str, dict[str, Histogram]]:
    """Sample to observable to its histogram.

    Args:
        values: sample to observable to ``[J]``, ``"input"`` among the samples.
        binnings: of the observables to count, where a sample has them.
    """
    number = max(map(len, values["input"].values()))
    return {name: _counted(few, binnings, number) for name, few in values.items()}


def binnings(values: Values) -> list[binning.Binning]:
    """Range and bins of each observable: those in `DRAWN`, or from its values.

    Args:
        values: observable to ``[J]`` real values.
    """
    return [DRAWN.get(name) or _ranged(name, few) for name, few in values.items()]


def axis_label(observable: str, labels: Mapping[str, str] = LABELS) -> str:
    """The text at an axis: the name as in tables, and the unit."""
    unit = UNITS.get(observable, "") if labels is LABELS else ""
    name = labels.get(observable) or style.plain(observable)
    return f"{name} [{unit}]" if unit else name


def histogram(values: np.ndarray, edges: np.ndarray) -> Histogram:
    """Counts inside the range."""
    counts, _ = np.histogram(values, edges)
    return Histogram(edges, counts, len(values))


def grouped(bins: binning.Binning, num_values: int) -> np.ndarray:
    """Edges with about 100 values in a bin, or 20 bins; integers keep a bin each."""
    if bins.name == "multiplicity" or bins.bins < 20:
        return bins.edges
    enough = (g for g in (1, 2, 4) if num_values * g >= 100 * bins.bins)
    return bins.edges[:: next(enough, 5)]


def _ranged(name: str, values: np.ndarray) -> binning.Binning:
    """100 bins around all but a thousandth of the values on each side."""
    finite = np.asarray(values, np.float64)
    finite = finite[np.isfinite(finite)]
    low, high = np.quantile(finite, [0.001, 0.999]) if finite.size else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.5 * max(abs(low), 1.0)
    return binning.Binning(name, 100, float(low - margin), float(high + margin))


def _counted(values: Values, binnings, num_values: int) -> dict[str, Histogram]:
    """Histograms with bins for the number of values of the input."""
    return {
        bins.name: histogram(values[bins.name], grouped(bins, num_values))
        for bins in binnings
        if bins.name in values
    }


def grid(
    drawn: Mapping[str, Mapping[str, Histogram]],
    binnings: Sequence[binning.Binning],
    unit: str,
    *,
    trained_on: Collection[str] = (),
    labels: Mapping[str, str] = LABELS,
    logarithmic: Collection[str] = _LOGARITHMIC,
    columns: int = _COLUMNS,
) -> "Figure":
    """A panel for each binning with its ratio to the input below.

    Args:
        drawn: sample to observable to its histogram, ``"input"`` among the samples.
        binnings: of the observables to draw.
        unit: what is counted, such as jets.
        trained_on: observables that were part of the training loss.
        labels: observable to the text at its axis.
        logarithmic: observables whose fractions are on a logarithmic axis.
        columns: panels in a row.
    """
    rows = -(-len(binnings) // columns)
    figure = style.new_figure(11.5 * columns / _COLUMNS, 4.0 * rows + 0.3)
    axes = figure.subplots(
        2 * rows, columns, height_ratios=[3, 1.2] * rows, squeeze=False
    )
    figure.set_layout_engine("constrained", h_pad=0.02, hspace=0.02, wspace=0.04)
    handles: dict[str, object] = {}
    for i, bins in enumerate(binnings):
        row, column = divmod(i, columns)
        upper, lower = axes[2 * row, column], axes[2 * row + 1, column]
        few = {name: h[bins.name] for name, h in drawn.items() if bins.name in h}
        handles |= _panel(upper, lower, few, logarithmic=bins.name in logarithmic)
        lower.set_xlabel(axis_label(bins.name, labels))
        if bins.name in trained_on:
            style.badge(upper)
        if column == 0:
            upper.set_ylabel(f"fraction of {unit}")
            lower.set_ylabel("ratio to input")
    for i in range(len(binnings), rows * columns):
        row, column = divmod(i, columns)
        axes[2 * row, column].set_axis_off()
        axes[2 * row + 1, column].set_axis_off()
    style.legend_above(figure, handles)
    return figure


def _panel(
    upper: "Axes", lower: "Axes", drawn: Mapping[str, Histogram], *, logarithmic: bool
) -> dict:
    reference = drawn["input"]
    edges = reference.edges
    expected = reference.counts / max(reference.total, 1)
    enough = reference.counts >= _FEWEST
    spread = _relative_error(reference, enough)
    handles: dict[str, object] = {
        "input": upper.stairs(expected, edges, fill=True, color="#e4e4e4")
    }
    upper.stairs(expected, edges, linewidth=0.8, **style.INPUT)
    error = {"color": style.BAND, "linewidth": 0}
    _band(upper, edges, expected, expected * spread, **error, zorder=1)
    handles["error of the input"] = _band(
        lower, edges, np.ones(len(expected)), spread, **error
    )
    lower.axhline(1, linewidth=0.8, **style.INPUT)
    ratios = []
    for name, line in style.lines(n for n in drawn if n != "input").items():
        fraction = drawn[name].counts / max(drawn[name].total, 1)
        handles[name] = upper.stairs(fraction, edges, **line)
        ratio = np.divide(
            fraction, expected, out=np.full_like(expected, np.nan), where=enough
        )
        lower.stairs(ratio, edges, baseline=None, **line)
        own = ratio * _relative_error(drawn[name], drawn[name].counts > 0)
        _band(lower, edges, ratio, own, color=line["color"], alpha=0.13, linewidth=0)
        ratios.append(ratio[reference.counts >= 25])
    _limits(upper, lower, drawn, logarithmic=logarithmic)
    lower.set_ylim(*_ratio_limits(ratios))
    return handles


def _relative_error(drawn: Histogram, where: np.ndarray) -> np.ndarray:
    """``1 / sqrt(n)`` of each bin of ``where``, else NaN."""
    return 1 / np.sqrt(np.where(where, drawn.counts, np.nan))


def _band(axis: "Axes", edges, middle: np.ndarray, error: np.ndarray, **look):
    """The steps ``middle +- error``, nothing where either is NaN."""
    return axis.stairs(
        middle + error, edges, baseline=middle - error, fill=True, **look
    )


def _ratio_limits(ratios: Iterable[np.ndarray]) -> tuple[float, float]:
    """From 0 to 2, or closer around 1 where all well measured ratios are."""
    gaps = np.abs(np.concatenate([np.zeros(1), *ratios]) - 1)[1:]
    gaps = gaps[np.isfinite(gaps)]
    far = float(np.quantile(gaps, 0.95)) if gaps.size else 1.0
    side = next((s for s in (0.25, 0.5) if 1.3 * far < s), 1.0)
    return 1 - side, 1 + side


def _limits(upper, lower, drawn: Mapping[str, Histogram], *, logarithmic: bool) -> None:
    """Leaves out empty bins at both ends, and gives both panels the same range."""
    edges = drawn["input"].edges
    highest = np.max([h.counts / max(h.total, 1) for h in drawn.values()], axis=0)
    used = np.flatnonzero(highest > (0 if logarithmic else 2e-3 * highest.max()))
    if used.size:
        span = edges[[max(used[0] - 1, 0), min(used[-1] + 2, len(edges) - 1)]]
        upper.set_xlim(*span)
        lower.set_xlim(*span)
        if logarithmic:
            upper.set_yscale("log")
            upper.set_ylim(highest[highest > 0].min() / 2, highest.max() * 3)
        else:
            upper.set_ylim(0, highest.max() * 1.12)
    for axis in (upper, lower):
        axis.locator_params("x", nbins=5)
    upper.tick_params(labelbottom=False)
