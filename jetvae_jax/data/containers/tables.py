"""Tables of jets in any container: columns by name, blocks of rows, ragged or padded.

What the mapping of columns reads from: HDF5 data sets, npz arrays, Parquet columns,
ROOT branches.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import hdf5, npz

PARQUET, ROOT = (".parquet", ".pq"), (".root",)
SUFFIXES = (*hdf5.SUFFIXES, *npz.SUFFIXES, *PARQUET, *ROOT)


class Ragged(NamedTuple):
    """Lists of different lengths, one a row.

    Attributes:
        values: ``[sum of counts]``.
        counts: ``[n]``.
    """

    values: np.ndarray
    counts: np.ndarray

    def padded(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Values ``[n, width]``, zero on padding, and the mask of what exists."""
        mask = np.arange(width) < self.counts[:, None]
        dense = np.zeros(mask.shape, self.values.dtype)
        dense[mask] = self.values
        return dense, mask


Column = np.ndarray | Ragged


def ragged(values: np.ndarray, counts: np.ndarray) -> Ragged:
    """Lists as a parser gives them.

    Raises:
        ValueError: the counts are not those of the values, as in damaged files.
    """
    if np.min(counts, initial=0) < 0 or np.sum(counts) != len(values):
        raise ValueError(f"lists of {np.sum(counts)} numbers in all have {len(values)}")
    return Ragged(values, counts)


class Table(Protocol):
    """An open file of rows.

    Attributes:
        path: for messages.
        names: of its columns.
        provenance: JSON text that a writer of this package left, or None.
    """

    path: str
    names: tuple[str, ...]
    provenance: str | None

    def num_rows(self, names: list[str]) -> int:
        """Rows of these columns; InputError where they disagree."""
        ...

    def blocks(
        self, names: list[str], size: int, stop: int
    ) -> Iterator[dict[str, Column]]:
        """Rows ``0:stop`` of these columns, about ``size`` at a time."""
        ...


@contextlib.contextmanager
def opened(path: str | os.PathLike, tree: str = "") -> Iterator[Table]:
    """Opens any supported file as a table.

    Args:
        path: its suffix tells the container; HDF5 may have any.
        tree: name of the tree in a ROOT file of several.

    Raises:
        InputError: unreadable, or its reader is not installed.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    if suffix in npz.SUFFIXES:
        with npz.opened(path) as archive:
            yield _NpzTable(archive)
    elif suffix in PARQUET:
        from jetvae_jax.data.containers import parquet

        with parquet.opened(path) as table:
            yield table
    elif suffix in ROOT:
        from jetvae_jax.data.containers import root

        with root.opened(path, tree) as table:
            yield table
    else:
        with hdf5.open_file(path) as file:
            yield _HDF5Table(str(path), file)


@contextlib.contextmanager
def needing(package: str, path: str) -> Iterator[None]:
    """Names the extra to install when a reader is not there."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{path}: needs {package}, which is not installed: "
            "pip install 'jetvae_jax[formats]'"
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


class _NpzTable:
    def __init__(self, archive: npz.Archive):
        self.path, self.names = archive.path, archive.names
        self.provenance = archive.text("provenance")
        self._archive = archive

    def num_rows(self, names: list[str]) -> int:
        members = [self._archive.member(name) for name in names]
        rows = {m.name: m.shape[0] if m.shape else 0 for m in members}
        return same_rows(self.path, rows)

    def blocks(
        self, names: list[str], size: int, stop: int
    ) -> Iterator[dict[str, Column]]:
        members = [self._archive.member(name) for name in names]
        for member in members:
            if member.dtype.kind not in "fiub":
                raise InputError(
                    f"{self.path}: {member.name}: dtype is {member.dtype}, expected "
                    "numbers"
                )
        streams = [self._archive.blocks(m, size, stop) for m in members]
        for block in zip(*streams, strict=True):
            yield dict(zip(names, block, strict=True))


class _HDF5Table:
    def __init__(self, path: str, file):
        self.provenance: str | None = None
        self.path, self._file = path, file
        self.names = tuple(hdf5.keys(file))

    def _data(self, name: str):
        # Any rank from 1 to 3; what its shape must be is for the mapping to say.
        for rank in (1, 2, 3):
            with contextlib.suppress(InputError):
                return hdf5.dataset(self._file, name, (None,) * rank)
        return hdf5.dataset(self._file, name, (None, None))

    def num_rows(self, names: list[str]) -> int:
        return same_rows(self.path, {n: self._data(n).shape[0] for n in names})

    def blocks(
        self, names: list[str], size: int, stop: int
    ) -> Iterator[dict[str, Column]]:
        data = {name: self._data(name) for name in names}
        for start in range(0, stop, size):
            last = min(start + size, stop)
            yield {name: self._rows(d, start, last) for name, d in data.items()}

    def _rows(self, data, start, stop):
        if data.ndim > 1:
            return hdf5.read(data, start, stop, slice(None))
        with hdf5.guarded(self.path, f"{data.name}, rows {start} to {stop - 1}"):
            return np.asarray(data[start:stop])
