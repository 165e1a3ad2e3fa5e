"""HDF5 files, of untrusted input: every failure to read one is one InputError.

A data set is only touched after its link, type, filters and claimed size are checked:
no links to elsewhere, no virtual data, no filters whose decoders are rarely tested,
nothing that would fill the memory before a byte is read.
"""

import contextlib
import functools
import importlib
import io
import itertools
import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, Literal

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import hdf5_lists, tables
from jetvae_jax.data.containers.tables import Column, guarded, listing

SUFFIXES = (".hdf5", ".h5", ".hdf")
JETS = True
METADATA = True
# Bytes of one row: 10,000 particles of 100 numbers are half of it.
MAX_ROW = 2**24
# Read at once: HDF5 takes 6 kB for each, however small it is.
MAX_CHUNKS = 10_000
MAX_NAMES, MAX_TEXT = 100_000, 2**20
# gzip, shuffle, fletcher32, lzf.
FILTERS = (1, 2, 3, 32000)
_NUMBERS = "fiub"
_DEPTH = 4  # of groups in groups
PER_EVENT = "jets_per_event"
"""Attribute of a file of which so many jets in a row are of one event."""
# What HDF5 says of a file that is being written.
_LOCKED = ("unable to lock file", "already open for write")


@contextlib.contextmanager
def opened(path: str | os.PathLike, tree: str = "") -> Iterator["HDF5Table"]:
    """Opens a file for reading.

    Args:
        path: of the file.
        tree: not used: the data sets of a table are named one by one.

    Raises:
        InputError: not readable, not HDF5, or truncated.
    """
    del tree
    with open_file(pathlib.Path(path)) as file:
        yield HDF5Table(str(path), file)


