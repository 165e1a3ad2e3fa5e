"""Figures of the scores: ROC curves, distributions, latents, injected signal."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.report import style
from jetvae_jax.studies.signal import hypothesis, roc
from jetvae_jax.studies.signal.hypothesis import ALL, COMBINED, METRICS, Runs
from jetvae_jax.studies.signal.scores import normal_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 400  # of a curve
_SIGNALS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MODELS = (*_SIGNALS, "#8C6D31")
_MARKERS = "osD^vP*X<>"
Links = Sequence[Mapping[str, Any]]
"""Rank correlations, as in ``classification.json`` under ``hypothesis``."""


def scores_of(runs: Runs) -> list[str]:
    """The scores of all runs, the combined score last."""
    names = dict.fromkeys(score for run in runs.values() for score in run["scores"])
    return sorted(names, key=lambda name: name == COMBINED)


def models_of(runs: Runs) -> list[str]:
    """The models of the runs, in the order of the runs."""
    return list(dict.fromkeys(run["model"] for run in runs.values()))


def link_of(links: Links, score: str, measure: str, signal: str, over: str = "models"):
    """The rank correlation of a score with quality, or None if it was not computed."""
    wanted = (score, measure, signal, over)
    keys = ("score", "metric", "signal", "over")
    return next((r for r in links if tuple(r[k] for k in keys) == wanted), None)


def roc_curves(
    panel: Mapping[str, Any], floor: int, *, quiet: Sequence[str] = ()
) -> "Figure":
    """Background rejection and significance improvement, a column for each signal.

    Args:
        panel: ``background`` and ``signal`` scores of a run.
        floor: background events at which curves end.
        quiet: scores to draw in black, as what others are compared with.
    """
    signals = panel["signal"]
    drawn = style.new_figure(max(4.2 * len(signals), 6.4), 6.6)
    axes = drawn.subplots(2, len(signals), squeeze=False, sharex=True)
    lines = _score_lines(panel["background"], quiet)
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
    style.legend_above(drawn, axes[0, 0])
    return drawn


def histograms(panel: Mapping[str, Any]) -> "Figure":
    """Distributions of background and signals in every score, a panel each."""
    names = list(panel["background"])
    drawn, axes = style.panels(len(names), 4, (3.2, 2.5), margins=(0, 0.6))
    edges = np.linspace(-3.2, 3.2, 33)
    for axis, name in zip(axes, names, strict=True):
        reference = panel["background"][name]
        samples = {"background": reference}
        samples |= {k: scores[name] for k, scores in panel["signal"].items()}
        for i, (label, values) in enumerate(samples.items()):
            normal = np.clip(normal_scores(reference, values), -3.19, 3.19)
            counts, _ = np.histogram(normal, edges)
            color = {"color": _SIGNALS[(i - 1) % len(_SIGNALS)]} if i else style.INPUT
            fill = {} if i else {"fill": True, "alpha": 0.3}
            axis.stairs(counts / len(values), edges, label=label, **color, **fill)
        axis.set_title(name)
        axis.set_xlim(-3.2, 3.2)
        axis.set_ylim(bottom=0)
    drawn.supxlabel("normal score among background", fontsize=10)
    drawn.supylabel("fraction", fontsize=10)
    style.legend_above(drawn, axes[0])
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
    """Contours of the smoothed density around 68 and 95 % of the points."""
    from scipy.ndimage import gaussian_filter

    bins = [np.linspace(ends[0], ends[1], 61) for ends in (x_limits, y_limits)]
    density = gaussian_filter(np.histogram2d(*points.T, bins=bins)[0], 2.0)
    ordered = np.sort(density.ravel())[::-1]
    held = np.cumsum(ordered) / ordered.sum()
    levels = [ordered[np.searchsorted(held, inside)] for inside in (0.95, 0.68)]
    if levels[0] < levels[1]:
        centres = [(edges[1:] + edges[:-1]) / 2 for edges in bins]
        axis.contour(*centres, density.T, levels, colors="#333333", linewidths=1)


def aucs(runs: Mapping[str, Any], signals) -> "Figure":
    """AUC of every score, a panel for each model: mean and deviation of its runs."""
    names, models = scores_of(runs), models_of(runs)
    thick = max(0.24, 0.075 * len(signals) + 0.06)
    size = 4.2, thick * len(names) + 1.0
    drawn, axes = style.panels(
        len(models), 3, size, margins=(1.0, 0.6), sharex=True, sharey=True
    )
    handles = {}
    for axis, model in zip(axes, models, strict=True):
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
    drawn.supxlabel("AUC", fontsize=10)
    style.legend_above(drawn, handles)
    return drawn


def _mean(found: list[Mapping[str, float]]) -> tuple[float, float]:
    """Mean and standard deviation of values; of a single one its error."""
    values = [one["value"] for one in found]
    if len(values) == 1:
        return values[0], found[0]["error"]
    return float(np.mean(values)), float(np.std(values, ddof=1))


def injected(run: Mapping[str, Any]) -> "Figure":
    """Median significance against the injected fraction, for each cut and signal."""
    scores = run["scores"]
    lines = _score_lines(scores)
    first = next(iter(scores.values()))
    signals, keeps = list(first), list(next(iter(first.values()))["injected"])
    width = 3.8 if len(signals) < 3 else 2.8
    drawn = style.new_figure(max(width * len(signals), 5.5), 3.0 * len(keeps) + 0.8)
    axes = drawn.subplots(
        len(keeps), len(signals), squeeze=False, sharex=True, sharey=True
    )
    banded = COMBINED if COMBINED in scores else next(iter(scores))
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
    drawn.supylabel("median significance [sigma]", fontsize=10)
    style.legend_above(drawn, axes[0, 0])
    return drawn


def by_signal(runs: Runs, links: Links, signals: Sequence[str]) -> "Figure":
    """Performance of the combined (or first) score against quality of the generator.

    A column for each signal, a row for each measure of performance.
    """
    score = COMBINED if COMBINED in scores_of(runs) else scores_of(runs)[0]
    columns = [*([ALL] if len(signals) > 1 else []), *signals]
    there = {link["metric"] for link in links}
    measures = [measure for measure in METRICS if measure in there]
    drawn = style.new_figure(
        max(2.5 * len(columns) + 0.6, 6.0), 2.4 * len(measures) + 0.6
    )
    axes = drawn.subplots(len(measures), len(columns), squeeze=False, sharex=True)
    for row, measure in zip(axes, measures, strict=True):
        for axis, signal in zip(row, columns, strict=True):
            _points(axis, runs, score, measure, signal)
            link = link_of(links, score, measure, signal)
            head = "mean over signals" if signal == ALL else style.plain(signal)
            axis.set_title(f"{head}\n{_short(link)}" if link else head, fontsize=9)
        row[0].set_ylabel(METRICS[measure].removeprefix("significance "))
    drawn.supxlabel("mean Kolmogorov-Smirnov distance", fontsize=10)
    style.legend_above(drawn, axes[0, 0])
    return drawn


def by_score(runs: Runs, links: Links) -> "Figure":
    """AUC of every score, mean over the signals, against quality of the generator."""
    names = scores_of(runs)
    drawn, axes = style.panels(
        len(names), 4, (3.0, 2.6), margins=(0.4, 0.7), sharex=True, sharey=True
    )
    signals = next(iter(next(iter(runs.values()))["scores"].values()))
    signal = ALL if len(signals) > 1 else next(iter(signals))
    handles: dict[str, Any] = {}
    for axis, score in zip(axes, names, strict=True):
        _points(axis, runs, score, "auc", signal)
        link = link_of(links, score, "auc", signal)
        axis.set_title(f"{score}\n{_short(link)}" if link else score, fontsize=9)
        found = axis.get_legend_handles_labels()
        handles |= dict(zip(reversed(found[1]), reversed(found[0]), strict=True))
    drawn.supxlabel("mean Kolmogorov-Smirnov distance", fontsize=10)
    drawn.supylabel("AUC", fontsize=10)
    order = [name for name in models_of(runs) if name in handles]
    style.legend_above(drawn, {name: handles[name] for name in order})
    return drawn


def _points(axis: "Axes", runs: Runs, score: str, measure: str, signal: str) -> None:
    """Small pale markers for the runs, a large one for the mean of each model."""
    blind = 0.5
    for i, model in enumerate(models_of(runs)):
        of = [r for r in runs.values() if r["model"] == model and score in r["scores"]]
        if not of:
            continue
        x = [run["quality"]["mean_ks"] for run in of]
        y = [hypothesis.found(run, score, measure, signal) for run in of]
        look: dict[str, Any] = {
            "color": _MODELS[i % len(_MODELS)],
            "marker": _MARKERS[i % len(_MARKERS)],
            "linestyle": "",
        }
        axis.plot(x, y, markersize=3.5, alpha=0.5, **look)
        axis.plot(np.mean(x), np.mean(y), markersize=8, label=model, **look)
        if measure == "improvement":
            some = next(iter(of[0]["scores"][score].values()))[measure]
            blind = some["efficiency"] ** 0.5
    axis.axhline(blind, color="#999999", linewidth=0.8)
    axis.margins(0.12)


def _short(link: Mapping[str, Any]) -> str:
    return f"rank {link['value']:+.2f}, p = {link['p']:.2g}"


def _score_lines(names, quiet: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Colour and line style of each score; combined and quiet scores are black."""
    coloured = [n for n in names if n not in (COMBINED, *quiet)]
    found = style.lines([f"score {n}" for n in coloured])
    plain = {name.removeprefix("score "): line for name, line in found.items()}
    for name, dashes in zip(quiet, itertools.cycle(("--", "-.", ":")), strict=False):
        plain[name] = {"color": "#000000", "linestyle": dashes}
    return {n: plain.get(n, {"color": "#000000", "linestyle": "-"}) for n in names}
