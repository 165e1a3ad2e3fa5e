"""Lists of different lengths in HDF5, checked before HDF5's own reader follows them.

A list is stored as its length, the address of a collection and an index into it. A
collection begins with ``GCOL``, a version and its size; its objects are an index, a
count, a size and the data. HDF5 allocates what a damaged length says, and a size of
zero is a loop that never ends (file format, III.E and VIII).
"""

import mmap
import struct
import zlib
from typing import Any

import h5py
import numpy as np

from jetvae_jax.data.containers.tables import guarded

_REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
_BEGIN = b"GCOL"
_GZIP, _SHUFFLE, _FLETCHER = 1, 2, 3


def check(path: str, data: h5py.Dataset, item: int) -> None:
    """All lists of a data set are where it says, and as long.

    Args:
        path: of the file.
        data: of one list a row.
        item: bytes of an entry.

    Raises:
        Damaged: they are not.
    """
    with guarded(path, f"the lists of {data.name}"):
        if data.file.id.get_create_plist().get_sizes() != (8, 8):
            raise ValueError("addresses of other than 8 bytes")
        found = _references(path, data)
        found = found[found["length"] > 0]
        if not len(found):
            return
        keys, sizes = _objects(path, data.file.userblock_size)
        wanted = (found["address"] << np.uint64(16)) + found["index"]
        place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        there = len(keys) > 0 and np.array_equal(keys[place], wanted)
        if not there or np.any(sizes[place] < found["length"] * np.uint64(item)):
            raise ValueError("a list is not where it should be")


def _references(path: str, data: h5py.Dataset) -> np.ndarray:
    """The references of a data set, one a row."""
    rows = data.shape[0]
    if data.chunks is None:
        with open(path, "rb") as raw:
            raw.seek(data.id.get_offset() or 0)
            content = raw.read(rows * _REFERENCE.itemsize)
        return np.frombuffer(content, _REFERENCE, rows)
    properties, found = data.id.get_create_plist(), []
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    for i in range(data.id.get_num_chunks()):
        start = data.id.get_chunk_info(i).chunk_offset
        mask, content = data.id.read_direct_chunk(start)
        for number, code in reversed(list(enumerate(filters))):
            if not mask >> number & 1:
                content = _unfiltered(code, content)
        chunk = np.frombuffer(content, _REFERENCE)
        found.append(chunk[: rows - start[0]])
    return np.concatenate([np.zeros(0, _REFERENCE), *found])


def _unfiltered(code: int, content: bytes) -> bytes:
    if code == _FLETCHER:
        return content[:-4]
    if code == _SHUFFLE:
        columns = np.frombuffer(content, np.uint8).reshape(_REFERENCE.itemsize, -1)
        return columns.T.tobytes()
    if code == _GZIP:
        return zlib.decompress(content)
    raise ValueError(f"filter {code} of lists is not read here: use gzip")


def _objects(path: str, base: int) -> tuple[np.ndarray, np.ndarray]:
    """Address and index of each object in one number, sorted, and the sizes."""
    found: list[tuple[int, int]] = []
    with open(path, "rb") as raw:
        content: Any = mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ)
        with content:
            start = content.find(_BEGIN)
            while start >= 0:
                found += _collection(content, start, base)
                start = content.find(_BEGIN, start + len(_BEGIN))
    pairs = np.array(sorted(found), np.uint64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _collection(content: mmap.mmap, start: int, base: int) -> list[tuple[int, int]]:
    """The objects of a collection; none if one of them leads nowhere."""
    found: list[tuple[int, int]] = []
    if start + 16 > len(content):
        return []
    (size,) = struct.unpack_from("<Q", content, start + 8)
    at, end = start + 16, start + size
    if end > len(content):
        return []
    while at + 16 <= end:
        index, _, _, length = struct.unpack_from("<HHIQ", content, at)
        step = 16 + -(-length // 8) * 8 if index else length
        if step < 16 or at + step > end:
            return []
        if index:
            found.append((((start - base) << 16) + index, length))
        at += step
    return found