class HDF5Table:
    """The data sets at the top of a file as columns; see ``tables.Table``.

    Lists of different lengths (``vlen``) are columns of lists. Data sets in groups are
    ``group/name``, fields of records ``name.field``.

    Attributes:
        file: the open file.
    """

    def __init__(self, path: str, file: h5py.File):
        self.path, self.file = path, file
        self.names = tuple(keys(file))
        self.metadata: dict[str, Any] = tables.metadata(text(file, "provenance"))
        with guarded(path, "its attributes"):
            if "empty_jets" in file.attrs:  # written by JetNetWriter
                self.metadata["empty_jets"] = True
            if PER_EVENT in file.attrs:  # written by making.layouts
                stored = file.attrs.get_id(PER_EVENT)
                if not stored.shape and stored.dtype.kind in "iu":
                    self.metadata[PER_EVENT] = int(np.asarray(file.attrs[PER_EVENT]))
        for name in ("generator", "axis", "jet_types"):
            if found := text(file, name):
                self.metadata[name] = found

    @functools.cached_property
    def nested(self) -> tuple[str, ...]:
        """Names of data sets in groups, and of the fields of records."""
        with guarded(self.path, "the list of keys"):
            return tuple(itertools.islice(_inside(self.file), MAX_NAMES))

    def num_rows(self, names: list[str]) -> int:
        """Rows of these data sets."""
        rows = {n: self._data(n)[0].shape[0] for n in names}
        return tables.same_rows(self.path, rows)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of an array of numbers."""
        with contextlib.suppress(InputError):
            data, field = self._data(name)
            if not field and data.dtype.kind in _NUMBERS:
                return tuple(data.shape)
        return None

    def blocks(
        self, names: list[str], size: int, stop: int
    ) -> Iterator[dict[str, Column]]:
        """Rows ``0:stop`` of these data sets, ``size`` at a time."""
        data = {name: self._data(name) for name in names}
        for start in range(0, stop, size):
            last = min(start + size, stop)
            yield {name: self._rows(*d, start, last) for name, d in data.items()}

    def _data(self, name: str) -> tuple[h5py.Dataset, str]:
        """A checked data set, and which field of its records is meant."""
        field = ""
        if name not in self.names and name in self.nested:
            name, _, field = name.partition(".")
        data = plain(self.file, *name.split("/"))
        checked: list[int] = []
        with guarded(self.path, name):
            kind, rank = data.dtype, len(data.shape or ())
            if lists := h5py.check_vlen_dtype(kind):
                kind = lists
                checked.append(lists.itemsize)
            if field:
                kind = kind[field]
        if not (kind.base.kind in _NUMBERS and 1 <= rank <= (1 if lists else 4)):
            # Who asked for the column checks its shape.
            return dataset(self.file, name, (None,) * min(max(rank, 1), 3)), ""
        if not all(data.shape):
            raise InputError(
                f"{self.path}: {name}: shape is {data.shape}: there are no jets in it"
            )
        for size in checked:
            hdf5_lists.check(self.path, data, size)
        return data, field

    def _rows(self, data: h5py.Dataset, field: str, start: int, stop: int) -> Column:
        if data.ndim > 1 and not field:
            return read(data, start, stop, slice(None))
        with guarded(self.path, f"{data.name}, rows {start} to {stop - 1}"):
            rows = np.asarray(data[start:stop])
            if not h5py.check_vlen_dtype(data.dtype):
                return rows[field] if field else rows
            counts = np.array([len(row) for row in rows], np.int64)
            values = np.concatenate(rows)
            return tables.column(values[field] if field else values, counts)


class Disk(io.RawIOBase):
    """A file on which HDF5 writes, and which never fails it.

    The HDF5 library ends the process if it cannot write what it holds when a file is
    closed. From the first failure on, what it writes stays in memory here, a few MB
    until whoever writes has called :meth:`check`.

    Args:
        path: of a file that exists.
    """

    def __init__(self, path: str | os.PathLike):
        self._file = open(path, "rb+", buffering=0)  # noqa: SIM115 - closed by close()
        self._place = 0
        self._size = os.path.getsize(path)
        self._kept: list[tuple[int, bytes]] = []
        self._error: BaseException | None = None

    def check(self) -> None:
        """Raises the first failure, if there was one."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Closes the file."""
        if not self.closed:
            self._file.close()
        super().close()

    def seekable(self) -> bool:
        """Whether any place can be read and written: it can."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}
        self._place = start[whence] + offset
        return self._place

    def tell(self) -> int:
        """As of any file."""
        return self._place

    def write(self, data: Any) -> int:
        """Writes all of it, or keeps it."""
        place, rest = self._place, memoryview(data).cast("B")
        self._place += len(rest)
        self._size = max(self._size, self._place)
        try:
            self.check()
            self._file.seek(place)
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException as error:  # an interruption among them
            self._error = error
            self._kept.append((place, bytes(data)))
        return self._place - place

    def readinto(self, buffer: Any) -> int:
        """As of any file, what was kept included."""
        view, start = memoryview(buffer).cast("B"), self._place
        view[:] = bytes(len(view))
        self._file.seek(start)
        self._file.readinto(view)
        for place, data in self._kept:
            first, last = max(place, start), min(place + len(data), start + len(view))
            if first < last:
                view[first - start : last - start] = data[first - place : last - place]
        self._place += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """As of any file."""
        self._size = self._place if size is None else size
        try:
            self.check()
            self._file.truncate(self._size)
        except BaseException as error:
            self._error = error
        return self._size


@contextlib.contextmanager
def writing(
    target: str | os.PathLike[str] | io.BytesIO, mode: Literal["w", "r+"] = "w"
) -> Iterator[h5py.File]:
    """An HDF5 file to write, in the oldest format, which stores no times anywhere.

    Args:
        target: a file that exists, or a buffer.
        mode: as of ``h5py.File``.

    Raises:
        OSError: the disk does not allow it.
    """
    if isinstance(target, io.BytesIO):
        with h5py.File(target, mode, libver="earliest") as file:
            yield file
        return
    with contextlib.closing(Disk(target)) as disk:
        with h5py.File(disk, mode, libver="earliest") as file:
            yield file
        disk.check()


def write_attributes(file: h5py.File, attrs: Mapping[str, Any]) -> None:
    """Adds attributes: numbers, texts and arrays as they are, others as JSON text."""
    for name, value in sorted(attrs.items()):
        plain = isinstance(value, str | int | float | np.generic | np.ndarray)
        file.attrs[name] = value if plain else json.dumps(value, sort_keys=True)


class RowWriter:
    """A file of data sets to which rows are added, as many to each.

    Whole chunks are written, so that the bytes depend on the rows alone and not on how
    they were cut into appends.

    Args:
        path: of a file that exists.
        chunk: rows of a chunk.
    """

    def __init__(self, path: str | os.PathLike, chunk: int):
        self._chunk = chunk
        self._waiting: dict[str, list[np.ndarray]] = {}
        self._num_waiting = 0
        self._disk = Disk(path)
        # The oldest format stores no times anywhere.
        self._file = h5py.File(self._disk, "w", libver="earliest")

    def create(self, name: str, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
        """A data set without rows, of the shape of one row."""
        return self._file.create_dataset(
            name,
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=(self._chunk, *shape),
            dtype=dtype,
            compression="gzip",
            shuffle=True,
            track_times=False,
        )

    def append(self, rows: Mapping[str, np.ndarray]) -> None:
        """Adds rows; a data set that was not created is made for the first ones.

        Raises:
            ValueError: other data sets than before.
            OSError: the disk does not allow it.
        """
        if self._waiting and set(self._waiting) != set(rows):
            raise ValueError(f"{set(rows)} given, {set(self._waiting)} before")
        for name, values in rows.items():
            self._waiting.setdefault(name, []).append(values)
        self._num_waiting += len(next(iter(rows.values())))
        while self._num_waiting >= self._chunk:
            self._write(self._chunk)
            self._disk.check()

    def _write(self, number: int) -> None:
        """Moves the first waiting rows to the file."""
        for name, parts in self._waiting.items():
            values = parts[0] if len(parts) == 1 else np.concatenate(parts)
            self._waiting[name] = [values[number:]]
            if name not in self._file:
                self.create(name, values.shape[1:], values.dtype.newbyteorder("<"))
            data = self._file[name]
            assert isinstance(data, h5py.Dataset)
            start = data.shape[0]
            data.resize(start + number, axis=0)
            data[start:] = values[:number]
            data.flush()  # else the layout depends on when handles are closed
        self._num_waiting -= number

    def finish(self, *attributes: Mapping[str, Any]) -> None:
        """Writes the rows that wait and attributes, and closes the file.

        Raises:
            OSError: the disk does not allow it.
        """
        if self._num_waiting or self._waiting.keys() - self._file.keys():
            self._write(self._num_waiting)
        for attrs in attributes:
            write_attributes(self._file, attrs)
        self.close()
        self._disk.check()

    def close(self) -> None:
        """Closes the file, whether it is complete or not."""
        self._file.close()
        self._disk.close()


class MatrixWriter(tables.Collected):
    """Writes one data set ``[J, C]`` with the attribute ``names``."""

    def finish(self, metadata: dict[str, Any]) -> None:
        """Writes the file."""
        values = self.matrix()
        with writing(self._path) as file:
            data = file.create_dataset(
                self._name,
                data=values,
                chunks=(min(len(values), 10_000), 1) if len(values) else None,
                compression="gzip" if len(values) else None,
                compression_opts=9 if len(values) else None,
                shuffle=len(values) > 0,
                track_times=False,
            )
            data.attrs["names"] = np.array(self._names, "S")
            file.attrs["provenance"] = json.dumps(metadata, sort_keys=True)


create = MatrixWriter


def open_file(path: pathlib.Path) -> h5py.File:
    """Opens for reading.

    Raises:
        InputError: not readable, not HDF5, or truncated.
    """
    busy = (
        f"{path}: is open in another process that writes it: try again when that has "
        "closed the file (if it crashed, make the file again; on a file system without "
        "locks set HDF5_USE_FILE_LOCKING=FALSE)"
    )
    try:
        with open(path, "rb") as file:
            start = file.read(1)
            whole = bool(start) and h5py.is_hdf5(path)
            if not whole and _is_locked(file):  # the writer has not begun
                raise InputError(busy)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise InputError(f"{path}: the file is empty; fetch or make it again")
    if not whole:
        raise InputError(
            f"{path}: not an HDF5 file: fetch it again, or name it by its format, such "
            "as .npz, .parquet or .root"
        )
    with guarded(str(path), "the file"):
        try:
            return h5py.File(path, "r")
        except OSError as error:
            if any(words in str(error) for words in _LOCKED):
                raise InputError(busy) from None
            raise


def _is_locked(file: IO[bytes]) -> bool:
    """Whether another process holds the file as HDF5's writers do."""
    try:
        fcntl = importlib.import_module("fcntl")
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # Windows, or a file system without locks
        return False
    return False


