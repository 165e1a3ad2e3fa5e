"""An evaluation as text, readable at 100 columns."""

import math
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from jetvae_jax.metrics.suite.evaluation import Evaluation
from jetvae_jax.metrics.suite.figures import METRICS

_LABEL, _UNIT, _CELL, _PER_TABLE = 28, 9, 14, 3
_WIDTH = 100

Row = tuple[str, str, Callable[[dict[str, Any]], str]]
"""Label, unit, and how to read the cell from one sample's figures."""


def table(evaluation: Evaluation) -> str:
    """Every figure of every candidate, beside its floor.

    Args:
        evaluation: what `evaluation.evaluate` returns.

    Returns:
        Lines of at most 100 characters; further candidates follow in further tables.
    """
    names = list(evaluation["candidates"])
    blocks = [_heading(evaluation)]
    for start in range(0, max(len(names), 1), _PER_TABLE):
        blocks.append(_block(evaluation, names[start : start + _PER_TABLE]))
    return "\n\n".join(blocks) + "\n"


def sections(evaluation: Evaluation) -> Iterator[tuple[str, list[Row]]]:
    """Titles and rows of the table, in the order they are read.

    Args:
        evaluation: what `evaluation.evaluate` returns.

    Yields:
        ``(title, [(label, unit, cell), ...])``, where ``cell(figures)`` is the text of
        one sample's figure.
    """
    yield (
        "Sums over mass, pt, energy, eta, phi",
        [
            (label, "", lambda figures, name=name: f"{figures[name]:.4f}")
            for label, name in (
                ("EMD / range", "emd_normalised_sum"),
                ("bin-height W1 (published)", "bin_height_w1_sum"),
            )
        ],
    )
    for name in evaluation["protocols"]:
        rows = [_metric_row(m, name) for m in METRICS if _has(evaluation, name, m)]
        if rows:
            yield f"Protocol {name}", rows
    yield (
        "All observables together",
        [
            _together("Pearson, largest gap", lambda f: f["correlations"]["pearson"]),
            _together("Spearman, largest gap", lambda f: f["correlations"]["spearman"]),
            *([_C2ST] if all("c2st" in f for f in _all_figures(evaluation)) else []),
        ],
    )
    for level, measure, title in (
        ("jet", "emd", "Jets: EMD of histograms"),
        ("jet", "bin_height_w1", "Jets: bin-height W1 (published EMD)"),
        ("jet", "w1", "Jets: unbinned W1"),
        ("jet", "ks", "Jets: Kolmogorov-Smirnov distance"),
        ("jet", "outside_fraction", "Jets: outside the histogram"),
        ("particle", "emd", "Particles: EMD of histograms"),
        ("particle", "w1", "Particles: unbinned W1"),
        ("particle", "ks", "Particles: Kolmogorov-Smirnov distance"),
        ("particle", "outside_fraction", "Particles: outside the histogram"),
    ):
        observables = evaluation["binnings"][level].items()
        yield title, [_row(level, measure, k, b["unit"]) for k, b in observables]


def _all_figures(evaluation: Evaluation) -> list[dict[str, Any]]:
    floor = evaluation["floor"]
    return [*evaluation["candidates"].values(), *([] if floor is None else [floor])]


def _has(evaluation: Evaluation, protocol: str, metric: str) -> bool:
    return all(metric in f["protocols"][protocol] for f in _all_figures(evaluation))


def _metric_row(metric: str, protocol: str) -> Row:
    unit = METRICS[metric]

    def cell(figures):
        return with_error(figures["protocols"][protocol][metric], unit)

    label = f"{metric.upper()}{' (higher is better)' if metric == 'cov' else ''}"
    return label, "" if unit == 1 else f"{unit:.0e}".replace("e-0", "e-"), cell


def with_error(
    figure: dict[str, Any], unit: float = 1.0, *, width: int | None = None
) -> str:
    """A figure in its unit, with two digits of its error, as ``0.71+-0.10``.

    Args:
        figure: ``value``, and ``error`` if it has one.
        unit: to print it in.
        width: characters it should fit into, with fewer digits if need be.
    """
    value = figure["value"] / unit
    error = figure.get("error")
    if error is None:
        return f"{value:.3g}"
    error /= unit
    digits = 4 if error == 0 else min(max(1 - math.floor(math.log10(error)), 0), 6)
    while True:
        text = f"{value:.{digits}f}+-{error:.{digits}f}"
        if width is None or len(text) <= width or digits == 0:
            return text
        digits -= 1


def _together(label: str, read: Callable[[dict[str, Any]], dict[str, Any]]) -> Row:
    return label, "", lambda figures: f"{read(figures)['largest']:.3f}"


_C2ST: Row = (
    "classifier, AUC (0.5 best)",
    "",
    lambda figures: with_error(
        {"value": figures["c2st"]["auc"], "error": figures["c2st"]["error"]}
    ),
)


def _row(level: str, measure: str, observable: str, unit: str) -> Row:
    if measure == "outside_fraction":
        unit = "%"
    elif measure in ("bin_height_w1", "ks"):
        unit = ""

    def cell(figures):
        value = figures[level][observable][measure]
        return f"{100 * value:.2f}" if unit == "%" else f"{value:.4g}"

    return observable, unit, cell


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
    if evaluation["axis"] == "own":
        lines.append("Relative features refer to the sum of a jet's own particles.")
    else:
        lines.append("Relative features refer to the jet axes of the files.")
    return "\n".join(lines)


def _drawn(protocol: dict[str, Any]) -> str:
    """How many jets a protocol draws."""
    names = {"w1": "W1", "cov_mmd": "COV, MMD", "kpd": "KPD"}
    parts = [
        f"{label} {spec['num_jets']:,} x {spec['num_batches']} jets"
        + (", drawn with replacement" if spec["replace"] else "")
        for name, label in names.items()
        if (spec := protocol[name])
    ]
    if spec := protocol["fpd"]:
        parts.append(f"FPD from {spec['min_jets']:,} to {spec['max_jets']:,} jets")
    if protocol["fpnd"]:
        parts.append(f"FPND of the first {protocol['fpnd']:,}")
    return "; ".join(parts)


def _block(evaluation: Evaluation, names: list[str]) -> str:
    floor = evaluation["floor"]
    columns = [] if floor is None else [("floor", floor)]
    columns += [(name, evaluation["candidates"][name]) for name in names]
    lines = [_line("", "unit", [name for name, _ in columns])]
    for title, rows in sections(evaluation):
        lines += ["", title]
        for label, unit, cell in rows:
            cells = [_fitted(cell(figures)) for _, figures in columns]
            lines.append(_line("  " + label, unit or "-", cells))
    return "\n".join(lines)


def _fitted(cell: str) -> str:
    value, _, error = cell.partition("+-")
    if len(cell) <= _CELL or not error:
        return cell
    return with_error({"value": float(value), "error": float(error)}, width=_CELL)


def _line(label: str, unit: str, cells: list[str]) -> str:
    # A name longer than its column is cut, never the figures.
    columns = "".join(f" {cell[:_CELL]:>{_CELL}}" for cell in cells)
    return f"{label:<{_LABEL}} {unit:<{_UNIT}}{columns}".rstrip()
