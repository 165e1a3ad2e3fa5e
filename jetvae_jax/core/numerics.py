"""Guards against NaN and cancellation, each with its reason."""

import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.dtypes import mask as as_mask
from jetvae_jax.core.types import Array


def safe_sqrt(x: Array) -> Array:
    """Square root whose gradient at ``x <= 0`` is zero.

    ``d sqrt(x)/dx`` is infinite at zero, and infinity times the zero gradient of a
    padded entry is NaN. Both branches of the ``where`` must be finite, because
    autodiff multiplies the branch not taken by zero.

    Args:
        x: any shape.

    Returns:
        ``sqrt(x)``, zero where ``x <= 0``; NaN stays NaN; same shape.
    """
    (x,) = floats(jnp, x)
    zero = x <= 0
    return jnp.where(zero, 0.0, jnp.sqrt(jnp.where(zero, 1.0, x)))


def safe_norm(x: Array) -> Array:
    """Euclidean norm over the last axis, gradient zero at the origin.

    Args:
        x: ``[..., D]``.

    Returns:
        ``[...]``.
    """
    (x,) = floats(jnp, x)
    return safe_sqrt(jnp.sum(jnp.square(x), axis=-1))


def safe_log(x: Array, *, floor: float = 1e-30) -> Array:
    """Logarithm of ``max(x, floor)``: finite, gradient zero below the floor."""
    (x,) = floats(jnp, x)
    return jnp.log(jnp.where(x <= floor, floor, x))


def safe_divide(numerator: Array, denominator: Array) -> Array:
    """Quotient that is zero, with zero gradient, where the denominator is zero."""
    numerator, denominator = floats(jnp, numerator, denominator)
    nonzero = denominator != 0
    return jnp.where(nonzero, numerator / jnp.where(nonzero, denominator, 1.0), 0.0)


def masked_sum(x: Array, mask: Array, *, axis: int = -1) -> Array:
    """Sum over the entries where ``mask`` is True.

    ``where`` and not a product, so that a NaN in the padding cannot leak
    (``0 * nan`` is NaN).
    """
    (x,) = floats(jnp, x)
    return jnp.sum(jnp.where(as_mask(jnp, mask), x, 0.0), axis=axis)


def masked_mean(x: Array, mask: Array, *, axis: int = -1) -> Array:
    """Mean over the entries where ``mask`` is True; zero where there are none."""
    count = jnp.sum(as_mask(jnp, mask), axis=axis)
    return masked_sum(x, mask, axis=axis) / jnp.maximum(count, 1)


def wrap_phi(phi: Array) -> Array:
    """The angle in [-pi, pi) that equals ``phi`` modulo 2 pi.

    Differences of azimuths cross the seam at pi; every difference goes through
    here. Rounding can put the remainder at exactly 2 pi, hence the last ``where``.
    """
    (phi,) = floats(jnp, phi)
    wrapped = jnp.mod(phi + jnp.pi, 2 * jnp.pi) - jnp.pi
    return jnp.where(wrapped >= jnp.pi, wrapped - 2 * jnp.pi, wrapped)
