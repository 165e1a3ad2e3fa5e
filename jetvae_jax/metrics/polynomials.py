"""Energy-flow polynomials of samples of any size, in chunks.

Those of one batch, as a differentiable function, are
:func:`jetvae_jax.observables.energy_flow.polynomials.efps`.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.types import Array, RelativeJets
from jetvae_jax.metrics.host import over_device, traced
from jetvae_jax.observables.energy_flow.multigraphs import Graph, multigraphs
from jetvae_jax.observables.energy_flow.polynomials import efps


def efp_table(
    jets: RelativeJets,
    *,
    graphs: tuple[Graph, ...],
    beta: float = 1.0,
    normed: bool = False,
    chunk: int | None = None,
) -> np.ndarray:
    """As :func:`efps` for a sample of any size, in memory that does not grow with it.

    Args:
        jets: particles ``[J, N, 3]``, mask ``[J, N]``.
        graphs: G multigraphs.
        beta: power of the angle, positive.
        normed: divide each z by the sum of the jet's z.
        chunk: jets computed at once; None for what fits the backend: few enough for
            the cache of a CPU, many for an accelerator.

    Returns:
        ``[J, G]`` float32 in the host's memory. Within jit, vmap or grad it is
        :func:`efps`, of all jets at once.

    Raises:
        ValueError: as :func:`efps`, or the particles are not ``[J, N, 3]``.
    """
    if traced(*jets):
        found: Any = efps(jets, graphs=graphs, beta=beta, normed=normed)
        return found
    particles, mask = record(np, jets)
    particles = particles.astype(np.float32, copy=False)
    if particles.ndim != 3 or mask.shape != particles.shape[:2]:
        raise ValueError(
            "efp_table takes particles [J, N, 3] and mask [J, N], got "
            f"{particles.shape}, {mask.shape}"
        )
    on_cpu = jax.default_backend() == "cpu"
    chunk = chunk or (_CPU_CHUNK if on_cpu else _ACCELERATOR_CHUNK)
    # Equal parts, so that one compiled program serves all of them.
    num_parts = -(-len(mask) // (chunk * _CHUNKS_PER_PART)) or 1
    part = -(-len(mask) // (chunk * num_parts)) * chunk

    def compute(start: int) -> np.ndarray:
        stop = min(start + part, len(mask))
        rows = [a[start:stop] for a in (particles, mask)]
        missing = part - (stop - start)
        if missing:
            rows = [np.pad(a, [(0, missing)] + [(0, 0)] * (a.ndim - 1)) for a in rows]
        table = _chunked(RelativeJets(*rows), graphs, beta, normed, chunk)
        return np.asarray(table)[: stop - start]

    starts = range(0, len(mask), part) if len(mask) else ()
    parts = over_device(compute, starts)
    return np.concatenate([np.zeros((0, len(graphs)), np.float32), *parts])


def jet_features(jets: RelativeJets, chunk: int | None = None) -> np.ndarray:
    """The features that FPD and KPD compare: every polynomial of up to four edges.

    The same 36 columns as ``jetnet.evaluation.get_fpd_kpd_jet_features``.

    Args:
        jets: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``.
        chunk: as in :func:`efp_table`.

    Returns:
        ``[J, 36]`` float32, NumPy; JAX within jit, vmap and grad.
    """
    return efp_table(jets, graphs=multigraphs(4), chunk=chunk)


_CPU_CHUNK = 100
_ACCELERATOR_CHUNK = 5_000
_CHUNKS_PER_PART = 50


@functools.partial(jax.jit, static_argnames=("graphs", "beta", "normed", "chunk"))
def _chunked(jets: RelativeJets, graphs, beta, normed, chunk) -> Array:
    """``[J, N, 3]`` to ``[J, G]``, one chunk of jets after the other."""

    def compute(start: Array) -> Array:
        # Gathered, not sliced: XLA on a CPU does not vectorise a root of a slice.
        rows = start + jnp.arange(chunk)
        one = jax.tree.map(lambda a: a.at[rows].get(mode="promise_in_bounds"), jets)
        return efps(one, graphs=graphs, beta=beta, normed=normed)

    starts = jnp.arange(0, len(jets.mask), chunk)
    return jax.lax.map(compute, starts).reshape(len(jets.mask), -1)
