"""Scikit-HEP's vector: particles as momenta with ``.pt``, ``.eta``, ``.deltaR`` ..."""

from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data.containers import tables
from jetvae_jax.data.formats.columns import CARTESIAN
from jetvae_jax.interplay import _batches
from jetvae_jax.interplay.awkward import to_awkward


def to_vector(jets: Jets) -> Any:
    """Particles of jets as momenta: ``J * var * Momentum4D[px, py, pz, E]``.

    In GeV, float64, in descending pt, massless. ``ak.sum(particles, axis=1)`` are the
    momenta of the jets. Axes and labels are those of the jets: a vector has none.

    Args:
        jets: particles ``[J, N, 3]`` in GeV.

    Returns:
        An awkward array with the behaviour of vector, which need not be registered.

    Raises:
        InputError: vector or awkward is not installed, or the jets are not good.
    """
    with tables.needing("vector and awkward", "to_vector", "vector awkward"):
        import awkward as ak
        from vector.backends.awkward import behavior
    return ak.Array(to_awkward(jets)["particles"], behavior=behavior)


def from_vector(particles: Any, num_particles: int | None = None) -> Jets:
    """Jets from momenta of vector, in any coordinates.

    Args:
        particles: awkward array ``J * var`` of momenta (or ``vector.zip``), or NumPy
            array ``[J, M]`` of them (``vector.array``), where a particle of zero pt is
            padding. In GeV; energies and masses are not read.
        num_particles: N; the leading N by pt are kept, fewer are padded. None for as
            many as the largest jet has.

    Raises:
        InputError: these are no momenta in three dimensions of lists of particles, or
            the jets are not good.
    """
    try:
        xyz = [particles.x, particles.y, particles.z]
    except AttributeError:
        raise InputError(
            "from_vector: expected momenta of vector with px, py and pz, got "
            f"{getattr(particles, 'type', type(particles).__name__)}; use vector.zip, "
            "or from_awkward for records without its behaviour"
        ) from None
    if particles.ndim != 2:
        raise InputError(
            f"from_vector: {particles.ndim} dimensions: expected a list of particles "
            "for each jet"
        )
    if isinstance(particles, np.ndarray):
        exists = np.hypot(*xyz[:2]) != 0
        counts = exists.sum(1)
        flat = [np.asarray(values)[exists] for values in xyz]
    else:
        import awkward as ak

        counts = ak.to_numpy(ak.num(particles))
        flat = [ak.to_numpy(ak.flatten(values)) for values in xyz]
    return _batches.from_lists("from_vector", CARTESIAN, flat, counts, num_particles)
