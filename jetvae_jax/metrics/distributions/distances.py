"""Distances between two samples of one observable, from histograms and without bins.

Two different quantities are called the earth mover's distance of histograms. The
published scripts (github.com/borzari/ConVAE_Jet) hand the *heights* of the bins to
``scipy.stats.wasserstein_distance`` as samples, which forgets where the bins are: a
mass peak shifted by 60 GeV scores as well as the right one. :func:`histogram_emd` is
the true distance; :func:`bin_height_w1` is the published one, kept only to compare with
published values.
"""

from typing import Literal

import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array
from jetvae_jax.metrics.host import namespace

_BLOCK = 1 << 20  # values at a time, so that tens of millions of particles fit


def histogram(
    values: Array,
    edges: Array,
    weights: Array | None = None,
    *,
    outside: Literal["clip", "drop"] = "clip",
) -> tuple[Array, Array]:
    """Normalised bin contents and the fraction of values outside the range.

    Args:
        values: ``[J]``, finite. A NaN counts as outside and falls in no bin.
        edges: ``[B + 1]``, increasing; the last bin includes its upper edge.
        weights: ``[J]``, not negative, or None for one each.
        outside: ``"clip"`` puts values outside the range in the first or last bin,
            so that a sample cannot hide its tails; ``"drop"`` leaves them out, as
            ``numpy.histogram`` does and the published scripts did.

    Returns:
        Probabilities ``[B]`` that sum to one (all zero if every value was dropped),
        and the weighted fraction of values outside ``[edges[0], edges[-1]]``.

    Raises:
        ValueError: shapes that do not fit, or no values.
    """
    xp = namespace(values, edges, weights)
    values, edges, weights = floats(xp, values, edges, weights)
    if values.ndim != 1 or edges.ndim != 1 or values.shape[0] == 0:
        raise ValueError(
            "histogram needs values [J] with J > 0 and edges [B + 1], got shapes "
            f"{values.shape} and {edges.shape}"
        )
    low, high = edges[0], edges[-1]
    inside = (values >= low) & (values <= high)
    weight = xp.ones(values.shape[0]) if weights is None else weights
    if weight.shape != values.shape:
        raise ValueError(f"weights {weight.shape} do not match values {values.shape}")
    kept = xp.clip(values, low, high) if outside == "clip" else values
    counts, _ = xp.histogram(kept, bins=edges, weights=weight)
    fraction = xp.sum(xp.where(inside, 0.0, weight)) / xp.sum(weight)
    return _normalise(counts), fraction


def histogram_emd(p: Array, q: Array, edges: Array, *, normalised: bool = False):
    """Wasserstein-1 distance of two histograms, bin contents at the bin centres.

        EMD = sum_b |CDF_p(b) - CDF_q(b)| (c_{b+1} - c_b)

    Moving everything by k equal bins costs k widths.

    Args:
        p: ``[..., B]`` probabilities.
        q: ``[..., B]`` probabilities.
        edges: ``[B + 1]``.
        normalised: divide by the range ``edges[-1] - edges[0]``, which makes
            different observables comparable: 1 is the whole range.

    Returns:
        ``[...]`` in the unit of ``edges``, or without unit if normalised.

    Raises:
        ValueError: shapes that do not fit.

    Example:
        A peak that is two bins of 10 GeV away:

        >>> edges = jnp.array([0.0, 10.0, 20.0, 30.0])
        >>> p, q = jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.0, 1.0])
        >>> print(jv.metrics.histogram_emd(p, q, edges))
        20.0
    """
    xp = namespace(p, q, edges)
    p, q, edges = floats(xp, p, q, edges)
    if p.shape[-1:] != q.shape[-1:] or edges.shape != (p.shape[-1] + 1,):
        raise ValueError(
            f"histograms {p.shape} and {q.shape} do not fit edges {edges.shape}"
        )
    centres = (edges[1:] + edges[:-1]) / 2
    gap = xp.abs(xp.cumsum(p - q, axis=-1))[..., :-1]
    emd = xp.sum(gap * xp.diff(centres), axis=-1)
    return emd / (edges[-1] - edges[0]) if normalised else emd


def separation_power(p: Array, q: Array):
    """Separation of two histograms: 0 if they are equal, 1 if they do not overlap.

        S = 1/2 sum_b (p_b - q_b)^2 / (p_b + q_b)

    As in the CaloChallenge (arXiv:2410.21611), also called triangular discrimination.
    Of n and m entries in B bins, all of one distribution, it is about
    ``(B - 1) (1/n + 1/m) / 8 * 2`` on average.

    Args:
        p: ``[..., B]`` contents or probabilities; normalised here.
        q: ``[..., B]`` the same.

    Returns:
        ``[...]``, without unit.

    Raises:
        ValueError: different numbers of bins.
    """
    xp = namespace(p, q)
    p, q = floats(xp, p, q)
    if p.shape[-1:] != q.shape[-1:]:
        raise ValueError(f"histograms differ in bins: {p.shape} and {q.shape}")
    p, q = _normalise(p), _normalise(q)
    total = p + q
    terms = xp.square(p - q) / xp.where(total > 0, total, 1)
    return xp.sum(terms, axis=-1) / 2


