"""Four-momenta of massless particles and of their jets.

Particles are ``[..., N, 3]`` Cartesian momenta in GeV, axes along +z (the beam);
``mask [..., N]`` marks those that exist, None means all. Masked particles never
contribute, whatever they hold. Numbers may be of any type, see
:mod:`~jetvae_jax.core.dtypes`.
"""

import jax.numpy as jnp

from jetvae_jax.core import dtypes
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.numerics import safe_divide, safe_norm, safe_sqrt, wrap_phi
from jetvae_jax.core.types import Array

PX, PY, PZ = 0, 1, 2
PT, ETA, PHI = 0, 1, 2


def to_pt_eta_phi(p: Array) -> Array:
    """Cartesian momenta to (pt, eta, phi).

    ``eta = asinh(pz/pt)``: exact near the beam where ``atanh(pz/|p|)`` overflows.
    A zero vector maps to zeros; all gradients stay finite.

    Args:
        p: ``[..., 3]`` (px, py, pz) in GeV.

    Returns:
        ``[..., 3]``: pt in GeV, pseudorapidity, azimuth in [-pi, pi].

    Example:
        >>> print(jv.kinematics.to_pt_eta_phi(jnp.array([3.0, 0.0, 0.0])))
        [3. 0. 0.]
    """
    (p,) = floats(jnp, p)
    px, py, pz = p[..., PX], p[..., PY], p[..., PZ]
    pt = safe_norm(p[..., :2])
    exists = pt > 0
    eta = jnp.where(exists, jnp.arcsinh(safe_divide(pz, pt)), 0.0)
    phi = jnp.where(exists, jnp.arctan2(py, jnp.where(exists, px, 1.0)), 0.0)
    return jnp.stack([pt, eta, phi], axis=-1)


def from_pt_eta_phi(q: Array) -> Array:
    """Inverse of :func:`to_pt_eta_phi`.

    Args:
        q: ``[..., 3]`` (pt in GeV, eta, phi).

    Returns:
        ``[..., 3]`` (px, py, pz) in GeV.
    """
    (q,) = floats(jnp, q)
    pt, eta, phi = q[..., PT], q[..., ETA], q[..., PHI]
    return jnp.stack([pt * jnp.cos(phi), pt * jnp.sin(phi), pt * jnp.sinh(eta)], -1)


def to_relative(p: Array, axis: Array) -> Array:
    """Momenta relative to a jet axis, as JetNet defines them.

    ``etarel = eta - eta_jet``, ``phirel = phi - phi_jet`` wrapped to [-pi, pi),
    ``ptrel = pt / pt_jet`` (arXiv:2106.11535, section 3).

    Args:
        p: ``[..., N, 3]`` (px, py, pz) in GeV.
        axis: ``[..., 3]`` the jet's (pt in GeV, eta, phi).

    Returns:
        ``[..., N, 3]`` (ptrel, etarel, phirel), all dimensionless; zeros for a
        particle of zero pt.
    """
    p, axis = floats(jnp, p, axis)
    q = to_pt_eta_phi(p)
    axis = axis[..., None, :]
    exists = q[..., PT] > 0
    ptrel = safe_divide(q[..., PT], axis[..., PT] * jnp.ones_like(q[..., PT]))
    etarel = jnp.where(exists, q[..., ETA] - axis[..., ETA], 0.0)
    phirel = jnp.where(exists, wrap_phi(q[..., PHI] - axis[..., PHI]), 0.0)
    return jnp.stack([ptrel, etarel, phirel], axis=-1)


def to_frame(p: Array, axis: Array) -> Array:
    """Momenta in the jet's own frame: turned by -phi, boosted along z by -eta.

    A boost along the beam shifts the rapidity, which is the pseudorapidity of a
    massless particle: pt stays, ``eta -> eta - eta_jet``, ``phi -> phi - phi_jet``.
    The jet then points along +x.

    Args:
        p: ``[..., N, 3]`` (px, py, pz) in GeV, massless.
        axis: ``[..., 3]`` the jet's (pt, eta, phi).

    Returns:
        ``[..., N, 3]`` in GeV.
    """
    p, axis = floats(jnp, p, axis)
    eta, phi = axis[..., None, ETA], axis[..., None, PHI]
    cos, sin = jnp.cos(phi), jnp.sin(phi)
    x = p[..., PX] * cos + p[..., PY] * sin
    y = p[..., PY] * cos - p[..., PX] * sin
    z = p[..., PZ] * jnp.cosh(eta) - safe_norm(p) * jnp.sinh(eta)
    return jnp.stack([x, y, z], axis=-1)


