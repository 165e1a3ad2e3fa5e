"""HDF5 files of jets; the same content gives the same bytes."""

import contextlib
import io
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import make_folder, write_atomically
from jetvae_jax.core.shards import check_same
from jetvae_jax.data import containers
from jetvae_jax.data.containers import hdf5

CHUNK = 1000

Columns = Mapping[str, tuple[str, ...]]
Rows = Mapping[str, np.ndarray]


def write(
    target: str | os.PathLike[str] | io.BytesIO,
    columns: Columns,
    blocks: Iterable[Rows],
    attrs: Mapping[str, Any],
) -> int:
    """Writes data sets row by row.

    Args:
        target: file or buffer.
        columns: data sets and the names of their last axis, kept as attribute
            ``names``.
        blocks: the same data sets with any number of rows, float32 in the file.
        attrs: attributes of the file; numbers, texts and arrays are stored as such,
            others as JSON text.

    Returns:
        Number of rows.
    """
    total = 0
    with hdf5.writing(target) as file:
        for rows in _even(blocks):
            for name, names in columns.items():
                values = rows[name].astype("<f4")
                if name not in file:
                    data = _create(file, name, values.shape[1:])
                    data.attrs["names"] = np.array(names, "S")
                data = file[name]
                assert isinstance(data, h5py.Dataset)
                data.resize(total + len(values), axis=0)
                data[total:] = values
                data.flush()  # else the layout depends on when handles are closed
            total += len(next(iter(rows.values())))
        hdf5.write_attributes(file, attrs)
    return total


def write_whole(path: pathlib.Path, columns, blocks, attrs, texts=()) -> None:
    """As :func:`write`, but atomically: the file is complete or not there.

    Args:
        path: of the file; its folder is created.
        columns: see :func:`write`.
        blocks: see :func:`write`.
        attrs: see :func:`write`.
        texts: ``(name, list of texts)``, data sets of column names.

    Raises:
        InputError: the disk or the permissions do not allow it.
    """
    with _placed(path) as part:
        write(part, columns, blocks, attrs)
        if texts:
            with hdf5.writing(part, "r+") as file:
                for name, values in texts:
                    file.create_dataset(
                        name, data=np.array(values, "S"), track_times=False
                    )


def check_own(path: pathlib.Path) -> None:
    """Check that a file is not there, or was made by Pythia here.

    Raises:
        InputError: it has another origin, such as a download.
    """
    containers.check_replaceable(path, str(path), "made by jetvae_jax")


def save(path: pathlib.Path, content: bytes) -> None:
    """Writes bytes atomically.

    Raises:
        InputError: the disk or the permissions do not allow it.
    """
    with _placed(path) as part:
        part.write_bytes(content)


def read(path: pathlib.Path, names: Iterable[str], max_rows: int) -> Iterator[Rows]:
    """Blocks of ``CHUNK`` rows, the first ``max_rows`` of the file.

    Raises:
        InputError: it is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            for start in range(0, max_rows, CHUNK):
                stop = min(start + CHUNK, max_rows)
                yield {name: _data(file, name)[start:stop] for name in names}
    except (OSError, KeyError, RuntimeError) as error:
        raise _damaged(path, error) from error


def metadata(path: pathlib.Path, name: str) -> tuple[dict[str, Any], int]:
    """Attributes of a file and the rows of its data set ``name``.

    Raises:
        InputError: it is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            return dict(file.attrs), len(_data(file, name))
    except (OSError, KeyError, RuntimeError) as error:
        raise _damaged(path, error) from error


def rows_made(path: pathlib.Path, name: str, wanted: str) -> int:
    """Rows of a shard that is there already, 0 if there is none.

    Args:
        path: of its file.
        name: of a data set.
        wanted: what determines its content, a JSON object, which its attribute
            ``shard`` is to hold.

    Raises:
        InputError: it is damaged, or was made by other settings or versions.
    """
    if not path.exists():
        return 0
    attrs, rows = metadata(path, name)
    found = json.loads(str(attrs.get("shard", "{}")))
    check_same(
        path, found, json.loads(wanted),
        "give another --workdir, or remove the shards to make them again",
    )  # fmt: skip
    return rows


@contextlib.contextmanager
def _placed(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """As ``write_atomically``, in a folder that is created."""
    make_folder(path.parent)
    with write_atomically(path) as part:
        yield part


def _damaged(path, error) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(f"{path}: damaged ({reason}); remove it and run again")


def _data(file: h5py.File, name: str) -> h5py.Dataset:
    data = file[name]
    if not isinstance(data, h5py.Dataset):
        raise KeyError(f"{name} is not a data set")
    return data


def _create(file: h5py.File, name: str, inner: tuple[int, ...]) -> h5py.Dataset:
    return file.create_dataset(
        name,
        shape=(0, *inner),
        maxshape=(None, *inner),
        chunks=(CHUNK, *inner),
        dtype="<f4",
        compression="gzip",
        shuffle=True,
        track_times=False,
    )


def _even(blocks: Iterable[Rows]) -> Iterator[Rows]:
    """The same rows in blocks of ``CHUNK``, so that no chunk is written twice."""
    waiting: dict[str, np.ndarray] = {}
    for block in itertools.chain(blocks, [None]):
        last = block is None
        for name, values in (block or {}).items():
            old = [waiting[name]] if name in waiting else []
            waiting[name] = np.concatenate([*old, values])
        num = len(next(iter(waiting.values()))) if waiting else 0
        stop = num if last else num // CHUNK * CHUNK
        for start in range(0, stop, CHUNK):
            end = min(start + CHUNK, stop)
            yield {name: values[start:end] for name, values in waiting.items()}
        waiting = {name: values[stop:] for name, values in waiting.items()}
