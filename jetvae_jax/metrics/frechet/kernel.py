"""Kernel physics distance (Kansal et al., arXiv:2211.10295).

The unbiased squared maximum mean discrepancy of two samples of F features under the
kernel ``k(x, y) = (x.y / F + 1)^4``. Unbiased: it may come out negative. Computed in
NumPy, on the host.

Sums of the kernel over all pairs need no pairs. With ``u = (x / sqrt(F), 1)`` it is
``(u.v)^4``, the scalar product of all products of four components of u with those of v;
so its sum over pairs is the scalar product of the samples' fourth moments. Polynomials
are so correlated that few directions a of u hold all but a small rest b. To first order
in the rest,

    (u.v)^4 = (a.a')^4 + 4 (a.a')^3 (b.b') + ...,

which is the scalar product of the moments ``a_i a_j a_k u_l``. What is left out is at
most ``11 |u|^2 |b|^2 |v|^2 |b'|^2``, and so many directions lead that it is nothing.
Of hundreds of features the pairs cost less than the moments, and are summed.
"""

import jax
import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array, Key
from jetvae_jax.metrics.frechet.physics import prepared, resolution
from jetvae_jax.metrics.host import over_cores

_JETS = 256  # whose products stay in a CPU's cache
_MANY = 20  # moments for each jet, or more: pairs need less time and memory
_REST = 1e-7  # of sum |u|^4, what |u|^2 |b|^2 may sum up to: 1e-13 of the kernel


def kpd(
    key: Key,
    real_features: Array,
    generated_features: Array,
    *,
    num_batches: int = 10,
    batch_size: int = 5_000,
    normalise: bool = True,
) -> dict[str, float]:
    """Kernel physics distance, median over batches (arXiv:2211.10295).

    The unbiased squared maximum mean discrepancy under the kernel ``(x.y / F + 1)^4``.

    Args:
        key: drives the draws; the same key gives the same value.
        real_features: ``[J, F]``, those of `jet_features`.
        generated_features: ``[M, F]``.
        num_batches: draws, with replacement.
        batch_size: jets drawn from each sample, 2 or more.
        normalise: divide features by the largest magnitude of the real ones.

    Returns:
        ``value``, the median, and ``error``, half the range from the 16.275th to the
        83.725th percentile, as jetnet 0.2.5 has them. Papers quote both in 1e-6. Where
        a sample has fewer jets than a batch, batches repeat jets: the error then
        contains what two samples of so few jets differ by.

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
    found = summary(batch_values(x, y, *draws))
    if min(len(x), len(y)) < batch_size:
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())

        def batch(some, others):
            rows = (rng.integers(len(s), size=batch_size) for s in (some, others))
            return squared_mmd(some[next(rows)], others[next(rows)])

        found["error"] = float(
            np.hypot(found["error"], resolution(rng, x, y, batch, 10))
        )
    return found


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

    return np.array(over_cores(value, x_draws, y_draws))


def summary(values: np.ndarray) -> dict[str, float]:
    """Median and half the central range of batch values ``[B]``."""
    (values,) = floats(np, values)
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
    u, v = map(_with_one, floats(np, x, y))
    axes, lead = _directions(np.concatenate([u, v]))
    moments = lead * (lead + 1) * (lead + 2) // 6
    if moments > _MANY * max(len(u), len(v)):
        return _over_pairs(u, v)
    us, vs = (_fourth_moments(w @ axes, lead) for w in (u, v))
    of_order = np.where(np.arange(len(axes)) < lead, 1, 4)
    weights = _multiplicities(lead)[:, None] * of_order
    n, m = len(u), len(v)
    within_u = (np.vdot(weights, us * us) - _of_itself(u)) / (n * (n - 1))
    within_v = (np.vdot(weights, vs * vs) - _of_itself(v)) / (m * (m - 1))
    return float(within_u + within_v - 2 * np.vdot(weights, us * vs) / (n * m))


def _over_pairs(u: np.ndarray, v: np.ndarray) -> float:
    """The same from all pairs, a block of rows at a time."""

    def total(x: np.ndarray, y: np.ndarray) -> float:
        starts = range(0, len(x), _JETS)
        return sum(float(((x[i : i + _JETS] @ y.T) ** 4).sum()) for i in starts)

    n, m = len(u), len(v)
    within_u = (total(u, u) - _of_itself(u)) / (n * (n - 1))
    within_v = (total(v, v) - _of_itself(v)) / (m * (m - 1))
    return within_u + within_v - 2 * total(u, v) / (n * m)


def _with_one(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return np.column_stack([x / np.sqrt(x.shape[1]), np.ones(len(x))])


def _of_itself(u: np.ndarray) -> float:
    """Sum of ``k(x, x)``."""
    return float((np.square(u).sum(axis=1) ** 4).sum())


def _directions(u: np.ndarray) -> tuple[np.ndarray, int]:
    """Orthogonal axes ``[K, K]`` as columns, and how many of the first lead."""
    weighted = u * np.square(u).sum(axis=1, keepdims=True)
    values, axes = np.linalg.eigh(weighted.T @ u)
    rests = np.cumsum(values)  # of |u|^2 |b|^2, by the number of axes left out
    left_out = np.searchsorted(rests, _REST * rests[-1], side="right")
    return axes[:, ::-1], len(values) - int(left_out)


def _fourth_moments(u: np.ndarray, lead: int) -> np.ndarray:
    """Sums over jets of ``a_i a_j a_k u_l``, ``i <= j <= k``, as ``[., K]``.

    A few hundred jets at a time, whose products stay in a CPU's cache and in the same
    memory: fresh pages would cost as much as the products.
    """
    ends = [k * (k + 1) * (k + 2) // 6 for k in range(lead + 1)]
    pairs = np.empty((lead * (lead + 1) // 2, _JETS))
    triples = np.empty((ends[-1], _JETS))
    total = np.zeros((ends[-1], u.shape[1]))
    for start in range(0, len(u), _JETS):
        some = u[start : start + _JETS]
        a = np.ascontiguousarray(some[:, :lead].T)
        if len(some) < _JETS:
            pairs, triples = (v[:, : len(some)] for v in (pairs, triples))
        for k in range(lead):
            first, last = k * (k + 1) // 2, (k + 1) * (k + 2) // 2
            np.multiply(a[: k + 1], a[k], out=pairs[first:last])
            np.multiply(pairs[:last], a[k], out=triples[ends[k] : ends[k + 1]])
        total += triples @ some
    return total


def _multiplicities(lead: int) -> np.ndarray:
    """How often each ``i <= j <= k`` occurs among all products of three."""
    number = []
    for k in range(lead):
        j, i = np.tril_indices(k + 1)  # as pairs are ordered: by the larger index
        # 3! over the factorials of how many of the indices are equal to each other.
        number.append(np.array([6, 3, 3, 1])[2 * (i == j) + (j == k)])
    return np.concatenate(number).astype(np.float64)
