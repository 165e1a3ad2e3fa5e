"""Figures over batches of drawn jets."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jetvae_jax.core.types import Key
from jetvae_jax.metrics.suite.protocols import Draws

Figure = dict[str, float | int | bool]


def over_batches(
    key: Key,
    distance: Callable[[np.ndarray, np.ndarray], Any],
    num_real: int,
    num_generated: int,
    draws: Draws,
) -> Figure:
    """Mean and deviation of a distance between drawn jets.

    Args:
        key: drives the draws; the same key gives the same number.
        distance: of the real jets with indices ``[n]`` and the generated ones ``[n]``.
        num_real: jets to draw from.
        num_generated: the same of the generated ones.
        draws: how many jets and batches.

    Returns:
        ``value`` and ``error``: mean and standard deviation over batches;
        ``num_jets`` and ``num_batches``; ``replaced``: drawn with replacement,
        because the protocol says so or because a sample has fewer jets than it draws.
    """
    replace = draws.replace or min(num_real, num_generated) < draws.num_jets
    # NumPy draws many times faster than JAX does on a CPU; the key is all that its
    # generator is seeded with.
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    values = []
    for _ in range(draws.num_batches):
        i = _draw(rng, num_real, draws.num_jets, replace)
        j = _draw(rng, num_generated, draws.num_jets, replace)
        values.append(float(distance(i, j)))
    return {
        "value": float(np.mean(values)),
        "error": float(np.std(values)),
        "num_jets": draws.num_jets,
        "num_batches": draws.num_batches,
        "replaced": replace,
    }


def _draw(
    rng: np.random.Generator, available: int, count: int, replace: bool
) -> np.ndarray:
    if replace:
        return rng.integers(available, size=count)
    return rng.permutation(available)[:count]
