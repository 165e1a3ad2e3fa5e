"""Kolmogorov-Smirnov distance of two samples on a line."""

from jetvae_jax.core.types import Array
from jetvae_jax.metrics.host.arrays import namespace

_BLOCK = 1 << 20


def kolmogorov_smirnov(
    x: Array,
    y: Array,
    *,
    x_weights: Array | None = None,
    y_weights: Array | None = None,
):
    """Largest difference of the two empirical distribution functions.

        D = max_t |F_x(t) - F_y(t)|,  F_x(t) the share of the sample at or below t

    Exact for any sizes, with ties and weights; without weights it is the statistic of
    ``scipy.stats.ks_2samp``. No p-value: jets come in samples so large that any model
    is rejected, and D itself is the figure the field quotes.

    Args:
        x: ``[J]``.
        y: ``[M]``, in the unit of x.
        x_weights: ``[J]``, not negative with a positive sum; None for equal weights.
        y_weights: ``[M]``, the same.

    Returns:
        A scalar in [0, 1], without unit.

    Raises:
        ValueError: an empty sample or shapes that do not match.
    """
    xp = namespace(x, y, x_weights, y_weights)
    x, y = xp.asarray(x), xp.asarray(y)
    if x.ndim != 1 or y.ndim != 1 or 0 in (x.size, y.size):
        raise ValueError(
            "kolmogorov_smirnov needs two samples [J] with J > 0, got "
            f"{x.shape}, {y.shape}"
        )
    first = _distribution(xp, x, x_weights)
    second = _distribution(xp, y, y_weights)
    # Both functions are steps: between two values of the samples nothing changes.
    gaps = [
        xp.max(xp.abs(_share(xp, first, at) - _share(xp, second, at)))
        for values, _ in (first, second)
        for at in _blocks(values)
    ]
    return xp.max(xp.stack(gaps))


def _blocks(values):
    """Parts of an array, so that tens of millions of particles fit."""
    return [values[i : i + _BLOCK] for i in range(0, values.size, _BLOCK)]


def _share(xp, distribution, at):
    """The share ``[n]`` of a sample at or below each of ``at [n]``."""
    values, shares = distribution
    below = xp.searchsorted(values, at, side="right")
    if shares is None:
        return below / xp.promote_types(values.dtype, float).type(values.size)
    return shares[below]


def _distribution(xp, x, weights):
    """Sorted values ``[J]`` and the share ``[J + 1]`` of the n smallest of them.

    None instead of the shares if all weigh the same.
    """
    if weights is None:
        return xp.sort(x), None
    wide = xp.promote_types(x.dtype, float)  # float64 on the host, float32 in JAX
    weights = xp.asarray(weights)
    if weights.shape != x.shape:
        raise ValueError(f"weights {weights.shape} do not match values {x.shape}")
    order = xp.argsort(x)
    total = xp.cumsum(weights[order], dtype=wide)
    return x[order], xp.concatenate([xp.zeros(1, wide), total / total[-1]])
