"""npz archives, of untrusted input: every failure to read one is one InputError.

Arrays are read in blocks of rows, from the compressed stream: an archive larger than
the memory can be read, and a size that the archive cannot hold is refused before the
array is made. Pickled objects are never loaded.
"""

import contextlib
import functools
import json
import os
import zipfile
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.tables import Column, guarded, listing

SUFFIXES = (".npz",)
JETS = True
METADATA = True
_NUMBERS = "fiub"


class Member(NamedTuple):
    """The header of an array.

    Attributes:
        name: without ``.npy``.
        shape: of the array.
        dtype: of the array.
        fortran: whether the first index runs fastest.
        start: bytes of the header.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    start: int


class Archive:
    """An open archive, its arrays as columns; see ``tables.Table``.

    A field of an array of records is ``array.field``.
    """

    def __init__(self, path: str, file: zipfile.ZipFile):
        self.path = path
        self._file = file
        stored = (i.filename for i in file.infolist())
        self.names = tuple(n.removesuffix(".npy") for n in stored if n.endswith(".npy"))
        text = self.text("provenance") or self.text("attrs")  # of sets of pixels
        self.metadata: dict[str, Any] = tables.metadata(text)

    @functools.cached_property
    def nested(self) -> tuple[str, ...]:
        """Names of the fields of records."""
        members = []
        for name in self.names:
            with contextlib.suppress(InputError):
                members.append(self.member(name))
        return tuple(f"{m.name}.{f}" for m in members for f in m.dtype.names or ())

    def num_rows(self, names: list[str]) -> int:
        """Rows of these arrays."""
        members = [self._found(name)[0] for name in names]
        rows = {m.name: m.shape[0] if m.shape else 0 for m in members}
        return tables.same_rows(self.path, rows)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of an array of numbers."""
        with contextlib.suppress(InputError):
            member, field = self._found(name)
            if not field and member.dtype.kind in _NUMBERS:
                return member.shape
        return None

    def blocks(
        self, names: list[str], size: int, stop: int
    ) -> Iterator[dict[str, Column]]:
        """Rows ``0:stop`` of these arrays, ``size`` at a time."""
        found = [self._found(name) for name in names]
        for member, field in found:
            kind = member.dtype[field] if field else member.dtype
            if kind.base.kind not in _NUMBERS:
                raise InputError(
                    f"{self.path}: {member.name}: dtype is {member.dtype}, expected "
                    "numbers"
                )
        streams = [self.rows(member, size, stop) for member, _ in found]
        for block in zip(*streams, strict=True):
            columns = zip(names, found, block, strict=True)
            yield {
                name: rows[field] if field else rows
                for name, (_, field), rows in columns
            }

    def _found(self, name: str) -> tuple[Member, str]:
        """An array, and which field of its records is meant."""
        field = ""
        if name not in self.names and name in self.nested:
            name, _, field = name.rpartition(".")
        return self.member(name), field

    def member(self, name: str) -> Member:
        """The header of an array.

        Raises:
            InputError: missing, pickled, or larger than the archive can hold.
        """
        if name not in self.names:
            raise InputError(
                f"{self.path}: {name}: missing array; the file has: "
                f"{listing(self.names)}"
            )
        size, packed = self._sizes(name)
        with guarded(self.path, name), self._open(name) as stream:
            version = np.lib.format.read_magic(stream)
            header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = header(stream)
            start = stream.tell()
        if dtype.hasobject:
            raise InputError(
                f"{self.path}: {name}: holds pickled objects, which are never loaded; "
                "save it as numbers, padded to one length"
            )
        claimed = start + dtype.itemsize * int(np.prod(shape, dtype=object))
        if claimed != size or claimed > tables.MAX_RATIO * max(packed, 1):
            raise InputError(
                f"{self.path}: {name}: shape {shape} claims {claimed:.3g} bytes, which "
                "the file does not hold; fetch or make it again"
            )
        return Member(name, shape, dtype, fortran, start)

    def _sizes(self, name: str) -> tuple[int, int]:
        """Bytes of an array with its header, and as they are stored."""
        info = self._file.getinfo(f"{name}.npy")
        return info.file_size, min(info.compress_size, os.path.getsize(self.path))

    def _open(self, name: str) -> IO[bytes]:
        return self._file.open(f"{name}.npy")

    def rows(self, member: Member, size: int, stop: int) -> Iterator[np.ndarray]:
        """Rows ``0:stop`` of an array, ``size`` at a time.

        Raises:
            InputError: the archive is damaged; it names the rows.
        """
        inner = member.shape[1:]
        row = member.dtype.itemsize * int(np.prod(inner))
        with contextlib.ExitStack() as stack:
            with guarded(self.path, member.name):
                stream = stack.enter_context(self._open(member.name))
                stream.read(member.start)
                whole = self._whole(member, stream) if member.fortran else None
            for first in range(0, stop, size):
                last = min(first + size, stop)
                if whole is not None:
                    yield whole[first:last]
                    continue
                what = f"{member.name}, rows {first} to {last - 1}"
                with guarded(self.path, what):
                    data = stream.read((last - first) * row)
                    if len(data) != (last - first) * row:
                        raise EOFError("it ends early")
                    block = np.frombuffer(data, member.dtype)
                    block = block.reshape(last - first, *inner)
                yield block

    def _whole(self, member: Member, stream) -> np.ndarray:
        # The rows are spread over the whole array, if the first index runs fastest.
        flat = np.frombuffer(stream.read(), member.dtype)
        return flat.reshape(member.shape, order="F")

    def text(self, name: str) -> str | None:
        """A short text stored as an array of no dimension, or None."""
        if name not in self.names:
            return None
        member = self.member(name)
        if member.dtype.kind != "U" or member.shape or member.dtype.itemsize > 2**22:
            return None
        with guarded(self.path, name), self._open(name) as stream:
            return str(np.lib.format.read_array(stream, allow_pickle=False))


@contextlib.contextmanager
def opened(path: str | os.PathLike, tree: str = "") -> Iterator[Archive]:
    """Opens an npz file for reading.

    Args:
        path: of the file.
        tree: not used: the arrays of a table are named one by one.

    Raises:
        InputError: not readable, not a zip archive, or truncated.
    """
    del tree
    path = os.fspath(path)
    with contextlib.ExitStack() as stack:
        with guarded(path, "the file"):
            file = stack.enter_context(zipfile.ZipFile(path))
            archive = Archive(path, file)
        yield archive


class MatrixWriter(tables.Collected):
    """Writes one array ``[J, C]`` and the array ``names``."""

    def finish(self, metadata: dict[str, Any]) -> None:
        """Writes the file."""
        arrays: dict[str, Any] = {
            self._name: self.matrix(),
            "names": np.array(self._names),
            "provenance": np.array(json.dumps(metadata, sort_keys=True)),
        }
        with open(self._path, "wb") as file:
            np.savez_compressed(file, **arrays)


create = MatrixWriter
