"""Logarithm of a transverse momentum that may be zero."""

import jax.numpy as jnp

from jetvae_jax.types import Array

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
