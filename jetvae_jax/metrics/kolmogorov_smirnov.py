"""Kolmogorov-Smirnov distance of two samples on a line."""

from jetvae_jax.metrics.arrays import namespace
from jetvae_jax.types import Array


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
    x, x_shares = _distribution(xp, x, x_weights)
    y, y_shares = _distribution(xp, y, y_weights)
    # Both functions are steps: between two values of the samples nothing changes.
    gap_at_x = x_shares[xp.searchsorted(x, x, side="right")]
    gap_at_x = gap_at_x - y_shares[xp.searchsorted(y, x, side="right")]
    gap_at_y = y_shares[xp.searchsorted(y, y, side="right")]
    gap_at_y = gap_at_y - x_shares[xp.searchsorted(x, y, side="right")]
    return xp.maximum(xp.max(xp.abs(gap_at_x)), xp.max(xp.abs(gap_at_y)))


def _distribution(xp, x, weights):
    """Sorted values ``[J]`` and the share ``[J + 1]`` of the n smallest of them."""
    wide = xp.promote_types(x.dtype, float)  # float64 on the host, float32 in JAX
    if weights is None:
        return xp.sort(x), xp.arange(x.size + 1, dtype=wide) / x.size
    weights = xp.asarray(weights)
    if weights.shape != x.shape:
        raise ValueError(f"weights {weights.shape} do not match values {x.shape}")
    order = xp.argsort(x)
    total = xp.cumsum(weights[order], dtype=wide)
    return x[order], xp.concatenate([xp.zeros(1, wide), total / total[-1]])
