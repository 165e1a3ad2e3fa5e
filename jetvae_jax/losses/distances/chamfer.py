"""Chamfer distance, of nearest neighbours between two sets, with exact gradients.

The search only yields indices and is not differentiated; values and gradients are then
computed from the same gathered differences. (The gradient of a minimum compares
recomputed distances for equality, which compiled code may round differently: it would
then choose wrong neighbours silently.)

The search has two implementations, one for CPUs and one for accelerators. Both compare
direct differences. The expanded form ``x^2 + y^2 - 2 x.y`` is one matrix product but
loses all digits of close points, and accelerators compute it in reduced precision.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.core import configs, dtypes
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.numerics import masked_mean, safe_sqrt
from jetvae_jax.core.types import Array

Reduction = Literal["sum", "mean"]
# Candidates handled in one pass over the running minimum, which stays in registers.
UNROLL = 30
# Points are padded to a multiple of this: the last ones would be searched one by one.
VECTOR = 8
# Coordinate of masked points in the search: beyond any data, its square no overflow.
FAR = 1e15


def pairwise_sq_distance(x: Array, y: Array) -> Array:
    """All squared Euclidean distances, by direct differences.

    The expanded form ``x^2 + y^2 - 2 x.y`` is faster and wrong: among momenta near
    1 TeV it gives negative distances in float32.

    Args:
        x: ``[..., N, D]``.
        y: ``[..., M, D]``.

    Returns:
        ``[..., N, M]``.
    """
    x, y = floats(jnp, x, y)
    difference = x[..., :, None, :] - y[..., None, :, :]
    return jnp.sum(jnp.square(difference), axis=-1)


def chamfer_distance(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
    squared: bool = True,
    reduction: Reduction = "sum",
) -> Array:
    """``sum_i min_j d(x_i, y_j) + sum_j min_i d(x_i, y_j)``, never halved.

    Many conventions share the name. The defaults, squared distances and sums, are
    the NND loss of ConVAE (arXiv:2109.15197) and L_reco of arXiv:1906.02795.

    Args:
        x: ``[..., N, D]`` points.
        y: ``[..., M, D]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.
        squared: d is the squared distance; else the distance, whose gradient is
            taken as zero between coincident points.
        reduction: ``"sum"`` as above, or ``"mean"``: each of the two sums is
            divided by its number of existing points.

    Returns:
        ``[...]``, in the unit of x squared (or of x). Zero if a set is empty: its
        own sum has no terms, and the other set has no neighbours.

    Raises:
        ValueError: the shapes do not fit together, or reduction is neither.

    Example:
        The order of the points does not matter, and masked points do not count:

        >>> x = jnp.array([[0.0, 0.0], [1.0, 0.0]])
        >>> y = jnp.array([[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]])
        >>> y_mask = jnp.array([True, True, False])
        >>> print(jv.losses.chamfer_distance(x, y, y_mask=y_mask))
        5.0
    """
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction must be 'sum' or 'mean', not {reduction!r}")
    near = nearest_neighbours(x, y, x_mask=x_mask, y_mask=y_mask)
    total = jnp.zeros((), near.xy_sq.dtype)
    for distance, mask in ((near.xy_sq, x_mask), (near.yx_sq, y_mask)):
        if not squared:
            distance = safe_sqrt(distance)
        if reduction == "sum":
            total = total + jnp.sum(distance, axis=-1)
        elif mask is None:
            total = total + jnp.mean(distance, axis=-1)
        else:
            total = total + masked_mean(distance, mask)
    return total


@configs.config
class Config:
    """Convention of the distance.

    Attributes:
        squared: squared distances to the nearest neighbours, else plain ones.
        reduction: 'sum' over the particles of each set, or their 'mean'.
    """

    squared: bool = True
    reduction: Reduction = "sum"


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``."""

    def loss(x, y, *, x_mask=None, y_mask=None):
        return chamfer_distance(
            x,
            y,
            x_mask=x_mask,
            y_mask=y_mask,
            squared=config.squared,
            reduction=config.reduction,
        )

    return loss


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

    Masked points are never neighbours; their values, even NaN, do not change any
    result. A masked point itself, and every point when the other set is empty,
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
    x, y = floats(jnp, x, y)
    x_mask, y_mask = (dtypes.mask(jnp, mask) for mask in (x_mask, y_mask))
    _check(x, y, x_mask, y_mask)
    lead, (n, d), m = x.shape[:-2], x.shape[-2:], y.shape[-2]
    x, x_far, x_mask = _put_away(x.reshape(-1, n, d), x_mask)
    y, y_far, y_mask = _put_away(y.reshape(-1, m, d), y_mask)
    xy_index, yx_index = nearest_indices(
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
    """The points with masked ones at zero (to gather), and at FAR (to search)."""
    if mask is None:
        return points, points, None
    mask = mask.reshape(points.shape[:-1])
    return *(jnp.where(mask[..., None], points, v) for v in (0.0, FAR)), mask


def _only_where(squared, mask, others_mask):
    """Zero for masked points, and for all points if the other set is empty."""
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


def nearest_indices(x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    """Index of the nearest y of each x, and of the nearest x of each y.

    Args:
        x: ``[B, N, D]``.
        y: ``[B, M, D]``.

    Returns:
        ``[B, N]`` and ``[B, M]`` int32; the lowest index where several are nearest.
    """
    return _compiled_search(*floats(jnp, x, y))


@jax.jit  # so that calls outside of jit do not compile the loop again
def _compiled_search(x, y):
    return jax.lax.platform_dependent(
        x, y, cpu=running_minimum, default=broadcast_argmin
    )


def running_minimum(x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    """A loop over candidates that keeps the smallest distance and its index.

    No ``[B, N, M]`` array exists. For XLA on the CPU, whose own argmin is about
    forty times slower.
    """
    x, y = floats(jnp, x, y)
    if x.shape != y.shape:
        return _nearest(x, y), _nearest(y, x)
    # As steps of one loop: what a loop returns is stored, else XLA converts an index
    # again for each coordinate that is gathered by it.
    xy_index, yx_index = jax.lax.map(
        lambda sets: _nearest(*sets), (jnp.stack([x, y]), jnp.stack([y, x]))
    )
    return xy_index, yx_index


def _nearest(points, candidates):
    """Index ``[B, N]`` of the nearest of ``candidates [B, M, D]`` to ``points``.

    Smallest distance and index are one complex number: XLA computes a distance again
    for each array that it goes into.
    """
    count, dtype = points.shape[1], points.dtype
    padded = jnp.pad(points, ((0, 0), (0, -count % VECTOR), (0, 0)))
    coordinates = list(zip(_columns(padded), _columns(candidates), strict=True))

    def step(i, best):
        squared = jnp.zeros((), dtype)
        for column, others in coordinates:
            one = jax.lax.dynamic_index_in_dim(others, i, axis=1)
            squared = squared + jnp.square(column - one)
        candidate = jax.lax.complex(squared, jnp.full_like(squared, i))
        return jnp.where(squared < jnp.real(best), candidate, best)

    shape, number = padded.shape[:-1], candidates.shape[1]
    start = jax.lax.complex(jnp.full(shape, jnp.inf, dtype), jnp.zeros(shape, dtype))
    best = jax.lax.fori_loop(0, number, step, start, unroll=min(UNROLL, number))
    return jnp.imag(best)[:, :count].astype(jnp.int32)


def _columns(points):
    """One ``[B, N]`` array a feature."""
    return [points[..., i] for i in range(points.shape[-1])]


def broadcast_argmin(x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    """All distances at once, for accelerators, which fuse them into the reduction."""
    x, y = floats(jnp, x, y)
    squared = jnp.zeros((), x.dtype)
    for i in range(x.shape[-1]):
        squared = squared + jnp.square(x[:, :, None, i] - y[:, None, :, i])
    squared = jnp.where(squared >= 0, squared, jnp.inf)  # argmin would choose a NaN
    xy_index = jnp.argmin(squared, axis=2)
    yx_index = jnp.argmin(squared, axis=1)
    return xy_index.astype(jnp.int32), yx_index.astype(jnp.int32)
