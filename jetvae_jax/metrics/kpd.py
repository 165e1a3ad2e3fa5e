"""Kernel physics distance (Kansal et al., arXiv:2211.10295).

The unbiased squared maximum mean discrepancy of two samples of F features under the
kernel ``k(x, y) = (x.y / F + 1)^4``. Unbiased: it may come out negative.

Sums of the kernel over all pairs need no pairs. With ``u = (x / sqrt(F), 1)`` it is
``(u.v)^4``, the scalar product of all products of four components of u with those of v;
so its sum over pairs is the scalar product of the samples' fourth moments.
"""

import functools

import jax
import numpy as np

from jetvae_jax.metrics.fpd import prepared
from jetvae_jax.types import Array, Key


def kpd(
    key: Key,
    real_features: Array,
    generated_features: Array,
    *,
    num_batches: int = 10,
    batch_size: int = 5_000,
    normalise: bool = True,
) -> dict[str, float]:
    """Kernel physics distance, median over batches.

    Args:
        key: drives the draws; the same key gives the same number.
        real_features: ``[J, F]``, of jets `efp.jet_features`.
        generated_features: ``[M, F]``.
        num_batches: draws, with replacement.
        batch_size: jets drawn from each sample, 2 or more.
        normalise: divide features by the largest magnitude of the real ones.

    Returns:
        ``value``, the median, and ``error``, half the range from the 16.275th to the
        83.725th percentile, as jetnet 0.2.5 has them. Papers quote both in 1e-6.

    Raises:
        ValueError: features that are not ``[J, F]`` with one F, or sizes too small.
        InputError: fewer than two jets, NaN or infinity.
    """
    if num_batches < 1 or batch_size < 2:
        raise ValueError(
            f"KPD needs a batch of two jets, got {num_batches} of {batch_size}"
        )
    x, y = prepared(real_features, generated_features, normalise)
    shape = (num_batches, batch_size)
    draws = (
        np.asarray(jax.random.randint(half, shape, 0, len(sample)))
        for half, sample in zip(jax.random.split(key), (x, y), strict=True)
    )
    return summary(batch_values(x, y, *draws))


def batch_values(
    x: np.ndarray, y: np.ndarray, x_draws: np.ndarray, y_draws: np.ndarray
) -> np.ndarray:
    """Squared discrepancy of each batch.

    Args:
        x: ``[J, F]`` float64.
        y: ``[M, F]`` float64.
        x_draws: indices ``[B, n]`` into x.
        y_draws: indices ``[B, m]`` into y.

    Returns:
        ``[B]``.
    """
    pairs = zip(x_draws, y_draws, strict=True)
    return np.array([squared_mmd(x[i], y[j]) for i, j in pairs])


def summary(values: np.ndarray) -> dict[str, float]:
    """Median and half the central range of batch values ``[B]``."""
    low, high = np.percentile(values, (16.275, 83.725))
    return {"value": float(np.median(values)), "error": float(high - low) / 2}


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel above.

    Args:
        x: ``[n, F]``, n > 1.
        y: ``[m, F]``, m > 1.

    Returns:
        A number, negative or not.
    """
    (xs, x_self), (ys, y_self) = _fourth_moments(x), _fourth_moments(y)
    weights, n, m = _multiplicities(x.shape[1] + 1), len(x), len(y)
    within_x = (weights @ (xs * xs) - x_self) / (n * (n - 1))
    within_y = (weights @ (ys * ys) - y_self) / (m * (m - 1))
    return float(within_x + within_y - 2 * (weights @ (xs * ys)) / (n * m))


def _fourth_moments(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Sums over jets of the distinct ``u_i u_j u_k u_l``, and of ``k(x, x)``."""
    x = np.asarray(x, np.float64)
    size = x.shape[1] + 1
    u = np.concatenate([x.T / np.sqrt(x.shape[1]), np.ones((1, len(x)))])
    # Products i <= j of two, in order of the first, written where they stay.
    ends = np.cumsum(np.arange(size, 0, -1))
    starts = np.concatenate([[0], ends[:-1]])
    products = np.empty((ends[-1], len(x)))
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        np.multiply(u[i], u[i:], out=products[start:end])
    sums = [
        (u[: j + 1] * u[j]) @ products[start:].T  # i <= j <= k <= l
        for j, start in enumerate(starts)
    ]
    itself = np.square(np.square(np.square(u).sum(axis=0)))
    return np.concatenate([block.ravel() for block in sums]), itself.sum()


@functools.cache
def _multiplicities(size: int) -> np.ndarray:
    """How often each moment ``i <= j <= k <= l`` occurs among all of degree four."""
    k, last = np.triu_indices(size)
    blocks = []
    for j in range(size):
        start = np.searchsorted(k, j)
        i = np.arange(j + 1)[:, None]
        equal = 4 * (i == j) + 2 * (k[start:] == j) + (k[start:] == last[start:])
        # 4! over the factorials of how many of the indices are equal to each other.
        blocks.append(np.array([24, 12, 12, 4, 12, 6, 4, 1])[equal].ravel())
    return np.concatenate(blocks).astype(np.float64)
