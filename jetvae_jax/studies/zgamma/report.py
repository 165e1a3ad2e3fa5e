"""The report of the comparison of models of Z gamma events."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from jetvae_jax.core.words import counted
from jetvae_jax.events import report
from jetvae_jax.report import about, page, tables, training_plots
from jetvae_jax.report.page import Heading, Items, Paragraph
from jetvae_jax.studies.zgamma import verdict

NOTE = (
    "KS: largest difference of two cumulative distributions, mean of the columns; "
    "Spearman: Frobenius norm of the difference of the rank correlation matrices. "
    "Values are means over trainings with their standard deviation, in the column "
    "overall and in the verdict with the standard error of that mean; the floor is the "
    "value of as many other real events. AUC: of a network trained to distinguish "
    "generated from real events. Overall: mean of KS and Spearman distance, each "
    "divided by its floor. Parameters: of all that is trained, discriminator and "
    "learned prior included."
)
SHOWN = "Of each model, the first of its trainings."


def write(
    path: str | os.PathLike,
    result: Mapping[str, Any],
    samples: report.Samples,
    history: training_plots.History,
) -> pathlib.Path:
    """Writes the page, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        result: the contents of ``comparison.json``.
        samples: model to events ``[J, C]``, ``"input"`` among them.
        history: name of a training to its epochs.

    Raises:
        InputError: a file cannot be written.
    """
    names = result["names"]
    trainings = counted(result["seeds"], "training")
    notes = [
        f"{result['events']:,} real test events, {trainings} of each model.",
        *result["notes"],
    ]
    blocks = (
        about.table(
            seed=", ".join(map(str, range(result["seeds"]))),
            training=f"{result['training_events']:,} events",
        ),
        Items(notes),
        Heading("Verdict"),
        Items(verdict.sentences(result["verdict"])),
        Heading("Metrics"),
        page.table(*headline(result), style="compact"),
        Paragraph(NOTE, "note"),
        Heading("Kolmogorov-Smirnov distance of each column"),
        page.table(*report.by_column(_rows(result), names), style="compact"),
        *report.sample_plots(samples, names, rows=2, shown=SHOWN),
        *training_plots.curve_plots(history, "event"),
    )
    return page.write(path, "Comparison of models", blocks)


def headline(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of the models, as in Stevenson, Kruger 2022."""
    overall = result["verdict"]["overall"]["scores"]
    answers = result["verdict"].items()
    head = ["model", *report.NAMES.values(), "overall", "best for", "parameters",
            "seconds"]  # fmt: skip
    rows = []
    for name, metrics in _rows(result).items():
        shown = [report.cell(metrics.get(metric)) for metric in report.NAMES]
        best = ", ".join(q for q, answer in answers if answer["best"] == name)
        size = sum(metrics.get("parameters", {}).values())
        seconds = metrics.get("seconds")
        rows.append([
            name, *shown,
            # Overall is in units of the floor.
            tables.with_error(**overall[name]) if name in overall else "1",
            best, f"{size:,}" if size else tables.MISSING,
            tables.MISSING if seconds is None else f"{seconds:.0f}",
        ])  # fmt: skip
    return head, rows


def text(result: Mapping[str, Any]) -> str:
    """Tables and verdict for a terminal."""
    metrics = tables.aligned(*headline(result))
    columns = tables.aligned(*report.by_column(_rows(result), result["names"]))
    return "\n".join([metrics, columns, *verdict.sentences(result["verdict"])]) + "\n"


def csv(result: Mapping[str, Any]) -> str:
    """A line for each metric: model, metric, value, error, value of each training."""
    lines = ["model,metric,value,error,trainings"]
    for model, metrics in _rows(result).items():
        scalars = {name: metrics[name] for name in report.NAMES if name in metrics}
        ks = {f"ks {name}": metric for name, metric in metrics["ks"].items()}
        for name, metric in (scalars | ks).items():
            value = metric["value"] if "value" in metric else metric["auc"]
            every = " ".join(f"{v:.6g}" for v in metric.get("all", ()))
            quoted = name.replace(",", ";")
            lines.append(f"{model},{quoted},{value:.6g},{metric['error']:.3g},{every}")
    return "\n".join(lines) + "\n"


def _rows(result: Mapping[str, Any]) -> dict[str, Any]:
    """The floor, then the models, with their metrics."""
    return {"floor": result["floor"], **result["models"]}
