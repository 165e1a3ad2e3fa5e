"""Event tables in any container: one number a column and row.

Besides one data set, array, column or branch a column, these layouts are read:

- in npz, an array ``[J, C]`` and an array with the names of its columns, called names,
  columns or features;
- in HDF5, a data set ``[J, C]`` with the names in an attribute or in a data set beside
  it; an array of records; what pandas writes (``fixed``, and ``table`` with
  ``data_columns=True``).
"""

import contextlib
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import containers
from jetvae_jax.data.containers import hdf5, npz, tables
from jetvae_jax.data.containers.tables import guarded

# Where tables of one array keep the names of their columns.
NAMES = ("names", "columns", "features")
_ROWS = 100_000


class EventTable(NamedTuple):
    """An open file.

    Attributes:
        path: for messages.
        names: of its columns.
        rows: of the table.
        read: ``(names, stop) -> {name: [stop]}``, any kind of number.
        metadata: what the file says of itself, by name.
        nested: further names that may be asked for: in groups, and fields of records.
    """

    path: str
    names: tuple[str, ...]
    rows: int
    read: Callable[[list[str], int], dict[str, np.ndarray]]
    metadata: dict[str, Any]
    nested: tuple[str, ...] = ()


@contextlib.contextmanager
def opened(path: pathlib.Path, key: str = "") -> Iterator[EventTable]:
    """Opens a table of events.

    Args:
        path: its suffix names the container; HDF5 may have any other.
        key: which data set of HDF5, array of npz or tree of ROOT holds the table; empty
            for the only one, or for one data set a column.

    Raises:
        InputError: unreadable, or not one such table.
    """
    with containers.opened(path, key) as table:
        found = None
        if isinstance(table, npz.Archive):
            found = _of_npz(table, key)
        elif isinstance(table, hdf5.HDF5Table):
            found = _of_hdf5(table, key)
        yield found or _of_columns(table)


def _of_columns(columns: tables.Table) -> EventTable:
    """One data set, array or branch a column."""

    def read(names: list[str], stop: int) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        stop = min(stop, columns.num_rows(names))
        for block in columns.blocks(names, _ROWS, stop):
            for name, values in block.items():
                if isinstance(values, tables.Ragged | tables.Nested):
                    raise InputError(
                        f"{columns.path}: {name}: holds lists, expected one number an "
                        "event: leave it out of the columns"
                    )
                if values.ndim != 1:
                    raise InputError(
                        f"{columns.path}: {name}: shape is {values.shape}, expected "
                        "one number an event: leave it out of the columns"
                    )
                parts[name].append(_real(columns.path, name, values))
        none = [np.zeros(0)]
        return {name: np.concatenate(part or none) for name, part in parts.items()}

    # Only the columns that are asked for must have the same length.
    names = tuple(name for name in columns.names if name != "provenance")
    nested = tables.nested(columns)
    rows: dict[str, int] = {}
    for name in (*names, *nested):
        with contextlib.suppress(InputError):
            rows[name] = columns.num_rows([name])
    whole = {re.split("[./]", name)[0] for name in nested}
    if nested and whole.issuperset(names):  # all is in a group, or in records
        names, nested = nested, ()
    most = max(rows.values(), default=0)
    return EventTable(columns.path, names, most, read, columns.metadata, nested)


def _of_npz(archive: npz.Archive, key: str) -> EventTable | None:
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
    chosen = _chosen_key(archive.path, key, wide, "array")
    if chosen is None:
        return None
    member = archive.member(chosen)
    with (
        guarded(archive.path, labels),
        np.load(archive.path, allow_pickle=False) as file,
    ):
        names = tuple(str(name) for name in file[labels])

    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        empty = np.zeros((0, *member.shape[1:]), member.dtype)
        blocks = [empty, *archive.rows(member, _ROWS, stop)]
        values = _real(archive.path, chosen, np.concatenate(blocks))
        return {name: values[:, names.index(name)] for name in wanted}

    return EventTable(archive.path, names, member.shape[0], read, archive.metadata)


