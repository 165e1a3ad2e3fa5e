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
# Up to this many points the CPU vectorises over jets, beyond it over points.
MANY_POINTS = 50
# Fewer jets than this do not fill the vector registers.
FEW_JETS = 16


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
    by_jets = max(x.shape[1], y.shape[1]) <= MANY_POINTS and len(x) >= FEW_JETS
    xs, ys = _columns(x, by_jets), _columns(y, by_jets)
    axis = 0 if by_jets else 1
    xy_index, yx_index = _nearest(xs, ys, axis), _nearest(ys, xs, axis)
    return (xy_index.T, yx_index.T) if by_jets else (xy_index, yx_index)


def _columns(points, by_jets):
    """One array a feature, ``[N, B]`` if ``by_jets`` else ``[B, N]``."""
    columns = [points[..., i] for i in range(points.shape[-1])]
    return [c.T for c in columns] if by_jets else columns


def _nearest(points, candidates, axis):
    def step(i, state):
        smallest, index = state
        squared = jnp.zeros_like(smallest)
        for column, candidate in zip(points, candidates, strict=True):
            one = jax.lax.dynamic_index_in_dim(candidate, i, axis)
            squared = squared + jnp.square(column - one)
        nearer = squared < smallest
        return jnp.where(nearer, squared, smallest), jnp.where(nearer, i, index)

    shape, dtype = points[0].shape, points[0].dtype
    start = (jnp.full(shape, jnp.inf, dtype), jnp.zeros(shape, jnp.int32))
    count = candidates[0].shape[axis]
    return jax.lax.fori_loop(0, count, step, start, unroll=min(UNROLL, count))[1]


def broadcast_argmin(x: Array, y: Array) -> tuple[jax.Array, jax.Array]:
    """All distances at once, for accelerators, which fuse them into the reduction."""
    squared = jnp.zeros((), x.dtype)
    for i in range(x.shape[-1]):
        squared = squared + jnp.square(x[:, :, None, i] - y[:, None, :, i])
    xy_index = jnp.argmin(squared, axis=2)
    yx_index = jnp.argmin(squared, axis=1)
    return xy_index.astype(jnp.int32), yx_index.astype(jnp.int32)
