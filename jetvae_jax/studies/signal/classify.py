"""Find injected signal with models that were trained to generate background."""

import csv
import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import logging

from jetvae_jax.core.files import Workdir
from jetvae_jax.runs.config import versions
from jetvae_jax.studies.signal import (
    hypothesis,
    measures,
    report,
    scoring,
    trained_runs,
)
from jetvae_jax.studies.signal.scoring import ClassifyConfig, Scored

__all__ = ["ClassifyConfig", "classify"]


def classify(
    workdirs: Sequence[str | os.PathLike],
    config: ClassifyConfig,
    *,
    output: str | os.PathLike = "",
) -> tuple[pathlib.Path, str]:
    """Score background and signal by every run, and judge the scores.

    Writes ``classification.json``, ``.csv``, ``.html`` and figures.

    Args:
        workdirs: of trained runs of tables, or folders that hold such runs.
        config: which signal and scores.
        output: folder to write to; empty for the run's, or that of all runs in common.

    Returns:
        The path of the report, and the verdict in one line.

    Raises:
        InputError: no run, a score that a run cannot give, a table of signal that is
            wrong, or too little background.
    """
    found = trained_runs.find(workdirs)
    folder = Workdir(output or os.path.commonpath(found.values()))
    runs: dict[str, dict] = {}
    panels: dict[str, Scored] = {}
    for name, workdir in found.items():
        logging.info("scoring by %s, %d of %d", name, len(runs) + 1, len(found))
        scored = scoring.score(workdir, config)
        panels[name] = scored
        runs[name] = {
            "workdir": str(workdir),
            "parts": trained_runs.parts(scored.trained.run),
            "events": _events(scored),
            "fingerprint": scored.trained.meta["source"]["fingerprint"],
            "best_epoch": scored.trained.meta["best_epoch"],
            "seed": scored.trained.run.seed,
            "quality": scoring.quality(workdir, scored, config),
            "mass_alone": measures.mass_alone(scored, config),
            "scores": measures.figures(scored, config),
        }
    labels = trained_runs.models(
        found, {name: scored.trained.run for name, scored in panels.items()}
    )
    for name, run in runs.items():
        run["model"] = labels[name]
    links = hypothesis.links(runs, config.seed)
    result: dict[str, Any] = {
        "settings": vars(config) | {"workdirs": [str(w) for w in workdirs]},
        "versions": versions(),
        "signals": list(next(iter(panels.values())).signal),
        "runs": runs,
        "hypothesis": links,
        "answer": hypothesis.answer(runs, links),
        "notes": _notes(runs, config),
    }
    result["verdict"] = verdict(result)
    folder.write_json("classification.json", result)
    folder.write_text("classification.csv", _csv(result))
    for note in result["notes"]:
        logging.info("note: %s", note)
    logging.info("drawing the report")
    page = report.write(
        folder / "classification.html",
        result,
        {name: scored._asdict() for name, scored in panels.items()},
    )
    return page, result["verdict"]


def _events(scored: Scored) -> dict[str, int]:
    any_score = next(iter(scored.background))
    return {
        "reference": len(scored.reference[any_score]),
        "background": len(scored.background[any_score]),
        **{name: len(values[any_score]) for name, values in scored.signal.items()},
    }


def verdict(result: dict[str, Any]) -> str:
    """One line: the best finder, and what becomes of the talk's hypothesis."""
    runs = result["runs"]
    auc, run, score = max(
        (hypothesis.found(run, score, "auc"), name, score)
        for name, run in runs.items()
        for score in run["scores"]
    )
    text = f"best finder: {score} of {run}, AUC {auc:.3f}"
    if len(result["signals"]) > 1:
        text += f" (mean of {len(result['signals'])} signals)"
    if len(runs) > 1:
        ks, best = min((r["quality"]["mean_ks"], name) for name, r in runs.items())
        text += f"; best generator: {best}, mean KS {ks:.4f}"
    return f"{text}; {result['answer']}"


def _notes(runs: dict[str, dict], config: ClassifyConfig) -> list[str]:
    notes = [
        "no score has seen signal; cuts and combination are fitted to background of "
        "the validation part, figures are of the test part",
    ]
    if len({run["fingerprint"] for run in runs.values()}) > 1:
        notes.append("the runs were trained on different data: compare with care")
    if config.mass:
        notes.append(
            f"{config.mass} is a column of the table: the row 'mass alone' says what "
            "it does without any model, 'AUC in window' is that among events of the "
            "signal's central 90 % of masses, where it cannot help"
        )
    limited = [
        f"{name}: {score}: {signal} at {e}"
        for name, run in runs.items()
        for score, of in run["scores"].items()
        for signal, figures in of.items()
        for e, value in figures["rejection"].items()
        if value["limit"]
    ]
    if limited:
        notes.append(
            f"fewer than {config.floor} background events are left, the rejection is a "
            f"lower limit: {'; '.join(limited[:5])}"
            + (f" and {len(limited) - 5} more" if len(limited) > 5 else "")
        )
    return notes


def _csv(result: dict[str, Any]) -> str:
    """One row a figure: run, score, signal, figure, value, error."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("run", "score", "signal", "figure", "value", "error"))
    for name, run in result["runs"].items():
        rows.writerow((name, "", "", "mean_ks", run["quality"]["mean_ks"], ""))
        for signal, v in run["mass_alone"].items():
            rows.writerow((name, "mass alone", signal, "auc", v["value"], v["error"]))
        for score, of in run["scores"].items():
            for signal, figures in of.items():
                for figure, value, error in _rows(figures):
                    rows.writerow((name, score, signal, figure, value, error))
    return text.getvalue()


def _rows(figures: dict):
    yield "auc", figures["auc"]["value"], figures["auc"]["error"]
    if figures.get("window"):
        yield "auc_in_window", figures["window"]["value"], figures["window"]["error"]
    for e, v in figures["rejection"].items():
        yield f"rejection_at_{e}", v["value"], "limit" if v["limit"] else v["error"]
    gain = figures["improvement"]
    yield f"improvement_at_{gain['efficiency']}", gain["value"], gain["error"]
    best = figures["best_improvement"]
    yield "best_improvement", best["value"], best["error"]
    for keep, cut in figures["injected"].items():
        for f, gain in cut["fractions"].items():
            yield f"gain_at_{f}_keeping_{keep}", gain["gain"], gain["error"]
            yield f"median_z_at_{f}_keeping_{keep}", gain["median"], ""
