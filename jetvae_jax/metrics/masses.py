"""Masses of jets of relative particles, the quantity behind W1M."""

import math

import jax
import numpy as np

from jetvae_jax.metrics.arrays import namespace
from jetvae_jax.metrics.chunks import map_chunks
from jetvae_jax.metrics.threads import over_cores
from jetvae_jax.types import Array, RelativeJets

_CHUNK = 12_500  # jets: arrays in a CPU's cache, calls that are long beside Python's


def relative_mass(jets: RelativeJets) -> Array:
    """Mass of the massless relative particles, dimensionless, about m / pt.

    Turning a jet, or boosting it along the beam, leaves its mass alone, so angles may
    be counted from their mean, weighted with pt. There

        m^2 = (E - Px) (E + Px) - Py^2 - Pz^2,
        E - Px = 2 sum_i pt_i (sinh^2(eta_i / 2) + sin^2(phi_i / 2)),

    and Py and Pz are of third order in the angles: nothing cancels, in float32 either.
    What is below the resolution of the energy counts as zero, as in
    :func:`jetvae_jax.kinematics.jet_mass`: a single particle has no mass.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.

    Returns:
        ``[...]``, the quantity behind W1M (arXiv:2106.11535, section 4).
    """
    xp = namespace(*jets)
    mask = xp.asarray(jets.mask)
    particles = xp.asarray(jets.particles)

    def column(i, scale):
        values = particles[..., i] * scale
        if xp is not np:
            return xp.where(mask, values, 0)
        np.copyto(values, 0, where=~mask)  # half the time of where
        return values

    def total(*factors):  # over the particles: NumPy has many times faster ways
        if xp is not np:
            return xp.sum(math.prod(factors), axis=-1)
        return np.einsum(",".join(["...i"] * len(factors)) + "->...", *factors)

    pt = column(0, 1.0)
    sum_pt = total(pt)
    share = 1 / xp.where(sum_pt > 0, sum_pt, xp.ones((), pt.dtype))

    def sums(half, odd, even):  # of one angle, so that few arrays are in the cache
        half -= (total(pt, half) * share)[..., None]
        value = odd(half)
        weighted = pt * value
        return total(weighted, value), 2 * total(weighted, even(half))

    square, pz = sums(column(1, 0.5), xp.sinh, xp.cosh)
    around, py = sums(column(2, 0.5), xp.sin, xp.cos)
    gap = 2 * (square + around)
    energy = sum_pt + 2 * square
    squared = gap * (2 * energy - gap) - py * py - pz * pz
    resolution = (8 * float(xp.finfo(pt.dtype).eps) * energy) ** 2
    positive = squared > resolution
    return xp.sqrt(xp.where(positive, squared, xp.zeros((), pt.dtype)))


def relative_masses(jets: RelativeJets) -> np.ndarray:
    """:func:`relative_mass` of a sample of any size, chunk by chunk.

    Args:
        jets: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``, J > 0.

    Returns:
        ``[J]``, NumPy.
    """
    if namespace(*jets) is not np:
        return map_chunks(relative_mass, jets)
    jets = jax.tree.map(np.asarray, jets)

    def compute(start: int) -> Array:
        return relative_mass(jax.tree.map(lambda a: a[start : start + _CHUNK], jets))

    return np.concatenate(over_cores(compute, range(0, len(jets.mask), _CHUNK)))
