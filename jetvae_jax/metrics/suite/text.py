"""An evaluation as text, readable at 100 columns."""

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jetvae_jax.core.words import in_short, number
from jetvae_jax.metrics.classifier.two_sample import CLASSIFIERS
from jetvae_jax.metrics.labels import label
from jetvae_jax.metrics.measurements import known_metrics, measurements
from jetvae_jax.metrics.suite.enforced import MARK, enforced, sentence
from jetvae_jax.metrics.suite.evaluation import Evaluation
from jetvae_jax.metrics.suite.measurement import Metric
from jetvae_jax.observables.named import fixed_by

_LABEL, _UNIT, _CELL, _PER_TABLE = 30, 9, 14, 3
_WIDTH = 100
_WIDEST = 20  # a value with its error that is not in a cell
_SINGLE = ("Jets: ", "Particles: ")
"""Titles of sections with one row for each observable begin with one of these."""


class Row(NamedTuple):
    """One row of the table.

    Attributes:
        name: of the metric or the observable.
        label: as it is printed.
        unit: of the cells, empty if dimensionless.
        cell: results of a sample to the text of its cell.
    """

    name: str
    label: str
    unit: str
    cell: Callable[[dict[str, Any]], str]


def table(evaluation: Evaluation, *, short: bool = False) -> str:
    """Every metric of every candidate, beside its floor.

    Args:
        evaluation: what `evaluation.evaluate` returns.
        short: leave out the distances of single observables.

    Returns:
        Lines of at most 100 characters; further candidates follow in further tables.
    """
    names = list(evaluation["candidates"])
    blocks = [_heading(evaluation)]
    for start in range(0, max(len(names), 1), _PER_TABLE):
        blocks.append(_block(evaluation, names[start : start + _PER_TABLE], short))
    return "\n\n".join(blocks) + "\n"


def sections(evaluation: Evaluation) -> Iterator[tuple[str, list[Row]]]:
    """Titles and rows of the table, in the order they are read.

    Args:
        evaluation: what `evaluation.evaluate` returns.

    Yields:
        ``(title, rows)``.
    """
    metrics = known_metrics()
    if not evaluation.get("relative"):
        yield "Sums over jet mass, pT, energy, η and φ", _sums()
    for name in evaluation["protocols"]:
        rows = [
            _metric_row(metric, found, name)
            for metric, found in metrics.items()
            if _has(evaluation, name, metric)
        ]
        if rows:
            yield f"Protocol {name}", rows
    yield (
        "All observables together",
        [
            _largest_gap("Pearson", "pearson"),
            _largest_gap("Spearman", "spearman"),
            *(
                _auc_row(described.result, described.label)
                for described in CLASSIFIERS.values()
                if all(described.result in r for r in _all_results(evaluation))
            ),
        ],
    )
    for level, distance, title in (
        ("jet", "emd", "Jets: EMD of histograms"),
        ("jet", "bin_height_w1", "Jets: bin-height W1 (published EMD)"),
        ("jet", "w1", "Jets: unbinned W1"),
        ("jet", "ks", "Jets: Kolmogorov-Smirnov distance"),
        ("jet", "outside_fraction", "Jets: outside the histogram (published ranges)"),
        ("particle", "emd", "Particles: EMD of histograms"),
        ("particle", "w1", "Particles: unbinned W1"),
        ("particle", "ks", "Particles: Kolmogorov-Smirnov distance"),
        ("particle", "outside_fraction", "Particles: outside the histogram"),
    ):
        observables = evaluation["binnings"][level].items()
        yield title, [_row(level, distance, k, b) for k, b in observables]


def _sums() -> list[Row]:
    return [
        Row(name, label, "", lambda results, name=name: f"{results[name]:.4f}")
        for label, name in (
            ("EMD / range", "emd_normalised_sum"),
            ("bin-height W1 (published)", "bin_height_w1_sum"),
        )
    ]


def _all_results(evaluation: Evaluation) -> list[dict[str, Any]]:
    floor = evaluation["floor"]
    return [*evaluation["candidates"].values(), *([] if floor is None else [floor])]


def _has(evaluation: Evaluation, protocol: str, metric: str) -> bool:
    return all(metric in r["protocols"][protocol] for r in _all_results(evaluation))


def _metric_row(name: str, metric: Metric, protocol: str) -> Row:
    def cell(results):
        return with_error(results["protocols"][protocol][name], metric.scale)

    scale = "" if metric.scale == 1 else f"1e{metric.exponent}"
    unit = f"{scale} {metric.unit}".strip()
    return Row(name, f"{metric.label} {metric.arrow}", unit, cell)


