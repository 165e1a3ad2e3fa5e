"""Leading jets of a batch of events, as arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jetvae_jax.core.momenta import mass, pt_eta_phi, wrap_phi
from jetvae_jax.making.settings import Cuts

# Reasons why an event gives no jet; each event counts for the first that holds.
REASONS = ("jet_pt", "unmatched", "few_particles")


def leading_jets(
    events: Any, cuts: Cuts, visible: Callable[[np.ndarray], np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """The hardest anti-kT jets of each event, if they come from the hard process.

    Args:
        events: awkward array as from ``Generator.batch``.
        cuts: of particles and jets.
        visible: ``ids [n] -> bool [n]``.

    Returns:
        ``(rows, dropped)``: rows of J jets, ``cuts.jets_per_event`` of each event in
        which all pass, in descending pt; float64 in GeV, as
        ``p4 [J, N, 4]`` (px, py, pz, E) in descending pt, zero on padding;
        ``jet [J, 5]`` (pt, eta, phi, mass, energy); ``count [J]`` of all particles,
        also those beyond N; ``parton [J]``, id of the hard parton of the jet. Dropped
        counts events by reason.
    """
    import awkward as ak

    num = ak.to_numpy(ak.num(events.prt))
    event = np.repeat(np.arange(len(num)), num)
    record = ak.flatten(events.prt)
    p4 = _columns(record.p, ("px", "py", "pz", "e"))
    # Two thirds of the record are intermediate particles: leave them out early.
    final = np.flatnonzero(ak.to_numpy(record.status) > 0)
    pt, eta, _ = pt_eta_phi(p4[final])
    keep = (pt > cuts.particle_pt_min) & (np.abs(eta) < cuts.particle_eta_max)
    keep &= visible(ak.to_numpy(record.id)[final])
    final = final[keep]
    found, jet, row = _cluster(p4[final], event[final], len(num), cuts)
    final, row = final[row >= 0], row[row >= 0]

    jet_pt, jet_eta, jet_phi = pt_eta_phi(jet)
    high = (jet_pt > cuts.jet_pt_max) if cuts.jet_pt_max else False
    reason = {"jet_pt": ~found | high}
    each, parton = cuts.jets_per_event, np.zeros(len(jet), np.int64)
    for first in range(each):
        eta, phi = jet_eta[first::each], jet_phi[first::each]
        parton[first::each] = _match(record, p4, event, eta, phi, cuts.radius)
    reason["unmatched"] = parton == 0
    count = np.bincount(row, minlength=len(jet))
    reason["few_particles"] = count < cuts.min_particles
    good, dropped = np.ones(len(num), bool), {}
    for name in REASONS:
        bad = reason[name].reshape(-1, each).any(axis=1)
        dropped[name] = int(np.sum(good & bad))
        good &= ~bad

    energy = jet[:, 3]
    jet_mass = mass(energy, jet[:, :3])
    rows = {
        "p4": _padded(p4[final], row, count, cuts),
        "jet": np.stack([jet_pt, jet_eta, jet_phi, jet_mass, energy], axis=1),
        "count": count,
        "parton": parton,
    }
    good = np.repeat(good, each)
    return {name: values[good] for name, values in rows.items()}, dropped


def _columns(record, names: tuple[str, ...]) -> np.ndarray:
    import awkward as ak

    return np.stack([ak.to_numpy(record[name]) for name in names], axis=-1)


def _cluster(p4, event, num_events, cuts: Cuts):
    """Clusters all events at once.

    Returns:
        ``(found [E K], jet [E K, 4], row [n])``: whether there is such a jet above
        ``jet_pt_min``, the K hardest ones of each event in descending pt, and in which
        of these rows each of the particles is, -1 for none.
    """
    import awkward as ak
    import fastjet

    _silence(fastjet)
    number = np.bincount(event, minlength=num_events)
    names = ("px", "py", "pz", "E")
    flat = {name: np.ascontiguousarray(p4[:, i]) for i, name in enumerate(names)}
    particles = ak.unflatten(ak.zip(flat, with_name="Momentum4D"), number)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, cuts.radius)
    clusters = fastjet.ClusterSequence(particles, definition)
    # Most jets are soft: they are not copied from FastJet.
    jets: Any = clusters.inclusive_jets(min_pt=cuts.jet_pt_min)
    each = cuts.jets_per_event
    hardest: Any = ak.sort(np.hypot(jets.px, jets.py), ascending=False)[:, :each]
    lowest = max(cuts.jet_pt_min, 0.999 * (ak.min(hardest) or 0.0))
    jets = clusters.inclusive_jets(min_pt=lowest)
    members: Any = clusters.constituent_index(min_pt=lowest)
    best = ak.argsort(np.hypot(jets.px, jets.py), ascending=False)[:, :each]
    chosen = jets[best]
    count = ak.to_numpy(ak.num(chosen))
    # Rows of the jets that are there: those of an event may be fewer than K.
    there = np.repeat(each * np.arange(num_events), count)
    there += np.arange(len(there)) - np.repeat(np.cumsum(count) - count, count)
    jet, found = np.zeros((each * num_events, 4)), np.zeros(each * num_events, bool)
    jet[there], found[there] = _columns(ak.flatten(chosen), names), True
    index: Any = ak.flatten(members[best])
    size = ak.to_numpy(ak.num(index))
    start = np.repeat(np.cumsum(number) - number, count)
    row = np.full(len(p4), -1)
    row[ak.to_numpy(ak.flatten(index)) + np.repeat(start, size)] = np.repeat(
        there, size
    )
    return found, jet, row


def _silence(fastjet) -> None:
    """Turns off FastJet's banner, which every worker would print."""
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)


