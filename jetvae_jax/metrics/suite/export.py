"""An evaluation for spreadsheets and papers: CSV and rows of a LaTeX table."""

import csv as csv_module
import io
from collections.abc import Iterator, Mapping
from typing import Any

from jetvae_jax.metrics.suite.evaluation import Evaluation
from jetvae_jax.metrics.suite.figures import METRICS
from jetvae_jax.metrics.suite.text import with_error

COLUMNS = ("sample", "level", "name", "figure", "value", "error", "unit")


def csv(evaluation: Evaluation) -> str:
    """Every figure in a row of its own.

    Args:
        evaluation: what `evaluation.evaluate` returns.

    Returns:
        Lines of sample (``floor`` among them), level (``jet``, ``particle``,
        ``protocol``, ``together``), name (an observable or a protocol), figure, value,
        error (empty if there is none) and unit.
    """
    text = io.StringIO()
    writer = csv_module.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for sample, figures in _samples(evaluation):
        for row in _rows(figures, evaluation["binnings"]):
            writer.writerow([sample, *row])
    return text.getvalue()


def latex(evaluation: Evaluation) -> str:
    """A table of the field's metrics, one row for each sample and protocol.

    Args:
        evaluation: what `evaluation.evaluate` returns.

    Returns:
        A ``tabular`` for the package booktabs. Metrics that no sample has are left
        out, missing ones are a dash.
    """
    samples = list(_samples(evaluation))
    shown = [
        metric
        for metric in METRICS
        if any(metric in p for _, f in samples for p in f["protocols"].values())
    ]
    head = " & ".join(["sample", "protocol", *map(_heading, shown)])
    lines = [rf"\begin{{tabular}}{{ll{'c' * len(shown)}}}", r"\toprule"]
    lines += [head + r" \\", r"\midrule"]
    for sample, figures in samples:
        for protocol, found in figures["protocols"].items():
            cells = [_cell(found.get(metric), METRICS[metric]) for metric in shown]
            names = [_escaped(sample), _escaped(protocol)]
            lines.append(" & ".join([*names, *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _samples(evaluation: Evaluation) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from evaluation["candidates"].items()
    if evaluation["floor"] is not None:
        yield "floor", evaluation["floor"]


def _rows(figures: Mapping[str, Any], binnings: Mapping[str, Any]) -> Iterator[list]:
    for level in ("jet", "particle"):
        for observable, measured in figures[level].items():
            unit = binnings[level][observable]["unit"]
            for figure, value in measured.items():
                in_unit = unit if figure in ("emd", "w1") else ""
                yield [level, observable, figure, value, "", in_unit]
    for protocol, metrics in figures["protocols"].items():
        for metric, found in metrics.items():
            error = found.get("error", "")
            yield ["protocol", protocol, metric, found["value"], error, ""]
    for name in ("emd_normalised_sum", "bin_height_w1_sum"):
        yield ["together", "mass pt energy eta phi", name, figures[name], "", ""]
    for name, found in figures["correlations"].items():
        for figure in ("frobenius", "largest"):
            yield ["together", name, figure, found[figure], "", ""]
    if "c2st" in figures:
        found = figures["c2st"]
        yield ["together", "classifier", "auc", found["auc"], found["error"], ""]


def _heading(metric: str) -> str:
    unit = METRICS[metric]
    power = f"{unit:.0e}".split("e")[1]
    scale = "" if unit == 1 else rf" ($10^{{{int(power)}}}$)"
    arrow = r"$\uparrow$" if metric == "cov" else r"$\downarrow$"
    return f"{_escaped(metric.upper())}{scale} {arrow}"


def _cell(figure: Mapping[str, Any] | None, unit: float) -> str:
    if figure is None:
        return "--"
    return f"${with_error(dict(figure), unit)}$".replace("+-", r" \pm ")


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    special |= {"^": r"\textasciicircum{}"} | {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in text)
