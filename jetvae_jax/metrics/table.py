"""An evaluation as text, readable at 100 columns."""

from collections.abc import Callable, Iterator
from typing import Any

from jetvae_jax.metrics.evaluation import Evaluation

_LABEL, _UNIT, _CELL, _PER_TABLE = 28, 9, 14, 3

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
    yield (
        "Relative jet mass and particle features, mean and deviation of batches",
        [
            _w1_row(figure, name, protocol)
            for name, protocol in evaluation["protocols"].items()
            for figure in ("w1m", "w1p")
        ],
    )
    for level, measure, title in (
        ("jet", "emd", "Jets: EMD of histograms"),
        ("jet", "bin_height_w1", "Jets: bin-height W1 (published EMD)"),
        ("jet", "w1", "Jets: unbinned W1"),
        ("jet", "outside_fraction", "Jets: outside the histogram"),
        ("particle", "emd", "Particles: EMD of histograms"),
        ("particle", "w1", "Particles: unbinned W1"),
        ("particle", "outside_fraction", "Particles: outside the histogram"),
    ):
        observables = evaluation["binnings"][level].items()
        yield title, [_row(level, measure, k, b["unit"]) for k, b in observables]


def _w1_row(figure: str, name: str, protocol: dict[str, Any]) -> Row:
    drawn = f"{protocol['num_jets']:,} x {protocol['num_batches']}"

    def cell(figures):
        value = figures[figure][name]
        mark = "*" if value["replaced"] and not protocol["replace"] else ""
        return f"{1e3 * value['mean']:.2f}+-{1e3 * value['std']:.2f}{mark}"

    return f"{figure.upper()} ({drawn} jets)", "1e-3", cell


def _row(level: str, measure: str, observable: str, unit: str) -> Row:
    if measure == "outside_fraction":
        unit = "%"
    elif measure == "bin_height_w1":
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
    short = [
        name
        for name, protocol in evaluation["protocols"].items()
        if protocol["num_jets"] > evaluation["jets"] and not protocol["replace"]
    ]
    if short:
        lines.append(
            f"* drawn with replacement: fewer jets than {', '.join(short)} asks for."
        )
    return "\n".join(lines)


def _block(evaluation: Evaluation, names: list[str]) -> str:
    floor = evaluation["floor"]
    columns = [] if floor is None else [("floor", floor)]
    columns += [(name, evaluation["candidates"][name]) for name in names]
    lines = [_line("", "unit", [name for name, _ in columns])]
    for title, rows in sections(evaluation):
        lines += ["", title]
        for label, unit, cell in rows:
            cells = [cell(figures) for _, figures in columns]
            lines.append(_line("  " + label, unit or "-", cells))
    return "\n".join(lines)


def _line(label: str, unit: str, cells: list[str]) -> str:
    # A name longer than its column is cut, never the figures.
    columns = "".join(f" {cell[:_CELL]:>{_CELL}}" for cell in cells)
    return f"{label:<{_LABEL}} {unit:<{_UNIT}}{columns}".rstrip()
