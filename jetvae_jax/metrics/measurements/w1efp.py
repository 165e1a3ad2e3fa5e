"""W1EFP: Wasserstein-1 distances of five energy-flow polynomials (arXiv:2106.11535)."""

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Key, RelativeJets
from jetvae_jax.metrics.polynomials import efp_table
from jetvae_jax.metrics.suite.measurement import (
    Draws,
    Measurement,
    Metric,
    Result,
    w1_over_batches,
)
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.observables.energy_flow.multigraphs import (
    Graph,
    components,
    multigraphs,
    num_vertices,
)


def w1efp_graphs() -> tuple[Graph, ...]:
    """The five connected graphs of four vertices and four edges, jetnet's choice."""
    return tuple(
        graph
        for graph in multigraphs(4)
        if len(graph) == num_vertices(graph) == 4 and len(components(graph)) == 1
    )


def w1efp(
    key: Key, real: RelativeJets, generated: RelativeJets, *, draws: Draws
) -> Result:
    """Wasserstein-1 distance of energy-flow polynomials, mean over five of them.

    The polynomials of :func:`w1efp_graphs`, not normalised (arXiv:2106.11535, section
    4). The jetnet package gives the five distances one by one; papers quote their mean,
    in units of 1e-5. Here they are averaged in each batch, so ``error`` is that of the
    mean.

    Args:
        key: drives the draws; the same key gives the same value.
        real: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``.
        generated: the same with its own J and N.
        draws: how many jets and batches.

    Returns:
        As :func:`~jetvae_jax.metrics.over_batches`, dimensionless; on the host.

    Raises:
        InputError: no jets, NaN or infinity.
    """
    x, y = _polynomials("real", real), _polynomials("generated", generated)
    return w1_over_batches(key, x, y, draws)


def _polynomials(name: str, jets: RelativeJets) -> np.ndarray:
    """The five polynomials ``[J, 5]`` of a sample, checked."""
    table = efp_table(jets, graphs=w1efp_graphs())
    if len(table) == 0:
        raise InputError(f"{name} sample: no jets")
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if bad.size:
        raise InputError(
            f"{name} sample: NaN or infinity in {bad.size} of {len(table)} jets "
            f"(first: jet {bad[0]})"
        )
    return table


def _of_sample(sample: Sample) -> np.ndarray:
    return _polynomials(sample.name, sample.relative)


def _measure(key: Key, real: Sample, other: Sample, draws: Draws) -> dict[str, Result]:
    x, y = real.once(_of_sample), other.once(_of_sample)
    return {"w1efp": w1_over_batches(key, x, y, draws)}


MEASUREMENT = Measurement(
    _measure,
    {"w1efp": Metric("W1EFP", scale=1e-5, observables=("efp4",))},
    draws=Draws(50_000, 5),
    protocol_field="w1",
)