def _match(record, p4, event, jet_eta, jet_phi, radius) -> np.ndarray:
    """Id ``[E]`` of the nearest outgoing hard parton within the radius, or 0.

    Outgoing partons are the products of the hard process before they decay; if that is
    a single resonance, which has no transverse direction, they are its decay products.
    """
    import awkward as ak

    ids = ak.to_numpy(record.id)
    mother1, mother2 = ak.to_numpy(record.mother1), ak.to_numpy(record.mother2)
    hard = np.isin(np.abs(ak.to_numpy(record.status)), (22, 23))
    outgoing = hard & (mother1 == 3) & (mother2 == 4)
    number = np.bincount(event[outgoing], minlength=len(jet_eta))
    resonance = np.zeros(len(jet_eta), ids.dtype)
    resonance[event[outgoing]] = ids[outgoing]
    # The resonance may have been copied before it decays; its id stays.
    mother = np.searchsorted(event, np.arange(len(jet_eta)))[event] + mother1
    products = hard & ~outgoing & (ids[mother] == resonance[event])
    index = np.flatnonzero(np.where(number[event] == 1, products, outgoing))
    where = event[index]
    _, eta, phi = pt_eta_phi(p4[index])
    distance = np.hypot(eta - jet_eta[where], wrap_phi(phi - jet_phi[where]))
    index, where = index[distance < radius], where[distance < radius]
    order = np.lexsort((distance[distance < radius], where))
    where, first = np.unique(where[order], return_index=True)
    parton = np.zeros(len(jet_eta), np.int64)
    parton[where] = ids[index[order][first]]
    return parton


def _padded(p4, row, count, cuts: Cuts) -> np.ndarray:
    """Particles ``[n, 4]`` as ``[J, N, 4]``, the hardest N in descending pt."""
    order = np.lexsort((-np.hypot(p4[:, 0], p4[:, 1]), row))
    place = np.arange(len(p4)) - np.repeat(np.cumsum(count) - count, count)
    kept = place < cuts.num_particles
    rows = np.zeros((len(count), cuts.num_particles, 4))
    rows[row[order][kept], place[kept]] = p4[order][kept]
    return rows
