"""FPD: Fréchet physics distance of 36 energy-flow polynomials (arXiv:2211.10295).

``fpd`` is what jetnet's fit gives, comparable with published values, ``fpd_exact`` the
extrapolation it was meant to be (:mod:`jetvae_jax.metrics.frechet.physics`).
"""

from jetvae_jax.core.types import Key
from jetvae_jax.metrics.frechet.physics import fpd
from jetvae_jax.metrics.suite.measurement import (
    Extrapolation,
    Measurement,
    Metric,
    Result,
)
from jetvae_jax.metrics.suite.sample import POLYNOMIALS, Sample


def _measure(
    key: Key, real: Sample, other: Sample, sizes: Extrapolation
) -> dict[str, Result]:
    found = fpd(
        key,
        real.features,
        other.features,
        min_samples=sizes.min_jets,
        max_samples=sizes.max_jets,
        num_batches=sizes.num_batches,
        num_points=sizes.num_sizes,
    )
    available = min(len(real), len(other))
    size = {"num_jets": sizes.max_jets, "replaced": available < sizes.max_jets}
    size["available"] = available
    published = {"value": found["jetnet_value"], "error": found["jetnet_error"]}
    exact = {"value": found["value"], "error": found["error"]}
    return {"fpd": published | size, "fpd_exact": exact | size}


MEASUREMENT = Measurement(
    _measure,
    {
        "fpd": Metric("FPD", scale=1e-3, observables=POLYNOMIALS),
        "fpd_exact": Metric("FPD exact", scale=1e-3, observables=POLYNOMIALS),
    },
    draws=Extrapolation(),
)