def from_frame(q: Array, eta: Array, direction: Array) -> Array:
    """Inverse of :func:`to_frame`.

    Args:
        q: ``[..., N, 3]`` momenta in the jet's frame, GeV.
        eta: ``[...]`` the jet's pseudorapidity.
        direction: ``[..., 2]`` unit vector (cos phi, sin phi) of the jet.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV.
    """
    q, eta, direction = floats(jnp, q, eta, direction)
    eta, cos, sin = eta[..., None], direction[..., None, 0], direction[..., None, 1]
    x = q[..., PX] * cos - q[..., PY] * sin
    y = q[..., PX] * sin + q[..., PY] * cos
    z = q[..., PZ] * jnp.cosh(eta) + safe_norm(q) * jnp.sinh(eta)
    return jnp.stack([x, y, z], axis=-1)


def _existing(p: Array, mask: Array | None) -> Array:
    (p,), mask = floats(jnp, p), dtypes.mask(jnp, mask)
    return p if mask is None else jnp.where(mask[..., None], p, 0.0)


def jet_momentum(p: Array, mask: Array | None = None) -> Array:
    """Sum of the particles' momenta, ``[..., N, 3] -> [..., 3]`` in GeV."""
    return jnp.sum(_existing(p, mask), axis=-2)


def jet_energy(p: Array, mask: Array | None = None) -> Array:
    """Sum of the massless particles' energies ``|p|``, ``[..., N, 3] -> [...]``."""
    return jnp.sum(safe_norm(_existing(p, mask)), axis=-1)


def jet_pt_eta_phi(p: Array, mask: Array | None = None) -> Array:
    """The jet axis (pt in GeV, eta, phi), ``[..., N, 3] -> [..., 3]``."""
    return to_pt_eta_phi(jet_momentum(p, mask))


def jet_pt(p: Array, mask: Array | None = None) -> Array:
    """Transverse momentum of the jet in GeV, ``[..., N, 3] -> [...]``."""
    return safe_norm(jet_momentum(p, mask)[..., :2])


def jet_mass_squared(p: Array, mask: Array | None = None) -> Array:
    """Squared invariant mass of a set of massless particles, never negative.

    ``E^2 - P^2`` loses all digits in float32 when ``m << E``. With ``n = P/|P|``,

        m^2 = (E + P) (E - P),   E - P = sum_i |p_i| - p_i.n
                                       = sum_i |p_i x n|^2 / (|p_i| + p_i.n)

    is a sum of non-negative terms without cancellation, and linear in N, where
    the pairwise form ``1/2 sum_ij E_i E_j |n_i - n_j|^2`` is quadratic.

    Args:
        p: ``[..., N, 3]`` (px, py, pz) in GeV.
        mask: ``[..., N]`` bool or None.

    Returns:
        ``[...]`` in GeV^2; zero, with zero gradient, for an empty jet.
    """
    # One array per component: twelve times faster than [..., 3] on a CPU.
    px, py, pz = (_existing(p, mask)[..., i] for i in range(3))
    total = jnp.stack([jnp.sum(v, axis=-1) for v in (px, py, pz)], axis=-1)
    momentum = safe_norm(total)
    n = safe_divide(total, momentum[..., None])
    nx, ny, nz = (n[..., i, None] for i in range(3))
    energy = safe_sqrt(px * px + py * py + pz * pz)
    along = px * nx + py * ny + pz * nz
    across = (
        jnp.square(py * nz - pz * ny)
        + jnp.square(pz * nx - px * nz)
        + jnp.square(px * ny - py * nx)
    )
    forward = along > 0
    # Backwards (or when n is zero) |p| - p.n has no cancellation to avoid.
    gap = jnp.where(
        forward, across / jnp.where(forward, energy + along, 1.0), energy - along
    )
    total_energy = jnp.sum(energy, axis=-1)
    squared = jnp.sum(gap, axis=-1) * (total_energy + momentum)
    # Rounding of n alone leaves about (eps E)^2: a single particle has no mass.
    resolution = jnp.square(8 * jnp.finfo(squared.dtype).eps * total_energy)
    return jnp.where(squared <= resolution, 0.0, squared)


def jet_mass(p: Array, mask: Array | None = None) -> Array:
    """Invariant mass in GeV, ``[..., N, 3] -> [...]``; see :func:`jet_mass_squared`.

    The gradient is zero, not NaN, for a jet of no or of one particle.

    Example:
        Two particles of 50 GeV, back to back:

        >>> p = jnp.array([[50.0, 0.0, 0.0], [-50.0, 0.0, 0.0]])
        >>> print(jv.kinematics.jet_mass(p))
        100.0
    """
    return safe_sqrt(jet_mass_squared(p, mask))


def multiplicity(mask: Array) -> Array:
    """Number of existing particles, ``[..., N] -> [...]`` int32."""
    return jnp.sum(dtypes.mask(jnp, mask), axis=-1, dtype=jnp.int32)
