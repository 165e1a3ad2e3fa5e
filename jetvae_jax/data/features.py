"""Physical features of the particles before they are scaled, and the way back.

Momenta become the configured coordinates, are turned to the jet's principal axis and
get the logarithm of their pt, as far as the Config asks for it; all of it is exact.
"""

import jax.numpy as jnp

from jetvae_jax import kinematics
from jetvae_jax.data import frame
from jetvae_jax.data.preprocessing import logs, rotation
from jetvae_jax.data.presentation import Config
from jetvae_jax.numerics import safe_divide, safe_norm
from jetvae_jax.types import Array, Jets

FLOORS = {"cylindrical": logs.FLOOR_PT, "relative": logs.FLOOR_PTREL}
# A decoder may say anything, its momenta stay finite (sinh overflows at 89).
MAX_ETA = frame.MAX_ETA


def axis_of(jets: Jets) -> Array:
    """``[..., 3]`` axis (pt [GeV], eta, phi) of the summed existing particles.

    Not the axis of the jet before it was cut to N particles: Jets holds only what
    is kept, and generated jets have nothing else.
    """
    return kinematics.jet_pt_eta_phi(jnp.asarray(jets.particles), jets.mask)


def from_jets(config: Config, jets: Jets) -> tuple[Array, Array]:
    """Momenta in GeV to unscaled features.

    Args:
        config: coordinates, method and rotation.
        jets: ``[..., N, 3]`` and ``[..., N]``.

    Returns:
        The features ``[..., N, F]`` and the axis ``[..., 3]``, or ``[..., 4]`` with
        the angle of the principal axis last if jets are turned to it.
    """
    axis, mask = axis_of(jets), jnp.asarray(jets.mask)
    particles = jnp.where(mask[..., None], jets.particles, 0.0)
    if config.coordinates == "cartesian":
        v = particles
    elif config.coordinates == "frame":
        v = frame.particle_rows(particles, axis)
    elif config.coordinates == "cylindrical":
        v = kinematics.to_pt_eta_phi(particles)
    else:
        v = kinematics.to_relative(particles, axis)
    if config.rotate == "principal":
        weight, points = v[..., 0], v[..., 1:]
        if config.coordinates == "frame":
            # |q| stays when the jet is turned, px does as well; pt would not.
            weight = safe_norm(v)
            points = safe_divide(points, weight[..., None])
        angle = rotation.principal_angle(points, weight, mask)
        v = _turn(v, -angle)
        axis = jnp.concatenate([axis, angle[..., None]], axis=-1)
    if config.log_pt:
        pt = logs.to_log(v[..., 0], floor=FLOORS[config.coordinates])
        v = _with_pt(v, pt)
    return v, axis


def to_physical(config: Config, v: Array, axis: Array) -> Array:
    """Features ``[..., N, F]`` without logarithm and turn: the coordinates as such."""
    if config.log_pt:
        log = jnp.minimum(v[..., 0], logs.MAX_LOG)
        pt = logs.from_log(log, floor=FLOORS[config.coordinates])
        v = _with_pt(v, pt)
    if config.rotate == "principal":
        v = _turn(v, axis[..., 3])
    return v


def to_momenta(config: Config, v: Array, axis: Array, jet: Array) -> Array:
    """What :func:`to_physical` gave, ``[..., N, F]``, to momenta.

    Args:
        config: the coordinates.
        v: ``[..., N, F]``.
        axis: ``[..., 3]`` or ``[..., 4]``; only relative coordinates read its first
            three.
        jet: ``[..., 2, F]`` unscaled rows of the jet; only frame coordinates have
            them.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV; ``|eta|`` is bounded by ``MAX_ETA``.
    """
    if config.coordinates == "cartesian":
        return v
    if config.coordinates == "frame":
        return frame.momenta(jet, v)
    pt, eta, phi = v[..., 0], v[..., 1], v[..., 2]
    if config.coordinates == "relative":
        axis = axis[..., None, :]
        pt, eta, phi = pt * axis[..., 0], eta + axis[..., 1], phi + axis[..., 2]
    eta = jnp.clip(eta, -MAX_ETA, MAX_ETA)
    return kinematics.from_pt_eta_phi(jnp.stack([pt, eta, phi], axis=-1))


def _with_pt(v, pt):
    return jnp.concatenate([pt[..., None], v[..., 1:]], axis=-1)


def _turn(v, angle):
    across = rotation.turn(v[..., 1:], angle)
    return jnp.concatenate([v[..., :1], across], axis=-1)
