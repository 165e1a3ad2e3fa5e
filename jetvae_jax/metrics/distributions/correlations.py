"""Correlations between observables, and how far two samples differ in them.

In NumPy, on the host: samples that have no correlations are refused by their content.
"""

import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array


def pearson(features: Array) -> np.ndarray:
    """Matrix of Pearson's linear correlation coefficients.

    Args:
        features: ``[J, F]``, finite, with J > 1.

    Returns:
        ``[F, F]`` float64 in [-1, 1], symmetric. A feature that is the same in all jets
        has no correlation: 0 with all others, and 1 with itself as every feature.

    Raises:
        ValueError: features that are not ``[J, F]``.
        InputError: fewer than two jets, NaN or infinity.
    """
    return _pearson(_checked(features))


def spearman(features: Array) -> np.ndarray:
    """Matrix of Spearman's rank correlation coefficients.

    Pearson's coefficient of the ranks, equal values sharing their mean rank. It does
    not see monotonic distortions of a feature, nor do outliers dominate it.

    Args:
        features: ``[J, F]``, finite, with J > 1.

    Returns:
        As :func:`pearson`.

    Raises:
        ValueError: features that are not ``[J, F]``.
        InputError: fewer than two jets, NaN or infinity.
    """
    return _pearson(np.stack([_ranks(x) for x in _checked(features).T], axis=1))


def distance(real: Array, generated: Array) -> dict[str, float]:
    """How much two correlation matrices differ.

    The comparison of Z-gamma generators (Stevenson, Kruger 2022) uses Spearman
    correlations without printing how it reduces matrices to one number; both usual ways
    are given here. An entry of two independent samples of J and M jets differs by about
    ``sqrt(1/J + 1/M)`` at most.

    Args:
        real: ``[F, F]``.
        generated: ``[F, F]``.

    Returns:
        ``frobenius``: ``sqrt(sum_ij (R_ij - G_ij)^2)``, which counts each pair twice
        and grows with F; ``largest``: ``max_ij |R_ij - G_ij|``, at most 2.

    Raises:
        ValueError: matrices that are not square or of different sizes.
    """
    real, generated = floats(np, real, generated)
    if real.ndim != 2 or real.shape != generated.shape or len(set(real.shape)) > 1:
        raise ValueError(
            f"correlation matrices [F, F] expected, got {real.shape}, {generated.shape}"
        )
    gap = real.astype(np.float64) - generated
    return {
        "frobenius": float(np.linalg.norm(gap)),
        "largest": float(np.max(np.abs(gap), initial=0.0)),
    }


def _checked(features: Array) -> np.ndarray:
    (x,) = floats(np, features)
    if x.ndim != 2:
        raise ValueError(f"correlations need features [J, F], got {x.shape}")
    if len(x) < 2:
        raise InputError(f"correlations need at least two jets, got {len(x)}")
    if not np.isfinite(x).all():
        bad = np.flatnonzero(~np.isfinite(x).all(axis=0))
        raise InputError(f"correlations: NaN or infinity in features {bad.tolist()}")
    return x


def _pearson(x: np.ndarray) -> np.ndarray:
    # The first value goes first: what is constant becomes zero, not rounding.
    x = x.astype(np.float64) - x[0].astype(np.float64)
    x -= x.mean(axis=0)
    x = np.divide(x, np.max(np.abs(x), axis=0), out=x, where=np.any(x, axis=0))
    norm = np.sqrt(np.sum(np.square(x), axis=0))
    x = np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)
    matrix = np.clip(x.T @ x, -1.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks from 1 to J in float64; equal values share the mean of theirs."""
    _, group, count = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[group]
