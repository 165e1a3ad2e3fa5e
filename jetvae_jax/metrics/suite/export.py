"""An evaluation for spreadsheets and papers: CSV and rows of a LaTeX table."""

import csv as csv_module
import io
from collections.abc import Iterator, Mapping
from typing import Any

from jetvae_jax.metrics.classifier.two_sample import CLASSIFIERS
from jetvae_jax.metrics.measurements import known_metrics
from jetvae_jax.metrics.suite.enforced import enforced
from jetvae_jax.metrics.suite.evaluation import Evaluation
from jetvae_jax.metrics.suite.measurement import Metric
from jetvae_jax.metrics.suite.text import with_error
from jetvae_jax.observables.named import fixed_by

COLUMNS = ("sample", "level", "name", "metric", "value", "error", "unit", "no_check")


def csv(evaluation: Evaluation) -> str:
    """Every value in a row of its own.

    Args:
        evaluation: what `evaluation.evaluate` returns.

    Returns:
        Lines of sample (``floor`` among them), level (``jet``, ``particle``,
        ``protocol``, ``together``), name (an observable or a protocol), metric, value,
        error (empty if there is none), unit, and 1 where the training loss held what
        is compared, else 0. Values are not scaled: a W1M of 0.0007, not 0.7.
    """
    text = io.StringIO()
    writer = csv_module.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    held = fixed_by(evaluation.get("trained_on", ()))
    for sample, results in _samples(evaluation):
        for level, name, metric, *rest in _rows(results, evaluation["binnings"]):
            compared = name if level in ("jet", "particle") else metric
            marked = int(enforced(compared, held))
            writer.writerow([sample, level, name, metric, *rest, marked])
    return text.getvalue()


def latex(evaluation: Evaluation) -> str:
    """A table of the field's metrics, one row for each sample and protocol.

    Args:
        evaluation: what `evaluation.evaluate` returns.

    Returns:
        A ``tabular`` for the package booktabs. Metrics that no sample has are left
        out, missing ones are a dash. An asterisk is at those that compare what the
        training loss held.
    """
    samples = list(_samples(evaluation))
    shown = {
        name: metric
        for name, metric in known_metrics().items()
        if any(name in p for _, r in samples for p in r["protocols"].values())
    }
    held = fixed_by(evaluation.get("trained_on", ()))
    marked = (_heading(m, enforced(name, held)) for name, m in shown.items())
    head = " & ".join(["sample", "protocol", *marked])
    lines = [rf"\begin{{tabular}}{{ll{'c' * len(shown)}}}", r"\toprule"]
    lines += [head + r" \\", r"\midrule"]
    for sample, results in samples:
        for protocol, found in results["protocols"].items():
            cells = [_cell(found.get(name), shown[name].scale) for name in shown]
            names = [_escaped(sample), _escaped(protocol)]
            lines.append(" & ".join([*names, *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _samples(evaluation: Evaluation) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from evaluation["candidates"].items()
    if evaluation["floor"] is not None:
        yield "floor", evaluation["floor"]


def _rows(results: Mapping[str, Any], binnings: Mapping[str, Any]) -> Iterator[list]:
    for level in ("jet", "particle"):
        for observable, measured in results[level].items():
            unit = binnings[level][observable]["unit"]
            for metric, value in measured.items():
                in_unit = unit if metric in ("emd", "w1") else ""
                yield [level, observable, metric, value, "", in_unit]
    units = {name: metric.unit for name, metric in known_metrics().items()}
    for protocol, metrics in results["protocols"].items():
        for name, found in metrics.items():
            error, unit = found.get("error", ""), units.get(name, "")
            yield ["protocol", protocol, name, found["value"], error, unit]
    for name in ("emd_normalised_sum", "bin_height_w1_sum"):
        if name not in results:  # the jets' pt is not known
            continue
        yield ["together", "mass pt energy eta phi", name, results[name], "", ""]
    for name, found in results["correlations"].items():
        for metric in ("frobenius", "largest"):
            yield ["together", name, metric, found[metric], "", ""]
    for described in CLASSIFIERS.values():
        if found := results.get(described.result):
            error = found["error"]
            yield ["together", described.called, "auc", found["auc"], error, ""]


def _heading(metric: Metric, in_loss: bool) -> str:
    scale = "" if metric.scale == 1 else rf"$10^{{{metric.exponent}}}$"
    unit = f"{scale} {_escaped(metric.unit)}".strip()
    arrow = r"$\uparrow$" if metric.higher_is_better else r"$\downarrow$"
    mark = "$^*$" if in_loss else ""
    return f"{_escaped(metric.label)}{mark}{f' ({unit})' if unit else ''} {arrow}"


def _cell(result: Mapping[str, Any] | None, scale: float) -> str:
    if result is None:
        return "--"
    return f"${with_error(result, scale)}$".replace("+-", r" \pm ")


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
    special |= {"^": r"\textasciicircum{}"} | {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in text)
