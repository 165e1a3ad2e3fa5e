"""Kernel physics distance (Kansal et al., arXiv:2211.10295).

The unbiased squared maximum mean discrepancy of two samples of F features under the
kernel ``k(x, y) = (x.y / F + 1)^4``. Unbiased: it may come out negative.

Sums of the kernel over all pairs need no pairs. With ``u = (x / sqrt(F), 1)`` it is
``(u.v)^4``, the scalar product of all products of four components of u with those of v;
so its sum over pairs is the scalar product of the samples' fourth moments.
"""

import concurrent.futures
import functools
import os
from typing import NamedTuple

import jax
import numpy as np

from jetvae_jax.metrics.fpd import prepared
from jetvae_jax.types import Array, Key

_JETS = 256  # whose products stay in a CPU's cache
_WIDTH = 5  # indices j in one matrix product


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

    def value(i, j):
        return squared_mmd(x[i], y[j])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.array(list(pool.map(value, x_draws, y_draws)))


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
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    (xs, x_self), (ys, y_self) = _fourth_moments(x), _fourth_moments(y)
    weights, n, m = _multiplicities(x.shape[1] + 1), len(x), len(y)
    within_x = (weights @ (xs * xs) - x_self) / (n * (n - 1))
    within_y = (weights @ (ys * ys) - y_self) / (m * (m - 1))
    return float(within_x + within_y - 2 * (weights @ (xs * ys)) / (n * m))


def _fourth_moments(x: np.ndarray) -> tuple[np.ndarray, float]:
    """Sums over jets of the distinct ``u_i u_j u_k u_l``, and of ``k(x, x)``.

    A few hundred jets at a time, whose products stay in a CPU's cache and in the same
    memory: fresh pages would cost as much as the products.
    """
    size = x.shape[1] + 1
    blocks = _blocks(size)
    count = size * (size + 1) // 2
    u = np.ones((size, _JETS))
    low, high = np.empty((2, count, _JETS))
    shapes = [(len(low[b.low]), len(high[b.high])) for b in blocks]
    parts, sums = ([np.zeros(shape) for shape in shapes] for _ in range(2))
    itself = 0.0
    for start in range(0, len(x), _JETS):
        some = x[start : start + _JETS]
        if len(some) < _JETS:
            u, low, high = (v[:, : len(some)] for v in (u, low, high))
        np.divide(some.T, np.sqrt(x.shape[1]), out=u[:-1])
        itself += np.square(np.square(np.square(u).sum(axis=0))).sum()
        # u_i u_j by the larger index against u_k u_l by the smaller one, i <= j <= k.
        for j in range(size):
            i, k = _rows_below(j), _rows_above(j, size)
            np.multiply(u[: j + 1], u[j], out=low[i : i + j + 1])
            np.multiply(u[j:], u[j], out=high[k : k + size - j])
        for block, part, total in zip(blocks, parts, sums, strict=True):
            np.matmul(low[block.low], high[block.high].T, out=part)
            total += part
    return np.concatenate([total.ravel() for total in sums]), itself


class _Block(NamedTuple):
    """Products ``i <= j`` with j in a range, and ``k <= l`` with k from its start."""

    low: slice
    high: slice


def _blocks(size: int) -> list[_Block]:
    """Wide enough for a fast matrix product, and few moments in two of them."""
    blocks = []
    for first in range(0, size, _WIDTH):
        last = min(first + _WIDTH, size)
        low = slice(_rows_below(first), _rows_below(last))
        blocks.append(_Block(low, slice(_rows_above(first, size), None)))
    return blocks


def _rows_below(j: int) -> int:
    """How many products there are of two indices below j."""
    return j * (j + 1) // 2


def _rows_above(k: int, size: int) -> int:
    """How many there are whose smaller index is below k."""
    return k * size - k * (k - 1) // 2


@functools.cache
def _multiplicities(size: int) -> np.ndarray:
    """How often each moment ``i <= j <= k <= l`` occurs among all of degree four.

    Zero where ``k < j``: what a block holds beside its own moments.
    """
    j, i = np.tril_indices(size)  # as products are ordered: by the larger index
    k, last = np.triu_indices(size)  # by the smaller one
    parts = []
    for block in _blocks(size):
        b, a = j[block.low, None], i[block.low, None]
        c, d = k[block.high], last[block.high]
        # 4! over the factorials of how many of the indices are equal to each other.
        number = np.array([24, 12, 12, 4, 12, 6, 4, 1])
        number = number[4 * (a == b) + 2 * (b == c) + (c == d)]
        parts.append(np.where(c < b, 0, number).ravel())
    return np.concatenate(parts).astype(np.float64)
