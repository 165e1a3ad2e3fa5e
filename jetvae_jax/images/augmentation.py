"""Small changes of handwriting as random maps ``(key, sets) -> sets``, one draw a set.

A digit that is moved, turned or stretched a little is still that digit, which helps
where training images are few. Pure functions of the key: they run inside the compiled
epoch.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.types import Array, Key, PixelSets
from jetvae_jax.images.mnist import SIZE

CENTRE = (SIZE - 1) / 2  # of the image, in pixels
MOST = {"shift": 1.5, "turn": 0.25, "stretch": 0.12}
"""Limits: pixels along each axis, radians, relative size along each axis."""


def build(
    chosen: Sequence[str], *, raster: bool
) -> Callable[[Key, PixelSets], PixelSets]:
    """The chosen changes as one map.

    Args:
        chosen: some of ``shift``, ``turn``, ``stretch``.
        raster: sort the points in reading order again, as they were.
    """
    most = {name: limit * (name in chosen) for name, limit in MOST.items()}

    def augment(key: Key, sets: PixelSets) -> PixelSets:
        matrix, shift = _draw(key, jnp.shape(sets.mask)[:-1], most)
        place = jnp.asarray(sets.points)[..., :2] - CENTRE
        place = jnp.einsum("...kc,...dc->...kd", place, matrix) + CENTRE
        place = jnp.clip(place + shift[..., None, :], 0.0, SIZE - 1.0)
        points = jnp.concatenate([place, sets.points[..., 2:]], axis=-1)
        moved = sets._replace(points=jnp.where(sets.mask[..., None], points, 0.0))
        return _in_order_of_reading(moved) if raster else moved

    return augment


def _draw(key: Key, lead: tuple[int, ...], most) -> tuple[Array, Array]:
    """Matrices ``[..., 2, 2]`` and shifts ``[..., 2]``, uniform within the limits."""
    keys = jax.random.split(key, 3)

    def uniform(key, name, *shape):
        drawn = jax.random.uniform(key, (*lead, *shape), minval=-1.0)
        return most[name] * drawn

    angle = uniform(keys[0], "turn")
    c, s = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)
    sizes = 1 + uniform(keys[1], "stretch", 2)
    return turn * sizes[..., None, :], uniform(keys[2], "shift", 2)


def _in_order_of_reading(sets: PixelSets) -> PixelSets:
    """``sets.raster`` for compiled functions."""
    row = jnp.rint(sets.points[..., 1])
    mark = jnp.where(sets.mask, SIZE * row + sets.points[..., 0], np.inf)
    order = jnp.argsort(mark, axis=-1)
    points = jnp.take_along_axis(sets.points, order[..., None], axis=-2)
    return PixelSets(points, jnp.take_along_axis(sets.mask, order, -1), sets.labels)
