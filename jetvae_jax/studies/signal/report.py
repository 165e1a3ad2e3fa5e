"""The page of a classification: how well scores of trained runs find signal."""

import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np

from jetvae_jax.report import page, tables
from jetvae_jax.report.tables import MISSING, Html
from jetvae_jax.studies.signal import plots, quality

_COLUMNS = (
    "A cut keeps events with a score above it. AUC: chance that a signal event scores "
    "higher than a background event, 0.5 for none (error after DeLong). Rejection: "
    "background events for one that is kept, at a signal efficiency. Best improvement: "
    "largest signal efficiency over root of background efficiency, sought on the very "
    "events that give it. Gain: expected significance over that without a cut, of a "
    "cut that was chosen on background alone. Mass correlation: Spearman's, of "
    "background."
)
_UNFOLDED = 4  # tables of that many runs and signals are shown at once
_MODELS = (
    "Mean and deviation over the runs of a model; of a single run its own error. Mass "
    "alone: distance from the median of the background's masses, without any model."
)


def write(
    path: str | os.PathLike, result: Mapping[str, Any], panels: Mapping[str, Mapping]
) -> pathlib.Path:
    """Writes the page, and each figure as PNG beside it.

    Args:
        path: the HTML file; its folder must exist.
        result: what `runs.classify` writes as JSON.
        panels: run to ``background`` (score to ``[J]``), ``signal`` (name to score to
            ``[M]``) and ``latents`` (name to ``[n, 2]``).

    Raises:
        InputError: a file cannot be written.
    """
    runs = result["runs"]
    parts = [
        "<h1>Finding signal</h1>",
        f"<p><strong>{escape(result['verdict'])}</strong></p>",
        page.summary(result["notes"]),
        "<h2>Do good generators find signal?</h2>",
        f"<p>{escape(result['answer'][:1].upper() + result['answer'][1:])}.</p>",
        quality.models(runs, result["signals"]),
        f'<p class="note">{escape(_MODELS)}</p>',
    ]
    if result["hypothesis"]:
        parts += [
            quality.table(runs, result["hypothesis"]),
            f'<p class="note">{escape(quality.NOTE)}</p>',
        ]
    return page.write(path, "Finding signal", parts, _plots(result, panels))


def _plots(result, panels) -> Iterator[page.Plot]:
    runs, links = result["runs"], result["hypothesis"]
    efficiency = result["settings"]["efficiencies"][0]
    if links:
        yield page.Plot(
            "classify_quality", "Quality and finding",
            "What the combined score (or the first) finds against how far generated "
            "events are from true ones (left is better): AUC, significance "
            f"improvement at a signal efficiency of {efficiency:g}, and AUC among "
            "events of the signal's masses. Large the mean of a model, small its "
            "runs; grey is a blind choice. Rank: correlation with quality over the "
            "models, positive if better generators find more.",
            lambda: quality.by_signal(runs, links, result["signals"]),
        )  # fmt: skip
        yield page.Plot(
            "classify_quality_scores", "Quality and finding",
            "The same for the AUC of every score, mean over the signals.",
            lambda: quality.by_score(runs, links),
        )  # fmt: skip
    yield page.Plot(
        "classify_auc", "AUC of every score",
        "Area under the ROC curve, mean and deviation of a model's runs (of one run "
        "its own error); hollow: among events of the signal's masses only. The dotted "
        "line is the mass alone, without any model.",
        lambda: plots.aucs(runs, result["signals"]), _all_figures(result),
    )  # fmt: skip
    # One run of each model: the others look alike, their figures are in the tables.
    first = {run["model"]: name for name, run in reversed(runs.items())}
    floor = result["settings"]["floor"]
    for i, name in enumerate(name for name in panels if name in first.values()):
        panel = panels[name]
        slug = f"{i}_{re.sub(r'[^A-Za-z0-9]+', '_', name)[:40].strip('_')}"
        yield page.Plot(
            f"classify_roc_{slug}", name,
            "Above: background rejection; grey is a blind choice. Below: significance "
            f"improvement. Both end where {floor} background events are left.",
            lambda panel=panel: plots.roc_curves(panel, floor),
        )  # fmt: skip
        yield page.Plot(
            f"classify_scores_{slug}", name,
            "Every score, as normal score among background of the test part; events "
            "beyond the axis are in the outer bins.",
            lambda panel=panel: plots.histograms(panel),
        )  # fmt: skip
        if np.shape(panel["latents"]["background"])[-1] > 1:
            yield page.Plot(
                f"classify_pca_{slug}", name,
                "Posterior means along the first two principal components of the "
                "background's: 68 and 95 % of background (grey), and signal.",
                lambda panel=panel: plots.components(panel["latents"]),
            )  # fmt: skip
        yield page.Plot(
            f"classify_injected_{slug}", name,
            "Median significance of injected signal after a cut chosen on background "
            "alone, against its fraction; black without a cut, band: 68 % of "
            "experiments of the combined (or first) score.",
            lambda name=name: plots.injected(runs[name]),
        )  # fmt: skip


