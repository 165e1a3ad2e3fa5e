"""Quantile transform: features mapped to a uniform or normal distribution.

The distribution function is that of a sample, known at knots. The map is linear between
knots; beyond the first and the last knot its slope is that from there to the median. It
is strictly increasing and so has an inverse everywhere.
"""

from statistics import NormalDist
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.types import Array

KNOTS = 257
Target = Literal["normal", "uniform"]
# A million values have 32 beyond four standard deviations on either side.
_REACH = 4.0
# Distances of knots, in units of the largest value: eight roundings of float32.
_GAP = 1e-6


def _targets(target: Target) -> np.ndarray:
    low, high = (-_REACH, _REACH) if target == "normal" else (0.0, 1.0)
    return np.linspace(low, high, KNOTS, dtype=np.float32)


def fit(sample: np.ndarray, target: Target = "normal") -> np.ndarray:
    """Positions of the knots of a sample; runs on the host.

    Args:
        sample: ``[S, F]``, one row at least.
        target: distribution that :func:`forward` gives.

    Returns:
        ``[K, F]`` float32, strictly increasing: knots of equal values are placed a
        millionth of the largest value apart.
    """
    levels = _targets(target).astype(np.float64)
    if target == "normal":
        levels = np.array([NormalDist().cdf(level) for level in levels])
    values = np.quantile(np.asarray(sample, np.float64), levels, axis=0)
    gap = _GAP * np.abs(values).max(axis=0)
    steps = np.where(gap > 0, gap, _GAP) * np.arange(KNOTS)[:, None]
    return (np.maximum.accumulate(values - steps, axis=0) + steps).astype(np.float32)


def forward(knots: Array, v: Array, target: Target = "normal") -> Array:
    """Features to the distribution ``target``.

    Args:
        knots: ``[K, F]`` from :func:`fit` with the same target.
        v: ``[..., F]``.
        target: normal or uniform.

    Returns:
        ``[..., F]``.
    """

    def one(knots, v):
        t, (low, high), (left, right) = _tails(knots, target)
        inside = jnp.interp(v, knots, t)
        below, above = jnp.minimum(v - low, 0.0), jnp.maximum(v - high, 0.0)
        return inside + below / left + above / right

    return jax.vmap(one, in_axes=-1, out_axes=-1)(jnp.asarray(knots), jnp.asarray(v))


def inverse(knots: Array, x: Array, target: Target = "normal") -> Array:
    """Inverse of :func:`forward`."""

    def one(knots, x):
        t, _, (left, right) = _tails(knots, target)
        inside = jnp.interp(x, t, knots)
        below, above = jnp.minimum(x - t[0], 0.0), jnp.maximum(x - t[-1], 0.0)
        return inside + below * left + above * right

    return jax.vmap(one, in_axes=-1, out_axes=-1)(jnp.asarray(knots), jnp.asarray(x))


def _tails(knots, target):
    """Targets of the knots, both ends, and the units of v per target beyond them."""
    t = _targets(target)
    low, middle, high = knots[0], knots[KNOTS // 2], knots[-1]
    half = t[KNOTS // 2] - t[0]
    return t, (low, high), ((middle - low) / half, (high - middle) / half)
