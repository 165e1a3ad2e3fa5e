"""Energy-flow polynomials (Komiske, Metodiev, Thaler, arXiv:1712.07124).

For a multigraph G of n vertices,

    EFP_G = sum_{i1..in} z_i1 ... z_in  prod_{(k, l) in G} theta_{ik il}

with ``z = ptrel`` and ``theta_ij = (deta_ij^2 + dphi_ij^2)^(beta / 2)``: the measure
``hadr`` of the energyflow package, which agrees to a few units of float32.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.numerics import safe_divide
from jetvae_jax.core.types import Array, RelativeJets
from jetvae_jax.metrics.energy_flow.contraction import contract
from jetvae_jax.metrics.energy_flow.multigraphs import Graph, multigraphs
from jetvae_jax.metrics.host import over_device, traced

PTREL, ETAREL, PHIREL = 0, 1, 2


def efps(
    jets: RelativeJets,
    *,
    graphs: tuple[Graph, ...],
    beta: float = 1.0,
    normed: bool = False,
) -> Array:
    """Energy-flow polynomials of jets.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel) with azimuths at most
            2 pi apart, mask ``[..., N]``.
        graphs: G multigraphs, as `multigraphs.multigraphs` lists them.
        beta: power of the angle, positive.
        normed: divide each z by the sum of the jet's z.

    Returns:
        ``[..., G]``. The graph without edges gives the sum of z; a jet without
        particles has zeros. Gradients are finite where particles coincide.

    Raises:
        ValueError: ``beta`` is not positive, or the particles do not match the mask.
    """
    if not beta > 0:
        raise ValueError(f"beta must be positive, got {beta}")
    jets = record(jnp, jets)
    if jets.particles.shape != (*jets.mask.shape, 3):
        raise ValueError(
            "particles [..., N, 3] and mask [..., N] do not match: "
            f"{jets.particles.shape}, {jets.mask.shape}"
        )
    particles = jnp.where(jets.mask[..., None], jets.particles, 0.0)
    z = particles[..., PTREL]
    if normed:
        z = safe_divide(z, jnp.sum(z, axis=-1, keepdims=True))
    return contract(graphs, z, _angles(particles, beta))


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
        rows = [a.reshape(-1, chunk, *a.shape[1:]) for a in rows]
        table = _chunked(RelativeJets(*rows), graphs, beta, normed)
        return np.asarray(table).reshape(part, -1)[: stop - start]

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


@functools.partial(jax.jit, static_argnames=("graphs", "beta", "normed"))
def _chunked(jets: RelativeJets, graphs, beta, normed) -> Array:
    """``[K, chunk, N, 3]`` to ``[K, chunk, G]``, one chunk after the other."""
    return jax.lax.map(
        lambda one: efps(one, graphs=graphs, beta=beta, normed=normed), jets
    )


def _angles(particles: Array, beta: float) -> Array:
    """``theta [..., N, N]``; differences of azimuth the short way round."""
    eta, phi = particles[..., ETAREL], particles[..., PHIREL]
    deta = eta[..., :, None] - eta[..., None, :]
    dphi = jnp.abs(phi[..., :, None] - phi[..., None, :])
    # Keeps every digit of a small angle, as a remainder by 2 pi would not.
    dphi = jnp.minimum(dphi, 2 * jnp.pi - dphi)
    squared = jnp.square(deta) + jnp.square(dphi)
    # A power has no finite derivative at zero; particles coincide with themselves.
    apart = squared > 0
    return jnp.where(apart, jnp.where(apart, squared, 1.0) ** (beta / 2), 0.0)
