"""Tables as text, such as CSV: a line of names, then a line a row."""

import contextlib
import csv
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.tables import Column

SUFFIXES, JETS = (".csv", ".tsv", ".txt", ".dat"), False
_SEPARATORS = (",", ";", "\t")
_MISSING = ("", "na", "n/a", "null", "none")


@contextlib.contextmanager
def opened(path: str | os.PathLike, tree: str = "") -> Iterator["TextTable"]:
    """Reads a file of text.

    Columns are separated by commas, semicolons, tabs or blanks, whatever the first line
    has; that line holds the names and may begin with ``#``. Cells without a value are
    NaN. A column that holds texts is read only if it is asked for, and refused.

    Args:
        path: of the file.
        tree: not used: the file is one table.

    Raises:
        InputError: unreadable, no names, or a line of another length.
    """
    del tree
    path = os.fspath(path)
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
    yield TextTable(path, dict(zip(names, values, strict=True)))


class TextTable:
    """The columns of a text in memory; see ``tables.Table``.

    Args:
        path: of the file.
        columns: name to ``[J]`` float64, or to what is wrong with the column.
    """

    def __init__(self, path: str, columns: dict[str, np.ndarray | str]):
        self.path, self._columns = path, columns
        self.names = tuple(columns)
        self.metadata: dict[str, Any] = {}

    def num_rows(self, names: list[str]) -> int:
        """Rows of the text."""
        return len(self._read(names[0])) if names else 0

    def blocks(
        self, names: list[str], size: int, stop: int
    ) -> Iterator[dict[str, Column]]:
        """Rows ``0:stop`` of these columns, ``size`` at a time."""
        columns = {name: self._read(name) for name in names}
        for start in range(0, stop, size):
            rows = slice(start, min(start + size, stop))
            yield {name: values[rows] for name, values in columns.items()}

    def _read(self, name: str) -> np.ndarray:
        column = self._columns[name]
        if isinstance(column, str):
            raise InputError(f"{self.path}: {column}")
        return column


class TextWriter(tables.Collected):
    """Writes numbers with nine digits, which are all of float32.

    Separated by commas, or by tabs in a ``.tsv`` file. Metadata have no place in it.
    """

    def finish(self, metadata: dict[str, Any]) -> None:
        """Writes the file."""
        del metadata
        separator = "\t" if ".tsv" in pathlib.Path(self._path).suffixes else ","
        header = separator.join(self._names)
        np.savetxt(
            self._path,
            self.matrix(),
            delimiter=separator,
            header=header,
            comments="",
            fmt="%.9g",
        )


create = TextWriter


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
                    f"{name}: line {number}: {cell[:40]!r} is not a number: leave the "
                    "column out"
                )
        rows.append([math.nan if value is None else value for value in row])
    columns = np.array(rows, np.float64).reshape(-1, len(names)).T
    return [wrong.get(n, column) for n, column in zip(names, columns, strict=True)]


def _number(cell: str) -> float | None:
    if cell.lower() in _MISSING:
        return math.nan
    return float(cell) if _is_number(cell) else None
