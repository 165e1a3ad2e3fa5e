"""Pulls: differences of generated and real jets over their standard deviation."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jetvae_jax.metrics.distributions.binning import Binning
from jetvae_jax.metrics.labels import label
from jetvae_jax.report import page, style, tables
from jetvae_jax.report.distributions import axis_label, grouped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 12
"""Bins in the table of the worst ones."""
_FEWEST = 10  # entries of both samples in a bin, for a pull that is about Gaussian
_LINEAR = 5.0  # the axis is linear up to here, and logarithmic beyond


class Pulls(NamedTuple):
    """Two histograms, not normalised, and how they differ.

    Attributes:
        edges: ``[B + 1]``; the outer bins include the values beyond the range.
        real: ``[B]`` counts.
        generated: ``[B]`` counts.
        num_real: sum of the counts.
        num_generated: sum of the counts.
        values: ``[B]`` the pulls, positive where too many are generated.
    """

    edges: np.ndarray
    real: np.ndarray
    generated: np.ndarray
    num_real: int
    num_generated: int
    values: np.ndarray

    @property
    def chi2(self) -> float:
        """Sum of the squared pulls."""
        return float(np.sum(np.square(self.values)))

    @property
    def ndf(self) -> int:
        """Bins less one, since both histograms are compared as shapes."""
        return len(self.values) - 1


def compare(real: np.ndarray, generated: np.ndarray, bins: Binning) -> Pulls:
    """Pulls of two unweighted histograms.

    With n of N real and m of M generated entries in a bin

        pull = (N m - M n) / sqrt(N M (n + m))

    whose squares add up to the chi-square of the hypothesis that both are drawn from
    one distribution (Gagunashvili, arXiv:physics/0605123). Neighbouring bins are
    joined until each has ten entries; values beyond the range count in the outer bins.

    Args:
        real: ``[J]``; values that are not finite are left out.
        generated: ``[M]``, the same.
        bins: range and bins to begin with.
    """
    real, generated = (np.asarray(v, np.float64) for v in (real, generated))
    real, generated = (v[np.isfinite(v)] for v in (real, generated))
    edges = grouped(bins, min(len(real), len(generated)))
    n, m = (_counts(v, edges) for v in (real, generated))
    starts = _joined(n + m)
    n, m = (np.add.reduceat(c, starts) for c in (n, m))
    edges = np.append(edges[starts], edges[-1])
    num, other = int(n.sum()), int(m.sum())
    scale = np.sqrt(num * other * (n + m))
    pulls = np.divide(num * m - other * n, scale, out=np.zeros(len(n)), where=scale > 0)
    return Pulls(edges, n, m, num, other, pulls)


def _counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    inside = np.clip(values, edges[0], edges[-1])
    return np.histogram(inside, edges)[0].astype(np.float64)


def _joined(counts: np.ndarray) -> np.ndarray:
    """First bins of groups with enough entries; the rest joins the last group."""
    starts, held = [0], 0.0
    for i, count in enumerate(counts):
        if held >= _FEWEST:
            starts.append(i)
            held = 0.0
        held += count
    if held < _FEWEST and len(starts) > 1:
        starts.pop()
    return np.array(starts)


def figure(
    found: Mapping[str, Pulls], name: str, *, trained_on: Collection[str] = ()
) -> "Figure":
    """The pulls of one sample, a panel for each observable.

    Args:
        found: observable to pulls, in the order of the panels.
        name: the sample, for its colour.
        trained_on: observables that were part of the training loss.
    """
    from matplotlib.ticker import NullLocator

    drawn, axes = style.panels(len(found), 3, (3.9, 2.3), margins=(0, 0))
    line = style.lines([name])[name]
    for axis, (observable, pulls) in zip(axes, found.items(), strict=True):
        axis.axhspan(-1, 1, color=style.BAND, linewidth=0, alpha=0.7)
        axis.axhline(0, linewidth=0.8, **style.INPUT)
        axis.stairs(
            pulls.values, pulls.edges, fill=True, alpha=0.8, color=line["color"]
        )
        far = max(float(np.max(np.abs(pulls.values), initial=0)), 3.5)
        if far > 3 * _LINEAR:
            axis.set_yscale("symlog", linthresh=_LINEAR, linscale=1.5)
            ticks = [sign * t for t in (3, 10, 30, 100, 300, 1000) for sign in (-1, 1)]
            axis.set_yticks([0, *ticks], [f"{t}" for t in (0, *ticks)])
            axis.yaxis.set_minor_locator(NullLocator())
        axis.set_ylim(-1.15 * far, 1.15 * far)
        axis.set_xlim(*_used(pulls))
        axis.locator_params("x", nbins=5)
        axis.set_xlabel(axis_label(observable))
        axis.set_title(
            f"$\\chi^2$/ndf = {pulls.chi2:.{1 if pulls.chi2 < 10 else 0}f}/{pulls.ndf}",
            loc="left",
            fontsize=9,
        )
        if observable in trained_on:
            style.badge(axis)
    for axis in axes[::3]:
        axis.set_ylabel("pull")
    return drawn


def _used(pulls: Pulls) -> tuple[float, float]:
    """The range with all but a thousandth of the entries on each side, and a bin more.

    Outer bins are wide if there are few jets in them, and would narrow the others.
    """
    both = pulls.real + pulls.generated
    below = np.cumsum(both) / max(both.sum(), 1)
    first = int(np.searchsorted(below, 1e-3))
    last = int(np.searchsorted(below, 1 - 1e-3))
    low = pulls.edges[max(first, 1)] if first else pulls.edges[1]
    width = float(np.median(np.diff(pulls.edges)))
    high = pulls.edges[min(last, len(both) - 1)]
    return (
        float(max(low - 2 * width, pulls.edges[0])),
        float(min(high + 2 * width, pulls.edges[-1])),
    )


def worst(
    found: Mapping[str, Pulls], units: Mapping[str, str], *, trained_on=()
) -> page.Table:
    """The bins with the largest pulls of all observables, the largest first.

    Args:
        found: observable to pulls.
        units: observable to its unit, where it has one.
        trained_on: observables that were part of the training loss.
    """
    bins = [
        (abs(pull), observable, i)
        for observable, pulls in found.items()
        for i, pull in enumerate(pulls.values)
    ]
    bins.sort(key=lambda row: -row[0])
    head = ["observable", "bin", "real jets", "generated jets", "pull"]
    rows = []
    for _, observable, i in bins[:WORST]:
        pulls = found[observable]
        rows.append([
            tables.label(label(observable), observable in trained_on),
            _range(pulls.edges, i, units.get(observable, "")),
            _percent(pulls.real[i], pulls.num_real),
            _percent(pulls.generated[i], pulls.num_generated),
            f"{pulls.values[i]:+.1f}",
        ])  # fmt: skip
    return page.table(head, rows)


def _range(edges: np.ndarray, i: int, unit: str) -> str:
    """The bin's ends; the outer bins are open, as they hold what lies beyond."""
    low, high = f"{edges[i]:.4g}", f"{edges[i + 1]:.4g}"
    last = len(edges) - 2
    if i == 0 == last:
        return "all"
    text = f"< {high}" if i == 0 else f"≥ {low}" if i == last else f"{low} to {high}"
    return f"{text} {unit}".rstrip()


def _percent(count: float, total: int) -> str:
    """The fraction in percent with its statistical error."""
    fraction = count / max(total, 1)
    error = np.sqrt(max(fraction * (1 - fraction), 0) / max(total, 1))
    return f"{100 * fraction:.2f} ± {100 * error:.2f} %"
