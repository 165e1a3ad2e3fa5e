"""npy files: one array, read like an npz archive that holds it alone."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import npz
from jetvae_jax.data.containers.tables import guarded

SUFFIXES, JETS = (".npy",), True
NAME = "array"
"""Of the one column; the file has no name for it."""


class Array(npz.Archive):
    """An open file; see ``tables.Table``."""

    def __init__(self, path: str):
        self.path = path
        self.names, self.metadata = (NAME,), {}

    def _sizes(self, name: str) -> tuple[int, int]:
        size = os.path.getsize(self.path)
        return size, size

    def _open(self, name: str) -> IO[bytes]:
        return open(self.path, "rb")


@contextlib.contextmanager
def opened(path: str | os.PathLike, tree: str = "") -> Iterator[Array]:
    """Opens an npy file for reading.

    Args:
        path: of the file.
        tree: not used: the file is one array.

    Raises:
        InputError: not readable, pickled, or truncated.
    """
    del tree
    table = Array(os.fspath(path))
    with guarded(table.path, "the file"), open(path, "rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise InputError(f"{path}: not an npy file: fetch or make it again")
    table.member(NAME)
    yield table
