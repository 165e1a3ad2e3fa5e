"""W1M and W1P: the one-dimensional Wasserstein figures of the JetNet literature.

Both use relative features (ptrel, etarel, phirel), dimensionless; papers quote them in
units of 1e-3. The reference axis is the jet's own, the sum of its particles, for real
and generated jets alike (`observables`).
"""

import jax
import numpy as np

from jetvae_jax.metrics.observables import relative_mass, relative_particles
from jetvae_jax.metrics.protocols import Protocol
from jetvae_jax.metrics.wasserstein import wasserstein_1d
from jetvae_jax.types import Array, Jets, Key

Figure = dict[str, float | int | bool]


def w1m(key: Key, real: Jets, generated: Jets, *, protocol: Protocol) -> Figure:
    """Wasserstein-1 distance of the relative jet mass (arXiv:2106.11535).

    Args:
        key: drives the draws; the same key gives the same number.
        real: particles ``[J, N, 3]`` in GeV, mask ``[J, N]``.
        generated: the same with its own J.
        protocol: how many jets and batches.

    Returns:
        ``mean`` and ``std`` over batches, dimensionless; ``num_jets`` and
        ``num_batches``; ``replaced``: drawn with replacement, because the protocol
        says so or because a sample has fewer jets than the protocol draws.
    """
    x, y = (np.asarray(jax.jit(relative_mass)(jets)) for jets in (real, generated))

    def distance(i, j):
        return wasserstein_1d(x[i], y[j])

    return _over_batches(key, distance, len(x), len(y), protocol)


def w1p(key: Key, real: Jets, generated: Jets, *, protocol: Protocol) -> Figure:
    """Wasserstein-1 distance of the particles, mean over (ptrel, etarel, phirel).

    Only existing particles count. The three distances are averaged in each batch, so
    ``std`` is that of the averaged figure.

    Args:
        key: drives the draws; the same key gives the same number.
        real: particles ``[J, N, 3]`` in GeV, mask ``[J, N]``.
        generated: the same with its own J and N.
        protocol: how many jets and batches.

    Returns:
        As :func:`w1m`.
    """
    x, y = (np.asarray(jax.jit(relative_particles)(jets)) for jets in (real, generated))
    x_mask, y_mask = np.asarray(real.mask), np.asarray(generated.mask)

    def distance(i, j):
        pairs = zip(x[i][x_mask[i]].T, y[j][y_mask[j]].T, strict=True)
        return np.mean([wasserstein_1d(a, b) for a, b in pairs])

    return _over_batches(key, distance, len(x), len(y), protocol)


def _over_batches(key, distance, num_real, num_generated, protocol) -> Figure:
    replace = protocol.replace or min(num_real, num_generated) < protocol.num_jets
    values = []
    for batch_key in jax.random.split(key, protocol.num_batches):
        real_key, generated_key = jax.random.split(batch_key)
        i = _draw(real_key, num_real, protocol.num_jets, replace)
        j = _draw(generated_key, num_generated, protocol.num_jets, replace)
        values.append(float(distance(i, j)))
    return {
        "mean": float(np.mean(values)),
        "std": float(np.std(values)),
        "num_jets": protocol.num_jets,
        "num_batches": protocol.num_batches,
        "replaced": replace,
    }


def _draw(key: Key, available: int, count: int, replace: bool) -> Array:
    return np.asarray(jax.random.choice(key, available, (count,), replace=replace))