def _inside(file: h5py.File) -> Iterator[str]:
    """Names of the data sets below the top of a file, and of the fields of records.

    A group is entered once, by whatever names it has: groups may contain each other.
    """
    top: Any = file["/"]
    entered = {top}  # h5py's objects are equal by their place in the file
    groups: list[tuple[h5py.Group, str]] = [(top, "")]
    while groups:
        group, path = groups.pop()
        for key in itertools.islice(group, MAX_NAMES):
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                continue
            item, name = group[key], f"{path}{key}"
            if isinstance(item, h5py.Dataset):
                if path:
                    yield name
                records = h5py.check_vlen_dtype(item.dtype) or item.dtype
                yield from (f"{name}.{field}" for field in records.names or ())
                continue
            deep = name.count("/") >= _DEPTH
            if isinstance(item, h5py.Group) and not deep and item not in entered:
                entered.add(item)
                groups.append((item, f"{name}/"))


def keys(group: h5py.Group) -> list[str]:
    """Names at the top of the file, or in a group, as printable text."""
    with guarded(group.file.filename, "the list of keys"):
        return [ascii(key)[:80].strip("'") for key in group]


def dataset(file: h5py.File, key: str, shape: tuple[int | None, ...]) -> h5py.Dataset:
    """A checked data set of numbers.

    Args:
        file: an open file.
        key: name at the top of the file.
        shape: what its shape must be; None for any length above zero.

    Returns:
        The data set, numeric and of that shape, not read yet.

    Raises:
        InputError: missing, a link to elsewhere, no numbers, wrong shape, or larger
            than the file can hold.
    """
    data = plain(file, key)
    name = f"{file.filename}: {key}"
    with guarded(file.filename, key):
        claimed, kind = data.shape or (), data.dtype.kind
    if kind not in _NUMBERS:
        raise InputError(f"{name}: dtype is {data.dtype}, expected real numbers")
    if len(claimed) != len(shape) or any(
        want is not None and have != want
        for have, want in zip(claimed, shape, strict=True)
    ):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise InputError(f"{name}: shape is {claimed}, expected ({wanted})")
    if not all(claimed):
        raise InputError(f"{name}: shape is {claimed}: there are no jets in it")
    return data


