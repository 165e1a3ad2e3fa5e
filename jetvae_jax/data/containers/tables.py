"""Tables in any container: columns by name, blocks of rows, numbers or lists.

The base types of the containers, and what all of them do: one line for whatever a
damaged file makes a parser raise.
"""

import contextlib
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from jetvae_jax.core.errors import InputError

BLOCK_BYTES = 2**24  # read at once
# gzip cannot shrink by more than 1032: beyond that a size is a claim without data.
MAX_RATIO = 1032


class Ragged(NamedTuple):
    """Lists of different lengths, one a row.

    Attributes:
        values: ``[sum of counts]``.
        counts: ``[n]``.
    """

    values: np.ndarray
    counts: np.ndarray

    def padded(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Values ``[n, width]``, zero on padding, and their mask ``[n, width]``."""
        mask = np.arange(width) < self.counts[:, None]
        dense = np.zeros(mask.shape, self.values.dtype)
        dense[mask] = self.values
        return dense, mask


class Nested(NamedTuple):
    """Lists of lists of different lengths: the jets of an event, their particles.

    Attributes:
        inner: the inner lists, those of one row after the other.
        counts: ``[n]`` inner lists of each row.
    """

    inner: Ragged
    counts: np.ndarray


Column = np.ndarray | Ragged | Nested


def column(values: np.ndarray, *counts: np.ndarray) -> Column:
    """Numbers, lists or lists of lists as a parser gives them.

    Args:
        values: all numbers.
        counts: lengths of the lists, the outermost first; none for numbers.

    Raises:
        ValueError: the counts are not those of the values, as in damaged files.
    """
    for lengths, inside in itertools.pairwise((*counts, values)):
        if np.min(lengths, initial=0) < 0 or np.sum(lengths) != len(inside):
            raise ValueError(f"lists of {np.sum(lengths)} in all have {len(inside)}")
    if not counts:
        return values
    lists = Ragged(values, counts[-1])
    return lists if len(counts) == 1 else Nested(lists, counts[0])


def length(found: Column) -> int:
    """Rows of a column."""
    return len(found) if isinstance(found, np.ndarray) else len(found.counts)


class Table(Protocol):
    """An open file of rows.

    Attributes:
        path: for messages.
        names: of its columns.
        metadata: what the file says of itself, by name; empty if it says nothing.

    A table may have two more attributes, see :func:`nested` and :func:`shape`.
    """

    path: str
    names: tuple[str, ...]
    metadata: dict[str, Any]

    def num_rows(self, names: list[str]) -> int:
        """Rows of these columns; InputError where they disagree."""
        ...

    def blocks(
        self, names: list[str], size: int, stop: int
    ) -> Iterator[dict[str, Column]]:
        """Rows ``0:stop`` of these columns, about ``size`` at a time."""
        ...


def nested(table: Table) -> tuple[str, ...]:
    """Further names that may be asked for: data in groups, fields of records.

    ``group/name`` and ``record.field``; the attribute ``nested`` of the table.
    """
    return getattr(table, "nested", ())


def shape(table: Table, name: str) -> tuple[int, ...] | None:
    """Shape of a column that is one array of numbers; None if that is not known.

    From the method ``shape(name)`` of the table.
    """
    find = getattr(table, "shape", None)
    return find(name) if find else None


class Field(NamedTuple):
    """A column to write.

    Attributes:
        name: of the column.
        unit: of its numbers; empty where it is not known.
        dtype: of its numbers in the file.
        lists: whether each row is a list of numbers. Columns of lists have names of one
            prefix, ``part_px`` and ``part_py``, and the same lengths.
    """

    name: str
    unit: str = ""
    dtype: str = "float32"
    lists: bool = False


class Writer(Protocol):
    """An open file to write."""

    def write(self, columns: dict[str, Column]) -> None:
        """Adds rows: all columns, of the same number of rows."""
        ...

    def finish(self, metadata: dict[str, Any]) -> None:
        """Writes what the file says of itself, JSON-able, and completes the file."""
        ...

    def close(self) -> None:
        """Closes an incomplete file; does nothing after ``finish``."""
        ...


class Collected:
    """Base of writers that keep all rows in memory until the end.

    Args:
        path: of the file.
        fields: columns of one number a row.
        name: of the table in the file.
    """

    def __init__(self, path, fields: list[Field], name: str):
        self._path, self._name = path, name
        self._names = [field.name for field in fields]
        self._rows: list[np.ndarray] = [np.zeros((0, len(fields)), np.float32)]
        if any(field.lists for field in fields):
            raise ValueError(f"{path}: holds no lists of numbers")

    def write(self, columns: dict[str, Column]) -> None:
        """Keeps rows."""
        rows = [np.asarray(columns[name], np.float32) for name in self._names]
        self._rows.append(np.stack(rows, axis=1))

    def matrix(self) -> np.ndarray:
        """``[J, C]`` float32, all rows."""
        return np.concatenate(self._rows)

    def close(self) -> None:
        """Nothing is open before the end."""


def metadata(text: str | None) -> dict[str, Any]:
    """The JSON object in a text that a writer of this package left, or nothing."""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Damaged(InputError):
    """Bytes of a file cannot be read; what was read before them is right."""


@contextlib.contextmanager
def guarded(path: str, what: str) -> Iterator[None]:
    """Turns the failures of a parser inside the block into one line.

    Args:
        path: of the file.
        what: is being read, for the message.

    Raises:
        Damaged: anything was raised but an InputError.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # of untrusted input: it can be anything
        reason = printable(" ".join(str(error).split())[:200]) or type(error).__name__
        raise Damaged(
            f"{path}: cannot read {what}: truncated or damaged file ({reason}); fetch "
            "or make it again"
        ) from error


@contextlib.contextmanager
def needing(
    package: str, what: Any, install: str = "'jetvae_jax[formats]'"
) -> Iterator[None]:
    """Says how to install a package when an import inside the block fails.

    Args:
        package: in words.
        what: needs it: a file or a function.
        install: what is given to pip.

    Raises:
        InputError: a package is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{what}: needs {package}, which is not installed: pip install {install}"
        ) from error


def same_rows(path: str, rows: dict[str, int]) -> int:
    """The one number of rows that all columns have.

    Raises:
        InputError: they differ.
    """
    if len(set(rows.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in rows.items())
        raise InputError(f"{path}: columns of different lengths: {listed}")
    return next(iter(rows.values()), 0)


def listing(names: Iterable[str]) -> str:
    """The first ten names of a file, printable whatever they hold."""
    shown = sorted(ascii(name)[:80].strip("'") for name in names)
    return ", ".join(shown[:10]) or "none"


def printable(text: str) -> str:
    """A text from a file as one line that a terminal can show."""
    return "".join(c if c.isprintable() else " " for c in text)[:1000]
