"""The report of a classification: how well scores of trained runs find signal."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jetvae_jax.report import about, page, tables
from jetvae_jax.report.page import Block, Details, Heading, Paragraph, Plot, Row, Table
from jetvae_jax.report.tables import MISSING
from jetvae_jax.studies.signal import hypothesis, plots
from jetvae_jax.studies.signal.hypothesis import ALL, COMBINED, Runs
from jetvae_jax.studies.signal.plots import Links, link_of, models_of, scores_of
from jetvae_jax.studies.signal.scores import MEANINGS

_MODELS = (
    "Mean and standard deviation over the runs of a model; of a single run its own "
    "error. Mass alone: the score is the distance from the median of the background's "
    "masses, without any model."
)
_QUALITY = (
    "Spearman's rank correlation of the quality of the generator (minus the mean "
    "Kolmogorov-Smirnov distance of the columns) with the performance of the score, "
    "mean over the signals: positive if better generators find more. Over the models "
    "with the mean of their runs, and over all runs, which treats the seeds of a model "
    "as independent models. p of a permutation test. There are many scores: a small p "
    "of one of them means little."
)
_COLUMNS = (
    "A cut keeps events with a score above it. AUC: probability that a signal event "
    "has a higher score than a background event, 0.5 for a random score (error after "
    "DeLong). Rejection: background events for each one that is kept, at a signal "
    "efficiency. Best improvement: largest signal efficiency over root of background "
    "efficiency, maximised on the same events. Gain: expected significance divided by "
    "that without a cut, for a cut that was chosen on background alone. Mass "
    "correlation: Spearman's, of background."
)
_UP, _DOWN = "\N{NBSP}↑", "\N{NBSP}↓"
_UNFOLDED = 4  # tables of that many runs and signals are shown at once


def write(
    path: str | os.PathLike, result: Mapping[str, Any], panels: Mapping[str, Mapping]
) -> pathlib.Path:
    """Writes the page, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        result: the contents of ``classification.json``.
        panels: run to ``background`` (score to ``[J]``), ``signal`` (name to score to
            ``[M]``) and ``latents`` (name to ``[n, 2]``).

    Raises:
        InputError: a file cannot be written.
    """
    blocks = (*_tables(result), *_quality_plots(result), *_score_plots(result, panels))
    return page.write(path, "Finding signal", blocks)


def _tables(result: Mapping[str, Any]) -> Iterator[Block]:
    runs = result["runs"]
    seeds = sorted({run["seed"] for run in runs.values()})
    yield about.table(
        seed=f"{', '.join(map(str, seeds))} of the trainings, "
        f"{result['settings']['seed']} of the metrics"
    )
    yield Paragraph(result["verdict"], "strong")
    yield from page.summary(result["notes"])
    yield Heading("Do good generators find signal?")
    yield Paragraph(f"{result['answer'][:1].upper()}{result['answer'][1:]}.")
    yield _models_table(runs, result["signals"])
    yield Paragraph(_MODELS, "note")
    if result["hypothesis"]:
        yield _quality_table(runs, result["hypothesis"])
        yield Paragraph(_QUALITY, "note")


def _quality_plots(result: Mapping[str, Any]) -> Iterator[Plot]:
    runs, links = result["runs"], result["hypothesis"]
    efficiency = result["settings"]["efficiencies"][0]
    if links:
        yield Plot(
            "classify_quality", "Quality and performance",
            "Performance of the combined score (or the first) against the mean "
            "Kolmogorov-Smirnov distance of generated events (left is better): AUC, "
            f"significance improvement at a signal efficiency of {efficiency:g}, and "
            "AUC among events of the signal's masses. Large markers are the mean of a "
            "model, small ones its runs; grey is a random score. Rank: correlation "
            "with quality over the models, positive if better generators find more.",
            lambda: plots.by_signal(runs, links, result["signals"]),
        )  # fmt: skip
        yield Plot(
            "classify_quality_scores", "Quality and performance",
            "The same for the AUC of every score, mean over the signals.",
            lambda: plots.by_score(runs, links),
        )  # fmt: skip


def _score_plots(
    result: Mapping[str, Any], panels: Mapping[str, Mapping]
) -> Iterator[Block]:
    runs = result["runs"]
    yield Plot(
        "classify_auc", "AUC of every score",
        "Area under the ROC curve, mean and standard deviation of a model's runs (of "
        "one run its own error); hollow: among events of the signal's masses only. The "
        "dotted line is the mass alone, without any model.",
        lambda: plots.aucs(runs, result["signals"]),
    )  # fmt: skip
    yield from _run_tables(result)
    # One run of each model: the others look alike, and their values are in the tables.
    first = {run["model"]: name for name, run in reversed(runs.items())}
    chosen = [name for name in panels if name in first.values()]
    for i, name in enumerate(chosen):
        slug = f"{i}_{page.slug(name)}"
        floor = result["settings"]["floor"]
        yield from _plots_of_run(name, slug, runs[name], panels[name], floor)


def _plots_of_run(
    name: str, slug: str, run: Mapping[str, Any], panel: Mapping[str, Any], floor: int
) -> Iterator[Plot]:
    yield Plot(
        f"classify_roc_{slug}", name,
        "Above: background rejection; grey is a random score. Below: significance "
        f"improvement. Both end where {floor} background events are left.",
        lambda: plots.roc_curves(panel, floor),
    )  # fmt: skip
    yield Plot(
        f"classify_scores_{slug}", name,
        "Every score, as normal score among background of the test part; events "
        "beyond the axis are in the outer bins.",
        lambda: plots.histograms(panel),
    )  # fmt: skip
    if np.shape(panel["latents"]["background"])[-1] > 1:
        yield Plot(
            f"classify_pca_{slug}", name,
            "Posterior means along the first two principal components of the "
            "background's: 68 and 95 % of background (grey), and signal.",
            lambda: plots.components(panel["latents"]),
        )  # fmt: skip
    yield Plot(
        f"classify_injected_{slug}", name,
        "Median significance of injected signal after a cut chosen on background "
        "alone, against its fraction; black without a cut, band: 68 % of "
        "experiments of the combined (or first) score.",
        lambda: plots.injected(run),
    )  # fmt: skip


def _models_table(runs: Runs, signals: Sequence[str]) -> Table:
    """Quality of each model, and the AUC of its combined (or first) score."""
    score = COMBINED if COMBINED in scores_of(runs) else scores_of(runs)[0]
    head = ["model", "runs", f"mean KS{_DOWN}",
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
            *(_mean_auc(runs, model, score, signal) for signal in signals),
            f"{best[1]} {best[0]:.3f}",
        ])  # fmt: skip
    alone = next(iter(runs.values()))["mass_alone"]
    faint = [["mass alone", MISSING, MISSING, *(
        tables.with_error(alone[s]["value"], alone[s]["error"]) for s in signals
    ), MISSING]] if alone else []  # fmt: skip
    return page.table(head, rows, faint=faint, style="compact")


def _mean_auc(runs: Runs, model: str, score: str, signal: str) -> str:
    if not any(r["model"] == model and score in r["scores"] for r in runs.values()):
        return MISSING
    return tables.with_error(*hypothesis.spread(runs, model, score, "auc", signal))


def _quality_table(runs: Runs, links: Links) -> Table:
    """Rank correlations of every score with the quality of the generator."""
    head = ["score", "models", "AUC: over models", "p", "over runs", "p",
            "improvement: over models", "p", "over runs", "p"]  # fmt: skip
    signals = next(iter(next(iter(runs.values()))["scores"].values()))
    signal = ALL if len(signals) > 1 else next(iter(signals))
    rows = []
    for score in scores_of(runs):
        cells, number = [], MISSING
        for measure in ("auc", "improvement"):
            for over in ("models", "runs"):
                link = link_of(links, score, measure, signal, over)
                if over == "models" and link:
                    number = str(link["num"])
                cells += _correlation_cells(link)
        if any(cell != MISSING for cell in cells):
            rows.append([score, number, *cells])
    return page.table(head, rows, style="compact")


def _correlation_cells(link: Mapping[str, Any] | None) -> list[str]:
    if link is None:
        return [MISSING, MISSING]
    value = f"{link['value']:+.2f}"
    # The approximate error of a correlation of 1 would be 0: it is left out.
    if abs(link["value"]) <= 1 - 1e-9:
        value = f"{value} ± {link['error']:.2f}"
    return [value, f"{link['p']:.2g}"]


def _run_tables(result: Mapping[str, Any]) -> list[Block]:
    """The tables of every run; folded away if there are many."""
    blocks: list[Block] = [
        Heading("Runs"),
        _runs_table(result["runs"]),
        Heading("Scores"),
        Paragraph(_COLUMNS, "note"),
        page.meanings({name: MEANINGS[name] for name in scores_of(result["runs"])}),
        *(_scores_table(result, signal) for signal in result["signals"]),
    ]
    if len(result["runs"]) * len(result["signals"]) <= _UNFOLDED:
        return blocks
    return [Details("Metrics of every run", blocks)]


def _runs_table(runs: Runs) -> Table:
    head = ["run", "components", "seed", "best epoch", "generated from",
            f"mean KS{_DOWN}", "background events"]  # fmt: skip
    rows = [
        [
            name, run["parts"], str(run["seed"]), str(run["best_epoch"]),
            run["quality"]["latents"], f"{run['quality']['mean_ks']:.4f}",
            f"{run['events']['background']:,}",
        ]
        for name, run in runs.items()
    ]  # fmt: skip
    return page.table(head, rows)


def _scores_table(result: Mapping[str, Any], signal: str) -> Table:
    """Every score of every run on one signal."""
    settings = result["settings"]
    efficiencies = [str(e) for e in settings["efficiencies"]]
    # The gain at the first injected fraction, where there is any.
    keeps = [str(k) for k in settings["keep"]] if settings["fractions"] else []
    events = next(iter(result["runs"].values()))["events"][signal]
    head = [
        f"{signal}: {events:,} events", f"AUC{_UP}", "AUC in window",
        *(f"rejection at {e}{_UP}" for e in efficiencies), f"best improvement{_UP}",
        *(f"gain, keeping {k}" for k in keeps), "mass correlation",
    ]  # fmt: skip
    body = []
    for name, run in result["runs"].items():
        body.append(Row([name], "section"))
        if alone := run["mass_alone"].get(signal):
            cells = ["mass alone", _with_error(alone)]
            body.append(Row(cells + [MISSING] * (len(head) - 2), "faint"))
        for score, of in run["scores"].items():
            found = of[signal]
            correlation = found.get("mass_correlation")
            gains = [
                found["injected"][keep]["fractions"][str(settings["fractions"][0])]
                for keep in keeps
            ]
            body.append(Row([
                score,
                _with_error(found["auc"]),
                _with_error(found["window"]) if found.get("window") else MISSING,
                *(_rejection(found["rejection"][e]) for e in efficiencies),
                _with_error(found["best_improvement"]),
                *(tables.with_error(g["gain"], g["error"]) for g in gains),
                MISSING if correlation is None else f"{correlation:+.2f}",
            ]))  # fmt: skip
    return Table(head, body, "compact")


def _with_error(measured: Mapping[str, float]) -> str:
    return tables.with_error(measured["value"], measured["error"])


def _rejection(value: Mapping[str, Any]) -> str:
    """A rejection with its error, or the lower limit where no background is left."""
    return f"> {value['value']:.3g}" if value["limit"] else _with_error(value)
