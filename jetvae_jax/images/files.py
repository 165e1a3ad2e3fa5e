r"""Sets of pixels in npz archives: those written here, and MNIST superpixels.

Three layouts are read, recognised by their arrays:

- ``points [J, K, 3]``, ``mask [J, K]``, ``labels [J]``: what :func:`write` writes;
- ``pos [J, N, 2]``, ``x [J, N]`` or ``[J, N, 1]``, ``y [J]``: positions, intensities
  and digits under the names of PyTorch Geometric. Its MNISTSuperpixels (75 nodes) are
  torch files; with torch installed this makes such an archive of them::

      data = torch_geometric.datasets.MNISTSuperpixels("folder", train=True)
      numpy.savez("superpixels.npz", pos=[d.pos for d in data], \
                  x=[d.x for d in data], y=[int(d.y) for d in data])

- one named array ``[J, N, 3]`` of position and intensity, without labels.

Nodes of zero intensity are not points. Files do not say which coordinate comes first:
``columns`` does.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import absent, write_atomically
from jetvae_jax.core.types import PixelSets
from jetvae_jax.data.containers import npz
from jetvae_jax.data.containers.tables import listing
from jetvae_jax.images import mnist
from jetvae_jax.images.mnist import SIZE

Columns = Literal["xy", "yx"]
ATTRS = "attrs"
_HALF = 0.5  # of a pixel: segments at the edge of the image


def write(
    path: str | os.PathLike, sets: PixelSets, *, attrs: Mapping[str, Any] | None = None
) -> None:
    """Writes sets ``[J, K, 3]`` as points, mask and labels; same sets, same bytes.

    The file appears when it is complete.

    Args:
        path: of the npz archive.
        sets: what to write.
        attrs: JSON-able metadata, stored as a text beside the arrays.

    Raises:
        InputError: it cannot be written.
        ValueError: the shapes do not belong together.
    """
    points, mask = np.asarray(sets.points, np.float32), np.asarray(sets.mask, bool)
    labels = np.asarray(sets.labels, np.int32)
    if points.shape != (*mask.shape, 3) or labels.shape != mask.shape[:1]:
        raise ValueError(
            f"points {points.shape}, mask {mask.shape} and labels {labels.shape} do "
            "not belong together"
        )
    arrays = {"points": points, "mask": mask, "labels": labels}
    if attrs is not None:
        arrays[ATTRS] = np.array(json.dumps(attrs))
    with write_atomically(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, **arrays)


class Writer:
    """Collects sets in chunks and writes them as one file at the end.

    A context manager; after an exception inside it nothing is written.

    Args:
        path: of the npz archive.
        attrs: JSON-able metadata, as for :func:`write`.

    Raises:
        InputError: the folder is missing or not writable.
    """

    def __init__(self, path: str | os.PathLike, attrs: Mapping[str, Any] | None = None):
        self._path, self._attrs = path, attrs
        self._chunks: list[PixelSets] = []
        if os.path.splitext(path)[1].lower() not in npz.SUFFIXES:
            raise InputError(f"{os.fspath(path)}: unknown suffix: give .npz")
        folder = os.path.dirname(os.fspath(path)) or "."
        if not os.access(folder, os.W_OK):  # before hours of work, not after
            raise InputError(
                f"{os.fspath(path)}: cannot be written: check the folder and its "
                "permissions"
            )

    def append(self, sets: PixelSets) -> None:
        """Adds sets ``[J, K, 3]``."""
        self._chunks.append(PixelSets(*map(np.asarray, sets)))

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, kind, value, trace) -> None:
        if kind is None and self._chunks:
            whole = PixelSets(*map(np.concatenate, zip(*self._chunks, strict=True)))
            write(self._path, whole, attrs=self._attrs)


def read(
    path: str | os.PathLike,
    *,
    array: str = "",
    columns: Columns = "xy",
    num_pixels: int = 0,
    label: int = -1,
    blank: bool = False,
) -> PixelSets:
    """Sets of pixels or superpixels, in descending intensity.

    Args:
        path: of an npz archive.
        array: name of the one array, for an archive without labels.
        columns: what the first two numbers of a position are; ``yx`` if the row
            comes first. Archives written here are always (x, y).
        num_pixels: the most intense are kept, at most so many; 0 for all.
        label: of all sets, for an archive without labels.
        blank: accept sets without a point, as a network may generate them.

    Returns:
        PixelSets ``[J, K, 3]``, padded to the longest set or to ``num_pixels``.

    Raises:
        InputError: unreadable, arrays missing or of shapes that do not fit, values
            that are not pixels, or a set without a point.
    """
    if columns not in ("xy", "yx"):
        raise InputError(f"columns: {columns!r} is not xy or yx")
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: {absent(path)}")
    with npz.opened(path) as archive:
        points, mask, labels = _arrays(archive, array)
        if not array and "points" in archive.names:
            columns = "xy"
    if points.ndim != 3 or points.shape[-1] != 3 or not points.size:
        raise InputError(
            f"{path}: {array or 'points'}: shape is {points.shape}: give sets of "
            "position and intensity, [J, N, 3]"
        )
    if labels is None:
        labels = np.full(len(points), label)
    if labels.shape != points.shape[:1]:
        raise InputError(
            f"{path}: labels: {labels.shape} for {len(points):,} sets: give one a set"
        )
    if not np.isin(labels, np.arange(-1, 10)).all():
        raise InputError(
            f"{path}: labels: reach from {labels.min()} to {labels.max()}: give whole "
            "numbers from 0 to 9, or -1 where the digit is unknown"
        )
    if mask is not None and mask.shape != points.shape[:2]:
        raise InputError(
            f"{path}: mask: shape {mask.shape} does not fit points {points.shape}"
        )
    return _ordered(path, points, mask, labels, columns, num_pixels, blank)


def _arrays(archive: npz.Archive, array: str):
    """Points ``[J, N, 3]``, mask and labels, as far as an archive has them.

    Raises:
        InputError: it has none of the layouts, or its arrays do not fit together.
    """
    if array:
        return mnist.whole(archive, array), None, None
    if "points" in archive.names:
        return tuple(
            mnist.whole(archive, name) for name in ("points", "mask", "labels")
        )
    if "pos" not in archive.names:
        raise InputError(
            f"{archive.path}: holds no sets of pixels: give points, mask and labels, "
            "as written here, or pos, x and y; the file has: "
            f"{listing(archive.names)}"
        )
    place, grey, labels = (mnist.whole(archive, name) for name in ("pos", "x", "y"))
    grey = grey.reshape(*grey.shape[:2], -1)
    if place.ndim != 3 or grey.shape != (*place.shape[:2], 1):
        raise InputError(
            f"{archive.path}: pos: shape {place.shape} does not fit x, {grey.shape}: "
            "give [J, N, 2] and [J, N]"
        )
    return np.concatenate([place, grey], axis=-1), None, labels


def _ordered(path, points, mask, labels, columns, num_pixels, blank) -> PixelSets:
    points = np.asarray(points, np.float32)
    if columns == "yx":
        points = points[..., [1, 0, 2]]
    mask = np.ones(points.shape[:2], bool) if mask is None else mask.astype(bool)
    points = np.where(mask[..., None], points, 0)
    low = np.array([-_HALF, -_HALF, 0], np.float32)
    high = np.array([SIZE - _HALF, SIZE - _HALF, 1], np.float32)
    bad = ~np.all((points >= low) & (points <= high), axis=(1, 2))
    if bad.any():
        raise InputError(
            f"{path}: {bad.sum():,} of {len(points):,} sets (first: {np.argmax(bad)}) "
            "hold points outside of 28 x 28 pixels, intensities outside of 0 to 1, or "
            "NaN: correct or remove them"
        )
    mask &= points[..., 2] > 0
    empty = ~mask.any(axis=1)
    if empty.any() and not blank:
        raise InputError(
            f"{path}: {empty.sum():,} of {len(points):,} sets (first: "
            f"{np.argmax(empty)}) are blank: remove them"
        )
    order = np.argsort(np.where(mask, -points[..., 2], 1), axis=1, kind="stable")
    order = order[:, : num_pixels or max(int(mask.sum(axis=1).max()), 1)]
    points = np.take_along_axis(points, order[..., None], axis=1)
    mask = np.take_along_axis(mask, order, axis=1)
    points = np.where(mask[..., None], points, 0)
    return PixelSets(points, mask, labels.astype(np.int32))
