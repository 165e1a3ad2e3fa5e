"""Figures of scores that find signal: ROC curves, scores, latents, injected signal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.report import style
from jetvae_jax.studies.signal import roc
from jetvae_jax.studies.signal.quality import models_of, scores_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 400  # of a curve
_SIGNALS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def colours(names) -> dict[str, dict[str, Any]]:
    """Colour and line of each score; the combination is black."""
    found = style.lines([f"score {n}" for n in names if n != "combined"])
    plain = {name.removeprefix("score "): line for name, line in found.items()}
    return {n: plain.get(n, {"color": "#000000", "linestyle": "-"}) for n in names}


def roc_curves(panel: Mapping[str, Any], floor: int) -> "Figure":
    """Background rejection and significance improvement, a column for each signal.

    Args:
        panel: ``background`` and ``signal`` scores of a run.
        floor: background events at which curves end.
    """
    signals = panel["signal"]
    drawn = style.new_figure(max(4.2 * len(signals), 6.4), 6.6)
    axes = drawn.subplots(2, len(signals), squeeze=False, sharex=True)
    lines = colours(panel["background"])
    for (above, below), (name, scores) in zip(axes.T, signals.items(), strict=True):
        for score, high in scores.items():
            low = panel["background"][score]
            curve = roc.curve(low, high)
            smallest = floor / len(low)
            first = int(np.searchsorted(curve.background, smallest - 1e-12))
            places = np.unique(
                np.linspace(first, len(curve.signal) - 1, _POINTS).astype(int)
            )
            eps_s, eps_b = curve.signal[places], curve.background[places]
            above.plot(eps_s, 1 / eps_b, label=score, **lines[score])
            below.plot(eps_s, roc.improvement(eps_s, eps_b, smallest), **lines[score])
        blind = np.geomspace(smallest, 1, 50)
        above.plot(blind, 1 / blind, color="#999999", linestyle=":")
        below.plot(blind, np.sqrt(blind), color="#999999", linestyle=":")
        above.set_yscale("log")
        above.set_title(style.plain(name))
        below.set_xlabel("signal efficiency")
        below.set_xlim(0, 1)
        below.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("background rejection")
    axes[1, 0].set_ylabel("significance improvement")
    style.legend_above(drawn, *axes[0, 0].get_legend_handles_labels())
    return drawn


def histograms(panel: Mapping[str, Any]) -> "Figure":
    """Every score of background and of the signals, a panel each."""
    from scipy import stats

    names = list(panel["background"])
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    drawn = style.new_figure(3.2 * columns, 2.5 * rows + 0.6)
    axes = drawn.subplots(rows, columns, squeeze=False)
    edges = np.linspace(-3.2, 3.2, 33)
    for axis, name in zip(axes.flat, names, strict=False):
        ordered = np.sort(panel["background"][name])
        samples = {"background": ordered}
        samples |= {k: scores[name] for k, scores in panel["signal"].items()}
        for i, (label, values) in enumerate(samples.items()):
            share = (np.searchsorted(ordered, values) + 0.5) / (len(ordered) + 1)
            counts, _ = np.histogram(np.clip(stats.norm.ppf(share), -3.19, 3.19), edges)
            color = {"color": _SIGNALS[(i - 1) % len(_SIGNALS)]} if i else style.INPUT
            fill = {} if i else {"fill": True, "alpha": 0.3}
            axis.stairs(counts / len(values), edges, label=label, **color, **fill)
        axis.set_title(name)
        axis.set_xlim(-3.2, 3.2)
        axis.set_ylim(bottom=0)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    drawn.supxlabel("normal score among background", fontsize=10)
    drawn.supylabel("share of events", fontsize=10)
    style.legend_above(drawn, *axes[0, 0].get_legend_handles_labels())
    return drawn


def components(latents: Mapping[str, np.ndarray]) -> "Figure":
    """The first two principal components of background and signals.

    Args:
        latents: ``"background"`` and signals to ``[n, 2]``.
    """
    signals = [name for name in latents if name != "background"]
    drawn = style.new_figure(max(4.2 * len(signals), 5.0), 4.4)
    axes = drawn.subplots(1, len(signals), squeeze=False, sharex=True, sharey=True)
    low = np.asarray(latents["background"], float)
    points = np.concatenate([np.asarray(v, float) for v in latents.values()])
    limits = np.quantile(points, [0.002, 0.998], axis=0)
    margin = 0.08 * (limits[1] - limits[0]) + 1e-6
    x_limits, y_limits = np.stack([limits[0] - margin, limits[1] + margin], axis=1)
    for i, (axis, name) in enumerate(zip(axes[0], signals, strict=True)):
        axis.scatter(*low.T, s=3, color="#999999", alpha=0.5, linewidths=0)
        _contours(axis, low, x_limits, y_limits)
        colour = _SIGNALS[i % len(_SIGNALS)]
        axis.scatter(*np.asarray(latents[name]).T, s=3, color=colour, alpha=0.4,
                     linewidths=0)  # fmt: skip
        axis.set(xlim=x_limits, ylim=y_limits, xlabel="first principal component")
        axis.set_title(style.plain(name))
    axes[0, 0].set_ylabel("second principal component")
    return drawn


def _contours(axis, points: np.ndarray, x_limits, y_limits) -> None:
    """Lines around 68 and 95 % of points, where the smoothed histogram is highest."""
    from scipy.ndimage import gaussian_filter

    bins = [np.linspace(ends[0], ends[1], 61) for ends in (x_limits, y_limits)]
    density = gaussian_filter(np.histogram2d(*points.T, bins=bins)[0], 2.0)
    ordered = np.sort(density.ravel())[::-1]
    held = np.cumsum(ordered) / ordered.sum()
    levels = [ordered[np.searchsorted(held, share)] for share in (0.95, 0.68)]
    if levels[0] < levels[1]:
        centres = [(edges[1:] + edges[:-1]) / 2 for edges in bins]
        axis.contour(*centres, density.T, levels, colors="#333333", linewidths=1)


def aucs(runs: Mapping[str, Any], signals) -> "Figure":
    """AUC of every score, a panel a model: mean and deviation of its runs."""
    names, models = scores_of(runs), models_of(runs)
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    thick = max(0.24, 0.075 * len(signals) + 0.06)
    drawn = style.new_figure(
        4.2 * columns + 1.0, (thick * len(names) + 1.0) * rows + 0.6
    )
    axes = drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    handles = {}
    for axis, model in zip(axes.flat, models, strict=False):
        of = [run for run in runs.values() if run["model"] == model]
        for i, signal in enumerate(signals):
            shift = 0.7 * ((i + 0.5) / len(signals) - 0.5)
            colour = _SIGNALS[i % len(_SIGNALS)]
            look = {"fmt": "o", "markersize": 4, "color": colour}
            for at, score in enumerate(names):
                found = [r["scores"][score][signal] for r in of if score in r["scores"]]
                if not found:
                    continue
                value, error = _mean([f["auc"] for f in found])
                handles[signal] = axis.errorbar(value, at + shift, xerr=error, **look)
                if all(f.get("window") for f in found):
                    value, error = _mean([f["window"] for f in found])
                    axis.errorbar(value, at + shift, xerr=error, mfc="white", alpha=0.6,
                                  **look)  # fmt: skip
            if alone := of[0]["mass_alone"].get(signal):
                axis.axvline(alone["value"], color=colour, linestyle=":")
        axis.axvline(0.5, color="#999999", linewidth=0.8)
        axis.set_title(style.plain(model))
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.minorticks_off()
    for axis in axes.flat[len(models) :]:
        axis.set_axis_off()
    drawn.supxlabel("AUC", fontsize=10)
    style.legend_above(drawn, list(handles.values()), list(handles))
    return drawn


def _mean(found: list[Mapping[str, float]]) -> tuple[float, float]:
    """Mean and deviation of figures; of a single one its error."""
    values = [figure["value"] for figure in found]
    if len(values) == 1:
        return values[0], found[0]["error"]
    return float(np.mean(values)), float(np.std(values, ddof=1))


def injected(run: Mapping[str, Any]) -> "Figure":
    """Median significance against the injected fraction: rows cuts, columns signals."""
    scores = run["scores"]
    lines = colours(scores)
    first = next(iter(scores.values()))
    signals, keeps = list(first), list(next(iter(first.values()))["injected"])
    width = 3.8 if len(signals) < 3 else 2.8
    drawn = style.new_figure(max(width * len(signals), 5.5), 3.0 * len(keeps) + 0.8)
    axes = drawn.subplots(
        len(keeps), len(signals), squeeze=False, sharex=True, sharey=True
    )
    banded = "combined" if "combined" in scores else next(iter(scores))
    for row, keep in zip(axes, keeps, strict=True):
        for axis, signal in zip(row, signals, strict=True):
            for score, of in scores.items():
                found = of[signal]["injected"][keep]["fractions"]
                x = [float(f) for f in found]
                y = {
                    k: [g[k] for g in found.values()]
                    for k in next(iter(found.values()))
                }
                axis.plot(x, y["median"], label=score, **lines[score])
                if score == banded:
                    axis.fill_between(
                        x, y["low"], y["high"], color="#000000", alpha=0.12
                    )
            axis.plot(x, y["before"], color="#000000", linestyle=":", label="no cut")
            axis.set_xscale("log")
            axis.set_yscale("symlog", linthresh=1)
            axis.yaxis.set_major_formatter("{x:g}")
            axis.xaxis.set_major_formatter("{x:g}")
            axis.set_title(f"{style.plain(signal)}, keeping {float(keep):g}")
    drawn.supxlabel("fraction of signal", fontsize=10)
    drawn.supylabel("median significance", fontsize=10)
    style.legend_above(drawn, *axes[0, 0].get_legend_handles_labels())
    return drawn
