"""Logarithm of a transverse momentum that may be zero.
Turns in a jet's transverse plane, and the angle of its principal axis there.
Jets with their pt-weighted centre at zero.
Jets in their own frame: what is left to learn when the symmetries are taken out.

A jet's direction and pt become rows of their own, (log pt, eta, 0) and
(cos phi, sin phi, 0); its particles are turned by -phi, boosted by -eta and divided by
pt. The map is exact both ways, so a network sees and makes ordinary momenta, and does
not have to learn rotations. A direction given as (cos, sin) of any length keeps the
circle of phi whole, where an angle would be cut at pi.
Physical features of the particles before they are scaled, and the way back.

Momenta become the configured coordinates, are turned to the jet's principal axis and
get the logarithm of their pt, as far as the Config asks for it; all of it is exact.
"""

import jax.numpy as jnp

from jetvae_jax.core import kinematics
from jetvae_jax.core.numerics import (
    masked_sum,
    safe_divide,
    safe_log,
    safe_norm,
    wrap_phi,
)
from jetvae_jax.core.types import Array, Jets
from jetvae_jax.jets.scaling import Config

# Softer than any particle kept: a tenth of a GeV, or of a TeV jet's pt.
FLOOR_PT = 0.1
FLOOR_PTREL = 1e-4
MAX_LOG = 13.8  # of a decoded pt, a million floors: 100 TeV


def to_log(pt: Array, *, floor: float, mask: Array | None = None) -> Array:
    """``log(1 + pt / floor)``: a logarithm above the floor, zero at zero.

    Padding at zero pt stays at zero, some way below the softest particle, instead
    of at minus infinity.

    Args:
        pt: any shape, above ``-floor``; in GeV, or ptrel.
        floor: in the units of ``pt``.
        mask: bool of the same shape, or None; zero where False.
    """
    pt = jnp.asarray(pt) if mask is None else jnp.where(mask, pt, 0.0)
    return jnp.log1p(pt / floor)


def from_log(v: Array, *, floor: float, mask: Array | None = None) -> Array:
    """Inverse of :func:`to_log`; never below ``-floor``, finite up to ``v = 88``."""
    pt = floor * jnp.expm1(v)
    return pt if mask is None else jnp.where(mask, pt, 0.0)


# Second moments rounder than this, or of a jet narrower than WIDTH, have no axis.
ROUND = 1e-5
WIDTH = 1e-5


def turn(points: Array, angle: Array) -> Array:
    """Turn points anticlockwise, from the first coordinate towards the second.

    Args:
        points: ``[..., N, 2]``.
        angle: ``[...]`` in radians; ``-angle`` is the inverse.

    Returns:
        ``[..., N, 2]``.
    """
    cos, sin = jnp.cos(angle)[..., None], jnp.sin(angle)[..., None]
    u, v = points[..., 0], points[..., 1]
    return jnp.stack([u * cos - v * sin, u * sin + v * cos], axis=-1)


def principal_angle(points: Array, weight: Array, mask: Array) -> Array:
    """Direction of the principal axis of the weighted second moments about zero.

    Of the two directions, the one with a positive weighted third moment: a hard core
    on one side and a far, softer prong on the other puts the prong at positive
    values. Points turned by an angle have theirs turned by the same.

    Without an axis (one particle on the jet's axis, round moments) the angle is 0,
    or pi if the third moment says so. If that vanishes too, as for two equal
    particles, rounding picks one of the two directions.

    Args:
        points: ``[..., N, 2]`` about the jet's axis.
        weight: ``[..., N]``, as pt; its scale does not matter.
        mask: ``[..., N]`` bool.

    Returns:
        ``[...]`` in [-pi, pi); ``turn(points, -angle)`` has its axis along the first
        coordinate.
    """
    points = jnp.where(mask[..., None], points, 0.0)
    weight = jnp.where(mask, weight, 0.0)
    u, v = points[..., 0], points[..., 1]
    uu, vv, uv, total = (
        jnp.sum(weight * a, axis=-1) for a in (u * u, v * v, u * v, jnp.ones_like(u))
    )
    split = jnp.stack([uu - vv, 2 * uv], axis=-1)
    clear = safe_norm(split) > ROUND * (uu + vv) + WIDTH**2 * total
    # Both arguments are replaced, else the gradient of a round jet is NaN.
    sine = jnp.where(clear, split[..., 1], 0.0)
    angle = 0.5 * jnp.arctan2(sine, jnp.where(clear, split[..., 0], 1.0))
    along = turn(points, -angle)[..., 0]
    behind = jnp.sum(weight * along**3, axis=-1) < 0
    return wrap_phi(jnp.where(behind, angle + jnp.pi, angle))