def bin_height_w1(p: Array, q: Array):
    """The published "EMD": Wasserstein-1 between the two multisets of bin heights.

    Exactly ``scipy.stats.wasserstein_distance(p / p.sum() + 1e-12, q / q.sum() +
    1e-12)``, where p and q are contents of 100 bins, values out of range dropped
    (``histogram(..., outside="drop")``). For equally many bins it is the mean of
    ``|sort(p) - sort(q)|``. **Blind to the position of the bins**: any permutation of
    them scores the same.

    Args:
        p: ``[..., B]`` contents or probabilities; normalised here.
        q: ``[..., B]`` the same.

    Returns:
        ``[...]``, dimensionless. A histogram without entries counts as all zeros,
        where the published scripts give NaN.

    Raises:
        ValueError: different numbers of bins.

    Example:
        The peak at the wrong place of :func:`histogram_emd` is not seen:

        >>> p, q = jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.0, 1.0])
        >>> print(jv.metrics.bin_height_w1(p, q))
        0.0
    """
    xp = namespace(p, q)
    p, q = floats(xp, p, q)
    if p.shape[-1:] != q.shape[-1:]:
        raise ValueError(f"histograms differ in bins: {p.shape} and {q.shape}")
    p, q = _normalise(p) + 1e-12, _normalise(q) + 1e-12
    return xp.mean(xp.abs(xp.sort(p, axis=-1) - xp.sort(q, axis=-1)), axis=-1)


def _normalise(counts: Array) -> Array:
    xp = namespace(counts)
    total = xp.sum(counts, axis=-1, keepdims=True)
    return counts / xp.where(total > 0, total, 1)


def wasserstein_1d(
    x: Array,
    y: Array,
    *,
    x_weights: Array | None = None,
    y_weights: Array | None = None,
):
    """Unbinned Wasserstein-1 distance, any sizes, any weights.

        W1 = int_0^1 |F_x^{-1}(u) - F_y^{-1}(u)| du

    over the merged steps of the two quantile functions: exact, no binning and no
    interpolation. Equal to ``scipy.stats.wasserstein_distance`` and faster, since
    values are sorted in their own precision.

    Args:
        x: ``[J]``.
        y: ``[M]``, in the unit of x.
        x_weights: ``[J]``, not negative with a positive sum; None for equal weights.
        y_weights: ``[M]``, the same.

    Returns:
        A scalar in the unit of x.

    Raises:
        ValueError: an empty sample or shapes that do not match.

    Example:
        >>> x, y = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.5, 2.5, 3.5])
        >>> print(jv.metrics.wasserstein_1d(x, y))
        0.5
    """
    xp = namespace(x, y, x_weights, y_weights)
    (x, y), (x_weights, y_weights) = floats(xp, x, y), floats(xp, x_weights, y_weights)
    if x.ndim != 1 or y.ndim != 1 or 0 in (x.size, y.size):
        raise ValueError(
            f"wasserstein_1d needs two samples [J] with J > 0, got {x.shape}, {y.shape}"
        )
    wide = xp.promote_types(x.dtype, float)  # float64 on the host, float32 in JAX
    if x_weights is None and y_weights is None:
        if x.size == y.size:
            return xp.mean(xp.abs(xp.sort(x) - xp.sort(y)), dtype=wide)
        if xp is np:
            return _equal_weights(np.sort(x), np.sort(y))
    x, x_steps = _quantile_steps(xp, x, x_weights, wide)
    y, y_steps = _quantile_steps(xp, y, y_weights, wide)
    # Both parts are sorted: the stable sort merges them in one pass.
    steps = xp.sort(xp.concatenate([x_steps, y_steps]), stable=True)
    width = xp.diff(steps, prepend=xp.zeros(1, wide))
    at_x = xp.minimum(xp.searchsorted(x_steps, steps), x.size - 1)
    at_y = xp.minimum(xp.searchsorted(y_steps, steps), y.size - 1)
    return xp.sum(width * xp.abs(x[at_x] - y[at_y]))


