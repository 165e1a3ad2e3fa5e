"""Quantile transform: each feature mapped to a standard normal distribution.

The distribution function is that of a sample, known at knots. The map is linear between
knots; beyond the first and the last knot its slope is that from there to the median. It
is strictly increasing and so has an inverse everywhere.
"""

from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.types import Array

KNOTS = 257
# Of the knots in standard deviations: 32 of a million values lie beyond on either side.
_REACH = 4.0
_NORMAL = np.linspace(-_REACH, _REACH, KNOTS, dtype=np.float32)
# Distances of knots, in units of the largest value: eight roundings of float32.
_GAP = 1e-6


def fit(sample: np.ndarray) -> np.ndarray:
    """Positions of the knots of a sample; runs on the host.

    Args:
        sample: ``[S, F]``, one row at least.

    Returns:
        ``[K, F]`` float32, strictly increasing: knots of equal values are placed a
        millionth of the largest value apart.
    """
    levels = [NormalDist().cdf(x) for x in _NORMAL.astype(np.float64)]
    values = np.quantile(np.asarray(sample, np.float64), np.array(levels), axis=0)
    gap = _GAP * np.abs(values).max(axis=0)
    steps = np.where(gap > 0, gap, _GAP) * np.arange(KNOTS)[:, None]
    return (np.maximum.accumulate(values - steps, axis=0) + steps).astype(np.float32)


def forward(knots: Array, v: Array) -> Array:
    """Features to normal numbers.

    Args:
        knots: ``[K, F]`` from :func:`fit`.
        v: ``[..., F]``.

    Returns:
        ``[..., F]``.
    """

    def one(knots, v):
        (low, high), (left, right) = _tails(knots)
        inside = jnp.interp(v, knots, _NORMAL)
        below, above = jnp.minimum(v - low, 0.0), jnp.maximum(v - high, 0.0)
        return inside + below / left + above / right

    return jax.vmap(one, in_axes=-1, out_axes=-1)(jnp.asarray(knots), jnp.asarray(v))


def inverse(knots: Array, x: Array) -> Array:
    """Inverse of :func:`forward`."""

    def one(knots, x):
        _, (left, right) = _tails(knots)
        inside = jnp.interp(x, _NORMAL, knots)
        below = jnp.minimum(x - _NORMAL[0], 0.0)
        above = jnp.maximum(x - _NORMAL[-1], 0.0)
        return inside + below * left + above * right

    return jax.vmap(one, in_axes=-1, out_axes=-1)(jnp.asarray(knots), jnp.asarray(x))


def _tails(knots):
    """Both ends of the knots, and the units of v per normal number beyond them."""
    low, middle, high = knots[0], knots[KNOTS // 2], knots[-1]
    half = _NORMAL[KNOTS // 2] - _NORMAL[0]
    return (low, high), ((middle - low) / half, (high - middle) / half)
