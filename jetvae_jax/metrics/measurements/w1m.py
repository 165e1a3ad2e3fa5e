"""W1M: Wasserstein-1 distance of the relative jet mass (arXiv:2106.11535)."""

from jetvae_jax.core.types import Key, RelativeJets
from jetvae_jax.metrics.observables import relative_masses
from jetvae_jax.metrics.suite.measurement import (
    Draws,
    Measurement,
    Metric,
    Result,
    w1_over_batches,
)
from jetvae_jax.metrics.suite.sample import Sample


def w1m(
    key: Key, real: RelativeJets, generated: RelativeJets, *, draws: Draws
) -> Result:
    """Wasserstein-1 distance of the relative jet mass (arXiv:2106.11535, section 4).

    The same quantity as ``jetnet.evaluation.w1m``. Papers quote it in units of 1e-3.

    Args:
        key: drives the draws; the same key gives the same value.
        real: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``.
        generated: the same with its own J and N.
        draws: how many jets and batches.

    Returns:
        As :func:`~jetvae_jax.metrics.over_batches`, dimensionless; on the host.
    """
    x, y = relative_masses(real), relative_masses(generated)
    return w1_over_batches(key, x, y, draws)


def _masses(sample: Sample):
    return relative_masses(sample.relative)


def _measure(key: Key, real: Sample, other: Sample, draws: Draws) -> dict[str, Result]:
    x, y = real.once(_masses), other.once(_masses)
    return {"w1m": w1_over_batches(key, x, y, draws)}


MEASUREMENT = Measurement(
    _measure,
    {"w1m": Metric("W1M", scale=1e-3, observables=("mass",))},
    draws=Draws(50_000, 5),
    protocol_field="w1",
)