def _of_hdf5(found: hdf5.HDF5Table, key: str) -> EventTable | None:
    """A data set or group that is a table; None if there is none.

    Raises:
        InputError: the named one is not there, there are several, it is damaged, or its
            names are pickled.
    """
    file, path = found.file, found.path
    tables_in_it = [name for name in found.names if _is_table(file, path, name)]
    if key in found.names and key not in tables_in_it:
        raise InputError(
            f"{path}: {key}: is not a table: expected a data set [events, columns] "
            "with an attribute 'names', records, or a table of pandas"
        )
    chosen = _chosen_key(path, key, tables_in_it, "table")
    if not chosen:
        return None
    with guarded(path, chosen):
        if isinstance(file[chosen], h5py.Group):
            table = _of_pandas(file, path, chosen)
        else:
            data = hdf5.plain(file, chosen)
            if data.dtype.names:
                table = _of_records(data, path)
            else:
                table = _of_matrix(data, _names(file, data), path)
    return table._replace(metadata=found.metadata)


def _is_table(file: h5py.File, path: str, key: str) -> bool:
    with guarded(path, key):
        if not isinstance(file.get(key, getlink=True), h5py.HardLink):
            return False
        item: Any = file[key]
        if isinstance(item, h5py.Group):
            return "table" in item or "block0_values" in item
        if not isinstance(item, h5py.Dataset):
            return False
        if item.dtype.names:
            return item.ndim == 1
        return item.ndim == 2 and len(_names(file, item)) == item.shape[1]


def _names(file: h5py.File, data: h5py.Dataset) -> tuple[str, ...]:
    for name in NAMES:
        if name in data.attrs:
            return _texts(data.attrs[name])
    for name in NAMES:
        if name in file and h5py.Dataset is file.get(name, getclass=True):
            return tuple(hdf5.names(file, name))
    return ()


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(
        v.decode(errors="replace") if isinstance(v, bytes) else str(v)
        for v in np.atleast_1d(values)
    )


def _of_matrix(data: h5py.Dataset, names: tuple[str, ...], path: str) -> EventTable:
    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        with guarded(path, str(data.name)):
            values = _real(path, str(data.name), data[:stop])
        return {name: values[:, names.index(name)] for name in wanted}

    return EventTable(path, names, data.shape[0], read, {})


def _of_records(data: h5py.Dataset, path: str) -> EventTable:
    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        with guarded(path, str(data.name)):
            values = data[:stop]
        for name in wanted:
            if values[name].ndim != 1:
                raise InputError(
                    f"{path}: {name}: shape is {values[name].shape}, expected one "
                    "number an event: leave it out of the columns"
                )
        return {name: _real(path, name, values[name]) for name in wanted}

    return EventTable(path, tuple(data.dtype.names or ()), data.shape[0], read, {})


def _of_pandas(file: h5py.File, path: str, key: str) -> EventTable:
    group: Any = file[key]
    if "table" in group:
        found = _of_records(hdf5.plain(file, key, "table"), path)
        if any(name.startswith("values_block_") for name in found.names):
            raise InputError(
                f"{path}: {key}: pandas keeps the names of this table pickled, which "
                "is never read: write it with data_columns=True, or as Parquet"
            )
        return found._replace(names=tuple(n for n in found.names if n != "index"))
    blocks: list[EventTable] = []
    while f"block{len(blocks)}_values" in group:
        prefix = f"block{len(blocks)}"
        names = _texts(hdf5.plain(file, key, f"{prefix}_items")[()])
        data = hdf5.plain(file, key, f"{prefix}_values")
        if data.ndim != 2 or data.shape[1] != len(names):
            raise InputError(
                f"{path}: {key}: {prefix}_values: shape is {data.shape}, but there are "
                f"{len(names)} names; fetch or make it again"
            )
        blocks.append(_of_matrix(data, names, path))

    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for block in blocks:
            here = [name for name in wanted if name in block.names]
            found |= block.read(here, stop) if here else {}
        return found

    names = tuple(name for block in blocks for name in block.names)
    return EventTable(path, names, min(block.rows for block in blocks), read, {})


def _real(path: str, name: str, values: np.ndarray) -> np.ndarray:
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


def _chosen_key(path: str, key: str, found: list[str], kind: str) -> str | None:
    """``key``, or the only one of ``found``; None if there is none.

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
