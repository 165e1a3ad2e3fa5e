"""Pandas: one frame of particles, one of jets."""

import importlib
from typing import Any

import numpy as np

from jetvae_jax.core import momenta
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data.containers import tables
from jetvae_jax.interplay import _batches

_AXIS = ("axis_pt", "axis_eta", "axis_phi")


def to_pandas(jets: Jets) -> tuple[Any, Any]:
    """Jets as two frames of pandas.

    Args:
        jets: particles ``[J, N, 3]`` in GeV.

    Returns:
        ``(particles, jets)``: particles with the index ``(jet, particle)``, in
        descending pt, and the columns px, py, pz, pt in GeV, eta, phi; jets with the
        index ``jet`` and the columns pt, eta, phi, mass (sums of the massless
        particles, in GeV), num_particles, and where the jets have them axis_pt,
        axis_eta, axis_phi and label. A jet without particles is in the second alone.

    Raises:
        InputError: pandas is not installed, or the jets are not good.
    """
    with tables.needing("pandas", "to_pandas", "pandas"):
        # Type checkers that have no pandas take "import pandas" for this file.
        pd: Any = importlib.import_module("pandas")
    p, mask, axis, labels = _batches.checked("to_pandas", jets)
    number = pd.RangeIndex(len(p), name="jet")
    index = pd.MultiIndex.from_arrays(np.nonzero(mask), names=("jet", "particle"))
    kept = p[mask]
    pt, eta, phi = momenta.pt_eta_phi(kept)
    columns = dict(zip(("px", "py", "pz"), kept.T, strict=True))
    columns |= {"pt": pt, "eta": eta, "phi": phi}
    particles = pd.DataFrame(columns, index=index)
    total, energy = p.sum(1), np.linalg.norm(p, axis=-1).sum(1)
    pt, eta, phi = momenta.pt_eta_phi(total)
    columns = {"pt": pt, "eta": eta, "phi": phi, "mass": momenta.mass(energy, total)}
    columns |= {"num_particles": mask.sum(1)}
    if axis is not None:
        columns |= dict(zip(_AXIS, axis.T, strict=True))
    if labels is not None:
        columns["label"] = labels
    return particles, pd.DataFrame(columns, index=number)


def from_pandas(
    particles: Any, jets: Any = None, num_particles: int | None = None
) -> Jets:
    """Jets from frames of pandas.

    Args:
        particles: a row a particle, with px, py, pz or pt, eta, phi in GeV, and the
            number of its jet as level ``jet`` of the index, or as a column.
        jets: a row a jet, in the order of the jets; its index holds their numbers, and
            of its columns axis_pt, axis_eta, axis_phi and label are read. None: the
            jets are those of the particles, by their numbers.
        num_particles: N; the leading N by pt are kept, fewer are padded. None for as
            many as the largest jet has.

    Raises:
        InputError: these columns are not there, a particle is of no jet, or the jets
            are not good.
    """
    if "jet" in particles.index.names:
        owner = particles.index.get_level_values("jet").to_numpy()
    elif "jet" in particles.columns:
        owner = particles["jet"].to_numpy()
    else:
        raise InputError(
            "from_pandas: particles: no level and no column 'jet', the number of the "
            f"jet; columns are {tables.listing(map(str, particles.columns))}"
        )
    numbers = np.unique(owner) if jets is None else jets.index.to_numpy()
    order = np.argsort(numbers, kind="stable")
    if len(np.unique(numbers)) < len(numbers):
        raise InputError("from_pandas: jets: the index has a number twice")
    place = np.searchsorted(numbers, owner, sorter=order)
    place = order[np.minimum(place, len(numbers) - 1)] if len(numbers) else place
    if len(owner) and not (len(numbers) and np.array_equal(numbers[place], owner)):
        raise InputError("from_pandas: particles: jets that are not among the jets")
    rows = np.argsort(place, kind="stable")
    properties = {}
    if jets is not None and set(_AXIS) <= set(jets.columns):
        properties["axis"] = jets[list(_AXIS)].to_numpy()
    if jets is not None and "label" in jets.columns:
        properties["labels"] = jets["label"].to_numpy()
    system = _batches.system_of("from_pandas", map(str, particles.columns))
    return _batches.from_lists(
        "from_pandas",
        system,
        [particles[name].to_numpy()[rows] for name in system],
        np.bincount(place, minlength=len(numbers)),
        num_particles,
        **properties,
    )
