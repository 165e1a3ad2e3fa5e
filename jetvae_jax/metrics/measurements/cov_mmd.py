"""COV and MMD: coverage and minimum matching distance (arXiv:2106.11535)."""

from jetvae_jax.core.types import Key
from jetvae_jax.metrics.suite.measurement import Draws, Measurement, Metric, Result
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.metrics.transport.coverage import cov_mmd


def _measure(key: Key, real: Sample, other: Sample, draws: Draws) -> dict[str, Result]:
    size = {"num_jets": draws.num_jets, "num_batches": draws.num_batches}
    found = cov_mmd(key, real.relative, other.relative, **size)
    size["available"] = min(len(real), len(other))
    return {
        name: {"value": found[name], "error": found[f"{name}_std"]} | size
        for name in ("cov", "mmd")
    }


MEASUREMENT = Measurement(
    _measure,
    {"cov": Metric("COV", higher_is_better=True), "mmd": Metric("MMD")},
    draws=Draws(100, 10),
)
