"""The Gaussian copula: normal scores that are jointly normal with correlations R.

    c(u) = N(y; 0, R) / prod_l phi(y_l),   y = Phi^-1(u)

(Nelsen, An Introduction to Copulas, 2.3.) The marginals are uniform for any R. R is
parametrised by the rows of its Cholesky factor, each scaled to length one, so that any
numbers below the diagonal give a correlation matrix. It can be computed from a sample,
or learned by gradients as the prior of a VAE.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array, Density, Key, Params
from jetvae_jax.densities.marginals import checked

SMALLEST_EIGENVALUE = 1e-4


def cholesky(params: Params) -> Array:
    """The factor ``[L, L]`` of R, lower triangular with rows of length one."""
    (rows,) = floats(jnp, params["rows"])
    lower = jnp.tril(rows, -1) + jnp.eye(rows.shape[-1], dtype=rows.dtype)
    return lower / jnp.linalg.norm(lower, axis=-1, keepdims=True)


def correlation(params: Params) -> Array:
    """R, ``[L, L]``."""
    factor = cholesky(params)
    return factor @ factor.T


@configs.config
class Config:
    """A Gaussian copula has no settings."""


def build(
    config: Config | None = None, *, dim: int, num_conditions: int = 0
) -> Density:
    """The copula as a density of normal scores ``y [..., L]``; independent at first.

    Args:
        config: has no settings.
        dim: L.
        num_conditions: ignored: the copula does not depend on conditions.
    """
    del config, num_conditions

    def init(key: Key) -> Params:
        del key
        return {"rows": jnp.zeros((dim, dim))}

    def log_prob(params: Params, y: Array, condition: Array | None = None) -> Array:
        del condition
        y, rows = floats(jnp, y, params["rows"])
        if y.shape[-1] != dim:
            raise ValueError(f"y has shape {y.shape}, copula of dim {dim}")
        factor = cholesky({"rows": rows})
        flat = y.reshape(-1, dim).T
        white = jax.scipy.linalg.solve_triangular(factor, flat, lower=True)
        log_p = jnp.sum(jax.scipy.stats.norm.logpdf(white), axis=0)
        log_det = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return log_p.reshape(y.shape[:-1]) - log_det

    def sample(
        params: Params,
        key: Key,
        shape: tuple[int, ...] = (),
        condition: Array | None = None,
    ) -> Array:
        del condition
        return jax.random.normal(key, (*shape, dim)) @ cholesky(params).T

    return Density(init, log_prob, sample, dim)


def _ranks(column: np.ndarray) -> np.ndarray:
    """Ranks from 1; ties get their mean rank."""
    _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def nearest_correlation(matrix: np.ndarray) -> np.ndarray:
    """A positive definite correlation matrix near a symmetric one, in NumPy.

    Eigenvalues below :data:`SMALLEST_EIGENVALUE` are raised and the diagonal is scaled
    back to one; a matrix without such eigenvalues is returned unchanged.
    """
    (matrix,) = floats(np, matrix)
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if values[0] >= SMALLEST_EIGENVALUE:
        return matrix
    raised = (vectors * np.maximum(values, 2 * SMALLEST_EIGENVALUE)) @ vectors.T
    size = np.sqrt(np.diagonal(raised))
    return raised / np.outer(size, size)


def fit(
    sample: Array,
    *,
    method: Literal["scores", "spearman"] = "scores",
    what: str = "latents",
) -> Params:
    """R of a sample, computed on the host.

    'scores' is the correlation of the normal scores of the ranks (van der Waerden):
    the efficient estimate. 'spearman' is ``2 sin(pi rho_S / 6)`` (Pearson 1907), which
    reproduces Spearman's rank correlations and is robust against outliers. Neither
    depends on the marginals, so values may be given instead of scores.

    Args:
        sample: ``[J, L]``.
        method: as above.
        what: name of the sample, for messages.

    Raises:
        InputError: the sample is too small, not finite, or a column is constant.
    """
    sample = checked(sample, what)
    ranks = np.stack([_ranks(column) for column in sample.T], axis=-1)
    if method == "scores":
        levels = (ranks / (len(ranks) + 1)).astype(np.float32)
        ranks = np.asarray(jax.scipy.special.ndtri(levels), np.float64)
    matrix = np.atleast_2d(np.corrcoef(ranks, rowvar=False))
    if method == "spearman":
        matrix = 2 * np.sin(np.pi * matrix / 6)
        np.fill_diagonal(matrix, 1.0)
    factor = np.linalg.cholesky(nearest_correlation(matrix))
    rows = np.tril(factor / np.diagonal(factor)[:, None], -1)
    return {"rows": rows.astype(np.float32)}
