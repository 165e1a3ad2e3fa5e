"""Boundary conditions: how far samples obey what must hold, in one table.

Metrics compare distributions; these are properties of single jets, events or images
that a correct generator has to rounding, such as ``E^2 - p^2 = m^2`` or whole numbers
that are whole, and limits that real samples do not exceed. The conditions of a domain
are in its folder (``jets``, ``images``, ``events``) as functions of arrays, in double
precision and on the host; each gives a list of :class:`Condition` of one sample.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

TITLE = "Boundary conditions"
NOTE = (
    "How far physical conditions hold for every single sample. Where a value is "
    "allowed, 0 or what rounding leaves, a larger one is marked with an exclamation "
    "mark: the condition does not hold. The others are limits that the real sample "
    "gives: compare with it. A dash: the file does not state what is needed."
)
_STATED = (
    " What a file states may be of whole jets, of which it holds the leading particles "
    "only."
)
BEYOND = " !"
MISSING = "\N{EN DASH}"
_WIDTH, _NAME = 100, 14


class Condition(NamedTuple):
    """How far one condition holds for one sample.

    Attributes:
        name: of the condition, in JSON.
        label: what is measured, the same text for all samples of a table.
        value: zero or small where the condition holds; None if that is not known.
        unit: of the value, empty if dimensionless.
        allowed: the largest value with which the condition holds to rounding; None
            where a value is good or bad only beside that of the real sample.
    """

    name: str
    label: str
    value: float | None
    unit: str = ""
    allowed: float | None = None


def off_shell(energy: np.ndarray, momentum: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Distance from the mass shell, ``|E^2 - p^2 - m^2| / E^2``, on the host.

    Args:
        energy: ``[...]`` in GeV.
        momentum: ``[...]``, the length |p| in GeV.
        mass: ``[...]`` in GeV.

    Returns:
        ``[...]`` float64 without unit; infinite where the energy alone is zero.
    """
    e, p, m = (np.asarray(a, np.float64) for a in (energy, momentum, mass))
    gap = np.abs((e - p) * (e + p) - m * m)
    without = np.where(gap > 0, np.inf, gap)
    return np.where(e == 0, without, gap / np.where(e == 0, 1.0, e * e))


def share(bad: np.ndarray) -> float:
    """How many of the entries are bad, in %; 0 of none. On the host."""
    bad = np.asarray(bad, bool)
    return 100.0 * float(bad.mean()) if bad.size else 0.0


def largest(values: np.ndarray) -> float | None:
    """The largest of the values that are known, not NaN; None of none. On the host."""
    known = _known(values)
    return float(known.max()) if known.size else None


def median(values: np.ndarray) -> float | None:
    """The median of the values that are known, not NaN; None of none. On the host."""
    known = _known(values)
    return float(np.median(known)) if known.size else None


def _known(values: np.ndarray) -> np.ndarray:
    """Finite numbers, for JSON."""
    known = np.ravel(np.asarray(values, np.float64))
    return np.minimum(known[~np.isnan(known)], np.finfo(np.float64).max)


def gathered(samples: Mapping[str, Sequence[Condition]]) -> dict[str, Any]:
    """The conditions of all samples as JSON holds them.

    Args:
        samples: name to conditions, ``"real"`` first.

    Returns:
        Name of the condition to ``label``, ``unit``, and ``values`` in the unit and
        ``allowed`` ones by the name of the sample. Conditions that are known of no
        sample are left out.
    """
    found: dict[str, Any] = {}
    for sample, conditions in samples.items():
        for name, label, value, unit, allowed in conditions:
            row = found.setdefault(
                name,
                {"label": label, "unit": unit, "values": {}, "allowed": {}},
            )
            row["values"][sample], row["allowed"][sample] = value, allowed
    known = {
        name: row
        for name, row in found.items()
        if any(value is not None for value in row["values"].values())
    }
    for row in known.values():
        for key in ("values", "allowed"):
            row[key] = {name: row[key].get(name) for name in samples}
    return known


def rows(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of :func:`gathered` conditions."""
    samples = list(next(iter(found.values()))["values"]) if found else []
    cells = [
        [
            row["label"],
            row["unit"] or MISSING,
            _allowed(row["allowed"].values()),
            *(_cell(row["values"][name], row["allowed"][name]) for name in samples),
        ]
        for row in found.values()
    ]
    return ["condition", "unit", "allowed", *samples], cells


def note(found: Mapping[str, Any]) -> str:
    """What the table means, in a paragraph."""
    stated = any(row["label"].startswith("stated") for row in found.values())
    return NOTE + (_STATED if stated else "")


def text(found: Mapping[str, Any]) -> str:
    """The table as plain text; further samples follow in further tables.

    Args:
        found: what :func:`gathered` returns.
    """
    head, body = rows(found)
    table = [[name[:_NAME] if i > 2 else name for i, name in enumerate(head)], *body]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    blocks = [TITLE]
    for columns in _fitting(widths):
        lines = ("  ".join(_aligned(row, widths, columns)).rstrip() for row in table)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _fitting(widths: Sequence[int]) -> Iterator[list[int]]:
    """Columns side by side: label, unit, allowed, real and as many others as fit."""
    fixed, others = list(range(min(4, len(widths)))), list(range(4, len(widths)))
    while True:
        columns = [*fixed, *others[:1]]
        others = others[1:]
        while others and sum(widths[i] + 2 for i in [*columns, others[0]]) <= _WIDTH:
            columns.append(others.pop(0))
        yield columns
        if not others:
            return


def _aligned(row: Sequence[str], widths: Sequence[int], columns: Sequence[int]):
    left = 2  # label and unit are words
    return [
        row[i].ljust(widths[i]) if i < left else row[i].rjust(widths[i])
        for i in columns
    ]


def _allowed(limits: Iterable[float | None]) -> str:
    """What is allowed, of those samples for which something is."""
    known = [limit for limit in limits if limit is not None]
    return f"{max(known):g}" if known else ""


def _cell(value: float | None, allowed: float | None) -> str:
    if value is None:
        return MISSING
    held = allowed is None or value <= allowed
    return f"{value:.3g}" + ("" if held else BEYOND)
