"""Marginals: monotone maps between the values z of each column and normal scores y.

The cumulative distribution function of a column is ``F(z) = Phi(y(z))``, so
``u = Phi(y)`` is uniform. The maps give y instead of u, which would round to 0 or 1 in
the tails. Both directions are exact.

- :func:`empirical`: y is linear in z between knots that lie at equal steps of y, that
  is, at quantiles of a sample; the density between two knots is a piece of a Gaussian.
  Beyond the last knots, at the tenth-last event of the sample, it is a Gaussian whose
  width is that of the outer sixteenth of the knots. Transform columns with heavier
  tails (log) first.
- :func:`spline`: y is a monotone rational-quadratic spline of ``(z - shift) / scale``,
  linear beyond ``bound``, learned by maximum likelihood: a neural CDF.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Key, Params
from jetvae_jax.densities import splines

TAIL_EVENTS = 10
"""Events beyond the last empirical knot on each side."""


class Marginals(NamedTuple):
    """Monotone maps of L columns.

    Attributes:
        init: ``(key) -> params``, before any fit.
        scores: ``(params, z [..., L]) -> (y [..., L], log dy/dz [..., L])``.
        values: ``(params, y [..., L]) -> z [..., L]``.
        dim: L.
    """

    init: Callable[..., Params]
    scores: Callable[..., tuple[Array, Array]]
    values: Callable[..., Array]
    dim: int


def checked(z: Array, what: str = "latents") -> np.ndarray:
    """A sample as NumPy's float64 ``[J, L]``, checked for a fit of marginals.

    Raises:
        InputError: it is too small, not finite, or a column is constant.
    """
    x = floats(np, z)[0].astype(np.float64, copy=False)
    if x.ndim != 2 or x.shape[0] < 2 * TAIL_EVENTS:
        raise InputError(
            f"{what}: a copula needs at least {2 * TAIL_EVENTS} rows of numbers, got "
            f"an array of shape {x.shape}: use more events"
        )
    bad = np.flatnonzero(~np.isfinite(x).all(axis=0))
    if bad.size:
        raise InputError(f"{what}: column {bad[0]} has NaN or infinite numbers")
    constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
    if constant.size:
        raise InputError(
            f"{what}: column {constant[0]} is constant, {x[0, constant[0]]:g}, and has "
            "no distribution to learn: leave it out"
        )
    return x


def fit_empirical(z: Array, *, num_knots: int = 256, what: str = "latents") -> Params:
    """Knots of a sample: the parameters of :func:`empirical`; on the host.

    Values that occur many times give equal knots; these are separated by a millionth of
    the column's range, so that the map is invertible.

    Args:
        z: ``[J, L]``.
        num_knots: K, some hundreds.
        what: name of the sample, for messages.

    Returns:
        ``{"knots": [L, K] float32, "top": scalar}``: the values of z at K equal steps
        of y from ``-top`` to ``top``.

    Raises:
        InputError: see :func:`checked`.
    """
    z = checked(z, what)
    top = jax.scipy.special.ndtri(1 - np.clip(TAIL_EVENTS / len(z), 1e-6, 0.1))
    top = float(top)
    levels = np.asarray(jax.scipy.special.ndtr(np.linspace(-top, top, num_knots)))
    knots = np.quantile(z, levels, axis=0, method="hazen").T
    largest = np.abs(z).max(axis=0).astype(np.float32)
    apart = np.maximum(1e-6 * np.ptp(z, axis=0), 4 * np.spacing(largest))
    steps = apart[:, None] * np.arange(num_knots)
    knots = np.maximum.accumulate(knots - steps, axis=1) + steps
    return {"knots": knots.astype(np.float32), "top": np.float32(top)}


def empirical(dim: int, *, num_knots: int = 256) -> Marginals:
    """Piecewise linear scores; the parameters are fixed and get no gradient.

    Args:
        dim: L.
        num_knots: K, as fitted; at least 17.
    """
    outer = max(1, num_knots // 16)

    def init(key: Key) -> Params:
        del key
        top = np.float32(3.0)
        row = np.linspace(-top, top, num_knots, dtype=np.float32)
        return {"knots": jnp.tile(row, (dim, 1)), "top": jnp.asarray(top)}

    def pieces(params, find):
        """Start, score and slope dy/dz of the piece that contains each number."""
        params = jax.lax.stop_gradient(params)
        knots, top = params["knots"], params["top"]
        step = 2 * top / (num_knots - 1)
        index = find(knots, top, step)  # 0 below the first knot, K above the last
        lower = jnp.clip(index - 1, 0, num_knots - 1)

        def column(knots, index, lower):
            inner = step / jnp.diff(knots)
            low = outer * step / (knots[outer] - knots[0])
            high = outer * step / (knots[-1] - knots[-1 - outer])
            slopes = jnp.concatenate([low[None], inner, high[None]])
            return knots[lower], slopes[index]

        start, slope = jax.vmap(column, (0, -1, -1), -1)(knots, index, lower)
        return start, lower * step - top, slope

    def scores(params: Params, z: Array) -> tuple[Array, Array]:
        (z,) = floats(jnp, z)
        search = jax.vmap(
            lambda knots, z: jnp.searchsorted(knots, z, side="right"), (0, -1), -1
        )
        start, score, slope = pieces(params, lambda knots, *_: search(knots, z))
        return score + (z - start) * slope, jnp.log(slope)

    def values(params: Params, y: Array) -> Array:
        (y,) = floats(jnp, y)

        def find(knots, top, step):
            del knots
            steps = jnp.floor((y + top) / step) + 1
            return jnp.clip(steps, 0, num_knots).astype(jnp.int32)

        start, score, slope = pieces(params, find)
        return start + (y - score) / slope

    return Marginals(init, scores, values, dim)


def spline(dim: int, *, num_bins: int = 16, bound: float = 5.0) -> Marginals:
    """A neural CDF for each column, exactly invertible; a Gaussian at first.

    Args:
        dim: L.
        num_bins: bins of each spline.
        bound: scores beyond it are linear in z.
    """

    def init(key: Key) -> Params:
        del key
        raw = jnp.zeros((dim, splines.num_parameters(num_bins)))
        return {"shift": jnp.zeros(dim), "log_scale": jnp.zeros(dim), "raw": raw}

    def scores(params: Params, z: Array) -> tuple[Array, Array]:
        (z,) = floats(jnp, z)
        x = (z - params["shift"]) * jnp.exp(-params["log_scale"])
        y, log_slope = splines.forward(params["raw"], x, bound=bound)
        return y, log_slope - params["log_scale"]

    def values(params: Params, y: Array) -> Array:
        (y,) = floats(jnp, y)
        x, _ = splines.inverse(params["raw"], y, bound=bound)
        return params["shift"] + jnp.exp(params["log_scale"]) * x

    return Marginals(init, scores, values, dim)


def start_spline(
    z: Array, *, num_bins: int = 16, bound: float = 5.0, what: str = "latents"
) -> Params:
    """Initial parameters of :func:`spline` from quantiles of a sample; on the host.

    The knots are the sample's quantiles at equal steps of y, with slopes one: a good
    start for a fit by maximum likelihood.

    Args:
        z: ``[J, L]``.
        num_bins: as for :func:`spline`.
        bound: the same.
        what: name of the sample, for messages.

    Raises:
        InputError: see :func:`checked`.
    """
    z = checked(z, what)
    shift, scale = z.mean(axis=0), z.std(axis=0)
    size = splines.num_parameters(num_bins)
    raw = np.zeros((z.shape[1], size))
    edges = np.linspace(-bound, bound, num_bins + 1)
    levels = np.asarray(jax.scipy.special.ndtr(edges[1:-1]))
    inner = np.quantile((z - shift) / scale, levels, axis=0).T
    low, high = np.full((len(shift), 1), -bound), np.full((len(shift), 1), bound)
    # Quantiles beyond the ends of the sample coincide: give each bin some width.
    inner = np.clip(inner, -bound, bound)
    widths = np.diff(np.concatenate([low, inner, high], axis=1), axis=1)
    sizes = np.maximum(widths / (2 * bound), 2 * splines.MIN_SIZE)
    sizes = sizes / sizes.sum(axis=1, keepdims=True)
    raw[:, :num_bins] = np.log(sizes - 0.999 * splines.MIN_SIZE)
    return jax.tree.map(
        np.float32, {"shift": shift, "log_scale": np.log(scale), "raw": raw}
    )
