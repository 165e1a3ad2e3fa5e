"""Jets with their pt-weighted centre at zero."""

import jax.numpy as jnp

from jetvae_jax.numerics import masked_sum, safe_divide, wrap_phi
from jetvae_jax.types import Array


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
