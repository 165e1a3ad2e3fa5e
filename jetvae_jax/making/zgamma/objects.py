"""Leptons, photons and jets of a batch of events, as padded arrays.

Shapes: ``E`` events, ``n`` particles of all events, ``W`` entries per event.
"""

from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.momenta import pt_eta_phi, wrap_phi
from jetvae_jax.making.zgamma import detector


class Record(NamedTuple):
    """All particles of a batch of events.

    Attributes:
        event: ``[n]`` number of the event.
        ids: ``[n]`` PDG ids.
        status: ``[n]`` of Pythia; above 0 for final particles.
        p4: ``[n, 4]`` (px, py, pz, E) in GeV.
        num_events: E.
    """

    event: np.ndarray
    ids: np.ndarray
    status: np.ndarray
    p4: np.ndarray
    num_events: int


class Hardest(NamedTuple):
    """The W hardest of some particles of each event, in descending pt.

    Attributes:
        p4: ``[E, W, 4]`` in GeV, zero where there is none.
        index: ``[E, W]`` rows in the record, -1 where there is none.
    """

    p4: np.ndarray
    index: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """``[E, W]`` bool, True where there is a particle."""
        return self.index >= 0


def record(events: Any) -> Record:
    """The particles of an awkward array as from ``Generator.batch``."""
    import awkward as ak

    num = ak.to_numpy(ak.num(events.prt))
    flat = ak.flatten(events.prt)
    p4 = [ak.to_numpy(flat.p[name]) for name in ("px", "py", "pz", "e")]
    return Record(
        np.repeat(np.arange(len(num)), num),
        ak.to_numpy(flat.id),
        ak.to_numpy(flat.status),
        np.stack(p4, axis=-1),
        len(num),
    )


def hardest(particles: Record, chosen: np.ndarray, width: int) -> Hardest:
    """The ``width`` hardest particles among ``chosen [n]`` of each event."""
    rows = np.flatnonzero(chosen)
    pt = np.hypot(particles.p4[rows, 0], particles.p4[rows, 1])
    rows = rows[np.lexsort((-pt, particles.event[rows]))]
    event = particles.event[rows]
    place = np.arange(len(rows)) - np.searchsorted(event, event)
    rows, event, place = (x[place < width] for x in (rows, event, place))
    index = np.full((particles.num_events, width), -1)
    index[event, place] = rows
    p4 = np.zeros((particles.num_events, width, 4))
    p4[event, place] = particles.p4[rows]
    return Hardest(p4, index)


def distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance in (eta, phi) ``[E, V, W]`` of momenta ``[E, V, 4]``, ``[E, W, 4]``."""
    _, eta, phi = pt_eta_phi(a)
    _, other_eta, other_phi = pt_eta_phi(b)
    return np.hypot(
        eta[:, :, None] - other_eta[:, None],
        wrap_phi(phi[:, :, None] - other_phi[:, None]),
    )


def jets(
    particles: Record, chosen: np.ndarray, radius: float, pt_min: float, width: int
) -> np.ndarray:
    """Anti-kT jets ``[E, W, 4]`` in descending pt, zero where there is none.

    Args:
        particles: the record.
        chosen: ``[n]`` bool, particles to cluster.
        radius: of anti-kT.
        pt_min: in GeV.
        width: W.
    """
    import awkward as ak
    import fastjet

    # Turns off the banner, which every worker would print.
    swig: Any = fastjet._swig  # pyright: ignore[reportAttributeAccessIssue]
    swig.ClusterSequence.set_fastjet_banner_stream(None)
    found = np.zeros((particles.num_events, width, 4))
    number = np.bincount(particles.event[chosen], minlength=particles.num_events)
    filled = np.flatnonzero(number)
    if not len(filled):
        return found
    names = ("px", "py", "pz", "E")
    p4 = particles.p4[chosen]
    flat = {name: np.ascontiguousarray(p4[:, i]) for i, name in enumerate(names)}
    inputs = ak.unflatten(ak.zip(flat, with_name="Momentum4D"), number[filled])
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, radius)
    clusters: Any = fastjet.ClusterSequence(inputs, definition)
    out = clusters.inclusive_jets(min_pt=pt_min)
    count = ak.to_numpy(ak.num(out))
    columns = [ak.to_numpy(ak.flatten(out[name])) for name in names]
    event = np.repeat(filled, count)
    rows = Record(event, event, event, np.stack(columns, axis=-1), particles.num_events)
    return hardest(rows, np.ones(len(event), bool), width).p4


def jet_flavours(jets: np.ndarray, particles: Record) -> np.ndarray:
    """Flavour ``[E, W]`` of jets: 5, 4 or 0.

    The heaviest quark of the hadrons above 5 GeV within 0.3 of the axis, a usual label
    of simulated jets; both numbers are chosen here.
    """
    flavour = detector.hadron_flavour(particles.ids)
    high = np.hypot(particles.p4[:, 0], particles.p4[:, 1]) > 5.0
    label = np.zeros(jets.shape[:2], np.int64)
    for code in (4, 5):
        hadrons = hardest(particles, (flavour == code) & high, width=16)
        near = (distance(jets, hadrons.p4) < 0.3) & hadrons.mask[:, None]
        label[near.any(axis=-1)] = code
    return label