def with_error(
    result: Mapping[str, Any], scale: float = 1.0, *, width: int | None = None
) -> str:
    """A value with two digits of its error, as ``0.71+-0.10``.

    Args:
        result: ``value``, and ``error`` if it has one.
        scale: to print both in multiples of.
        width: characters it should fit into, with fewer digits if need be.
    """
    value = result["value"] / scale
    error = result.get("error")
    if error is None or not math.isfinite(error):
        return number(value)
    error /= scale
    digits = 4 if error == 0 else min(max(1 - math.floor(math.log10(error)), 0), 6)
    for kept in range(digits, -1, -1) if width else [digits]:
        text = f"{value:.{kept}f}+-{error:.{kept}f}"
        if len(text) <= (width or _WIDEST):
            return text
    return f"{in_short(value)}+-{in_short(error)}"


def _largest_gap(label: str, name: str) -> Row:
    def cell(results):
        return f"{results['correlations'][name]['largest']:.3f}"

    return Row(name, f"{label}, largest gap", "", cell)


def _auc_row(name: str, label: str) -> Row:
    def cell(results):
        found = results[name]
        return with_error({"value": found["auc"], "error": found["error"]})

    return Row(name, label, "", cell)


def _row(level: str, distance: str, observable: str, binned: Mapping[str, Any]) -> Row:
    name, unit = label(observable), binned["unit"]
    if distance == "outside_fraction":
        ends = binned["low"], binned["high"]
        if binned["bins"] == ends[1] - ends[0]:  # of whole numbers, each in the middle
            ends = ends[0] + 0.5, ends[1] - 0.5
        name = f"{name} {ends[0]:g} to {ends[1]:g}"
        unit = "%"
    elif distance in ("bin_height_w1", "ks"):
        unit = ""

    def cell(results):
        value = results[level][observable][distance]
        return f"{100 * value:.2f}" if unit == "%" else number(value, 4)

    return Row(observable, name, unit, cell)


def _heading(evaluation: Evaluation) -> str:
    lines = [
        f"{evaluation['jets']:,} jets per sample; every distance: lower is better (↓).",
        "floor: other real jets against the same real jets; below it is chance, or a",
        "sample made from the same jets, as a reconstruction is.",
    ]
    if evaluation["floor"] is None:
        lines = [*lines[:1], "No floor: no second sample of real jets was given."]
    for name, protocol in evaluation["protocols"].items():
        text = f"{name}: {_drawn(protocol)}."
        lines += textwrap.wrap(text, _WIDTH, subsequent_indent="    ")
    for note in evaluation.get("notes", ()):  # in a run, all notes of the files, too
        if note.partition(":")[0] in evaluation["protocols"]:
            lines += textwrap.wrap(note, _WIDTH, subsequent_indent="    ")
    if evaluation["axis"] == "own":
        lines.append("Relative features refer to the sum of a jet's own particles.")
    else:
        lines.append("Relative features refer to the jet axes of the files.")
    if held := evaluation.get("trained_on"):
        lines += textwrap.wrap(sentence(held), _WIDTH, subsequent_indent="    ")
    if evaluation.get("relative"):
        lines.append("All is compared in relative features: pt is not always known.")
    return "\n".join(lines)


def _drawn(protocol: dict[str, Any]) -> str:
    """How many jets a protocol draws."""
    labels: dict[str, list[str]] = {}
    for name, measurement in measurements().items():
        field = measurement.protocol_field or name
        labels.setdefault(field, []).extend(
            m.label for m in measurement.metrics.values()
        )
    return "; ".join(
        f"{', '.join(names)} {_jets(protocol[field])}"
        for field, names in labels.items()
        if protocol.get(field)
    )


def _jets(draws: int | dict[str, Any]) -> str:
    if isinstance(draws, int):
        return f"of the first {draws:,} jets"
    if "min_jets" in draws:
        return f"from {draws['min_jets']:,} to {draws['max_jets']:,} jets"
    replaced = ", drawn with replacement" if draws["replace"] else ""
    return f"{draws['num_jets']:,} x {draws['num_batches']} jets{replaced}"


def _block(evaluation: Evaluation, names: list[str], short: bool) -> str:
    floor, held = evaluation["floor"], fixed_by(evaluation.get("trained_on", ()))
    columns = [] if floor is None else [("floor", floor)]
    columns += [(name, evaluation["candidates"][name]) for name in names]
    # A name longer than its column is cut, never a value.
    lines = [_line("", "unit", [name[:_CELL] for name, _ in columns])]
    for title, rows in sections(evaluation):
        if short and title.startswith(_SINGLE):
            continue
        lines += ["", title]
        for row in rows:
            cells = [_fitted(row.cell(results)) for _, results in columns]
            mark = MARK if enforced(row.name, held) else " "
            lines.append(_line(f"{mark} {row.label}", row.unit or "-", cells))
    return "\n".join(lines)


def _fitted(cell: str) -> str:
    value, _, error = cell.partition("+-")
    if len(cell) <= _CELL or not error:
        return cell
    return with_error({"value": float(value), "error": float(error)}, width=_CELL)


def _line(label: str, unit: str, cells: list[str]) -> str:
    columns = "".join(f" {cell:>{_CELL}}" for cell in cells)
    return f"{label:<{_LABEL}} {unit:<{_UNIT}}{columns}".rstrip()