def _all_figures(result) -> str:
    """The tables of every run; folded away if there are many."""
    inside = "\n".join([
        "<h2>Runs</h2>", _runs(result), "<h2>Scores</h2>",
        f'<p class="note">{escape(_COLUMNS)}</p>',
        *(_scores(result, signal) for signal in result["signals"]),
    ])  # fmt: skip
    if len(result["runs"]) * len(result["signals"]) <= _UNFOLDED:
        return inside
    return f"<details><summary>Figures of every run</summary>{inside}</details>"


def _runs(result) -> Html:
    head = ["run", "parts", "seed", "best epoch", "generated from", "mean KS ↓",
            "background events"]  # fmt: skip
    rows = [
        [
            name, run["parts"], str(run["seed"]), str(run["best_epoch"]),
            run["quality"]["latents"], f"{run['quality']['mean_ks']:.4f}",
            f"{run['events']['background']:,}",
        ]
        for name, run in result["runs"].items()
    ]  # fmt: skip
    return tables.table(head, rows)


def _scores(result, signal: str) -> Html:
    settings = result["settings"]
    efficiencies = [str(e) for e in settings["efficiencies"]]
    keeps = [str(k) for k in settings["keep"]]
    fraction = str(settings["fractions"][0]) if settings["fractions"] else None
    events = next(iter(result["runs"].values()))["events"][signal]
    gains = [f"gain, keeping {k}" for k in keeps] if fraction else []
    head = [
        f"{signal}: {events:,} events", "AUC ↑", "AUC in window",
        *(f"rejection at {e} ↑" for e in efficiencies), "best improvement ↑", *gains,
        "mass correlation",
    ]  # fmt: skip
    body = []
    for name, run in result["runs"].items():
        body.append(tables.section(name, len(head)))
        if alone := run["mass_alone"].get(signal):
            cells = ["mass alone", tables.with_error(alone["value"], alone["error"])]
            body.append(tables.row(cells + [MISSING] * (len(head) - 2), kind="faint"))
        for score, of in run["scores"].items():
            found = of[signal]
            window, best = found.get("window"), found["best_improvement"]
            correlation = found.get("mass_correlation")
            after = [
                found["injected"][k]["fractions"][fraction] for k in keeps if gains
            ]
            body.append(
                tables.row([
                    score,
                    tables.with_error(found["auc"]["value"], found["auc"]["error"]),
                    tables.with_error(window["value"], window["error"])
                    if window
                    else MISSING,
                    *(_rejection(found["rejection"][e]) for e in efficiencies),
                    tables.with_error(best["value"], best["error"]),
                    *(tables.with_error(g["gain"], g["error"]) for g in after),
                    MISSING if correlation is None else f"{correlation:+.2f}",
                ])
            )  # fmt: skip
    return tables.raw(head, body, kind="figures compact")


def _rejection(value) -> str:
    if value["limit"]:
        return f"> {value['value']:.3g}"
    return tables.with_error(value["value"], value["error"])
