"""IDX files, the format of MNIST: plain or gzipped, every failure one InputError.

Two zero bytes, a type (8: unsigned bytes), the number of dimensions, each dimension as
a big-endian 32-bit number, then the data (yann.lecun.com/exdb/mnist).
"""

import contextlib
import gzip
import math
import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from jetvae_jax.data import hdf5
from jetvae_jax.errors import InputError

_UNSIGNED_BYTES = 8
_GZIP = b"\x1f\x8b"


def read(path: str | os.PathLike, dimensions: int) -> np.ndarray:
    """The array of an IDX file of unsigned bytes.

    Whether it is compressed shows in its first bytes, not in its name: browsers
    unpack files and keep the suffix.

    Args:
        path: of the file.
        dimensions: that it must have: 3 for images, 1 for labels.

    Returns:
        uint8 array.

    Raises:
        InputError: unreadable, a wrong magic number, other dimensions, or more or
            fewer bytes than the header says.
    """
    path = os.fspath(path)
    with _opened(path) as (stream, limit):
        magic = stream.read(4)
        wanted = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
        if not magic:
            raise InputError(f"{path}: is empty: fetch it again")
        if magic != wanted:
            raise InputError(
                f"{path}: magic number is {_hex(magic)}, of an IDX file of "
                f"{'images' if dimensions == 3 else 'labels'} {_hex(wanted)}: give "
                "the right file, or fetch it again"
            )
        header = stream.read(4 * dimensions)
        if len(header) < 4 * dimensions:
            raise InputError(f"{path}: ends inside its header: fetch it again")
        shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
        size = math.prod(shape)
        data = stream.read(min(size, limit) + 1)  # a claim may be of any size
    if len(data) != size:
        held = f"only {len(data):,}" if len(data) < size else "more"
        raise InputError(
            f"{path}: shape {shape} needs {size:,} bytes, there are {held}: truncated "
            "or damaged file; fetch it again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, int]]:
    """The unpacked stream, and the most bytes that it can hold."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            limit = os.fstat(file.fileno()).st_size * (hdf5.MAX_RATIO if packed else 1)
            if packed:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream, limit  # type: ignore[misc]
            else:
                yield file, limit
    except InputError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be read: missing, truncated or damaged file ({reason}); "
            "fetch it again"
        ) from error


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
