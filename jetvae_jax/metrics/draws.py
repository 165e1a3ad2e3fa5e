"""Figures over batches of drawn jets."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jetvae_jax.metrics.protocols import Draws
from jetvae_jax.types import Key

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
    values = []
    for batch_key in jax.random.split(key, draws.num_batches):
        real_key, generated_key = jax.random.split(batch_key)
        i = _draw(real_key, num_real, draws.num_jets, replace)
        j = _draw(generated_key, num_generated, draws.num_jets, replace)
        values.append(float(distance(i, j)))
    return {
        "value": float(np.mean(values)),
        "error": float(np.std(values)),
        "num_jets": draws.num_jets,
        "num_batches": draws.num_batches,
        "replaced": replace,
    }


def _draw(key: Key, available: int, count: int, replace: bool) -> np.ndarray:
    if replace:
        return np.asarray(jax.random.randint(key, (count,), 0, available))
    # Sorting random bits is how JAX permutes too; NumPy sorts them much faster.
    order = np.argsort(np.asarray(jax.random.bits(key, (available,))), kind="stable")
    return order[:count]
