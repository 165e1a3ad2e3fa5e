"""Fréchet distance between two Gaussians, in float64 on the host."""

import numpy as np

from jetvae_jax.core.dtypes import floats

_ROWS = 1 << 14


def frechet_distance(
    mean: np.ndarray,
    covariance: np.ndarray,
    other_mean: np.ndarray,
    other_covariance: np.ndarray,
) -> np.ndarray:
    """Squared Wasserstein-2 distance of two normal distributions.

        |m - m'|^2 + tr(C + C' - 2 (C^1/2 C' C^1/2)^1/2)

    (Dowson and Landau, 1982). The root's trace is the sum of the singular values of
    ``C^1/2 C'^1/2``, and of ``L^T L'`` for any factors ``C = L L^T``. The result is
    real and exact for singular covariances too, where the root of ``C C'`` is neither.

    Args:
        mean: ``[..., F]``.
        covariance: ``[..., F, F]``, symmetric, positive semi-definite.
        other_mean: ``[..., F]``.
        other_covariance: ``[..., F, F]``.

    Returns:
        ``[...]`` float64, the square of the unit of the features, not negative.

    Raises:
        ValueError: shapes that do not belong together.
    """
    arguments = (mean, covariance, other_mean, other_covariance)
    m1, c1, m2, c2 = (np.asarray(a, np.float64) for a in floats(np, *arguments))
    size = m1.shape[-1:]
    if not (m2.shape[-1:] == size and c1.shape[-2:] == c2.shape[-2:] == 2 * size):
        shapes = ", ".join(str(np.shape(a)) for a in arguments)
        raise ValueError(f"means [..., F] and covariances [..., F, F], got {shapes}")
    traces = np.trace(c1 + c2, axis1=-2, axis2=-1)
    factors = np.swapaxes(_factor(c1), -1, -2) @ _factor(c2)
    overlap = np.linalg.svd(factors, compute_uv=False).sum(-1)
    shift = np.square(m1 - m2).sum(-1)
    return shift + np.maximum(traces - 2 * overlap, 0.0)


def mean_and_covariance(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and unbiased covariance over the rows.

    Args:
        features: ``[J, F]`` with J > 1.

    Returns:
        ``[F]`` and ``[F, F]``, float64.

    Raises:
        ValueError: fewer than two rows.
    """
    x = floats(np, features)[0].astype(np.float64, copy=False)
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"a covariance needs features [J, F], J > 1, got {x.shape}")
    mean = x.mean(axis=0)
    total = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), _ROWS):
        part = x[start : start + _ROWS] - mean
        total += part.T @ part
    return mean, total / (len(x) - 1)


def _factor(matrix: np.ndarray) -> np.ndarray:
    """L with ``L L^T`` the positive semi-definite matrix ``[..., F, F]``.

    It is the root times an orthogonal matrix, which leaves singular values alone.
    """
    try:
        return np.linalg.cholesky(matrix)  # ten times faster than eigenvectors
    except np.linalg.LinAlgError:  # singular, as far as digits go
        values, vectors = np.linalg.eigh(matrix)
        # Rounding makes zero eigenvalues slightly negative.
        return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
