"""Energy-flow polynomials (Komiske, Metodiev, Thaler, arXiv:1712.07124).

For a multigraph G of n vertices,

    EFP_G = sum_{i1..in} z_i1 ... z_in  prod_{(k, l) in G} theta_{ik il}

with ``z = ptrel`` and ``theta_ij = (deta_ij^2 + dphi_ij^2)^(beta / 2)``: the measure
``hadr`` of the energyflow package, which agrees to a few units of float32.
"""

import jax.numpy as jnp

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.numerics import safe_divide
from jetvae_jax.core.types import Array, RelativeJets
from jetvae_jax.observables.energy_flow.contraction import contract
from jetvae_jax.observables.energy_flow.multigraphs import Graph

PTREL, ETAREL, PHIREL = 0, 1, 2


def efps(
    jets: RelativeJets,
    *,
    graphs: tuple[Graph, ...],
    beta: float = 1.0,
    normed: bool = False,
) -> Array:
    """Energy-flow polynomials of jets (arXiv:1712.07124).

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
