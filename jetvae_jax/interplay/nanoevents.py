"""Coffea: events with the collections of PFNano (CMS NanoAOD with particles).

``Jet`` (pt, eta, phi, mass, nConstituents), ``PFCands`` (pt, eta, phi, mass) and, which
is of which, ``JetPFCands`` (jetIdx, pFCandsIdx: places in the event), as coffea's
``PFNanoAODSchema`` reads them. GeV; momenta are ``PtEtaPhiMLorentzVector`` with the
behaviour of coffea.
"""

from typing import Any

import numpy as np

from jetvae_jax.core import momenta
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data.containers import tables
from jetvae_jax.data.formats.columns import CYLINDRICAL
from jetvae_jax.interplay import _batches

_VECTOR = "PtEtaPhiMLorentzVector"


def to_nanoevents(jets: Jets) -> Any:
    """Jets as events of one jet each.

    Args:
        jets: particles ``[J, N, 3]`` in GeV.

    Returns:
        Records with ``Jet``, ``JetPFCands`` and ``PFCands``. A jet is the sum of its
        massless particles, with pt, eta and phi of its axis where it has one; jets with
        labels have ``Jet.label``.

    Raises:
        InputError: coffea or awkward is not installed, or the jets are not good.
    """
    with tables.needing("coffea", "to_nanoevents", "coffea"):
        import awkward as ak
        from coffea.nanoevents.methods.vector import behavior
    p, mask, axis, labels = _batches.checked("to_nanoevents", jets)
    count = mask.sum(1)

    def vectors(pt, eta, phi, mass, counts, **others):
        fields = {"pt": pt, "eta": eta, "phi": phi, "mass": mass, **others}
        flat = ak.zip(fields, with_name=_VECTOR, behavior=behavior)
        return ak.unflatten(flat, counts)

    pt, eta, phi = momenta.pt_eta_phi(p[mask])
    particles = vectors(pt, eta, phi, np.zeros_like(pt), count)
    place = np.nonzero(mask)[1]
    links = ak.zip({"jetIdx": np.zeros_like(place), "pFCandsIdx": place})
    total, energy = p.sum(1), np.linalg.norm(p, axis=-1).sum(1)
    pt, eta, phi = momenta.pt_eta_phi(total) if axis is None else axis.T
    mass, others = momenta.mass(energy, total), {"nConstituents": count}
    if labels is not None:
        others["label"] = labels
    events = {
        "Jet": vectors(pt, eta, phi, mass, np.ones_like(count), **others),
        "JetPFCands": ak.unflatten(links, count),
        "PFCands": particles,
    }
    return ak.zip(events, depth_limit=1, behavior=behavior)


def from_nanoevents(
    events: Any, collection: str = "Jet", num_particles: int | None = None
) -> Jets:
    """Every jet of events, in their order.

    Args:
        events: records of awkward lists, as from :func:`to_nanoevents` or coffea's
            ``NanoEventsFactory`` (a delayed array after ``.compute()``). Masses of
            particles are not read.
        collection: of the jets, such as Jet or FatJet. Its links are the collection
            ``JetPFCands`` or ``FatJetPFCands``; of GenJet ``GenJetCands``.
        num_particles: N; the leading N by pt are kept, fewer are padded. None for as
            many as the largest jet has.

    Returns:
        Jets whose axis is pt, eta and phi of the collection; labels if it has
        ``label``.

    Raises:
        InputError: a collection or a field is missing, or the jets are not good.
    """
    with tables.needing("awkward", "from_nanoevents", "awkward"):
        import awkward as ak

    def field(array, name, place):
        if name not in ak.fields(array):
            raise InputError(
                f"from_nanoevents: no {name} in {place}, which has "
                f"{tables.listing(ak.fields(array))}"
            )
        return array[name]

    suffix = "Cands" if collection.startswith("Gen") else "PFCands"
    pool = "GenCands" if collection.startswith("Gen") else "PFCands"
    candidates = field(events, pool, "the events")
    jets = field(events, collection, "the events")
    links = field(events, collection + suffix, "the events")
    owner = field(links, "jetIdx", collection + suffix)
    place = field(links, "pFCandsIdx", collection + suffix)
    linked = (owner >= 0) & (place >= 0)
    owner, place = owner[linked], place[linked]
    number = ak.to_numpy(ak.num(jets))
    if ak.any(owner >= number) or ak.any(place >= ak.num(candidates)):
        raise InputError(
            f"from_nanoevents: {collection}{suffix}: a place that is not in the event"
        )
    start = np.cumsum(number) - number
    owner = ak.to_numpy(ak.flatten(owner + start))
    order = np.argsort(owner, kind="stable")
    particles = ak.flatten(candidates[place])
    values = [field(particles, name, pool) for name in CYLINDRICAL]
    flat = ak.flatten(jets)
    axis = [ak.to_numpy(field(flat, name, collection)) for name in CYLINDRICAL]
    return _batches.from_lists(
        "from_nanoevents",
        CYLINDRICAL,
        [ak.to_numpy(found)[order] for found in values],
        np.bincount(owner, minlength=number.sum()),
        num_particles,
        axis=np.stack(axis, axis=-1),
        labels=ak.to_numpy(flat["label"]) if "label" in ak.fields(flat) else None,
    )
