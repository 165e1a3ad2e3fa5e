"""Tables in HDF5 that are not one data set a column.

A data set ``[J, C]`` with the names of its columns in an attribute, or in a data set
beside it, called names, columns or features; an array of records; what pandas writes
(``fixed``, and ``table`` with ``data_columns=True``).
"""

from typing import Any

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import hdf5
from jetvae_jax.data.containers.reading import guarded
from jetvae_jax.events.containers import NAMES, Table, chosen_key, real


def find(file: h5py.File, path: str, key: str) -> str:
    """Name of the data set or group that is the table; empty if there is none.

    Raises:
        InputError: the named one is not there, or there are several.
    """
    everything = hdf5.keys(file)
    found = [name for name in everything if _is_table(file, path, name)]
    if key in everything and key not in found:
        raise InputError(
            f"{path}: {key}: is no table: expected a data set [events, columns] with "
            "an attribute 'names', records, or a table of pandas"
        )
    return chosen_key(path, key, found, "table") or ""


def table(file: h5py.File, path: str, key: str) -> Table:
    """The table of that name.

    Raises:
        InputError: damaged, or its names are pickled.
    """
    with guarded(path, key):
        if isinstance(file[key], h5py.Group):
            found = _pandas(file, path, key)
        else:
            data = hdf5.plain(file, key)
            if data.dtype.names:
                found = _records(data, path)
            else:
                found = _matrix(data, _names(file, data), path)
        facts = file.attrs.get("provenance")
    return found._replace(provenance=facts if isinstance(facts, str) else None)


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


def _matrix(data: h5py.Dataset, names: tuple[str, ...], path: str) -> Table:
    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        with guarded(path, str(data.name)):
            values = real(path, str(data.name), data[:stop])
        return {name: values[:, names.index(name)] for name in wanted}

    return Table(path, names, data.shape[0], read)


def _records(data: h5py.Dataset, path: str) -> Table:
    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        with guarded(path, str(data.name)):
            values = data[:stop]
        for name in wanted:
            if values[name].ndim != 1:
                raise InputError(
                    f"{path}: {name}: shape is {values[name].shape}, expected one "
                    "number an event: leave it out of the columns"
                )
        return {name: real(path, name, values[name]) for name in wanted}

    return Table(path, tuple(data.dtype.names or ()), data.shape[0], read)


def _pandas(file: h5py.File, path: str, key: str) -> Table:
    group: Any = file[key]
    if "table" in group:
        found = _records(hdf5.plain(file, key, "table"), path)
        if any(name.startswith("values_block_") for name in found.names):
            raise InputError(
                f"{path}: {key}: pandas keeps the names of this table pickled, which "
                "is never read: write it with data_columns=True, or as Parquet"
            )
        return found._replace(names=tuple(n for n in found.names if n != "index"))
    blocks: list[Table] = []
    while f"block{len(blocks)}_values" in group:
        prefix = f"block{len(blocks)}"
        names = _texts(hdf5.plain(file, key, f"{prefix}_items")[()])
        data = hdf5.plain(file, key, f"{prefix}_values")
        if data.ndim != 2 or data.shape[1] != len(names):
            raise InputError(
                f"{path}: {key}: {prefix}_values: shape is {data.shape}, but there are "
                f"{len(names)} names; fetch or make it again"
            )
        blocks.append(_matrix(data, names, path))

    def read(wanted: list[str], stop: int) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for block in blocks:
            here = [name for name in wanted if name in block.names]
            found |= block.read(here, stop) if here else {}
        return found

    names = tuple(name for block in blocks for name in block.names)
    return Table(path, names, min(block.rows for block in blocks), read)
