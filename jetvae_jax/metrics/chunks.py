"""Functions of single jets over samples larger than one likes to hold at once."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

CHUNK = 10_000


def map_chunks(function: Callable[..., Any], *args: Any, size: int = CHUNK) -> Any:
    """Applies a function of jets to a sample, jitted, in chunks of one size.

    The last chunk is filled up with copies of its last jet, so that one compiled
    program serves all; intermediate arrays never exceed one chunk.

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
    parts = []
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        whole = rows[-1] == start + size - 1
        part = jax.tree.map(
            lambda a, s=start, r=rows, w=whole: a[s : s + size] if w else a[r], args
        )
        result = jax.tree.map(np.asarray, compiled(*part))
        parts.append(jax.tree.map(lambda a, s=start: a[: count - s], result))
    return jax.tree.map(lambda *a: a[0] if len(a) == 1 else np.concatenate(a), *parts)
