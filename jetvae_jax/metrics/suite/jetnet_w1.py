"""W1M and W1P: the jetnet package's Wasserstein distances, seeded.

Both act on relative features (ptrel, etarel, phirel), dimensionless; papers quote
them in units of 1e-3.
"""

import jax
import numpy as np

from jetvae_jax.core.types import Key, RelativeJets
from jetvae_jax.metrics.distributions.wasserstein import wasserstein_1d
from jetvae_jax.metrics.host.threads import over_cores
from jetvae_jax.metrics.observables.masses import relative_masses
from jetvae_jax.metrics.suite.draws import Figure, over_batches
from jetvae_jax.metrics.suite.protocols import Draws


def w1m(
    key: Key, real: RelativeJets, generated: RelativeJets, *, draws: Draws
) -> Figure:
    """Wasserstein-1 distance of the relative jet mass (arXiv:2106.11535).

    Args:
        key: drives the draws; the same key gives the same number.
        real: particles ``[J, N, 3]``, mask ``[J, N]``.
        generated: the same with its own J and N.
        draws: how many jets and batches.

    Returns:
        As :func:`~jetvae_jax.metrics.suite.draws.over_batches`, dimensionless.
    """
    return w1_of(key, relative_masses(real), relative_masses(generated), draws)


def w1_of(key: Key, x: np.ndarray, y: np.ndarray, draws: Draws) -> Figure:
    """Wasserstein-1 distance of any values of jets, mean over the columns.

    Args:
        key: drives the draws; the same key gives the same number.
        x: ``[J]`` or ``[J, G]`` of the real jets.
        y: ``[M]`` or ``[M, G]``.
        draws: how many jets and batches.

    Returns:
        As :func:`w1m`, in the unit of the values.
    """
    columns = [np.ascontiguousarray(v.reshape(len(v), -1).T) for v in (x, y)]

    def distance(i, j):
        pairs = zip(*columns, strict=True)
        return np.mean([wasserstein_1d(a[i], b[j]) for a, b in pairs])

    return over_batches(key, distance, len(x), len(y), draws)


def w1p(
    key: Key, real: RelativeJets, generated: RelativeJets, *, draws: Draws
) -> Figure:
    """Wasserstein-1 distance of the particles, mean over (ptrel, etarel, phirel).

    Only existing particles count. The three distances are averaged in each batch, so
    ``error`` is that of the averaged figure.

    Args:
        key: drives the draws; the same key gives the same number.
        real: particles ``[J, N, 3]``, mask ``[J, N]``.
        generated: the same with its own J and N.
        draws: how many jets and batches.

    Returns:
        As :func:`w1m`.
    """
    (x, x_mask), (y, y_mask) = (jax.tree.map(np.asarray, j) for j in (real, generated))

    def distance(i, j):
        # Only what is drawn is copied. Copying and sorting let other threads run.
        some, others = over_cores(np.take, (x, y), (i, j), (0, 0))
        exists, others_exist = x_mask[i], y_mask[j]

        def of_feature(f):
            a, b = some[..., f][exists], others[..., f][others_exist]
            return wasserstein_1d(a, b)

        return np.mean(over_cores(of_feature, range(x.shape[-1])))

    return over_batches(key, distance, len(x_mask), len(y_mask), draws)
