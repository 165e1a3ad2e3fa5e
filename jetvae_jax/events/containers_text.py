"""Tables as text: a line of names, then a line an event."""

import csv
import math

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.events.containers import Table

_SEPARATORS = (",", ";", "\t")
_MISSING = ("", "na", "n/a", "null", "none")


def table(path: str) -> Table:
    """Reads a file of text.

    Columns are separated by commas, semicolons, tabs or blanks, whatever the first line
    has; that line holds the names and may begin with ``#``. Cells without a value are
    NaN. A column that holds texts is read only if it is asked for, and refused.

    Raises:
        InputError: unreadable, no names, or a line of another length.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            separator = next((s for s in _SEPARATORS if s in first), None)
            names = _cells(first.lstrip("# "), separator)
            if not names or all(_is_number(name) for name in names):
                raise InputError(
                    f"{path}: the first line is {first.strip()[:80]!r}: it must name "
                    "the columns"
                )
            if len(set(names)) < len(names):
                raise InputError(f"{path}: the first line names a column twice")
            values = _fast(file, separator, len(names))
            if values is None:
                file.seek(0)
                file.readline()
                values = _careful(path, file, separator, names)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from None
    return _table(path, names, values)


def _table(path, names, values) -> Table:
    columns = dict(zip(names, values, strict=True))

    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        for name in wanted:
            if isinstance(columns[name], str):
                raise InputError(f"{path}: {columns[name]}")
        return {name: columns[name][:stop] for name in wanted}

    rows = next((len(v) for v in values if not isinstance(v, str)), 0)
    return Table(path, tuple(names), rows, read)


def _cells(line: str, separator: str | None) -> list[str]:
    cells = (
        line.split()
        if separator is None
        else next(csv.reader([line], delimiter=separator), [])
    )
    return [cell.strip() for cell in cells]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _fast(file, separator: str | None, width: int) -> np.ndarray | None:
    """Columns ``[C, J]`` of a file of numbers alone; None for any other."""
    lines = file.read()
    if not lines.strip():
        return np.zeros((width, 0))
    try:
        values = np.loadtxt(lines.splitlines(), delimiter=separator, ndmin=2)
    except ValueError:
        return None
    return values.T if values.shape[1] == width else None


def _careful(path, file, separator, names) -> list[np.ndarray | str]:
    """Columns, or what is wrong with them; finds the line that is at fault."""
    rows, wrong = [], {}
    for number, line in enumerate(file, start=2):
        if not line.strip() or line.startswith("#"):
            continue
        cells = _cells(line, separator)
        if len(cells) != len(names):
            raise InputError(
                f"{path}: line {number}: {len(cells)} cells, but the first line names "
                f"{len(names)} columns"
            )
        row = [_number(cell) for cell in cells]
        for name, cell, value in zip(names, cells, row, strict=True):
            if value is None and name not in wrong:
                wrong[name] = (
                    f"{name}: line {number}: {cell[:40]!r} is no number: leave the "
                    "column out"
                )
        rows.append([math.nan if value is None else value for value in row])
    columns = np.array(rows, np.float64).reshape(-1, len(names)).T
    return [wrong.get(n, column) for n, column in zip(names, columns, strict=True)]


def _number(cell: str) -> float | None:
    if cell.lower() in _MISSING:
        return math.nan
    return float(cell) if _is_number(cell) else None
