"""W1P: Wasserstein-1 distance of the particles' features (arXiv:2106.11535)."""

import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.types import Key, RelativeJets
from jetvae_jax.metrics.distributions.distances import wasserstein_1d
from jetvae_jax.metrics.host import over_cores
from jetvae_jax.metrics.suite.measurement import (
    Draws,
    Measurement,
    Metric,
    Result,
    over_batches,
)
from jetvae_jax.metrics.suite.sample import Sample


def w1p(
    key: Key, real: RelativeJets, generated: RelativeJets, *, draws: Draws
) -> Result:
    """Wasserstein-1 distance of the particles, mean over (ptrel, etarel, phirel).

    Only particles that the masks hold count (arXiv:2106.11535, section 4). The jetnet
    package gives the three distances one by one; papers quote their mean, in units of
    1e-3. Here they are averaged in each batch, so ``error`` is that of the mean.

    Args:
        key: drives the draws; the same key gives the same value.
        real: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``.
        generated: the same with its own J and N.
        draws: how many jets and batches.

    Returns:
        As :func:`~jetvae_jax.metrics.over_batches`, dimensionless; on the host.
    """
    (x, x_mask), (y, y_mask) = (record(np, jets) for jets in (real, generated))

    def distance(i, j):
        # Only what is drawn is copied. Copying and sorting let other threads run.
        some, others = over_cores(np.take, (x, y), (i, j), (0, 0))
        some_mask, others_mask = x_mask[i], y_mask[j]

        def of_feature(f):
            a, b = some[..., f][some_mask], others[..., f][others_mask]
            return wasserstein_1d(a, b)

        return np.mean(over_cores(of_feature, range(x.shape[-1])))

    return over_batches(key, distance, len(x_mask), len(y_mask), draws)


def _measure(key: Key, real: Sample, other: Sample, draws: Draws) -> dict[str, Result]:
    return {"w1p": w1p(key, real.relative, other.relative, draws=draws)}


MEASUREMENT = Measurement(
    _measure,
    {"w1p": Metric("W1P", scale=1e-3, observables=("ptrel", "etarel", "phirel"))},
    draws=Draws(50_000, 5),
    protocol_field="w1",
)
