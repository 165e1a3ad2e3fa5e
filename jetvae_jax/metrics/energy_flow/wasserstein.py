"""W1EFP: Wasserstein-1 distances of five energy-flow polynomials (arXiv:2106.11535)."""

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Key, RelativeJets
from jetvae_jax.metrics.energy_flow.multigraphs import (
    Graph,
    components,
    multigraphs,
    num_vertices,
)
from jetvae_jax.metrics.energy_flow.polynomials import efp_table
from jetvae_jax.metrics.suite.draws import Figure
from jetvae_jax.metrics.suite.jetnet_w1 import w1_of
from jetvae_jax.metrics.suite.protocols import Draws


def w1efp_graphs() -> tuple[Graph, ...]:
    """The five connected graphs of four vertices and four edges, jetnet's choice."""
    return tuple(
        graph
        for graph in multigraphs(4)
        if len(graph) == num_vertices(graph) == 4 and len(components(graph)) == 1
    )


def w1efp(
    key: Key, real: RelativeJets, generated: RelativeJets, *, draws: Draws
) -> Figure:
    """Wasserstein-1 distance of energy-flow polynomials, mean over five of them.

    The polynomials of :func:`w1efp_graphs`, not normalised. The jetnet package gives
    the five distances one by one; papers quote their mean, in units of 1e-5. Here they
    are averaged in each batch, so ``error`` is that of the averaged figure.

    Args:
        key: drives the draws; the same key gives the same number.
        real: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``.
        generated: the same with its own J and N.
        draws: how many jets and batches.

    Returns:
        As :func:`~jetvae_jax.metrics.suite.draws.over_batches`, dimensionless.

    Raises:
        InputError: no jets, NaN or infinity.
    """
    x, y = w1efp_values("real", real), w1efp_values("generated", generated)
    return w1_of(key, x, y, draws)


def w1efp_values(name: str, jets: RelativeJets) -> np.ndarray:
    """The five polynomials of jets, ``[J, 5]``.

    Args:
        name: of the sample, for messages.
        jets: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``.

    Raises:
        InputError: no jets, NaN or infinity.
    """
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
