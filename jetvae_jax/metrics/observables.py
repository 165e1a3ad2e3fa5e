"""Observables of samples of jets on the host: of particles, and relative masses.

Those of whole jets as differentiable functions are in :mod:`jetvae_jax.observables`.
"""

import math
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import kinematics
from jetvae_jax.core.dtypes import record
from jetvae_jax.core.types import Array, Jets, RelativeJets
from jetvae_jax.metrics.host import CHUNK, map_chunks, namespace, traced
from jetvae_jax.observables.jets import relative

_IN_CACHE = 32_768  # particles: with all arrays of them 1 MB


def relative_jet_observables(jets: RelativeJets) -> dict[str, Array]:
    """Observables of jets whose pt is not known.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.

    Returns:
        ``relative_mass``, ``sum_ptrel`` and ``multiplicity``, each ``[...]``.
    """
    jets = record(jnp, jets)
    ptrel = jnp.where(jets.mask, jets.particles[..., kinematics.PT], 0)
    return {
        "relative_mass": relative_mass(jets),
        "sum_ptrel": jnp.sum(ptrel, axis=-1),
        "multiplicity": kinematics.multiplicity(jets.mask),
    }


class ParticleObservables(Mapping[str, np.ndarray]):
    """Observables of the particles that the mask holds, all jets in one array each.

    ``px``, ``py``, ``pz`` in GeV, ``ptrel``, ``etarel``, ``phirel``; each ``[P]`` with
    P the number of True entries of the mask, made when it is asked for: together they
    would need more memory than the jets. Without momenta, only the last three.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``; None if their pt is
            not known.
        relative_jets: the same jets by :func:`relative`.
    """

    NAMES = ("px", "py", "pz", "ptrel", "etarel", "phirel")

    def __init__(self, jets: Jets | None, relative_jets: RelativeJets):
        relative_jets = record(np, relative_jets)
        momenta = None if jets is None else record(np, jets).particles
        self._arrays = (momenta, relative_jets.particles)
        self._mask = relative_jets.mask

    def __getitem__(self, name: str) -> np.ndarray:
        group, column = divmod(self.NAMES.index(name), 3)
        values = self._arrays[group]
        if values is None:
            raise KeyError(name)
        return np.asarray(values)[..., column][self._mask]

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES if self._arrays[0] is not None else self.NAMES[3:])

    def __len__(self) -> int:
        return len(list(iter(self)))


def particle_observables(jets: Jets | RelativeJets) -> ParticleObservables:
    """Observables of the particles of a sample, relative to their own jets' axes.

    In NumPy, on the host: how many particles there are is not known within jit.
    """
    if isinstance(jets, RelativeJets):
        return ParticleObservables(None, jets)
    jets = record(np, jets)
    return ParticleObservables(jets, map_chunks(relative, jets))


def relative_mass(jets: RelativeJets) -> Array:
    """Mass of the massless relative particles, dimensionless, about m / pt.

    Turning a jet, or boosting it along the beam, leaves its mass alone, so angles may
    be counted from their mean, weighted with pt. There

        m^2 = (E - Px) (E + Px) - Py^2 - Pz^2,
        E - Px = 2 sum_i pt_i (sinh^2(eta_i / 2) + sin^2(phi_i / 2)),

    and Py and Pz are of third order in the angles: nothing cancels, in float32 either.
    What is below the resolution of the energy counts as zero, as in
    :func:`jetvae_jax.core.kinematics.jet_mass`: a single particle has no mass.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.

    Returns:
        ``[...]``, the quantity behind W1M (arXiv:2106.11535, section 4).
    """
    xp = namespace(*jets)
    particles, mask = record(xp, jets)
    pt, eta, phi = (xp.where(mask, particles[..., i], 0) for i in range(3))
    sum_pt = pt.sum(-1)
    share = 1 / xp.where(sum_pt > 0, sum_pt, 1)

    def sums(angle, odd, even):
        half = (angle - ((pt * angle).sum(-1) * share)[..., None]) / 2
        value = odd(half)
        weighted = pt * value
        return (weighted * value).sum(-1), (weighted * even(half)).sum(-1)

    eta_sums = sums(eta, xp.sinh, xp.cosh)
    return _mass(xp, sum_pt, *eta_sums, *sums(phi, xp.sin, xp.cos))[0]


def relative_masses(jets: RelativeJets) -> np.ndarray:
    """:func:`relative_mass` of a sample of any size, many times faster on a CPU.

    Args:
        jets: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``, J > 0.

    Returns:
        ``[J]``, NumPy; JAX within jit, vmap and grad.
    """
    if traced(*jets):
        found: Any = relative_mass(jets)
        return found
    if namespace(*jets) is not np:
        return map_chunks(relative_mass, jets)
    jets = record(np, jets)
    mass, off_axis = map(np.asarray, _mass(np, *_sums_about_axis(jets)))
    again = np.flatnonzero(off_axis)
    for start in range(0, len(again), CHUNK):
        rows = again[start : start + CHUNK]
        mass[rows] = relative_mass(RelativeJets(*(a[rows] for a in jets)))
    return mass


def _mass(
    xp: ModuleType, sum_pt: Array, square: Array, pz: Array, around: Array, py: Array
) -> tuple[Array, Array]:
    """Mass, and where it lost more than a bit as the jet is off its axis, or is NaN."""
    gap = 2 * (square + around)
    energy = sum_pt + 2 * square
    across = 4 * (py * py + pz * pz)
    squared = gap * (2 * energy - gap) - across
    resolution = (8 * float(xp.finfo(sum_pt.dtype).eps) * energy) ** 2
    mass = xp.sqrt(xp.where(squared <= resolution, 0, squared))
    return mass, ~(across <= squared)


def _sums_about_axis(jets: RelativeJets) -> np.ndarray:
    """The sums that :func:`_mass` takes ``[5, J]``, of the angles as they come.

    Few passes over few arrays, in the cache of one core: threads would mostly wait for
    one another's interpreter. Angles in the padding stay what they are: where one is
    NaN, so is the sum, and the jet is computed again.
    """
    particles, mask = jets
    count, length = mask.shape
    size = max(16, _IN_CACHE // max(length, 1) // 16 * 16)  # jets
    arrays = _aligned((4, size, length), particles.dtype)
    sums = np.empty((5, count), particles.dtype)
    ones = np.ones(length, particles.dtype)
    angles = (1, np.sinh, np.cosh), (2, np.sin, np.cos)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, count, size):
            rows = slice(start, start + size)
            part = particles[rows]
            pt, half, value, weighted = arrays[:, : len(part)]
            np.copyto(pt, part[..., 0])
            np.copyto(pt, 0, where=~mask[rows])
            np.matmul(pt, ones, out=sums[0, rows])
            for i, odd, even in angles:
                np.copyto(half, part[..., i])
                half *= 0.5
                np.multiply(pt, odd(half, out=value), out=weighted)
                value *= weighted
                np.matmul(value, ones, out=sums[2 * i - 1, rows])
                even(half, out=half)
                half *= weighted
                np.matmul(half, ones, out=sums[2 * i, rows])
    return sums


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Empty array that begins with a cache line: NumPy's own are up to twice slower."""
    size, line = math.prod(shape), 64
    flat = np.empty(size + line, dtype)
    start = -flat.ctypes.data % line // flat.itemsize
    return flat[start : start + size].reshape(shape)
