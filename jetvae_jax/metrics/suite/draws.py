"""How jets are drawn for a metric, and the metric's mean over the draws."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jetvae_jax.core.types import Key
from jetvae_jax.metrics.distributions.distances import wasserstein_1d

Result = dict[str, float | int | bool]
"""``value`` of a metric, ``error`` where it has one, and how it was drawn."""


@dataclasses.dataclass(frozen=True)
class Draws:
    """How jets are drawn for a metric with an uncertainty.

    Attributes:
        num_jets: jets drawn per batch, from each of the two samples.
        num_batches: batches; the value is their mean (KPD: median), its error their
            deviation.
        replace: within a batch, draw with replacement.
    """

    num_jets: int
    num_batches: int
    replace: bool = True


@dataclasses.dataclass(frozen=True)
class Extrapolation:
    """Sample sizes between which a distance is extrapolated to infinitely many jets.

    Attributes:
        min_jets: smallest size.
        max_jets: largest size.
        num_batches: draws, with replacement, of each size.
        num_sizes: sizes, at equal steps of their inverse.
    """

    min_jets: int = 20_000
    max_jets: int = 50_000
    num_batches: int = 20
    num_sizes: int = 10


def over_batches(
    key: Key,
    distance: Callable[[np.ndarray, np.ndarray], Any],
    num_real: int,
    num_generated: int,
    draws: Draws,
) -> Result:
    """Mean and deviation of a distance between drawn jets.

    Args:
        key: drives the draws; the same key gives the same value.
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
    # NumPy draws many times faster than JAX does on a CPU; its generator is seeded
    # with the key and nothing else.
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


def w1_over_batches(key: Key, x: np.ndarray, y: np.ndarray, draws: Draws) -> Result:
    """Wasserstein-1 distance of values of jets, mean over their columns.

    Args:
        key: drives the draws; the same key gives the same value.
        x: ``[J]`` or ``[J, G]`` of the real jets.
        y: ``[M]`` or ``[M, G]`` of the generated ones.
        draws: how many jets and batches.

    Returns:
        As :func:`over_batches`, in the unit of the values.
    """
    columns = [np.ascontiguousarray(v.reshape(len(v), -1).T) for v in (x, y)]

    def distance(i, j):
        pairs = zip(*columns, strict=True)
        return np.mean([wasserstein_1d(a[i], b[j]) for a, b in pairs])

    return over_batches(key, distance, len(x), len(y), draws)


def _draw(
    rng: np.random.Generator, available: int, count: int, replace: bool
) -> np.ndarray:
    if replace:
        return rng.integers(available, size=count)
    return rng.permutation(available)[:count]