def plain(file: h5py.File, *path: str) -> h5py.Dataset:
    """A data set whose bytes are in this file, readable, and of a plausible number.

    Args:
        file: an open file.
        path: names of the groups, then of the data set.

    Raises:
        InputError: missing, a link, in another file, of a filter that is not read, or
            larger than the file can hold.
    """
    key = "/".join(path)
    name = f"{file.filename}: {key}"
    group: Any = file
    with guarded(file.filename, key):
        for depth, part in enumerate(path):
            link = group.get(part, getlink=True) if part in keys(group) else None
            if link is None:
                raise InputError(
                    f"{name}: missing key; the file has: {listing(keys(file))}"
                )
            if not isinstance(link, h5py.HardLink):
                raise InputError(
                    f"{name}: is a link, not data; copy the data into the file"
                )
            found = group[part]
            wanted = h5py.Dataset if depth == len(path) - 1 else h5py.Group
            if not isinstance(found, wanted):
                raise InputError(
                    f"{name}: {part} is a {type(found).__name__.lower()}, expected a "
                    f"{wanted.__name__.lower()}"
                )
            group = found
        data: h5py.Dataset = group
        if data.shape is None:
            raise InputError(f"{name}: holds nothing, not even an empty array")
        if data.is_virtual or data.external:
            raise InputError(
                f"{name}: its data are in other files; copy them into the file"
            )
        _check_filters(name, data)
        _check_size(name, data)
    return data


