"""Jets in their own frame: what is left to learn when the symmetries are taken out.

A jet's direction and pt become rows of their own, (log pt, eta, 0) and
(cos phi, sin phi, 0); its particles are turned by -phi, boosted by -eta and divided by
pt. The map is exact both ways, so a network sees and makes ordinary momenta, and does
not have to learn rotations. A direction given as (cos, sin) of any length keeps the
circle of phi whole, where an angle would be cut at pi.
"""

import jax.numpy as jnp

from jetvae_jax import kinematics
from jetvae_jax.numerics import safe_divide, safe_log, safe_norm
from jetvae_jax.types import Array

ROWS = 2
# A decoder may say anything, its momenta stay finite.
MAX_ETA = 10.0
LOG_PT_RANGE = (-5.0, 10.0)  # of a jet, in GeV: 7 MeV to 22 TeV


def jet_rows(axis: Array) -> Array:
    """The jet as rows of features.

    Args:
        axis: ``[..., 3]`` (pt [GeV], eta, phi).

    Returns:
        ``[..., 2, 3]``: (log pt, eta, 0) and (cos phi, sin phi, 0).
    """
    log_pt, zero = safe_log(axis[..., 0], floor=1e-3), jnp.zeros_like(axis[..., 0])
    cos, sin = jnp.cos(axis[..., 2]), jnp.sin(axis[..., 2])
    rows = jnp.stack([log_pt, axis[..., 1], zero, cos, sin, zero], axis=-1)
    return rows.reshape(*axis.shape[:-1], ROWS, 3)


def particle_rows(p: Array, axis: Array) -> Array:
    """Momenta ``[..., N, 3]`` in GeV to the jet's frame, over the jet's pt."""
    return safe_divide(kinematics.to_frame(p, axis), axis[..., None, None, 0])


def momenta(jet: Array, q: Array) -> Array:
    """Both rows back to momenta.

    Args:
        jet: ``[..., 2, 3]`` as from :func:`jet_rows`; the direction may have any
            length but zero, log pt and eta are bounded.
        q: ``[..., N, 3]`` as from :func:`particle_rows`.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV.
    """
    log_pt, eta = jet[..., 0, 0], jnp.clip(jet[..., 0, 1], -MAX_ETA, MAX_ETA)
    direction = jet[..., 1, :2]
    unit = safe_divide(direction, safe_norm(direction)[..., None])
    pt = jnp.exp(jnp.clip(log_pt, *LOG_PT_RANGE))[..., None, None]
    return pt * kinematics.from_frame(q, eta, unit)