def _equal_weights(x: np.ndarray, y: np.ndarray) -> np.floating:
    """The same integral for sorted samples of equal weights, without merging steps.

    A step of the larger sample, ``[i, i + 1] / J``, meets at most two steps of the
    smaller one; where it crosses from one to the next is an integer in units of
    ``1 / (J M)``. Float64 divides faster than integers do, and is exact here: a
    quotient that is no integer is ``1 / J`` away from one.
    """
    if x.size < y.size:
        x, y = y, x
    j, m = x.size, y.size
    total = 0.0
    for at in range(0, j, _BLOCK):  # so that tens of millions of particles fit
        block = x[at : at + _BLOCK]
        start = np.arange(at, at + block.size, dtype=np.float64) * m
        first = np.floor(start / j)
        width = np.minimum(m, (first + 1) * j - start)  # within the first step it meets
        first = first.astype(np.int64)
        second = np.minimum(first + 1, m - 1)
        total += width @ np.abs(block - y[first]).astype(np.float64)
        total += (m - width) @ np.abs(block - y[second]).astype(np.float64)
    return np.float64(total / (j * m))


def _quantile_steps(xp, x, weights, dtype):
    """Sorted values ``[J]`` and the cumulative weight ``[J]`` up to and with each."""
    if weights is None:
        return xp.sort(x), xp.arange(1, x.size + 1, dtype=dtype) / x.size
    if weights.shape != x.shape:
        raise ValueError(f"weights {weights.shape} do not match values {x.shape}")
    order = xp.argsort(x)
    steps = xp.cumsum(weights[order], dtype=dtype)
    return x[order], steps / steps[-1]


def kolmogorov_smirnov(
    x: Array,
    y: Array,
    *,
    x_weights: Array | None = None,
    y_weights: Array | None = None,
):
    """Largest difference of the two empirical distribution functions.

        D = max_t |F_x(t) - F_y(t)|,  F_x(t) the fraction of the sample at or below t

    Exact for any sizes, with ties and weights; without weights it is the statistic of
    ``scipy.stats.ks_2samp``. No p-value: jets come in samples so large that any model
    is rejected, and D itself is what papers quote.

    Args:
        x: ``[J]``.
        y: ``[M]``, in the unit of x.
        x_weights: ``[J]``, not negative with a positive sum; None for equal weights.
        y_weights: ``[M]``, the same.

    Returns:
        A scalar in [0, 1], without unit; NaN if a value is NaN.

    Raises:
        ValueError: an empty sample or shapes that do not match.

    Example:
        >>> x, y = jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([3.0, 4.0, 5.0, 6.0])
        >>> print(jv.metrics.kolmogorov_smirnov(x, y))
        0.5
    """
    xp = namespace(x, y, x_weights, y_weights)
    (x, y), (x_weights, y_weights) = floats(xp, x, y), floats(xp, x_weights, y_weights)
    if x.ndim != 1 or y.ndim != 1 or 0 in (x.size, y.size):
        raise ValueError(
            "kolmogorov_smirnov needs two samples [J] with J > 0, got "
            f"{x.shape}, {y.shape}"
        )
    first = _distribution(xp, x, x_weights)
    second = _distribution(xp, y, y_weights)
    # Both functions are steps: between two values of the samples nothing changes.
    gaps = [
        xp.max(xp.abs(_fraction(xp, first, at) - _fraction(xp, second, at)))
        for values, _ in (first, second)
        for at in _blocks(values)
    ]
    # A NaN is sorted last, and has no place among the values.
    unknown = xp.isnan(first[0][-1]) | xp.isnan(second[0][-1])
    return xp.where(unknown, xp.nan, xp.max(xp.stack(gaps)))[()]


def _blocks(values):
    """Parts of an array, so that tens of millions of particles fit."""
    return [values[i : i + _BLOCK] for i in range(0, values.size, _BLOCK)]


def _fraction(xp, distribution, at):
    """The fraction ``[n]`` of a sample at or below each of ``at [n]``."""
    values, fractions = distribution
    below = xp.searchsorted(values, at, side="right")
    if fractions is None:
        return below / xp.promote_types(values.dtype, float).type(values.size)
    return fractions[below]


def _distribution(xp, x, weights):
    """Sorted values ``[J]`` and the fraction ``[J + 1]`` of the n smallest of them.

    None instead of the fractions if all weigh the same.
    """
    if weights is None:
        return xp.sort(x), None
    wide = xp.promote_types(x.dtype, float)  # float64 on the host, float32 in JAX
    if weights.shape != x.shape:
        raise ValueError(f"weights {weights.shape} do not match values {x.shape}")
    order = xp.argsort(x)
    total = xp.cumsum(weights[order], dtype=wide)
    return x[order], xp.concatenate([xp.zeros(1, wide), total / total[-1]])
