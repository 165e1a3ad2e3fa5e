"""Tables of one number a column and row, in any container."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import hdf5, npz, reading, tables

TEXT = (".csv", ".tsv", ".txt", ".dat")
SUFFIXES = (*tables.SUFFIXES, *TEXT)
# Where tables of one array keep the names of their columns.
NAMES = ("names", "columns", "features")
_ROWS = 100_000
_NONE = np.zeros(0)


class Table(NamedTuple):
    """An open file.

    Attributes:
        path: for messages.
        names: of its columns.
        rows: of the table.
        read: ``(names, stop) -> {name: [stop]}``, any kind of number.
        provenance: JSON text that a writer of this package left, or None.
    """

    path: str
    names: tuple[str, ...]
    rows: int
    read: Callable[[list[str], int], dict[str, np.ndarray]]
    provenance: str | None = None


@contextlib.contextmanager
def opened(path: pathlib.Path, key: str = "") -> Iterator[Table]:
    """Opens a table of events.

    Args:
        path: its suffix tells the container; HDF5 may have any.
        key: which data set of HDF5, array of npz or tree of ROOT holds the table; empty
            for the only one, or for one data set a column.

    Raises:
        InputError: unreadable, or not one such table.
    """
    suffix = path.suffix.lower()
    if suffix in TEXT:
        from jetvae_jax.events import containers_text

        yield containers_text.table(str(path))
    elif suffix in npz.SUFFIXES:
        with npz.opened(path) as archive:
            found = _matrix_of_npz(archive, key)
            if found is not None:
                yield found
                return
        with tables.opened(path) as columns:
            yield _plain(columns)
    elif suffix in (*tables.PARQUET, *tables.ROOT):
        with tables.opened(path, key) as columns:
            yield _plain(columns)
    else:
        from jetvae_jax.events import containers_hdf5

        with hdf5.open_file(path) as file:
            found = containers_hdf5.find(file, str(path), key)
        if found:
            with hdf5.open_file(path) as file:
                yield containers_hdf5.table(file, str(path), found)
            return
        with tables.opened(path) as columns:
            yield _plain(columns)


def real(path: str, name: str, values: np.ndarray) -> np.ndarray:
    """The values, if they are real numbers.

    Raises:
        InputError: they are not.
    """
    if values.dtype.kind not in "fiub":
        raise InputError(
            f"{path}: {name}: dtype is {values.dtype}, expected numbers: leave it out "
            "of the columns"
        )
    return values


def chosen_key(path: str, key: str, found: list[str], kind: str) -> str | None:
    """The one of ``found`` that is meant, None if there is none.

    Raises:
        InputError: it is not there, or there are several.
    """
    if key and key not in found:
        listed = ", ".join(found[:10]) or "none"
        raise InputError(f"{path}: {key}: no such {kind}; the file has: {listed}")
    if len(found) > 1 and not key:
        raise InputError(
            f"{path}: holds several tables: name one as key: {', '.join(found[:10])}"
        )
    return key or (found[0] if found else None)


def _plain(columns: tables.Table) -> Table:
    """One data set, array or branch a column."""

    def read(names: list[str], stop: int) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for block in columns.blocks(names, _ROWS, stop):
            for name, values in block.items():
                if isinstance(values, tables.Ragged):
                    raise InputError(
                        f"{columns.path}: {name}: holds lists, expected one number an "
                        "event: leave it out of the columns"
                    )
                if values.ndim != 1:
                    raise InputError(
                        f"{columns.path}: {name}: shape is {values.shape}, expected "
                        "one number an event: leave it out of the columns"
                    )
                parts[name].append(real(columns.path, name, values))
        return {name: np.concatenate(p) if p else _NONE for name, p in parts.items()}

    # Named columns alone must agree in length; the others may be anything.
    names = tuple(name for name in columns.names if name != "provenance")
    rows = 0
    for name in names:
        with contextlib.suppress(InputError):
            rows = max(rows, columns.num_rows([name]))
    table = Table(columns.path, names, rows, read, columns.provenance)

    def checked(names: list[str], stop: int) -> dict[str, np.ndarray]:
        return read(names, min(stop, columns.num_rows(names)))

    return table._replace(read=checked)


def _matrix_of_npz(archive: npz.Archive, key: str) -> Table | None:
    """An array [J, C] and the names of its columns, or None."""
    labels = next((name for name in NAMES if name in archive.names), None)
    if labels is None:
        return None
    shape = archive.member(labels).shape
    wide = [
        name
        for name in archive.names
        if name != labels and archive.member(name).shape[1:] == shape
    ]
    chosen = chosen_key(archive.path, key, wide, "array")
    if chosen is None:
        return None
    member = archive.member(chosen)
    with (
        reading.guarded(archive.path, labels),
        np.load(archive.path, allow_pickle=False) as file,
    ):
        names = tuple(str(name) for name in file[labels])

    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        empty = np.zeros((0, *member.shape[1:]), member.dtype)
        blocks = [empty, *archive.blocks(member, _ROWS, stop)]
        values = real(archive.path, chosen, np.concatenate(blocks))
        return {name: values[:, names.index(name)] for name in wanted}

    provenance = archive.text("provenance")
    return Table(archive.path, names, member.shape[0], read, provenance)
