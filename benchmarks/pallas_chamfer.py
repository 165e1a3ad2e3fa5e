"""The search of nearest neighbours as a Pallas kernel, beside the package's own.

A program searches for a block of points of one jet, and keeps their smallest distances
while it goes through the candidates block by block: no array of all pairs exists. XLA
makes a loop like it of ``losses.distances.chamfer.broadcast_argmin``, whatever device
it compiles for; gpu.py measures both.
"""

import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas

BLOCK = 64  # points of a program, and candidates of a step; a power of two
FAR = 1e15  # where padding is: its square does not overflow


def nearest_indices(
    x: jax.Array, y: jax.Array, *, interpret: bool = False
) -> tuple[jax.Array, jax.Array]:
    """Index of the nearest y of each x, and of the nearest x of each y.

    Args:
        x: ``[B, N, D]`` float32.
        y: ``[B, M, D]``.
        interpret: without a GPU, slowly.

    Returns:
        ``[B, N]`` and ``[B, M]`` int32; the lowest index where several are nearest.
    """
    return _nearest(x, y, interpret), _nearest(y, x, interpret)


def _nearest(points, candidates, interpret):
    count, features = points.shape[1:]
    points, candidates = _padded(points), _padded(candidates)
    jets, _, number = points.shape
    many = candidates.shape[-1]
    found = pallas.pallas_call(
        functools.partial(_search, steps=many // BLOCK),
        out_shape=jax.ShapeDtypeStruct((jets, number), jnp.int32),
        grid=(jets, number // BLOCK),
        in_specs=[
            pallas.BlockSpec((None, features, BLOCK), lambda jet, i: (jet, 0, i)),
            pallas.BlockSpec((None, features, many), lambda jet, i: (jet, 0, 0)),
        ],
        out_specs=pallas.BlockSpec((None, BLOCK), lambda jet, i: (jet, i)),
        interpret=interpret,
    )(points, candidates)
    return found[:, :count]


def _padded(points):
    """``[B, D, N]`` with N a multiple of the block."""
    columns = jnp.swapaxes(points, 1, 2)
    more = -columns.shape[-1] % BLOCK
    return jnp.pad(columns, ((0, 0), (0, 0), (0, more)), constant_values=FAR)


def _search(points, candidates, index, *, steps):
    columns = [points[i, :] for i in range(points.shape[0])]

    def step(i, best):
        least, where = best
        first = i * BLOCK
        squared = jnp.zeros((BLOCK, BLOCK), jnp.float32)
        for j, column in enumerate(columns):
            others = candidates[j, pallas.ds(first, BLOCK)]
            squared += jnp.square(column[:, None] - others[None, :])
        nearest = jnp.min(squared, axis=1)
        place = jnp.argmin(squared, axis=1).astype(jnp.int32) + first
        return jnp.minimum(nearest, least), jnp.where(nearest < least, place, where)

    start = jnp.full(BLOCK, jnp.inf, jnp.float32), jnp.zeros(BLOCK, jnp.int32)
    index[:] = jax.lax.fori_loop(0, steps, step, start)[1]
