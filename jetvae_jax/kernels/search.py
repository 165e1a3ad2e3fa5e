"""Which point is nearest: two implementations, chosen by the platform compiled for.

Both compare direct differences. The expanded form ``x^2 + y^2 - 2 x.y`` is one
matrix product but loses all digits of close points, and accelerators would run it
in reduced precision.
"""

import jax
import jax.numpy as jnp

from jetvae_jax.types import Array

# Candidates handled in one pass over the running minimum, which stays in registers.
UNROLL = 10


@jax.jit  # so that calls outside of jit do not compile the loop anew each time
def nearest_indices(x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    """Index of the nearest y of each x, and of the nearest x of each y.

    Args:
        x: ``[B, N, D]``.
        y: ``[B, M, D]``.

    Returns:
        ``[B, N]`` and ``[B, M]`` int32; the lowest index where several are nearest.
    """
    return jax.lax.platform_dependent(
        x, y, cpu=running_minimum, default=broadcast_argmin
    )


def running_minimum(x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    """A loop over candidates that keeps the smallest distance and its index.

    No ``[B, N, M]`` array exists. For XLA on the CPU, whose own argmin is about
    twenty times slower.
    """
    nearest = _nearest_packed if x.dtype == jnp.float32 else _nearest
    xs, ys = _columns(x), _columns(y)
    return nearest(xs, ys), nearest(ys, xs)


def _columns(points):
    """One ``[B, N]`` array a feature."""
    return [points[..., i] for i in range(points.shape[-1])]


def _squared_to(points, candidates, i):
    """Squared distance ``[B, N]`` of every point to candidate i of its set."""
    squared = jnp.zeros_like(points[0])
    for column, candidate in zip(points, candidates, strict=True):
        one = jax.lax.dynamic_index_in_dim(candidate, i, axis=1)
        squared = squared + jnp.square(column - one)
    return squared


def _nearest(points, candidates):
    def step(i, state):
        smallest, index = state
        squared = _squared_to(points, candidates, i)
        nearer = squared < smallest
        return jnp.where(nearer, squared, smallest), jnp.where(nearer, i, index)

    shape, dtype = points[0].shape, points[0].dtype
    start = (jnp.full(shape, jnp.inf, dtype), jnp.zeros(shape, jnp.int32))
    count = candidates[0].shape[1]
    return jax.lax.fori_loop(0, count, step, start, unroll=min(UNROLL, count))[1]


def _nearest_packed(points, candidates):
    """The same for float32, distance and index in one 64-bit integer.

    The bits of floats that are not negative are ordered as the floats are, and the
    index below them decides ties: exact. With two arrays XLA computes every distance
    twice, once for each.
    """

    def step(i, best):
        squared = _squared_to(points, candidates, i)
        bits = jax.lax.bitcast_convert_type(squared, jnp.int32)
        bits = bits & 0x7FFFFFFF  # a NaN may be signed; it is never nearest
        return jnp.minimum(best, bits.astype(jnp.int64) << 32 | i)

    count = candidates[0].shape[1]
    with jax.enable_x64(True):
        best = jnp.full(points[0].shape, jnp.iinfo(jnp.int64).max)
        best = jax.lax.fori_loop(0, count, step, best, unroll=min(UNROLL, count))
        return best.astype(jnp.int32)  # the lower half


def broadcast_argmin(x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    """All distances at once, for accelerators, which fuse them into the reduction."""
    squared = jnp.zeros((), x.dtype)
    for i in range(x.shape[-1]):
        squared = squared + jnp.square(x[:, :, None, i] - y[:, None, :, i])
    squared = jnp.where(squared >= 0, squared, jnp.inf)  # argmin would choose a NaN
    xy_index = jnp.argmin(squared, axis=2)
    yx_index = jnp.argmin(squared, axis=1)
    return xy_index.astype(jnp.int32), yx_index.astype(jnp.int32)
