"""Find injected signal with models that were trained to generate background."""

import csv
import io
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from jetvae_jax.errors import InputError
from jetvae_jax.metrics.association import rank_correlation
from jetvae_jax.report import classification
from jetvae_jax.runs import classified
from jetvae_jax.runs.classified import COMBINED, ClassifyConfig, Scored
from jetvae_jax.runs.config import versions
from jetvae_jax.runs.workdir import Workdir

__all__ = ["ClassifyConfig", "classify"]
FEWEST = 5
"""Runs whose orders are so many that p can be below 0.05."""


def classify(
    workdirs: Sequence[str | os.PathLike],
    config: ClassifyConfig,
    *,
    output: str | os.PathLike = "",
) -> tuple[pathlib.Path, str]:
    """Score background and signal by every run, and judge the scores.

    Writes ``classification.json``, ``.csv``, ``.html`` and figures.

    Args:
        workdirs: of trained runs of tables.
        config: which signal and scores.
        output: folder to write to; empty for the run's, or that of all runs in common.

    Returns:
        The path of the report, and the verdict in one line.

    Raises:
        InputError: no run, a score that a run cannot give, a table of signal that is
            wrong, or too little background.
    """
    names = _names(workdirs)
    folder = Workdir(
        output or os.path.commonpath([os.path.abspath(w) for w in workdirs])
    )
    runs: dict[str, dict] = {}
    panels: dict[str, Scored] = {}
    for name, workdir in zip(names, workdirs, strict=True):
        logging.info("scoring by %s", name)
        scored = classified.score(workdir, config)
        panels[name] = scored
        runs[name] = {
            "workdir": str(workdir),
            "parts": _parts(scored),
            "events": _events(scored),
            "fingerprint": scored.trained.meta["source"]["fingerprint"],
            "best_epoch": scored.trained.meta["best_epoch"],
            "seed": scored.trained.run.seed,
            "quality": classified.quality(workdir, scored, config),
            "mass_alone": classified.mass_alone(scored, config),
            "scores": classified.figures(scored, config),
        }
    result: dict[str, Any] = {
        "settings": vars(config) | {"workdirs": [str(w) for w in workdirs]},
        "versions": versions(),
        "signals": list(next(iter(panels.values())).signal),
        "runs": runs,
        "hypothesis": hypothesis(runs, config.seed),
        "notes": _notes(runs, config),
    }
    result["verdict"] = verdict(result)
    folder.write_json("classification.json", result)
    folder.write_text("classification.csv", _csv(result))
    for note in result["notes"]:
        logging.info("note: %s", note)
    logging.info("drawing the report")
    page = classification.write(
        folder / "classification.html",
        result,
        {name: scored._asdict() for name, scored in panels.items()},
    )
    return page, result["verdict"]


def _names(workdirs: Sequence[str | os.PathLike]) -> list[str]:
    if not workdirs:
        raise InputError("--workdirs: name one trained run or more")
    paths = [pathlib.Path(os.path.abspath(w)) for w in workdirs]
    for path, given in zip(paths, workdirs, strict=True):
        if paths.count(path) > 1:
            raise InputError(f"--workdirs: {given} stands there twice")
        if not path.is_dir():
            raise InputError(f"--workdirs: {given}: no such folder: train there first")
    stems = [path.name for path in paths]
    return [
        f"{path.parent.name}/{path.name}" if stems.count(path.name) > 1 else path.name
        for path in paths
    ]


def _parts(scored: Scored) -> str:
    """What a run is made of, in short."""
    run = scored.trained.run
    parts = run.parts
    found = [run.model, *(() if parts.latent == "gaussian" else (parts.latent,))]
    found += [p for p in (parts.prior, parts.discriminator) if p != "none"]
    return " + ".join(found)


def _events(scored: Scored) -> dict[str, int]:
    any_score = next(iter(scored.background))
    return {
        "reference": len(scored.reference[any_score]),
        "background": len(scored.background[any_score]),
        **{name: len(values[any_score]) for name, values in scored.signal.items()},
    }


def average_auc(run: dict, score: str) -> float:
    """The AUC of a score, mean over the signals."""
    found = [figures["auc"]["value"] for figures in run["scores"][score].values()]
    return sum(found) / len(found)


def hypothesis(runs: dict[str, dict], seed: int) -> dict[str, Any] | None:
    """Whether better generators find signal better: score to rank correlation.

    Of minus the mean Kolmogorov-Smirnov distance with the AUC, over the runs that offer
    the score; None for fewer than three runs, or if nothing differs between them.
    """
    found = {}
    for score in sorted({name for run in runs.values() for name in run["scores"]}):
        having = [run for run in runs.values() if score in run["scores"]]
        if len(having) < 3:
            continue
        quality = np.array([-run["quality"]["mean_ks"] for run in having])
        aucs = np.array([average_auc(run, score) for run in having])
        association = rank_correlation(jax.random.key(seed), quality, aucs)
        if not math.isnan(association.value):
            found[score] = association._asdict()
    return found or None


def verdict(result: dict[str, Any]) -> str:
    """One line: the best finder, and what becomes of the talk's hypothesis."""
    runs = result["runs"]
    auc, run, score = max(
        (average_auc(run, score), name, score)
        for name, run in runs.items()
        for score in run["scores"]
    )
    text = f"best finder: {score} of {run}, AUC {auc:.3f}"
    if len(runs) > 1:
        ks, best = min((r["quality"]["mean_ks"], name) for name, r in runs.items())
        text += f"; best generator: {best}, mean KS {ks:.4f}"
    found = result["hypothesis"]
    if not found:
        return (
            f"{text}; whether good generators find signal needs {FEWEST} runs or more"
        )
    name = COMBINED if COMBINED in found else next(iter(found))
    link = found[name]
    if link["num"] < FEWEST:
        return text + (
            f"; whether good generators find signal needs {FEWEST} runs or more with "
            f"{name}, these are {link['num']}"
        )
    if not link["p"] < 0.05:
        says = "not shown by"
    else:
        says = "borne out by" if link["value"] > 0 else "contradicted by"
    return text + (
        f"; that good generators also find signal is {says} these {link['num']} runs: "
        f"rank correlation of quality and AUC of {name} {link['value']:+.2f} ± "
        f"{link['error']:.2f} (p = {link['p']:.2g})"
    )


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
        yield "auc_in_window", figures["window"]["auc"], figures["window"]["error"]
    for e, v in figures["rejection"].items():
        yield f"rejection_at_{e}", v["value"], "limit" if v["limit"] else v["error"]
    best = figures["best_improvement"]
    yield "best_improvement", best["value"], best["error"]
    for keep, cut in figures["injected"].items():
        for f, gain in cut["fractions"].items():
            yield f"gain_at_{f}_keeping_{keep}", gain["gain"], gain["error"]
            yield f"median_z_at_{f}_keeping_{keep}", gain["median"], ""
