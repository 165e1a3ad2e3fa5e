"""What is measured on jets: one array per observable, in GeV and radians.

Relative features refer to the jet's own axis, the sum of the particles it holds, for
real and generated jets alike: a generated jet has no other axis. JetNet's files
refer to the axis of the full jet before the cut to the leading particles, so their
``ptrel`` sums to less than one where ours sums to about one.
"""

import jax
import numpy as np

from jetvae_jax import kinematics
from jetvae_jax.types import Array, Jets


def jet_observables(jets: Jets) -> dict[str, Array]:
    """Observables of whole jets; particles are massless.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.

    Returns:
        ``mass``, ``pt``, ``energy`` in GeV, ``eta``, ``phi``, ``multiplicity``, each
        ``[...]``; all zero for a jet without particles.
    """
    particles, mask = jets.particles, jets.mask
    axis = kinematics.jet_pt_eta_phi(particles, mask)
    return {
        "mass": kinematics.jet_mass(particles, mask),
        "pt": axis[..., kinematics.PT],
        "energy": kinematics.jet_energy(particles, mask),
        "eta": axis[..., kinematics.ETA],
        "phi": axis[..., kinematics.PHI],
        "multiplicity": kinematics.multiplicity(mask),
    }


def relative_particles(jets: Jets) -> Array:
    """Particles relative to the jet's own axis.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.

    Returns:
        ``[..., N, 3]`` (ptrel, etarel, phirel), dimensionless.
    """
    axis = kinematics.jet_pt_eta_phi(jets.particles, jets.mask)
    return kinematics.to_relative(jets.particles, axis)


def relative_mass(jets: Jets) -> Array:
    """Mass of the massless relative particles, dimensionless, about m / pt.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.

    Returns:
        ``[...]``, the quantity behind W1M (arXiv:2106.11535, section 4).
    """
    relative = kinematics.from_pt_eta_phi(relative_particles(jets))
    return kinematics.jet_mass(relative, jets.mask)


def particle_observables(jets: Jets) -> dict[str, np.ndarray]:
    """Observables of the particles that exist, all jets in one array.

    The number of values depends on the mask, so this one runs outside ``jit``.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.

    Returns:
        ``px``, ``py``, ``pz`` in GeV, ``ptrel``, ``etarel``, ``phirel``, each ``[P]``
        with P the number of True entries of the mask.
    """
    mask = np.asarray(jets.mask)
    momenta = np.asarray(jets.particles)[mask]
    relative = np.asarray(jax.jit(relative_particles)(jets))[mask]
    names = ("px", "py", "pz", "ptrel", "etarel", "phirel")
    return dict(zip(names, [*momenta.T, *relative.T], strict=True))
