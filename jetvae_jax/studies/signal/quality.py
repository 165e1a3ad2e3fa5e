"""Whether good generators find signal, as figures and tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.report import style, tables
from jetvae_jax.report.tables import MISSING, Html
from jetvae_jax.studies.signal import hypothesis
from jetvae_jax.studies.signal.hypothesis import ALL, COMBINED, FIGURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = "osD^vP*X<>"
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31")
Runs = Mapping[str, Mapping[str, Any]]
Links = Sequence[Mapping[str, Any]]
NOTE = (
    "Spearman's rank correlation of quality (minus the mean Kolmogorov-Smirnov "
    "distance of the columns) with what the score finds, mean over the signals: "
    "positive if better generators find more. Over the models, whose runs are "
    "averaged, and over all runs, which counts seeds of a model as if they were models "
    "of their own. p of a permutation test. Many scores are looked at: one small p "
    "among them means little."
)


def scores_of(runs: Runs) -> list[str]:
    """The scores of all runs, the combination last."""
    names = dict.fromkeys(score for run in runs.values() for score in run["scores"])
    return sorted(names, key=lambda name: name == COMBINED)


def models_of(runs: Runs) -> list[str]:
    """The models of the runs, in their order."""
    return list(dict.fromkeys(run["model"] for run in runs.values()))


def by_signal(runs: Runs, links: Links, signals: Sequence[str]) -> "Figure":
    """What the combined (or first) score finds against quality: a column a signal."""
    score = COMBINED if COMBINED in scores_of(runs) else scores_of(runs)[0]
    columns = [*([ALL] if len(signals) > 1 else []), *signals]
    there = {link["figure"] for link in links}
    figures = [figure for figure in FIGURES if figure in there]
    drawn = style.new_figure(
        max(2.5 * len(columns) + 0.6, 6.0), 2.4 * len(figures) + 0.6
    )
    axes = drawn.subplots(len(figures), len(columns), squeeze=False, sharex=True)
    for row, figure in zip(axes, figures, strict=True):
        for axis, signal in zip(row, columns, strict=True):
            _points(axis, runs, score, figure, signal)
            link = _link(links, score, figure, signal)
            head = "mean over signals" if signal == ALL else style.plain(signal)
            axis.set_title(f"{head}\n{_short(link)}" if link else head, fontsize=9)
        row[0].set_ylabel(FIGURES[figure].removeprefix("significance "))
    drawn.supxlabel("mean Kolmogorov-Smirnov distance", fontsize=10)
    style.legend_above(drawn, *axes[0, 0].get_legend_handles_labels())
    return drawn


def by_score(runs: Runs, links: Links) -> "Figure":
    """AUC of every score, mean over the signals, against quality: a panel a score."""
    names = scores_of(runs)
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    drawn = style.new_figure(3.0 * columns + 0.4, 2.6 * rows + 0.7)
    axes = drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    signals = next(iter(next(iter(runs.values()))["scores"].values()))
    signal = ALL if len(signals) > 1 else next(iter(signals))
    handles: dict[str, Any] = {}
    for axis, score in zip(axes.flat, names, strict=False):
        _points(axis, runs, score, "auc", signal)
        link = _link(links, score, "auc", signal)
        axis.set_title(f"{score}\n{_short(link)}" if link else score, fontsize=9)
        found = axis.get_legend_handles_labels()
        handles |= dict(zip(reversed(found[1]), reversed(found[0]), strict=True))
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    drawn.supxlabel("mean Kolmogorov-Smirnov distance", fontsize=10)
    drawn.supylabel("AUC", fontsize=10)
    order = [name for name in models_of(runs) if name in handles]
    style.legend_above(drawn, [handles[name] for name in order], order)
    return drawn


def _points(axis: "Axes", runs: Runs, score: str, figure: str, signal: str) -> None:
    """Runs small and pale, the mean of each model large."""
    blind = 0.5
    for i, model in enumerate(models_of(runs)):
        of = [r for r in runs.values() if r["model"] == model and score in r["scores"]]
        if not of:
            continue
        x = [run["quality"]["mean_ks"] for run in of]
        y = [hypothesis.found(run, score, figure, signal) for run in of]
        look: dict[str, Any] = {
            "color": _COLOURS[i % len(_COLOURS)],
            "marker": _MARKS[i % len(_MARKS)],
            "linestyle": "",
        }
        axis.plot(x, y, markersize=3.5, alpha=0.5, **look)
        axis.plot(np.mean(x), np.mean(y), markersize=8, label=model, **look)
        if figure == "improvement":
            some = next(iter(of[0]["scores"][score].values()))[figure]
            blind = some["efficiency"] ** 0.5
    axis.axhline(blind, color="#999999", linewidth=0.8)
    axis.margins(0.12)


def _link(links: Links, score: str, figure: str, signal: str, over: str = "models"):
    """The row of a score, or None."""
    wanted = (score, figure, signal, over)
    keys = ("score", "figure", "signal", "over")
    return next((r for r in links if tuple(r[k] for k in keys) == wanted), None)


def _short(link: Mapping[str, Any]) -> str:
    return f"rank {link['value']:+.2f}, p = {link['p']:.2g}"


def table(runs: Runs, links: Links) -> Html:
    """Rank correlations of every score."""
    head = ["score", "models", "AUC: over models", "p", "over runs", "p",
            "improvement: over models", "p", "over runs", "p"]  # fmt: skip
    signals = next(iter(next(iter(runs.values()))["scores"].values()))
    signal = ALL if len(signals) > 1 else next(iter(signals))
    rows = []
    for score in scores_of(runs):
        cells, number = [], MISSING
        for figure in ("auc", "improvement"):
            for over in ("models", "runs"):
                link = _link(links, score, figure, signal, over)
                if over == "models" and link:
                    number = str(link["num"])
                cells += (
                    [
                        _with_error(link),
                        f"{link['p']:.2g}",
                    ]
                    if link
                    else [MISSING, MISSING]
                )
        if any(cell != MISSING for cell in cells):
            rows.append([score, number, *cells])
    return tables.table(head, rows, kind="figures compact")


def _with_error(link: Mapping[str, Any]) -> str:
    """The rough error of a correlation of 1 would be 0: it is left out."""
    value = f"{link['value']:+.2f}"
    return value if abs(link["value"]) > 1 - 1e-9 else f"{value} ± {link['error']:.2f}"


def models(runs: Runs, signals: Sequence[str]) -> Html:
    """A row a model: quality, and the AUC of the combined (or first) score."""
    score = COMBINED if COMBINED in scores_of(runs) else scores_of(runs)[0]
    head = ["model", "runs", "mean KS ↓",
            *(f"AUC of {score}, {signal}" for signal in signals),
            "best score (mean AUC)"]  # fmt: skip
    rows = []
    for model in models_of(runs):
        of = [run for run in runs.values() if run["model"] == model]
        ks = np.array([run["quality"]["mean_ks"] for run in of])
        error = float(ks.std(ddof=1)) if len(ks) > 1 else None
        best = max(
            (hypothesis.spread(runs, model, name, "auc")[0], name)
            for name in scores_of(runs)
            if all(name in run["scores"] for run in of)
        )
        rows.append([
            model, str(len(of)), tables.with_error(float(ks.mean()), error),
            *(_cell(runs, model, score, signal) for signal in signals),
            f"{best[1]} {best[0]:.3f}",
        ])  # fmt: skip
    alone = next(iter(runs.values()))["mass_alone"]
    faint = [["mass alone", MISSING, MISSING, *(
        tables.with_error(alone[s]["value"], alone[s]["error"]) for s in signals
    ), MISSING]] if alone else []  # fmt: skip
    return tables.table(head, rows, faint=faint, kind="figures compact")


def _cell(runs: Runs, model: str, score: str, signal: str) -> str:
    if not any(r["model"] == model and score in r["scores"] for r in runs.values()):
        return MISSING
    return tables.with_error(*hypothesis.spread(runs, model, score, "auc", signal))
