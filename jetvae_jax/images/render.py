"""Sets of points to images again: what is shown of a generated set."""

from typing import Literal

import numpy as np

from jetvae_jax.core.types import PixelSets
from jetvae_jax.images.mnist import SIZE

Combine = Literal["max", "sum"]
_PLUS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def render(sets: PixelSets, *, combine: Combine = "max") -> np.ndarray:
    """Every point lights the pixel nearest to it.

    Sets of lit pixels give back their images exactly, if none was left out.

    Args:
        sets: ``[..., K, 3]``.
        combine: a pixel with several points has the ``max`` of their intensities, or
            their ``sum`` cut at 1.

    Returns:
        ``[..., 28, 28]`` float32 from 0 to 1, rows downward; times 255 and rounded it
        is grey values. Points whose pixel is outside of the image are not drawn.

    Raises:
        ValueError: combine is neither.
    """
    if combine not in ("max", "sum"):
        raise ValueError(f"combine must be 'max' or 'sum', not {combine!r}")
    points, mask = np.asarray(sets.points, np.float32), np.asarray(sets.mask)
    lead, (k, _) = points.shape[:-2], points.shape[-2:]
    points, mask = points.reshape(-1, k, 3), mask.reshape(-1, k)
    mask = mask & np.isfinite(points).all(axis=-1)
    column, row = (np.rint(np.where(mask, points[..., i], -1.0)) for i in (0, 1))
    inside = (row >= 0) & (row < SIZE) & (column >= 0) & (column < SIZE)
    image, point = np.nonzero(inside)
    place = image, row[inside].astype(int), column[inside].astype(int)
    drawn = np.zeros((len(points), SIZE, SIZE), np.float32)
    add = np.maximum if combine == "max" else np.add
    add.at(drawn, place, points[image, point, 2])
    return np.clip(drawn, 0, 1).reshape(*lead, SIZE, SIZE)


def spread(sets: PixelSets) -> PixelSets:
    """Each superpixel as the five pixels nearest to it, a plus, to be rendered.

    A segment of a digit cut in 25 holds four to six lit pixels.

    Args:
        sets: ``[..., K, 3]``.

    Returns:
        Sets ``[..., 5 K, 3]``.
    """
    points, mask = np.asarray(sets.points, np.float32), np.asarray(sets.mask)
    moves = np.pad(np.array(_PLUS, np.float32), ((0, 0), (0, 1)))
    several = (points[..., None, :] + moves).reshape(*points.shape[:-2], -1, 3)
    return PixelSets(several, np.repeat(mask, len(_PLUS), axis=-1), sets.labels)
