"""Awkward arrays: a record a jet, with a list of its particles.

``J * {particles: var * Momentum4D[px, py, pz, E], axis: {pt, eta, phi}, label}``,
float64 in GeV; ``axis`` and ``label`` only where the jets have them. FastJet takes the
particles as they are; with ``vector.register_awkward()`` they are momenta with ``.pt``,
``.eta`` and so on (see :func:`~jetvae_jax.interplay.vector.to_vector`).
"""

from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data.containers import tables
from jetvae_jax.data.formats.columns import CYLINDRICAL
from jetvae_jax.interplay import _batches

_COLUMNS = "part_"


def to_awkward(jets: Jets) -> Any:
    """Jets as an awkward array.

    Args:
        jets: particles ``[J, N, 3]`` in GeV.

    Returns:
        Records with ``particles`` (px, py, pz, E) in descending pt, the ``axis`` (pt,
        eta, phi) of the whole jet and the ``label``, where there are such.

    Raises:
        InputError: awkward is not installed, or the jets are not good.
    """
    with tables.needing("awkward", "to_awkward", "awkward"):
        import awkward as ak
    p, mask, axis, labels = _batches.checked("to_awkward", jets)
    names, kept = ("px", "py", "pz", "E"), p[mask]
    columns = [*kept.T, np.linalg.norm(kept, axis=-1)]
    flat = ak.zip(dict(zip(names, columns, strict=True)), with_name="Momentum4D")
    fields = {"particles": ak.unflatten(flat, mask.sum(1))}
    if axis is not None:
        fields["axis"] = ak.zip(dict(zip(CYLINDRICAL, axis.T, strict=True)))
    if labels is not None:
        fields["label"] = labels
    return ak.zip(fields, depth_limit=1)


def from_awkward(array: Any, num_particles: int | None = None) -> Jets:
    """Jets from an awkward array.

    Args:
        array: as from :func:`to_awkward`; or the lists of particles alone, ``J * var *
            {px, py, pz}`` or ``{pt, eta, phi}``; or records with ``part_px``,
            ``part_py``, ``part_pz``, as ``ak.from_parquet`` reads files of this package
            and of JetClass. Energies and masses are not read, None is left out.
        num_particles: N; the leading N by pt are kept, fewer are padded. None for as
            many as the largest jet has.

    Raises:
        InputError: awkward is not installed, these fields are not there, or the jets
            are not good.
    """
    with tables.needing("awkward", "from_awkward", "awkward"):
        import awkward as ak
    array = ak.Array(array)
    fields = ak.fields(array)
    particles, properties = array, {}
    if "particles" in fields:
        particles = array["particles"]
        if "axis" in fields:
            axis = array["axis"]
            properties["axis"] = np.stack(
                [ak.to_numpy(axis[name]) for name in CYLINDRICAL], axis=-1
            )
        if "label" in fields:
            properties["labels"] = ak.to_numpy(array["label"])
    elif f"{_COLUMNS}px" in fields:
        names = [name for name in fields if name.startswith(_COLUMNS)]
        particles = ak.zip({n.removeprefix(_COLUMNS): array[n] for n in names})
    if particles.ndim != 2:
        raise InputError(
            f"from_awkward: type is {particles.type}: expected a list of particles for "
            "each jet"
        )
    system = _batches.system_of("from_awkward", ak.fields(particles))
    lists = [particles[name] for name in system]
    return _batches.from_lists(
        "from_awkward",
        system,
        [ak.to_numpy(ak.drop_none(ak.flatten(values))) for values in lists],
        ak.to_numpy(ak.sum(~ak.is_none(lists[0], axis=1), axis=1)),
        num_particles,
        **properties,
    )
