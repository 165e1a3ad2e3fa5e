"""Particles of a jet in another order, and back."""

import jax.numpy as jnp

from jetvae_jax import kinematics
from jetvae_jax.types import Array, Jets


def reorder(jets: Jets, order: Array) -> Jets:
    """The particles ``order [..., N]`` of each jet, in this order."""
    particles = jnp.take_along_axis(jets.particles, order[..., None], axis=-2)
    mask = jnp.take_along_axis(jets.mask, order, axis=-1)
    return jets._replace(particles=particles, mask=mask)


def by_pt(jets: Jets) -> tuple[Jets, Array]:
    """Hardest particle first, padding last.

    Args:
        jets: ``[..., N, 3]``, padding anywhere and of any content.

    Returns:
        The ordered jets and the permutation ``[..., N]``; equal pt keep their order.
    """
    pt = kinematics.to_pt_eta_phi(jets.particles)[..., kinematics.PT]
    order = jnp.argsort(jnp.where(jets.mask, -pt, jnp.inf), axis=-1)
    return reorder(jets, order), order


def restore(jets: Jets, order: Array) -> Jets:
    """Inverse of :func:`reorder`, thus of :func:`by_pt`."""
    return reorder(jets, jnp.argsort(order, axis=-1))
