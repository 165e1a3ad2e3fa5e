"""Repulsion between the points of one set."""

import jax
import jax.numpy as jnp

from jetvae_jax.core import dtypes
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.numerics import masked_sum, safe_norm
from jetvae_jax.core.types import Array


def repulsion(x: Array, *, mask: Array | None = None, length: float = 0.5) -> Array:
    """``sum_i exp(-d_i / length)``, d_i the distance to the nearest other point.

    Without it a decoder may put many points at one place: distances to the nearest
    neighbour do not penalise that (github.com/borzari/ria_convae, with length
    0.5 pixels and weight 1, between decoded positions).

    Args:
        x: ``[..., N, D]`` points, usually positions.
        mask: ``[..., N]`` bool, True where a point exists; None: all do.
        length: in the unit of x, positive.

    Returns:
        ``[...]``, from 0 to N; a point without another adds nothing. The gradient
        between coincident points is zero: it has no direction.
    """
    (x,), mask = floats(jnp, x), dtypes.mask(jnp, mask)
    n = x.shape[-2]
    exists = jnp.ones(x.shape[:-1], bool) if mask is None else mask
    x = jnp.where(exists[..., None], x, 0.0)
    # As in the Chamfer distance: indices first, then differences with gradients.
    fixed = jax.lax.stop_gradient(x)
    squared = jnp.zeros((*x.shape[:-1], n), x.dtype)
    for column in jnp.moveaxis(fixed, -1, 0):
        squared += jnp.square(column[..., :, None] - column[..., None, :])
    others = exists[..., None, :] & ~jnp.eye(n, dtype=bool)
    nearest = jnp.argmin(jnp.where(others, squared, jnp.inf), axis=-1)
    other = jnp.take_along_axis(x, nearest[..., None], axis=-2)
    term = jnp.exp(-safe_norm(x - other) / length)
    return masked_sum(term, exists & jnp.any(others, axis=-1))
