"""Boundary conditions of sparse images: intensities, positions, pixels, counts.

Functions of arrays in double precision, on the host.
"""

import numpy as np

from jetvae_jax.core.types import PixelSets
from jetvae_jax.images.mnist import SIZE
from jetvae_jax.metrics.conditions import Condition, share

_ROUNDING = 1e-6  # of float32 near 1


def conditions(sets: PixelSets, real: PixelSets) -> list[Condition]:
    """All conditions of one sample.

    Args:
        sets: ``[J, K, 3]``, x and y in pixels from 0 to 27, intensity from 0 to 1.
        real: real sets ``[M, K', 3]``, which give the largest number of pixels.
    """
    points, mask = np.asarray(sets.points, np.float64), np.asarray(sets.mask, bool)
    position, intensity = points[..., :2][mask], points[..., 2][mask]
    dark = (intensity < -_ROUNDING) | (intensity > 1 + _ROUNDING)
    outside = np.any((position < -0.5) | (position > SIZE - 0.5), axis=-1)
    counts = mask.sum(-1)
    most = int(np.max(np.sum(np.asarray(real.mask, bool), -1), initial=0))
    # Superpixels lie between pixels: two of a real image may be nearest to one.
    once = None if share(repeated(real)) else 0.0
    padding = np.any(~mask[..., None] & (points != 0), axis=(-2, -1))
    return [
        Condition(
            "intensity", "pixels of intensity beyond 0 to 1", share(dark), "%", 0.0
        ),
        Condition("position", "pixels outside the image", share(outside), "%", 0.0),
        Condition(
            "repeated", "images with a pixel twice", share(repeated(sets)), "%", once
        ),
        Condition("count_range", f"more than {most} pixels", share(counts > most), "%"),
        Condition("blank", "images without pixels", share(counts == 0), "%"),
        Condition("padding", "padding that is not zero", share(padding), "%", 0.0),
    ]


def repeated(sets: PixelSets) -> np.ndarray:
    """Whether two points of an image are nearest to the same pixel, ``[J]`` bool.

    Args:
        sets: ``[J, K, 3]``.
    """
    points, mask = np.asarray(sets.points, np.float64), np.asarray(sets.mask, bool)
    x, y = np.moveaxis(np.rint(points[..., :2]), -1, 0)
    # Points that do not exist have places of their own.
    absent = -1e9 - np.arange(mask.shape[-1])
    place = np.where(mask, 1e4 * y + x, absent)
    place = np.sort(place, axis=-1)
    return np.any(place[:, 1:] == place[:, :-1], axis=-1)
