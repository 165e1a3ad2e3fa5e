"""Whether one figure of some models goes with another: rank correlation."""

import itertools
import math
from typing import NamedTuple

import jax
import numpy as np

from jetvae_jax.types import Array, Key

EXACT = 7
"""Up to so many models all their orders are gone through."""


class Association(NamedTuple):
    """Spearman's rank correlation of n pairs.

    Attributes:
        value: in [-1, 1]; nan if a figure is the same for all.
        error: ``(1 - value^2) / sqrt(n - 1)``, a rough one for few pairs.
        p: share of all orders of one figure with a correlation as far from zero.
        num: n.
    """

    value: float
    error: float
    p: float
    num: int


def rank_correlation(
    key: Key, x: Array, y: Array, *, permutations: int = 20_000
) -> Association:
    """Spearman's correlation with the p-value of a two-sided permutation test.

    Exact for up to 7 pairs, else from random orders, with the given one among them.

    Args:
        key: of the random orders.
        x: ``[n]``.
        y: ``[n]``, n of 3 or more.
        permutations: random orders.

    Raises:
        ValueError: other shapes.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 3:
        raise ValueError(f"needs 3 pairs or more, got {x.shape} and {y.shape}")
    a, b = _centred_ranks(x), _centred_ranks(y)
    size = np.sqrt(np.sum(a * a) * np.sum(b * b))
    if size == 0:
        return Association(float("nan"), float("nan"), 1.0, len(x))
    value = float(np.sum(a * b) / size)
    if len(x) <= EXACT:
        orders = np.array(list(itertools.permutations(range(len(x)))))
        others = b[orders] @ a / size
        p = np.mean(np.abs(others) >= abs(value) - 1e-12)
    else:
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        shuffled = rng.permuted(np.tile(b, (permutations, 1)), axis=1)
        reached = np.sum(np.abs(shuffled @ a / size) >= abs(value) - 1e-12)
        p = (1 + reached) / (1 + permutations)
    error = (1 - value**2) / math.sqrt(len(x) - 1)
    return Association(value, error, float(p), len(x))


def _centred_ranks(x: np.ndarray) -> np.ndarray:
    """Ranks, equal numbers sharing the mean of theirs, minus their mean."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return ranks - ranks.mean()
