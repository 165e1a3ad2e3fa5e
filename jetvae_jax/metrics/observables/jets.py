"""What is measured on jets: one array per observable, in GeV and radians.

A generated jet has no other axis than that of its particles, so relative features
refer to it unless another is given. JetNet's files refer to the axis of the full jet
before the cut to the leading particles, so their ``ptrel`` sums to less than one
where ours sums to about one.
"""

from collections.abc import Iterator, Mapping

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import kinematics
from jetvae_jax.core.types import Array, Jets, RelativeJets
from jetvae_jax.metrics.host.chunks import map_chunks


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


def relative(jets: Jets, axis: Array | None = None) -> RelativeJets:
    """Jets relative to their axes, in units of their pt.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.
        axis: ``[..., 3]`` (pt in GeV, eta, phi) to refer to; None for that of the
            particles themselves.

    Returns:
        Particles ``[..., N, 3]`` (ptrel, etarel, phirel), zero where masked.
    """
    if axis is None:
        axis = kinematics.jet_pt_eta_phi(jets.particles, jets.mask)
    particles = kinematics.to_relative(jets.particles, axis)
    return RelativeJets(jnp.where(jets.mask[..., None], particles, 0.0), jets.mask)


class ParticleObservables(Mapping[str, np.ndarray]):
    """Observables of the particles that exist, all jets in one array each.

    ``px``, ``py``, ``pz`` in GeV, ``ptrel``, ``etarel``, ``phirel``; each ``[P]`` with
    P the number of True entries of the mask, made when it is asked for: together they
    would need more memory than the jets.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.
        relative_jets: the same jets by :func:`relative`.
    """

    NAMES = ("px", "py", "pz", "ptrel", "etarel", "phirel")

    def __init__(self, jets: Jets, relative_jets: RelativeJets):
        self._arrays = (jets.particles, relative_jets.particles)
        self._mask = np.asarray(jets.mask)

    def __getitem__(self, name: str) -> np.ndarray:
        group, column = divmod(self.NAMES.index(name), 3)
        return np.asarray(self._arrays[group])[..., column][self._mask]

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __len__(self) -> int:
        return len(self.NAMES)


def particle_observables(jets: Jets) -> ParticleObservables:
    """Observables of the particles of a sample, relative to their own jets' axes."""
    return ParticleObservables(jets, map_chunks(relative, jets))
