"""Features of a jet's particles: the logarithm of pt, turns, and the jet's own frame.

In the jet's own frame the symmetries are taken out: its particles are turned by -phi,
boosted by -eta and divided by the jet's pt, and two rows hold the jet, (log pt, eta, 0)
and (cos phi, sin phi, 0). The map is exact in both directions. A direction (cos, sin)
of any length keeps the circle of phi whole, where an angle would jump at pi.

All functions are pure ``jnp``, for ``jit``, ``vmap`` and ``grad``.
"""

import jax.numpy as jnp

from jetvae_jax.core import kinematics
from jetvae_jax.core.numerics import safe_divide, safe_log, safe_norm, wrap_phi
from jetvae_jax.core.types import Array

JET_ROWS = 2
"""Rows that describe a jet in its own frame."""
# Bounds of decoded values, so that momenta stay finite (sinh overflows at 89).
MAX_ETA = 10.0
LOG_PT_RANGE = (-5.0, 10.0)  # of a jet, in GeV: 7 MeV to 22 TeV
# Second moments rounder than this, or of a jet narrower than WIDTH, have no axis.
ROUND = 1e-5
WIDTH = 1e-5


def to_log(pt: Array, *, floor: float) -> Array:
    """``log(1 + pt / floor)``: a logarithm above the floor, zero at zero.

    Padding of zero pt stays at zero, below the softest particle, instead of at minus
    infinity.

    Args:
        pt: any shape, above ``-floor``; in GeV, or ptrel.
        floor: in the units of ``pt``.
    """
    return jnp.log1p(jnp.asarray(pt) / floor)


def from_log(v: Array, *, floor: float) -> Array:
    """Inverse of :func:`to_log`; never below ``-floor``, finite up to ``v = 88``."""
    return floor * jnp.expm1(v)


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

    Of the two directions, the one with a positive weighted third moment: for a hard
    core on one side and a far, softer prong on the other, the prong is at positive
    values. The angle of turned points is turned with them.

    Without an axis (one particle on the jet's axis, round moments) the angle is 0,
    or pi if the third moment is negative. If that vanishes too, as for two equal
    particles, rounding picks one of the two directions.

    Args:
        points: ``[..., N, 2]`` about the jet's axis.
        weight: ``[..., N]``, such as pt; its scale does not matter.
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
    return rows.reshape(*axis.shape[:-1], JET_ROWS, 3)


def to_jet_frame(p: Array, axis: Array) -> Array:
    """Momenta in the jet's own frame, over its pt.

    Args:
        p: ``[..., N, 3]`` (px, py, pz) in GeV.
        axis: ``[..., 3]`` (pt [GeV], eta, phi) of the jet.

    Returns:
        ``[..., N, 3]``, dimensionless.
    """
    return safe_divide(kinematics.to_frame(p, axis), axis[..., None, None, 0])


def from_jet_frame(jet: Array, q: Array) -> Array:
    """Inverse of :func:`jet_rows` and :func:`to_jet_frame`.

    Args:
        jet: ``[..., 2, 3]`` as from :func:`jet_rows`; the direction may have any
            length but zero, log pt and eta are bounded.
        q: ``[..., N, 3]`` as from :func:`to_jet_frame`.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV.
    """
    log_pt, eta = jet[..., 0, 0], jnp.clip(jet[..., 0, 1], -MAX_ETA, MAX_ETA)
    direction = jet[..., 1, :2]
    unit = safe_divide(direction, safe_norm(direction)[..., None])
    pt = jnp.exp(jnp.clip(log_pt, *LOG_PT_RANGE))[..., None, None]
    return pt * kinematics.from_frame(q, eta, unit)