def names(file: h5py.File, key: str) -> list[str]:
    """A data set of strings, such as column names.

    Raises:
        InputError: missing, or not a list of strings.
    """
    data = plain(file, key)
    with guarded(file.filename, key):
        if (
            data.ndim != 1
            or not (data.dtype.kind == "S" or h5py.check_string_dtype(data.dtype))
            or len(data) > MAX_NAMES
        ):
            raise InputError(
                f"{file.filename}: {key}: dtype {data.dtype}, shape {data.shape}: "
                "expected a list of column names"
            )
        return [
            n.decode(errors="replace") if isinstance(n, bytes) else str(n)
            for n in data[:]
        ]


def text(file: h5py.File, attribute: str) -> str | None:
    """An attribute of the file if it is a text of at most 1 MiB, else None."""
    with guarded(file.filename, "its attributes"):
        if attribute not in file.attrs:
            return None
        stored = file.attrs.get_id(attribute)
        if stored.shape or not 0 < stored.get_storage_size() <= MAX_TEXT:
            return None
        value = file.attrs[attribute]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return value if isinstance(value, str) else None


def block_rows(data: h5py.Dataset) -> int:
    """Rows to read at once: about ``BLOCK_BYTES``, whole chunks where possible."""
    row = max(1, data.dtype.itemsize * math.prod(data.shape[1:]))
    rows = max(1, tables.BLOCK_BYTES // row)
    chunk = data.chunks[0] if data.chunks else 1
    rows = min(rows, chunk * max(1, MAX_CHUNKS // math.prod(_chunks(data)[1:])))
    return rows // chunk * chunk or rows


def read(data: h5py.Dataset, start: int, stop: int, columns: slice) -> np.ndarray:
    """Rows ``start:stop`` and some last-axis columns as float32.

    A number beyond float32 becomes infinite, which the row checks then report.
    """
    key = str(data.name).lstrip("/")
    with guarded(data.file.filename, f"{key}, rows {start} to {stop - 1}"):
        rows = data[(slice(start, stop), ..., columns)]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(rows).astype(np.float32, copy=False)


def _check_size(name: str, data: h5py.Dataset) -> None:
    """Refuses a shape that the file cannot hold, or rows too large for jets."""
    shape, item = data.shape or (), data.dtype.itemsize
    size = os.path.getsize(data.file.filename)
    claimed = max(math.prod(shape), math.prod(data.chunks or (0,))) * item
    chunks = math.prod(_chunks(data)) if data.chunks else 0
    # The file's list of chunks has 8 bytes or more for each.
    if claimed > tables.MAX_RATIO * size or 8 * chunks > size:
        what = f"{chunks:,} chunks" if 8 * chunks > size else f"{claimed:.3g} bytes"
        raise InputError(
            f"{name}: shape {shape} claims {what}, impossible for a file of this size; "
            "fetch or make it again"
        )
    row = item * math.prod(shape[1:])
    if row > MAX_ROW or math.prod(_chunks(data)[1:]) > MAX_CHUNKS:
        raise InputError(
            f"{name}: shape {shape}, {row:,} bytes a row in chunks of {data.chunks}: "
            f"more than {MAX_ROW:,} bytes or {MAX_CHUNKS:,} chunks a row are no jet"
        )


def _chunks(data: h5py.Dataset) -> list[int]:
    """How many of them lie along each axis; one of each if it is not chunked."""
    sizes = data.chunks or data.shape or ()
    return [-(-n // max(size, 1)) for n, size in zip(data.shape, sizes, strict=True)]


def _check_filters(name: str, data: h5py.Dataset) -> None:
    """Refuses a compression that is not read here; pandas offers blosc."""
    properties = data.id.get_create_plist()
    for i in range(properties.get_nfilters()):
        code, _, _, title = properties.get_filter(i)
        if code in FILTERS:
            continue
        called = ascii(title.decode(errors="replace")[:80]).strip("'") or code
        with contextlib.suppress(ImportError):
            plugins = importlib.import_module("hdf5plugin")  # registers what it brings
            if code in plugins.FILTERS.values():
                continue
            raise InputError(
                f"{name}: filter {called} is not read here; write it with gzip"
            )
        raise InputError(
            f"{name}: compressed by {called}: not read here; write it with gzip, or "
            "pip install hdf5plugin if it is blosc or the like"
        )
