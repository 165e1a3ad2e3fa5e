"""Access to HDF5 files nobody vouches for: every failure is one InputError.

A data set is only touched after its link, type and claimed size are checked: no
external links, no virtual data, nothing that would fill the memory before a byte
is read.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from jetvae_jax.errors import InputError

SUFFIXES = (".hdf5", ".h5", ".hdf")
# gzip cannot shrink by more than 1032: beyond that a size is a claim without data.
MAX_RATIO = 1032
BLOCK_BYTES = 2**24
# What h5py raises on files that end early or hold damaged blocks.
_FAILURES = (
    OSError,
    KeyError,
    ValueError,
    RuntimeError,
    TypeError,
    IndexError,
    OverflowError,
    MemoryError,
)


@contextlib.contextmanager
def guarded(path: str, what: str) -> Iterator[None]:
    """Turns h5py's failures inside the block into one InputError line."""
    try:
        yield
    except InputError:
        raise
    except _FAILURES as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path}: cannot read {what}: truncated or damaged file ({reason}); "
            "fetch or make it again"
        ) from error


def find(spec: str) -> list[pathlib.Path]:
    """The HDF5 files that ``spec`` means: a file, or all files of a folder.

    Args:
        spec: path of a file or of a folder; subfolders are not searched.

    Returns:
        Paths in sorted order, at least one.

    Raises:
        InputError: nothing there, or a folder without HDF5 files.
    """
    path = pathlib.Path(spec)
    if path.is_file():
        return [path]
    if not spec or not path.is_dir():
        raise InputError(
            f"{spec}: no such file or folder; give a data file, a folder of them, or "
            "'embedded' for the sample in the package"
        )
    try:
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise InputError(f"{spec}: cannot list the folder ({error.strerror})") from None
    files = [p for p in files if p.is_file()]
    if not files:
        raise InputError(
            f"{spec}: folder holds no {', '.join(SUFFIXES)} file; subfolders are not "
            "searched"
        )
    return files


def open_file(path: pathlib.Path) -> h5py.File:
    """Opens for reading.

    Raises:
        InputError: not readable, not HDF5, or truncated.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if not start:
        raise InputError(f"{path}: the file is empty; fetch or make it again")
    if not h5py.is_hdf5(path):
        raise InputError(f"{path}: not an HDF5 file; expected JetNet or hls4ml HDF5")
    with guarded(str(path), "the file"):
        return h5py.File(path, "r")


def keys(file: h5py.File) -> list[str]:
    """Names at the top of the file, as printable text."""
    with guarded(file.filename, "the list of keys"):
        return [ascii(key)[:80].strip("'") for key in file]


def dataset(file: h5py.File, key: str, shape: tuple[int | None, ...]) -> h5py.Dataset:
    """A checked data set.

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
    data = _plain(file, key)
    name = f"{file.filename}: {key}"
    with guarded(file.filename, key):
        claimed, kind = data.shape or (), data.dtype.kind
    if kind not in "fiub":
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


def names(file: h5py.File, key: str) -> list[str]:
    """A data set of strings, such as column names.

    Raises:
        InputError: missing, or not a list of strings.
    """
    data = _plain(file, key)
    with guarded(file.filename, key):
        if data.ndim != 1 or data.dtype.kind not in "SO":
            raise InputError(
                f"{file.filename}: {key}: dtype {data.dtype}, shape {data.shape}: "
                "expected a list of column names"
            )
        return [
            n.decode(errors="replace") if isinstance(n, bytes) else str(n)
            for n in data[:]
        ]


def text(file: h5py.File, attribute: str) -> str | None:
    """An attribute of the file if it is a text, else None."""
    with guarded(file.filename, "its attributes"):
        value = file.attrs.get(attribute)
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return value if isinstance(value, str) else None


def block_rows(data: h5py.Dataset) -> int:
    """Rows to read at once: about ``BLOCK_BYTES``, whole chunks where possible."""
    row = max(1, data.dtype.itemsize * int(np.prod(data.shape[1:], dtype=object)))
    rows = max(1, BLOCK_BYTES // row)
    chunk = data.chunks[0] if data.chunks else 1
    return rows // chunk * chunk or rows


def read(data: h5py.Dataset, start: int, stop: int, columns: slice) -> np.ndarray:
    """Rows ``start:stop`` and some last-axis columns as float32.

    A number beyond float32 becomes infinite, which the row checks then report.
    """
    key = str(data.name).lstrip("/")
    with guarded(data.file.filename, f"{key}, rows {start} to {stop - 1}"):
        rows = data[(slice(start, stop), ..., columns)]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(rows).astype(np.float32)


def _plain(file: h5py.File, key: str) -> h5py.Dataset:
    """A data set whose bytes are in this file, and not absurdly many."""
    name = f"{file.filename}: {key}"
    found = keys(file)
    if key not in found:
        listed = ", ".join(sorted(found)[:10]) or "none"
        raise InputError(f"{name}: missing key; the file has: {listed}")
    with guarded(file.filename, key):
        if not isinstance(file.get(key, getlink=True), h5py.HardLink):
            raise InputError(
                f"{name}: is a link, not data; copy the data into the file"
            )
        data = file[key]
        if not isinstance(data, h5py.Dataset):
            raise InputError(f"{name}: is a group, expected a data set")
        if data.is_virtual or data.external:
            raise InputError(
                f"{name}: its data are in other files; copy them into the file"
            )
        largest = max(data.size or 0, int(np.prod(data.chunks or (0,), dtype=object)))
        claimed = largest * data.dtype.itemsize
        if claimed > MAX_RATIO * os.path.getsize(file.filename):
            raise InputError(
                f"{name}: shape {data.shape} claims {claimed:.3g} bytes, impossible "
                "for a file of this size; fetch or make it again"
            )
    return data
