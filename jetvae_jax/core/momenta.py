"""Four-momenta in NumPy and double precision, for files and for making jets.

Without JAX, so that the worker processes of a production start fast. The functions for
``jit`` and ``grad`` are in :mod:`~jetvae_jax.core.kinematics`.
"""

import numpy as np

from jetvae_jax.core.dtypes import floats


def pt_eta_phi(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transverse momentum, pseudorapidity and azimuth.

    Args:
        p: ``[..., 3 or more]`` (px, py, pz, ...) in GeV.

    Returns:
        ``[...]`` each: pt in GeV, eta, phi in [-pi, pi]; zeros for a vector of zero pt.
    """
    (p,) = floats(np, p)
    pt = np.hypot(p[..., 0], p[..., 1])
    moving = pt > 0
    eta = np.arcsinh(np.where(moving, p[..., 2], 0.0) / np.where(moving, pt, 1.0))
    phi = np.where(moving, np.arctan2(p[..., 1], p[..., 0]), 0.0)
    return pt, eta, phi


def cartesian(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Momenta ``[..., 3]`` (px, py, pz) in the unit of pt ``[...]``."""
    pt, eta, phi = floats(np, pt, eta, phi)
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)


def mass(energy: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Invariant mass ``[...]`` in GeV, zero if space-like.

    ``m^2 = (E - |p|) (E + |p|)``, which loses fewer digits than ``E^2 - p^2``.

    Args:
        energy: ``[...]`` in GeV.
        p: ``[..., 3]`` (px, py, pz) in GeV.
    """
    energy, p = floats(np, energy, p)
    momentum = np.linalg.norm(p, axis=-1)
    return np.sqrt(np.maximum((energy - momentum) * (energy + momentum), 0.0))


def wrap_phi(phi: np.ndarray) -> np.ndarray:
    """Angles in [-pi, pi)."""
    (phi,) = floats(np, phi)
    return np.mod(phi + np.pi, 2 * np.pi) - np.pi
