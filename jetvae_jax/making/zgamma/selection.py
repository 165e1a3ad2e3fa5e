"""Selection of simulated events: leptons, photon, jets, missing momentum.

The selection is that of a usual search for Z gamma resonances; its thresholds are round
numbers chosen here, that of the photon so low that the mass range begins at 100 GeV.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core import momenta
from jetvae_jax.core.momenta import pt_eta_phi
from jetvae_jax.making.zgamma import columns, detector, objects

Z_MASS = 91.1876
# Reasons why an event is not selected; each counts for the first that holds.
REASONS = ("leptons", "z_mass", "photon")
LEPTONS, PHOTONS, JETS = 4, 8, 16
# Statuses from 91 on are those of decayed hadrons.
_PROMPT_END = 90
# Photons within this distance are measured as part of an electron.
_ELECTRON_CONE = 0.1
# Softest jets that enter the missing momentum by themselves.
_CLUSTERED, _MET_JET = 10.0, 20.0
_ISOLATED = 0.4
_PAIRS = np.array([(i, k) for i in range(LEPTONS) for k in range(i + 1, LEPTONS)]).T


class Cuts(NamedTuple):
    """Selection of events and of the jets that are counted, in GeV.

    Attributes:
        lepton_pt_min: of both leptons.
        lead_pt_min: of the harder one, for the trigger.
        photon_pt_min: of the photon.
        z_window: largest difference of mll and the mass of the Z.
        jet_pt_min: of the jets that are counted.
        jet_eta_max: their largest absolute pseudorapidity.
    """

    lepton_pt_min: float
    lead_pt_min: float
    photon_pt_min: float
    z_window: float
    jet_pt_min: float
    jet_eta_max: float


def select(
    events: Any,
    cuts: Cuts,
    visible: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, int]]:
    """The columns of the selected events of a batch.

    Args:
        events: awkward array as from ``Generator.batch``.
        cuts: of the selection.
        visible: ``ids [n] -> bool [n]``.
        rng: random numbers for efficiencies and resolutions.

    Returns:
        ``(table [S, 18], dropped)``: see :mod:`~jetvae_jax.making.zgamma.columns`;
        dropped counts events by reason.
    """
    particles = objects.record(events)
    final = particles.status > 0
    prompt = final & (particles.status < _PROMPT_END)
    kind = np.abs(particles.ids)
    lepton = (kind == detector.ELECTRON) | (kind == detector.MUON)
    leptons = objects.hardest(particles, prompt & lepton, LEPTONS)
    is_photon = prompt & (particles.ids == detector.PHOTON)
    photons = objects.hardest(particles, is_photon, PHOTONS)

    ids = np.where(leptons.mask, particles.ids[leptons.index], 0)
    near = objects.distance(leptons.p4, photons.p4)
    near = np.where((np.abs(ids) == detector.ELECTRON)[..., None], near, np.inf)
    absorbed = (near < _ELECTRON_CONE) & (near == near.min(axis=1, keepdims=True))
    absorbed &= photons.mask[:, None]
    dressed = leptons.p4 + np.einsum("elp,epk->elk", absorbed, photons.p4)
    lepton_p4, found = _measure(dressed, np.abs(ids), rng)
    photon_p4, seen = _measure(
        photons.p4, np.where(photons.mask, detector.PHOTON, 0), rng
    )
    seen &= ~absorbed.any(axis=1)

    pair, good_pair, good_mass = _best_pair(lepton_p4, ids, found, cuts)
    each = np.arange(particles.num_events)[:, None]
    two = lepton_p4[each, pair]
    apart = objects.distance(two, photon_p4).min(axis=1) > _ISOLATED
    pt = np.hypot(photon_p4[..., 0], photon_p4[..., 1])
    pt = np.where(seen & apart & (pt > cuts.photon_pt_min), pt, 0.0)
    best = pt.argmax(axis=1)
    bad = {
        "leptons": ~good_pair,
        "z_mass": ~good_mass,
        "photon": pt[each[:, 0], best] == 0,
    }
    good, dropped = np.ones(particles.num_events, bool), {}
    for name in REASONS:
        dropped[name] = int(np.sum(good & bad[name]))
        good &= ~bad[name]

    # Jets are made of visible particles other than the chosen leptons and photon.
    used = np.zeros(len(particles.ids), bool)
    used[leptons.index[each, pair][good]] = True
    used[photons.index[each[:, 0], best][good]] = True
    inside = absorbed[each, pair].any(axis=1) & good[:, None]
    used[photons.index[inside]] = True
    _, eta, _ = pt_eta_phi(particles.p4)
    rest = final & good[particles.event] & ~used & (kind != detector.MUON)
    rest &= np.abs(eta) < detector.CALORIMETER_ETA_MAX
    rest[rest] = visible(particles.ids[rest])

    photon = photon_p4[each[:, 0], best]
    jets, balance = _hadrons(particles, rest, rng)
    missing = -(two.sum(axis=1) + photon)[:, :2] - balance
    num_jets, num_charm = _count(particles, jets, cuts, rng)
    values = (two, photon, missing, num_jets, num_charm)
    return columns.table(*(x[good] for x in values)), dropped


def _measure(p4, kind, rng) -> tuple[np.ndarray, np.ndarray]:
    """Measured momenta ``[E, W, 4]`` and which of them are found ``[E, W]``."""
    pt, eta, _ = pt_eta_phi(p4)
    width = detector.resolution(kind, pt, eta, p4[..., 3])
    factor = detector.response(width, rng.normal(size=pt.shape))
    p4 = p4 * factor[..., None]
    chance = detector.efficiency(kind, pt * factor, eta)
    found = detector.accepted(kind, eta) & (rng.uniform(size=pt.shape) < chance)
    return p4, found


def _best_pair(p4, ids, found, cuts: Cuts):
    """Places ``[E, 2]`` of the pair nearest to the Z, and whether it is good."""
    pt = np.hypot(p4[..., 0], p4[..., 1])
    first, second = _PAIRS
    usable = found & (pt > cuts.lepton_pt_min)
    valid = usable[:, first] & usable[:, second]
    valid &= (ids[:, first] == -ids[:, second]) & (ids[:, first] != 0)
    valid &= np.maximum(pt[:, first], pt[:, second]) > cuts.lead_pt_min
    pairs = p4[:, first] + p4[:, second]
    mass = momenta.mass(pairs[..., 3], pairs[..., :3])
    off = np.where(valid, np.abs(mass - Z_MASS), np.inf)
    best = off.argmin(axis=1)
    smallest = off[np.arange(len(off)), best]
    return _PAIRS.T[best], np.isfinite(smallest), smallest < cuts.z_window


def _hadrons(particles: objects.Record, rest, rng) -> tuple[np.ndarray, np.ndarray]:
    """Measured jets ``[E, W, 4]`` and the sum (px, py) ``[E, 2]`` of all hadrons."""
    true = objects.jets(particles, rest, radius=0.4, pt_min=_CLUSTERED, width=JETS)
    pt = np.hypot(true[..., 0], true[..., 1])
    normal = rng.normal(size=pt.shape)
    measured = true * detector.response(detector.jet_resolution(pt), normal)[..., None]
    single = np.hypot(measured[..., 0], measured[..., 1]) > _MET_JET

    def total(values):
        where, num = particles.event[rest], particles.num_events
        return np.bincount(where, weights=values[rest], minlength=num)

    sum_et = total(np.hypot(particles.p4[:, 0], particles.p4[:, 1]))
    sum_et = np.maximum(sum_et - np.sum(pt * single, axis=1), 0.0)
    everything = np.stack([total(particles.p4[:, i]) for i in (0, 1)], axis=-1)
    difference = np.where(single[..., None], measured - true, 0.0)[..., :2].sum(axis=1)
    soft = rng.normal(size=(len(sum_et), 2)) * detector.soft_resolution(sum_et)[:, None]
    return measured, everything + difference + soft


def _count(particles, jets, cuts: Cuts, rng) -> tuple[np.ndarray, np.ndarray]:
    """Number of jets ``[E]`` and of those tagged as charm ``[E]``."""
    pt, eta, _ = pt_eta_phi(jets)
    counted = (pt > cuts.jet_pt_min) & (np.abs(eta) < cuts.jet_eta_max)
    flavour = objects.jet_flavours(jets, particles)
    tagged = detector.charm_tag(flavour, eta, rng.uniform(size=pt.shape)) & counted
    return counted.sum(axis=1), tagged.sum(axis=1)
