"""Positive, bounded and plain columns: unlimited, then standardised or normal."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.types import Array
from jetvae_jax.events.kinds import Kind

NUM_KNOTS = 129
# The logit of a value at a limit stays finite.
_SHRINK = 1e-3
# exp stays finite in float32.
_MAX_LOG = 80.0


class Marginals(NamedTuple):
    """Distributions of the S columns, of their unlimited values (logarithm, logit).

    Attributes:
        offset: ``[S]`` mean.
        factor: ``[S]`` standard deviation, positive.
        low: ``[S]`` lower bound of generated values: the training range extended by
            its width.
        high: ``[S]`` upper bound.
        knots: ``[S, K]`` training quantiles at ``normal``; K is 0 if the columns are
            standardised.
        normal: ``[K]`` equidistant normal numbers.
    """

    offset: Array
    factor: Array
    low: Array
    high: Array
    knots: Array
    normal: Array


def fit(kinds: tuple[Kind, ...], columns: np.ndarray, *, to_normal: bool) -> Marginals:
    """Measures training values ``[J, S]``; runs on the host.

    Args:
        kinds: of the S columns.
        columns: ``[J, S]``.
        to_normal: map to a standard normal by quantiles, else standardise.
    """
    from scipy.special import ndtr, ndtri

    y = _unlimited(kinds, np.asarray(columns, np.float64), np)
    if not y.shape[1]:
        none = np.zeros(0, np.float32)
        return Marginals(none, none, none, none, np.zeros((0, 0), np.float32), none)
    smallest, largest = y.min(axis=0), y.max(axis=0)
    reach = largest - smallest
    low, high = smallest - reach, largest + reach
    logs = np.array([kind.name == "positive" for kind in kinds])
    low = np.where(logs, np.maximum(low, -_MAX_LOG), low)
    high = np.where(logs, np.minimum(high, _MAX_LOG), high)
    deviation = y.std(axis=0)
    offset, factor = y.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
    knots, normal = np.zeros((y.shape[1], 0)), np.zeros(0)
    if to_normal:
        end = ndtri(1 - 0.5 / len(y))
        normal = np.linspace(-end, end, NUM_KNOTS)
        # A step of many equal values becomes a steep slope.
        ramp = 1e-4 * np.linspace(0, 1, NUM_KNOTS)[:, None] * reach
        knots = np.quantile(y, ndtr(normal), axis=0) + ramp
        offset, factor, knots = np.zeros_like(offset), np.ones_like(factor), knots.T
    arrays = (offset, factor, low, high, knots, normal)
    return Marginals(*(array.astype(np.float32) for array in arrays))


def forward(kinds: tuple[Kind, ...], fitted: Marginals, values: Array) -> Array:
    """Physical values ``[..., S]`` to standardised or normal ones ``[..., S]``."""
    y = _unlimited(kinds, jnp.asarray(values), jnp)
    if fitted.knots.shape[1]:
        return _interpolate(y, fitted.knots, fitted.normal)
    return (y - fitted.offset) / fitted.factor


def inverse(kinds: tuple[Kind, ...], fitted: Marginals, x: Array) -> Array:
    """Any numbers ``[..., S]`` to values ``[..., S]`` that their kinds allow."""
    x = jnp.clip(jnp.asarray(x), -1e6, 1e6)
    if fitted.knots.shape[1]:
        y = _interpolate(x, fitted.normal, fitted.knots)
    else:
        y = fitted.offset + fitted.factor * x
    return _limited(kinds, jnp.clip(y, fitted.low, fitted.high))


def _masks(kinds: tuple[Kind, ...]):
    positive = np.array([kind.name == "positive" for kind in kinds], bool)
    bounded = np.array([kind.name == "bounded" for kind in kinds], bool)
    low = np.array([kind.low for kind in kinds], np.float32)
    span = np.array([kind.high - kind.low for kind in kinds], np.float32)
    return positive, bounded, low, np.where(bounded, span, np.float32(1))


def _unlimited(kinds, v: Array, xp: Any) -> Any:
    positive, bounded, low, span = _masks(kinds)
    tiny = np.finfo(np.float32).tiny
    log = xp.log(xp.where(positive, xp.maximum(v, tiny), 1.0))
    u = xp.where(bounded, xp.clip((v - low) / span, 0.0, 1.0), 0.5)
    u = _SHRINK + (1 - 2 * _SHRINK) * u
    logit = xp.log(u) - xp.log1p(-u)
    return xp.where(positive, log, xp.where(bounded, logit, v))


def _limited(kinds, y: Array) -> Array:
    positive, bounded, low, span = _masks(kinds)
    u = (jax.nn.sigmoid(jnp.where(bounded, y, 0.0)) - _SHRINK) / (1 - 2 * _SHRINK)
    inside = low + span * jnp.clip(u, 0.0, 1.0)
    exp = jnp.exp(jnp.where(positive, y, 0.0))
    return jnp.where(positive, exp, jnp.where(bounded, inside, y))


def _interpolate(x: Array, xs: Array, ys: Array) -> Array:
    """Piecewise linear interpolation by column, extrapolated beyond the ends.

    Args:
        x: ``[..., S]``.
        xs: ``[K]`` or ``[S, K]``, rising.
        ys: the other of the two.
    """

    def one(x, xs, ys):
        index = jnp.clip(jnp.searchsorted(xs, x, side="right"), 1, len(xs) - 1)
        x0, x1, y0, y1 = xs[index - 1], xs[index], ys[index - 1], ys[index]
        return y0 + (x - x0) / (x1 - x0) * (y1 - y0)

    axes = tuple(0 if jnp.ndim(table) == 2 else None for table in (xs, ys))
    return jax.vmap(one, (-1, *axes), -1)(x, jnp.asarray(xs), jnp.asarray(ys))
