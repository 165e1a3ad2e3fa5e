"""The page of a classification: how well scores of trained runs find signal."""

import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np

from jetvae_jax.report import finding, page, tables
from jetvae_jax.report.tables import MISSING, Html

_COLUMNS = (
    "A cut keeps events with a score above it. AUC: chance that a signal event scores "
    "higher than a background event, 0.5 for none (error after DeLong). Rejection: "
    "background events for one that is kept, at a signal efficiency. Best improvement: "
    "largest signal efficiency over root of background efficiency, sought on the very "
    "events that give it. Gain: expected significance over that without a cut, of a "
    "cut that was chosen on background alone. Mass correlation: Spearman's, of "
    "background."
)
_HYPOTHESIS = (
    "Spearman's rank correlation, over the runs, of quality (minus the mean "
    "Kolmogorov-Smirnov distance of the columns) with the AUC; p of a permutation "
    "test. Many scores are looked at: one small p among them means little."
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
    parts = [
        "<h1>Finding signal</h1>",
        f"<p><strong>{escape(result['verdict'])}</strong></p>",
        page.summary(result["notes"]),
        "<h2>Runs</h2>",
        _runs(result),
        "<h2>Scores</h2>",
        *(_scores(result, signal) for signal in result["signals"]),
        f'<p class="note">{escape(_COLUMNS)}</p>',
    ]
    if result["hypothesis"]:
        parts += [
            "<h2>Do good generators find signal?</h2>",
            _hypothesis(result["hypothesis"]),
            f'<p class="note">{escape(_HYPOTHESIS)}</p>',
        ]
    return page.write(path, "Finding signal", parts, _plots(result, panels))


def _plots(result, panels) -> Iterator[page.Plot]:
    runs = result["runs"]
    if result["hypothesis"]:
        yield page.Plot(
            "classify_quality", "Quality and finding",
            "Every run: how far its events are from true ones (left is better), and "
            "the AUC of its scores, mean over the signals.",
            lambda: finding.quality(runs),
        )  # fmt: skip
    yield page.Plot(
        "classify_auc", "AUC of every score",
        "Area under the ROC curve with its error; hollow: among events of the signal's "
        "masses only. The dotted line is the mass alone, without any model.",
        lambda: finding.aucs(runs, result["signals"]),
    )  # fmt: skip
    floor = result["settings"]["floor"]
    for i, (name, panel) in enumerate(panels.items()):
        slug = f"{i}_{re.sub(r'[^A-Za-z0-9]+', '_', name)[:40].strip('_')}"
        yield page.Plot(
            f"classify_roc_{slug}", name,
            "Above: background rejection; grey is a blind choice. Below: significance "
            f"improvement. Both end where {floor} background events are left.",
            lambda panel=panel: finding.roc_curves(panel, floor),
        )  # fmt: skip
        yield page.Plot(
            f"classify_scores_{slug}", name,
            "Every score, as normal score among background of the test part; events "
            "beyond the axis are in the outer bins.",
            lambda panel=panel: finding.histograms(panel),
        )  # fmt: skip
        if np.shape(panel["latents"]["background"])[-1] > 1:
            yield page.Plot(
                f"classify_pca_{slug}", name,
                "Posterior means along the first two principal components of the "
                "background's: 68 and 95 % of background (grey), and signal.",
                lambda panel=panel: finding.components(panel["latents"]),
            )  # fmt: skip
        yield page.Plot(
            f"classify_injected_{slug}", name,
            "Median significance of injected signal after a cut chosen on background "
            "alone, against its fraction; black without a cut, band: 68 % of "
            "experiments of the combined (or first) score.",
            lambda name=name: finding.injected(runs[name]),
        )  # fmt: skip


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
                    tables.with_error(window["auc"], window["error"])
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


def _hypothesis(found) -> Html:
    rows = [
        [
            score,
            str(v["num"]),
            tables.with_error(v["value"], v["error"]),
            f"{v['p']:.3f}",
        ]
        for score, v in found.items()
    ]
    return tables.table(["score", "runs", "rank correlation", "p"], rows)
