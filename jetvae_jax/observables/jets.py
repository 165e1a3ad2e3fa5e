"""Whole jets: mass, pt, energy and direction; their particles relative to them.

A generated jet has no other axis than that of its particles, so relative features
refer to it unless another is given. JetNet's files refer to the axis of the full jet
before the cut to the leading particles, so their ``ptrel`` sums to less than one
where ours sums to about one.
"""

import jax.numpy as jnp

from jetvae_jax.core import kinematics
from jetvae_jax.core.dtypes import record
from jetvae_jax.core.types import Array, Jets, RelativeJets


def jet_observables(jets: Jets) -> dict[str, Array]:
    """Observables of whole jets; particles are massless.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.

    Returns:
        ``mass``, ``pt``, ``energy`` in GeV, ``eta``, ``phi``, ``multiplicity``, each
        ``[...]``; all zero for a jet without particles.
    """
    jets = record(jnp, jets)
    particles, mask = jets.particles, jets.mask
    axis = kinematics.jet_pt_eta_phi(particles, mask)
    return {
        "mass": kinematics.jet_mass(particles, mask),
        "pt": axis[..., kinematics.PT],
        "energy": kinematics.jet_energy(particles, mask),
        "eta": axis[..., kinematics.ETA],
        "phi": axis[..., kinematics.PHI],
        "multiplicity": kinematics.multiplicity(mask),
    }


def relative(jets: Jets, axis: Array | None = None) -> RelativeJets:
    """Jets relative to their axes, in units of their pt.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.
        axis: ``[..., 3]`` (pt in GeV, eta, phi) to refer to; None for that of the
            particles themselves.

    Returns:
        Particles ``[..., N, 3]`` (ptrel, etarel, phirel), zero where masked.

    Example:
        A jet of one particle is its own axis:

        >>> jets = jv.Jets(jnp.array([[30.0, 40.0, 0.0]]), jnp.array([True]))
        >>> print(jv.metrics.relative(jets).particles)
        [[1. 0. 0.]]
    """
    jets = record(jnp, jets)
    if axis is None:
        axis = kinematics.jet_pt_eta_phi(jets.particles, jets.mask)
    particles = kinematics.to_relative(jets.particles, axis)
    return RelativeJets(jnp.where(jets.mask[..., None], particles, 0.0), jets.mask)
