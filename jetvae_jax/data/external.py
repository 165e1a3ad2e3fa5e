"""Rows of a file brought into a given order by sequential passes over the disk."""

import os
import pathlib
from collections.abc import Iterator

import numpy as np

BUCKET_BYTES = 2**26


def blocks(path: pathlib.Path, width: int) -> Iterator[np.ndarray]:
    """``[n, width]`` consecutive rows of a file of little-endian float32."""
    rows = bucket_rows(width)
    with open(path, "rb") as file:
        while len(block := np.fromfile(file, "<f4", rows * width)):
            yield block.reshape(-1, width)


def bucket_rows(width: int) -> int:
    """Rows that are in memory at once, a few times over."""
    return max(1, BUCKET_BYTES // (4 * width))


def reorder(
    source: pathlib.Path, target: pathlib.Path, order: np.ndarray, width: int
) -> None:
    """Writes row ``order[k]`` of one file as row ``k`` of another, and syncs it.

    The rows go to buckets, regions of the target, in the order they come; then each
    bucket is sorted where it is. No row is read or written alone.

    Args:
        source: ``[J, width]`` little-endian float32.
        target: the same, new.
        order: ``[J]`` permutation.
        width: numbers a row.

    Raises:
        OSError: the disk is full.
    """
    size, row_bytes = bucket_rows(width), 4 * width
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    free = np.arange(0, len(order), size)  # next row to write to, of each bucket
    start = 0
    with open(target, "w+b") as file:
        for rows in blocks(source, width):
            bucket = place[start : start + len(rows)] // size
            start += len(rows)
            by_bucket = np.argsort(bucket, kind="stable")
            ends = np.cumsum(np.bincount(bucket, minlength=len(free)))
            for i, part in enumerate(np.split(rows[by_bucket], ends[:-1])):
                file.seek(int(free[i]) * row_bytes)
                file.write(part.data)
                free[i] += len(part)
        file.flush()
        for start in range(0, len(order), size):
            wanted = order[start : start + size]
            # A bucket holds its rows in the order of the source.
            found = np.empty(len(wanted), int)
            found[np.argsort(wanted)] = np.arange(len(wanted))
            file.seek(start * row_bytes)
            rows = np.fromfile(file, "<f4", len(wanted) * width).reshape(-1, width)
            file.seek(start * row_bytes)
            file.write(rows[found].data)
        file.flush()
        os.fsync(file.fileno())
