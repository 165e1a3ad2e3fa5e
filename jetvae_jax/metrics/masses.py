"""Masses of jets of relative particles, the quantity behind W1M."""

import concurrent.futures
import os

import jax
import numpy as np

from jetvae_jax.metrics.arrays import namespace
from jetvae_jax.metrics.chunks import map_chunks
from jetvae_jax.types import Array, RelativeJets

_CHUNK = 2000  # jets whose arrays stay in a CPU's cache


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
    columns = (xp.asarray(jets.particles)[..., i] for i in range(3))
    pt, eta, phi = (xp.where(mask, v, xp.zeros((), v.dtype)) for v in columns)
    ones = xp.ones(pt.shape[-1], pt.dtype)

    def total(x):  # over the particles: as a matrix product many times faster
        return x @ ones if xp is np else xp.sum(x, axis=-1)

    sum_pt = total(pt)
    share = 1 / xp.where(sum_pt > 0, sum_pt, xp.ones((), pt.dtype))
    eta, phi = (v - (total(pt * v) * share)[..., None] for v in (eta, phi))
    sinh, sin, cos = xp.sinh(eta / 2), xp.sin(phi / 2), xp.cos(phi / 2)
    along, across = pt * sinh, pt * sin
    square = total(along * sinh)
    gap = 2 * (square + total(across * sin))
    energy = sum_pt + 2 * square
    pz = 2 * total(along * xp.sqrt(1 + sinh * sinh))
    py = 2 * total(across * cos)
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

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.concatenate(list(pool.map(compute, range(0, len(jets.mask), _CHUNK))))