def centre(q: Array, mask: Array) -> tuple[Array, Array]:
    """Shift eta and phi so that their pt-weighted means vanish.

    The mean of phi is that of the differences to the direction of the vector sum,
    so that the seam at pi does not matter to a jet narrower than a half circle.

    Args:
        q: ``[..., N, 3]`` (pt, eta, phi), or (ptrel, etarel, phirel).
        mask: ``[..., N]`` bool.

    Returns:
        The shifted particles, zero on padding, phi in [-pi, pi); and the centre
        ``[..., 2]`` (eta, phi), zero for a jet without pt.
    """
    q = jnp.where(mask[..., None], q, 0.0)
    pt, eta, phi = q[..., 0], q[..., 1], q[..., 2]
    total = jnp.sum(pt, axis=-1)
    sin, cos = (masked_sum(pt * f(phi), mask) for f in (jnp.sin, jnp.cos))
    near = jnp.arctan2(sin, jnp.where((sin == 0) & (cos == 0), 1.0, cos))
    away = wrap_phi(phi - near[..., None])
    means = [safe_divide(jnp.sum(pt * v, axis=-1), total) for v in (eta, away)]
    found = jnp.stack([means[0], wrap_phi(near + means[1])], axis=-1)
    return _shift(q, -found, mask), found


def uncentre(q: Array, found: Array, mask: Array) -> Array:
    """Inverse of :func:`centre`.

    Args:
        q: ``[..., N, 3]`` as from :func:`centre`.
        found: ``[..., 2]`` the centre.
        mask: ``[..., N]`` bool.

    Returns:
        ``[..., N, 3]``, zero on padding, phi in [-pi, pi).
    """
    return _shift(jnp.where(mask[..., None], q, 0.0), found, mask)


def _shift(q, by, mask):
    eta = q[..., 1] + by[..., None, 0]
    phi = wrap_phi(q[..., 2] + by[..., None, 1])
    shifted = jnp.stack([q[..., 0], eta, phi], axis=-1)
    return jnp.where(mask[..., None], shifted, 0.0)


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


FLOORS = {"cylindrical": FLOOR_PT, "relative": FLOOR_PTREL}
# A decoder may say anything, its momenta stay finite (sinh overflows at 89).


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
        v = particle_rows(particles, axis)
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
        angle = principal_angle(points, weight, mask)
        v = _turn(v, -angle)
        axis = jnp.concatenate([axis, angle[..., None]], axis=-1)
    if config.log_pt:
        pt = to_log(v[..., 0], floor=FLOORS[config.coordinates])
        v = _with_pt(v, pt)
    return v, axis


def to_physical(config: Config, v: Array, axis: Array) -> Array:
    """Features ``[..., N, F]`` without logarithm and turn: the coordinates as such."""
    if config.log_pt:
        log = jnp.minimum(v[..., 0], MAX_LOG)
        pt = from_log(log, floor=FLOORS[config.coordinates])
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
        return momenta(jet, v)
    pt, eta, phi = v[..., 0], v[..., 1], v[..., 2]
    if config.coordinates == "relative":
        axis = axis[..., None, :]
        pt, eta, phi = pt * axis[..., 0], eta + axis[..., 1], phi + axis[..., 2]
    eta = jnp.clip(eta, -MAX_ETA, MAX_ETA)
    return kinematics.from_pt_eta_phi(jnp.stack([pt, eta, phi], axis=-1))


def _with_pt(v, pt):
    return jnp.concatenate([pt[..., None], v[..., 1:]], axis=-1)


def _turn(v, angle):
    across = turn(v[..., 1:], angle)
    return jnp.concatenate([v[..., :1], across], axis=-1)
