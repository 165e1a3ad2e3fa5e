"""FPND: Fréchet ParticleNet distance to jetnet's real jets (arXiv:2106.11535)."""

from jetvae_jax.core.types import Key
from jetvae_jax.metrics.suite.measurement import Measurement, Metric, Result
from jetvae_jax.metrics.suite.sample import Sample


def _measure(key: Key, real: Sample, other: Sample, count: int) -> dict[str, Result]:
    del key  # nothing is drawn: the first jets count
    if real.fpnd is None:
        return {}
    value = real.fpnd(other.first(count))
    found: Result = {"value": value, "num_jets": min(count, len(other))}
    if len(other) < count:
        found |= {"asked": count, "available": len(other)}
    return {"fpnd": found}


MEASUREMENT = Measurement(_measure, {"fpnd": Metric("FPND")}, draws=50_000)
