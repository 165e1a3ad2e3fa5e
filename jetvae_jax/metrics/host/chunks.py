"""Functions of single jets over samples larger than one likes to hold at once."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jetvae_jax.metrics.host.threads import over_device

CHUNK = 10_000


def map_chunks(function: Callable[..., Any], *args: Any, size: int = CHUNK) -> Any:
    """Applies a function of jets to a sample, jitted, in chunks of one size.

    The last chunk is filled up with copies of its last jet, so that one compiled
    program serves all; intermediate arrays never exceed one chunk, or one for each core
    of a CPU.

    Args:
        function: pytrees with leading axis J to a pytree with leading axis J.
        *args: the pytrees, all with the same J > 0.
        size: jets per chunk.

    Returns:
        NumPy arrays in the function's tree, leading axis J.
    """
    count = len(jax.tree.leaves(args)[0])
    size = min(size, count)
    compiled = jax.jit(function)

    def compute(start: int) -> Any:
        rows = np.arange(start, start + size)
        full = rows[-1] < count
        rows = slice(start, start + size) if full else np.minimum(rows, count - 1)
        return compiled(*jax.tree.map(lambda a: a[rows], args))

    def write(start: int, part: Any) -> None:
        for array, found in zip(*map(jax.tree.leaves, (whole, part)), strict=True):
            array[start : start + size] = np.asarray(found)[: count - start]

    first = compute(0)
    # Written where it stays: never two copies of a sample.
    whole = jax.tree.map(lambda a: np.empty((count, *a.shape[1:]), a.dtype), first)
    write(0, first)
    over_device(lambda start: write(start, compute(start)), range(size, count, size))
    return whole
