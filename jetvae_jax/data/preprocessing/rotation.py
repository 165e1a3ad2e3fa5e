"""Turns in a jet's transverse plane, and the angle of its principal axis there."""

import jax.numpy as jnp

from jetvae_jax.numerics import safe_norm, wrap_phi
from jetvae_jax.types import Array

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
