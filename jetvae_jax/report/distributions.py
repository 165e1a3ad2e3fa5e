"""Distributions of jets and of particles, each with its ratio to the input."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from jetvae_jax.metrics import binning
from jetvae_jax.metrics.observables import jet_observables, particle_observables
from jetvae_jax.report import style
from jetvae_jax.types import Jets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS = {
    "mass": "jet mass [GeV]",
    "pt": "jet $p_T$ [GeV]",
    "energy": "jet energy [GeV]",
    "eta": r"jet $\eta$",
    "phi": r"jet $\phi$ [rad]",
    "multiplicity": "particles per jet",
    "px": "particle $p_x$ [GeV]",
    "py": "particle $p_y$ [GeV]",
    "pz": "particle $p_z$ [GeV]",
    "ptrel": r"particle $p_T^\mathrm{rel}$",
    "etarel": r"particle $\eta^\mathrm{rel}$",
    "phirel": r"particle $\phi^\mathrm{rel}$ [rad]",
}
_FEWEST = 4  # entries of the input for a ratio that says anything
_LOGARITHMIC = ("multiplicity", "px", "py", "pz", "ptrel", "etarel", "phirel")

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


def jets(samples: Mapping[str, Jets]) -> "Figure":
    """Jet features of every sample over the input's.

    Args:
        samples: name to jets, ``"input"`` among them.
    """
    measure = jax.jit(jet_observables)
    values = {
        name: {k: np.asarray(v) for k, v in measure(few).items()}
        for name, few in samples.items()
    }
    return _grid(values, binning.JETS, "jets")


def particles(samples: Mapping[str, Jets]) -> "Figure":
    """Particle features of every sample over the input's.

    Args:
        samples: name to jets, ``"input"`` among them.
    """
    values = {name: particle_observables(few) for name, few in samples.items()}
    return _grid(values, binning.PARTICLES, "particles")


def histogram(values: np.ndarray, bins: binning.Binning, group: int) -> Histogram:
    """Counts inside the range, ``group`` bins of the binning in one."""
    edges = bins.edges[::group]
    counts, _ = np.histogram(values, edges)
    return Histogram(edges, counts, len(values))


def _grid(
    values: Mapping[str, Values], binnings: Sequence[binning.Binning], things: str
) -> "Figure":
    figure = style.new_figure(11.5, 8.0)
    axes = figure.subplots(4, 3, height_ratios=[3, 1.1, 3, 1.1])
    figure.set_layout_engine("constrained", h_pad=0.02, hspace=0.02, wspace=0.04)
    handles: dict[str, object] = {}
    for i, bins in enumerate(binnings):
        row, column = divmod(i, 3)
        upper, lower = axes[2 * row, column], axes[2 * row + 1, column]
        few = {name: v[bins.name] for name, v in values.items()}
        handles = _panel(upper, lower, few, bins)
        if column == 0:
            upper.set_ylabel(f"fraction of {things}")
            lower.set_ylabel("ratio to input")
    style.legend_above(figure, list(handles.values()), list(handles))
    return figure


def _panel(upper: "Axes", lower: "Axes", values: Values, bins: binning.Binning) -> dict:
    group = _group(len(values["input"]), bins)
    drawn = {name: histogram(v, bins, group) for name, v in values.items()}
    reference = drawn["input"]
    edges = reference.edges
    expected = reference.counts / reference.total
    enough = reference.counts >= _FEWEST
    handles: dict[str, object] = {
        "input": upper.stairs(expected, edges, fill=True, color="#d9d9d9")
    }
    upper.stairs(expected, edges, linewidth=0.8, **style.INPUT)
    spread = 1 / np.sqrt(np.where(enough, reference.counts, np.nan))
    spread = np.append(spread, spread[-1])  # the step of the last bin needs its end
    lower.fill_between(
        edges, 1 - spread, 1 + spread, step="post", color="#cccccc", linewidth=0
    )
    lower.axhline(1, linewidth=0.8, **style.INPUT)
    for name, line in style.lines(n for n in drawn if n != "input").items():
        fraction = drawn[name].counts / drawn[name].total
        handles[name] = upper.stairs(fraction, edges, **line)
        ratio = np.divide(
            fraction, expected, out=np.full_like(expected, np.nan), where=enough
        )
        lower.stairs(ratio, edges, baseline=None, **line)
    _limits(upper, lower, drawn, logarithmic=bins.name in _LOGARITHMIC)
    lower.set_xlabel(LABELS[bins.name])
    return handles


def _group(num_values: int, bins: binning.Binning) -> int:
    """How many bins to draw as one: about 100 entries a bin, or 20 bins."""
    if bins.name == "multiplicity":
        return 1
    return next((g for g in (1, 2, 4) if num_values * g >= 100 * bins.bins), 5)


def _limits(upper, lower, drawn: Mapping[str, Histogram], *, logarithmic: bool) -> None:
    """Cuts empty sides off, and aligns both panels."""
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
    lower.set_ylim(0, 2)
    upper.tick_params(labelbottom=False)
