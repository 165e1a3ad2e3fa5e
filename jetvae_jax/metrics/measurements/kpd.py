"""KPD: kernel physics distance of 36 energy-flow polynomials (arXiv:2211.10295)."""

from jetvae_jax.core.types import Key
from jetvae_jax.metrics.frechet.kernel import kpd
from jetvae_jax.metrics.suite.measurement import Draws, Measurement, Metric, Result
from jetvae_jax.metrics.suite.sample import POLYNOMIALS, Sample


def _measure(key: Key, real: Sample, other: Sample, draws: Draws) -> dict[str, Result]:
    found = kpd(
        key,
        real.features,
        other.features,
        num_batches=draws.num_batches,
        batch_size=draws.num_jets,
    )
    available = min(len(real), len(other))
    size = {"num_jets": draws.num_jets, "num_batches": draws.num_batches}
    size |= {"replaced": available < draws.num_jets, "available": available}
    return {"kpd": found | size}


MEASUREMENT = Measurement(
    _measure,
    {"kpd": Metric("KPD", scale=1e-6, observables=POLYNOMIALS)},
    draws=Draws(5_000, 10),
)
