"""The report on a comparison of models of events."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from jetvae_jax.events import report
from jetvae_jax.report import page, tables
from jetvae_jax.studies.zgamma import verdict

NOTE = (
    "KS: largest difference of two cumulative distributions, mean of the columns; "
    "Spearman: Frobenius norm of the difference of the rank correlation matrices. "
    "Values are means over trainings with their standard deviation; the floor is what "
    "other real events of the same number score. AUC: of a network trained to tell "
    "made events from real ones. Overall: mean of KS and Spearman distance, each over "
    "its floor. Parameters: of all that is trained, discriminator and learned prior "
    "included."
)
SHOWN = "Of each model, the first of its trainings."


def write(
    path: str | os.PathLike,
    judged: Mapping[str, Any],
    samples: report.Samples,
    history: Mapping[str, Sequence[Mapping[str, Any]]],
) -> pathlib.Path:
    """Writes the page, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        judged: the contents of ``comparison.json``.
        samples: model to events ``[J, C]``, ``"input"`` among them.
        history: name of a training to its epochs.

    Raises:
        InputError: a file cannot be written.
    """
    names = judged["names"]
    by_column = report.by_column(_columns(judged), names)
    facts = [
        f"{judged['events']:,} real test events, {judged['seeds']} trainings a model.",
        *judged["notes"],
    ]
    parts = [
        "<h1>Comparison of models</h1>",
        page.summary(facts),
        "<h2>Verdict</h2>",
        page.summary(verdict.sentences(judged["verdict"])),
        "<h2>Table</h2>",
        tables.table(*headline(judged), kind="figures compact"),
        f'<p class="note">{escape(NOTE)}</p>',
        "<h2>Kolmogorov-Smirnov distance of each column</h2>",
        tables.table(*by_column, kind="figures compact"),
    ]
    plots = (
        *report.sample_plots(samples, names, rows=2, shown=SHOWN),
        *report.training_plots(history),
    )
    return page.write(path, "Comparison of models", parts, plots)


def headline(judged: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the talk's table: a row a model."""
    overall = judged["verdict"]["overall"]["scores"]
    answers = judged["verdict"].items()
    head = ["model", *report.NAMES.values(), "overall", "best for", "parameters"]
    rows = []
    for name, figures in {"floor": judged["floor"], **judged["models"]}.items():
        shown = [report.cell(figures.get(figure)) for figure in report.NAMES]
        best = ", ".join(q for q, answer in answers if answer["best"] == name)
        size = sum(figures.get("parameters", {}).values())
        score = overall.get(name)
        rows.append([
            name, *shown,
            tables.with_error(**score) if score else "1",
            best, f"{size:,}" if size else tables.MISSING,
        ])  # fmt: skip
    return [*head, "seconds"], [
        [*row, f"{judged['models'].get(row[0], {}).get('seconds', 0):.0f}"]
        for row in rows
    ]


def text(judged: Mapping[str, Any]) -> str:
    """Tables and verdict for a terminal."""
    head, rows = headline(judged)
    columns = report.by_column(_columns(judged), judged["names"])
    said = verdict.sentences(judged["verdict"])
    tabled = [report.aligned(head, rows), report.aligned(*columns)]
    return "\n".join([*tabled, *said]) + "\n"


def csv(judged: Mapping[str, Any]) -> str:
    """One line a figure: model, figure, value, error, and that of every training."""
    lines = ["model,figure,value,error,trainings"]
    for model, figures in _columns(judged).items():
        scalars = {name: figures[name] for name in report.NAMES if name in figures}
        ks = {f"ks {name}": figure for name, figure in figures["ks"].items()}
        for name, figure in (scalars | ks).items():
            value = figure["value"] if "value" in figure else figure["auc"]
            every = " ".join(f"{v:.6g}" for v in figure.get("all", ()))
            quoted = name.replace(",", ";")
            lines.append(f"{model},{quoted},{value:.6g},{figure['error']:.3g},{every}")
    return "\n".join(lines) + "\n"


def _columns(judged: Mapping[str, Any]) -> dict[str, Any]:
    return {"floor": judged["floor"], **judged["models"]}
