"""Figures of scores that find signal: ROC curves, scores, latents, injected signal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.metrics import roc
from jetvae_jax.report import style

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


def _scores_of(runs: Mapping[str, Any]) -> list[str]:
    """The scores of all runs, the combination last."""
    names = dict.fromkeys(score for run in runs.values() for score in run["scores"])
    return sorted(names, key=lambda name: name == "combined")


def aucs(runs: Mapping[str, Any], signals) -> "Figure":
    """AUC with error of every score, a panel a run."""
    names = _scores_of(runs)
    columns = min(3, len(runs))
    rows = -(-len(runs) // columns)
    drawn = style.new_figure(
        4.2 * columns + 1.0, (0.24 * len(names) + 1.0) * rows + 0.6
    )
    axes = drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    handles = {}
    for axis, (title, run) in zip(axes.flat, runs.items(), strict=False):
        for i, signal in enumerate(signals):
            shift = 0.6 * ((i + 0.5) / len(signals) - 0.5)
            colour = _SIGNALS[i % len(_SIGNALS)]
            for score, of in run["scores"].items():
                at, found = names.index(score) + shift, of[signal]
                handles[signal] = axis.errorbar(
                    found["auc"]["value"], at, xerr=found["auc"]["error"],
                    fmt="o", markersize=4, color=colour,
                )  # fmt: skip
                if found.get("window"):
                    axis.errorbar(
                        found["window"]["auc"], at, xerr=found["window"]["error"],
                        fmt="o", markersize=4, color=colour, mfc="white", alpha=0.6,
                    )  # fmt: skip
            if alone := run["mass_alone"].get(signal):
                axis.axvline(alone["value"], color=colour, linestyle=":")
        axis.axvline(0.5, color="#999999", linewidth=0.8)
        axis.set_title(style.plain(title))
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.minorticks_off()
    for axis in axes.flat[len(runs) :]:
        axis.set_axis_off()
    drawn.supxlabel("AUC", fontsize=10)
    style.legend_above(drawn, list(handles.values()), list(handles))
    return drawn


def quality(runs: Mapping[str, Any]) -> "Figure":
    """AUC of every score against the quality of generation, a point a run."""
    names = _scores_of(runs)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    drawn = style.new_figure(3.0 * columns, 2.6 * rows + 0.7)
    axes = drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    looks = style.lines([f"run {n}" for n in runs])
    handles = {}
    for axis, score in zip(axes.flat, names, strict=False):
        for name, run in runs.items():
            if score not in run["scores"]:
                continue
            found = [f["auc"] for f in run["scores"][score].values()]
            handles[name] = axis.errorbar(
                run["quality"]["mean_ks"], np.mean([f["value"] for f in found]),
                yerr=np.sqrt(np.sum([f["error"] ** 2 for f in found])) / len(found),
                fmt="o", markersize=5, color=looks[f"run {name}"]["color"],
            )  # fmt: skip
        axis.set_title(score)
        axis.axhline(0.5, color="#999999", linewidth=0.8)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    drawn.supxlabel("mean Kolmogorov-Smirnov distance", fontsize=10)
    drawn.supylabel("AUC", fontsize=10)
    style.legend_above(drawn, list(handles.values()), list(handles))
    return drawn


def injected(run: Mapping[str, Any]) -> "Figure":
    """Median significance against the injected fraction: rows signals, columns cuts."""
    scores = run["scores"]
    lines = colours(scores)
    first = next(iter(scores.values()))
    signals, keeps = list(first), list(next(iter(first.values()))["injected"])
    drawn = style.new_figure(max(3.8 * len(keeps), 5.5), 3.0 * len(signals) + 0.8)
    axes = drawn.subplots(len(signals), len(keeps), squeeze=False, sharex=True)
    banded = "combined" if "combined" in scores else next(iter(scores))
    for row, signal in zip(axes, signals, strict=True):
        for axis, keep in zip(row, keeps, strict=True):
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
            axis.set_title(f"{style.plain(signal)}, keeping {float(keep):g}")
    drawn.supxlabel("fraction of signal", fontsize=10)
    drawn.supylabel("median significance", fontsize=10)
    style.legend_above(drawn, *axes[0, 0].get_legend_handles_labels())
    return drawn
