"""Nearest neighbours between two sets of points, with exact gradients.

The search only yields indices and is not differentiated; values and gradients are
then made of the same gathered differences. (Differentiating a minimum compares
recomputed distances for equality, which compiled code may round in another way:
wrong neighbours, silently.)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.kernels import search
from jetvae_jax.types import Array

# Where the search puts masked points: beyond any datum, its square far from overflow.
FAR = 1e15


class Neighbours(NamedTuple):
    """Nearest neighbours of each of two sets in the other.

    Attributes:
        xy_sq: ``[..., N]`` squared distance from each x to its nearest y.
        xy_index: ``[..., N]`` int32, which y that is; the lowest index of a tie.
        yx_sq: ``[..., M]`` squared distance from each y to its nearest x.
        yx_index: ``[..., M]`` int32, which x that is.
    """

    xy_sq: jax.Array
    xy_index: jax.Array
    yx_sq: jax.Array
    yx_index: jax.Array


def nearest_neighbours(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
) -> Neighbours:
    """Nearest neighbour of every x among the y, and of every y among the x.

    Masked points are nobody's neighbour; whatever they hold, NaN included, changes
    no result. A masked point itself, and every point when the other set is empty,
    has distance zero with zero gradient and a meaningless index. NaN or infinity in
    a point that exists gives NaN or infinity at that point.

    Args:
        x: ``[..., N, D]`` points.
        y: ``[..., M, D]`` points, same leading axes, same D.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.

    Returns:
        ``Neighbours``; the distances carry gradients with respect to x and y (in
        reverse mode), zero between coincident points.

    Raises:
        ValueError: the shapes do not fit together.
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    _check(x, y, x_mask, y_mask)
    lead, (n, d), m = x.shape[:-2], x.shape[-2:], y.shape[-2]
    x, x_far, x_mask = _put_away(x.reshape(-1, n, d), x_mask)
    y, y_far, y_mask = _put_away(y.reshape(-1, m, d), y_mask)
    xy_index, yx_index = search.nearest_indices(
        jax.lax.stop_gradient(x_far), jax.lax.stop_gradient(y_far)
    )
    xy_sq, yx_sq = _squared_distances(x, y, xy_index, yx_index)
    xy_sq = _only_where(xy_sq, x_mask, y_mask)
    yx_sq = _only_where(yx_sq, y_mask, x_mask)
    return Neighbours(
        xy_sq.reshape(*lead, n),
        xy_index.reshape(*lead, n),
        yx_sq.reshape(*lead, m),
        yx_index.reshape(*lead, m),
    )


def _check(x, y, x_mask, y_mask):
    same = x.ndim >= 2 and y.ndim >= 2 and x.shape[:-2] == y.shape[:-2]
    if not same or x.shape[-1] != y.shape[-1] or 0 in (x.shape[-2], y.shape[-2]):
        raise ValueError(
            "x and y must be [..., N, D] and [..., M, D] with N, M > 0; "
            f"they are {x.shape} and {y.shape}"
        )
    for name, points, mask in (("x", x, x_mask), ("y", y, y_mask)):
        if mask is not None and mask.shape != points.shape[:-1]:
            raise ValueError(
                f"{name}_mask must be {points.shape[:-1]} for {name} of shape "
                f"{points.shape}; it is {mask.shape}"
            )


def _put_away(points, mask):
    """The points with masked ones at zero (to gather), and far away (to search)."""
    if mask is None:
        return points, points, None
    mask = jnp.asarray(mask).reshape(points.shape[:-1])
    return *(jnp.where(mask[..., None], points, v) for v in (0.0, FAR)), mask


def _only_where(squared, mask, others_mask):
    """Zero for points that do not exist or have none to be near to."""
    if mask is not None:
        squared = jnp.where(mask, squared, 0.0)
    if others_mask is not None:
        squared = jnp.where(jnp.any(others_mask, axis=-1, keepdims=True), squared, 0.0)
    return squared


# Rows of the flattened points: indices are in range by construction, and one flat
# gather or scatter is much cheaper on the CPU than a batched one.
_IN_RANGE = {"mode": "promise_in_bounds", "wrap_negative_indices": False}


def _rows(index, count):
    first = jnp.arange(index.shape[0], dtype=index.dtype)[:, None] * count
    return first + index


def _differences(points, others, index):
    batch, count, d = others.shape
    rows = _rows(index, count)
    return points - others.reshape(batch * count, d).at[rows].get(**_IN_RANGE)


@jax.custom_vjp
def _squared_distances(x, y, xy_index, yx_index):
    """``|x - y[xy_index]|^2 [B, N]`` and ``|y - x[yx_index]|^2 [B, M]``."""
    return _forward(x, y, xy_index, yx_index)[0]


def _forward(x, y, xy_index, yx_index):
    to_y, to_x = _differences(x, y, xy_index), _differences(y, x, yx_index)
    squared = tuple(jnp.sum(jnp.square(d), axis=-1) for d in (to_y, to_x))
    return squared, (to_y, to_x, xy_index, yx_index)


def _backward(saved, cotangents):
    to_y, to_x, xy_index, yx_index = saved
    dx, dy = (
        2 * g[..., None] * d for g, d in zip(cotangents, (to_y, to_x), strict=True)
    )
    # Each point moves its own distance and, against it, those it is nearest in.
    # Autodiff would scatter into zeros and add: half as much time again.
    return _scatter(dx, -dy, yx_index), _scatter(dy, -dx, xy_index), None, None


def _scatter(onto, values, index):
    batch, count, d = onto.shape
    rows = _rows(index, count).reshape(-1)
    flat = onto.reshape(batch * count, d)
    return flat.at[rows].add(values.reshape(-1, d), **_IN_RANGE).reshape(onto.shape)


_squared_distances.defvjp(_forward, _backward)
