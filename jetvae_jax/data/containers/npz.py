"""Access to npz archives nobody vouches for: every failure is one InputError.

Arrays are read in blocks of rows, from the compressed stream: an archive larger than
the memory is no trouble, and a size that the archive cannot hold is refused before it
is made. Pickled objects are never loaded.
"""

import contextlib
import os
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import hdf5
from jetvae_jax.data.containers.reading import guarded, listing

SUFFIXES = (".npz",)


class Member(NamedTuple):
    """What the header of an array says.

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
    """An open archive; use :func:`opened`."""

    def __init__(self, path: str, file: zipfile.ZipFile):
        self.path = path
        self._file = file
        stored = (i.filename for i in file.infolist())
        self.names = tuple(n.removesuffix(".npy") for n in stored if n.endswith(".npy"))

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
        info = self._file.getinfo(f"{name}.npy")
        with guarded(self.path, name), self._file.open(info) as stream:
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
        packed = min(info.compress_size, os.path.getsize(self.path))
        if claimed != info.file_size or claimed > hdf5.MAX_RATIO * max(packed, 1):
            raise InputError(
                f"{self.path}: {name}: shape {shape} claims {claimed:.3g} bytes, which "
                "the file does not hold; fetch or make it again"
            )
        return Member(name, shape, dtype, fortran, start)

    def blocks(self, member: Member, size: int, stop: int) -> Iterator[np.ndarray]:
        """Rows ``0:stop`` of an array, ``size`` at a time.

        Raises:
            InputError: the archive is damaged; it names the rows.
        """
        inner = member.shape[1:]
        row = member.dtype.itemsize * int(np.prod(inner))
        with contextlib.ExitStack() as stack:
            with guarded(self.path, member.name):
                stream = stack.enter_context(self._file.open(f"{member.name}.npy"))
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
        # The rows are spread over all of it, if the first index runs fastest.
        flat = np.frombuffer(stream.read(), member.dtype)
        return flat.reshape(member.shape, order="F")

    def text(self, name: str) -> str | None:
        """A short text stored as an array of no dimension, or None."""
        if name not in self.names:
            return None
        member = self.member(name)
        if member.dtype.kind != "U" or member.shape or member.dtype.itemsize > 2**22:
            return None
        with guarded(self.path, name), self._file.open(f"{name}.npy") as stream:
            return str(np.lib.format.read_array(stream, allow_pickle=False))


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[Archive]:
    """Opens an npz file for reading.

    Raises:
        InputError: not readable, no zip archive, or truncated.
    """
    path = os.fspath(path)
    with contextlib.ExitStack() as stack:
        with guarded(path, "the file"):
            file = stack.enter_context(zipfile.ZipFile(path))
            archive = Archive(path, file)
        yield archive
