"""Nearest neighbours between two sets of points, with exact gradients.

The search only yields indices and is not differentiated; the distances are then
computed from the gathered neighbours by ordinary, differentiable operations. So the
gradient follows the very pairs that the value was made of. (Differentiating a
minimum compares recomputed distances for equality, which compiled code may round in
another way: wrong neighbours, silently.)
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
        ``Neighbours``; the distances carry gradients with respect to x and y, zero
        between coincident points.

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
    xy_sq = _squared_distance(x, y, xy_index, x_mask, y_mask)
    yx_sq = _squared_distance(y, x, yx_index, y_mask, x_mask)
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


def _squared_distance(points, others, index, mask, others_mask):
    """``|points - others[index]|^2``, ``[B, N]``; zero for masked or lonely points."""
    batch, count, d = others.shape
    # One flat gather: on the CPU much cheaper, backwards too, than a batched one.
    first = jnp.arange(batch, dtype=index.dtype)[:, None] * count
    nearest = (
        others.reshape(-1, d)
        .at[first + index]
        .get(mode="promise_in_bounds", wrap_negative_indices=False)
    )
    squared = jnp.sum(jnp.square(points - nearest), axis=-1)
    if mask is not None:
        squared = jnp.where(mask, squared, 0.0)
    if others_mask is not None:
        squared = jnp.where(jnp.any(others_mask, axis=-1, keepdims=True), squared, 0.0)
    return squared
