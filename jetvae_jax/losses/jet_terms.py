"""Squared errors of the jets that two sets of particles make."""

import jax.numpy as jnp

from jetvae_jax import kinematics
from jetvae_jax.types import Array


def jet_pt_error(
    x: Array, y: Array, *, x_mask: Array | None = None, y_mask: Array | None = None
) -> Array:
    """``(pT_x - pT_y)^2`` of the summed momenta (arXiv:2109.15197).

    Args:
        x: ``[..., N, 3]`` (px, py, pz) in GeV.
        y: ``[..., M, 3]``.
        x_mask: ``[..., N]`` bool, or None for all.
        y_mask: ``[..., M]`` bool, or None for all.

    Returns:
        ``[...]`` in GeV^2.
    """
    pt_x, pt_y = kinematics.jet_pt(x, x_mask), kinematics.jet_pt(y, y_mask)
    return jnp.square(pt_x - pt_y)


def jet_mass_error(
    x: Array, y: Array, *, x_mask: Array | None = None, y_mask: Array | None = None
) -> Array:
    """``(m_x - m_y)^2`` of the jets of massless particles; see :func:`jet_pt_error`."""
    m_x, m_y = kinematics.jet_mass(x, x_mask), kinematics.jet_mass(y, y_mask)
    return jnp.square(m_x - m_y)
