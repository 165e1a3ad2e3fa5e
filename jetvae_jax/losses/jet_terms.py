"""Errors of the whole jet: what its particles sum to."""

import jax.numpy as jnp

from jetvae_jax import kinematics
from jetvae_jax.types import Array


def jet_pt_error(
    x: Array, y: Array, *, x_mask: Array | None = None, y_mask: Array | None = None
) -> Array:
    """Squared difference of the two jets' transverse momenta, in GeV^2.

    Args:
        x: ``[..., N, 3]`` (px, py, pz) in GeV.
        y: ``[..., M, 3]`` in GeV.
        x_mask: ``[..., N]`` bool, True where a particle exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.

    Returns:
        ``[...]``.
    """
    return jnp.square(kinematics.jet_pt(x, x_mask) - kinematics.jet_pt(y, y_mask))


def jet_mass_error(
    x: Array, y: Array, *, x_mask: Array | None = None, y_mask: Array | None = None
) -> Array:
    """Squared difference of the two jets' invariant masses, in GeV^2.

    Particles are massless; see :func:`jetvae_jax.kinematics.jet_mass`.

    Args:
        x: ``[..., N, 3]`` (px, py, pz) in GeV.
        y: ``[..., M, 3]`` in GeV.
        x_mask: ``[..., N]`` bool, True where a particle exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.

    Returns:
        ``[...]``; zero gradient with respect to a jet of no or of one particle.
    """
    return jnp.square(kinematics.jet_mass(x, x_mask) - kinematics.jet_mass(y, y_mask))


def mass_weight(p: Array, mask: Array | None = None) -> Array:
    """``<pT> / <m>`` of a sample of jets: ConVAE's weight of the mass error.

    It gives the mass error the size of the pT error. About 10 for gluon jets.

    Args:
        p: ``[J, N, 3]`` (px, py, pz) in GeV of the training jets.
        mask: ``[J, N]`` bool, or None.

    Returns:
        A scalar without unit.
    """
    pt = jnp.mean(kinematics.jet_pt(p, mask))
    return pt / jnp.mean(kinematics.jet_mass(p, mask))
