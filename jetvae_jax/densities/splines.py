"""Monotone rational-quadratic splines (arXiv:1906.04032) with exact inverses.

A spline maps ``[-bound, bound]`` onto itself and is the identity outside, with slope
one at both ends. Between two knots it is the quotient of two parabolas, whose inverse
has a closed form. Each spline has ``3 K - 1`` free numbers, all zero for the identity:
K widths, K heights, and the slopes at the K - 1 inner knots.
"""

import math

import jax
import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array

MIN_SIZE = 1e-3
"""Smallest width of a bin, as a fraction of the interval."""
MIN_SLOPE = 1e-3
"""Smallest slope at a knot."""


def num_parameters(num_bins: int) -> int:
    """Free numbers of one spline of K bins."""
    return 3 * num_bins - 1


def _edges(raw: Array, bound: float) -> Array:
    """``[..., K]`` free numbers to the K + 1 edges of bins that fill the interval."""
    sizes = MIN_SIZE + (1 - MIN_SIZE * raw.shape[-1]) * jax.nn.softmax(raw, axis=-1)
    inner = jnp.cumsum(sizes[..., :-1], axis=-1)
    ends = [jnp.zeros_like(inner[..., :1]), jnp.ones_like(inner[..., :1])]
    if raw.shape[-1] == 1:
        ends = [jnp.zeros_like(raw), jnp.ones_like(raw)]
    return bound * (2 * jnp.concatenate([ends[0], inner, ends[1]], axis=-1) - 1)


def _knots(raw: Array, bound: float) -> tuple[Array, Array, Array]:
    """Positions, values and slopes ``[..., K + 1]`` at the knots."""
    size = (raw.shape[-1] + 1) // 3
    start = math.log(math.expm1(1 - MIN_SLOPE))  # softplus of it: slope one
    slopes = MIN_SLOPE + jax.nn.softplus(raw[..., 2 * size :] + start)
    one = jnp.ones((*raw.shape[:-1], 1), raw.dtype)
    slopes = jnp.concatenate([one, slopes, one], axis=-1)
    return (
        _edges(raw[..., :size], bound),
        _edges(raw[..., size : 2 * size], bound),
        slopes,
    )


def _bin(at: Array, edges: Array, *arrays: Array) -> list[Array]:
    """Lower and upper entry of each array in the bin of ``edges`` that contains ``at``.

    Sums over a one-hot row, not gathers: their gradients would be slow scatters.
    """
    inner = edges[..., 1:-1]
    index = jnp.sum(at[..., None] >= inner, axis=-1, keepdims=True)
    here = index == jnp.arange(edges.shape[-1] - 1)

    def pick(a):
        return jnp.sum(jnp.where(here, a, 0.0), axis=-1)

    return [part for a in arrays for part in (pick(a[..., :-1]), pick(a[..., 1:]))]


def forward(raw: Array, x: Array, *, bound: float) -> tuple[Array, Array]:
    """The spline at ``x`` and the logarithm of its slope there.

    Args:
        raw: ``[..., 3 K - 1]`` free numbers of each spline.
        x: ``[...]``, any real.
        bound: half the interval.

    Returns:
        ``y [...]`` and ``log dy/dx [...]``.
    """
    raw, x = floats(jnp, raw, x)
    inside = jnp.abs(x) < bound
    at = jnp.where(inside, x, 0.0)
    xs, ys, slopes = _knots(raw, bound)
    x0, x1, y0, y1, d0, d1 = _bin(at, xs, xs, ys, slopes)
    mean = (y1 - y0) / (x1 - x0)
    t = (at - x0) / (x1 - x0)
    tt = t * (1 - t)
    bottom = mean + (d0 + d1 - 2 * mean) * tt
    y = y0 + (y1 - y0) * (mean * t * t + d0 * tt) / bottom
    log_slope = _log_slope(mean, d0, d1, t, bottom)
    return jnp.where(inside, y, x), jnp.where(inside, log_slope, 0.0)


def inverse(raw: Array, y: Array, *, bound: float) -> tuple[Array, Array]:
    """The x whose spline is ``y`` and the logarithm of ``dx/dy``.

    Arguments as in :func:`forward`. The root is the one of arXiv:1906.04032,
    equation 29, in the form without cancellation.
    """
    raw, y = floats(jnp, raw, y)
    inside = jnp.abs(y) < bound
    at = jnp.where(inside, y, 0.0)
    xs, ys, slopes = _knots(raw, bound)
    x0, x1, y0, y1, d0, d1 = _bin(at, ys, xs, ys, slopes)
    height = y1 - y0
    mean = height / (x1 - x0)
    curve = (at - y0) * (d0 + d1 - 2 * mean)
    a, b, c = height * (mean - d0) + curve, height * d0 - curve, -mean * (at - y0)
    root = jnp.sqrt(jnp.maximum(b * b - 4 * a * c, 1e-20))
    t = 2 * c / (-b - root)
    bottom = mean + (d0 + d1 - 2 * mean) * t * (1 - t)
    log_slope = _log_slope(mean, d0, d1, t, bottom)
    x = x0 + t * (x1 - x0)
    return jnp.where(inside, x, y), jnp.where(inside, -log_slope, 0.0)


def _log_slope(mean, d0, d1, t, bottom):
    """``log dy/dx`` at the fraction t of a bin (arXiv:1906.04032, equation 5)."""
    top = d1 * t * t + 2 * mean * t * (1 - t) + d0 * jnp.square(1 - t)
    return 2 * jnp.log(mean) + jnp.log(top) - 2 * jnp.log(bottom)
