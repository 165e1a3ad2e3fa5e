"""A parametrised detector: acceptance, efficiency and resolution as functions.

No detector is simulated. Quoted from a source that was read:

* Efficiency of tracks, electrons, muons and photons, resolution of the muon momentum
  and of the electromagnetic calorimeter: the card ``delphes_card_ATLAS.tcl`` of Delphes
  3 (arXiv:1307.6346; github.com/delphes/delphes, commit 15772b7). A lepton needs its
  track and its identification: the two efficiencies are multiplied.
* Jet resolution at two points, 24 % at 20 GeV and 6 % at 300 GeV: abstract of ATLAS,
  arXiv:2007.02645. The noise, stochastic and constant terms that give them are chosen
  here. All jets are found.
* Charm tagging, 41 % of charm, 25 % of bottom and 5 % of other jets: the abstract of a
  talk (Israel Physical Society, 2020) on the search of ATLAS for H to cc,
  arXiv:1802.04329. It is applied within |eta| < 2.5, chosen here; the flavour is that
  of the hadrons in a jet.

Chosen here, round numbers typical of a detector at the LHC, quoted from nowhere:

* Acceptance: |eta| of electrons below 2.47, of photons below 2.37, both without the
  crack 1.37-1.52 of the calorimeter, of muons below 2.7; as the card's tracks end at
  2.5, so do muons.
* Soft part of the missing momentum: 0.5 sqrt(sum of E_T / GeV) GeV a component.

There is no pile-up. All functions take arrays of any shape, momenta in GeV.
"""

import numpy as np

ELECTRON, MUON, PHOTON = 11, 13, 22
ETA_MAX = {ELECTRON: 2.47, MUON: 2.7, PHOTON: 2.37}
CRACK = (1.37, 1.52)
CALORIMETER_ETA_MAX = 4.9
JET_NOISE, JET_STOCHASTIC, JET_CONSTANT = 3.1, 0.8, 0.035
SOFT_STOCHASTIC = 0.5
TAGGER_ETA_MAX = 2.5
# Of jets by their flavour: bottom, charm, other.
CHARM_TAG = {5: 0.25, 4: 0.41, 0: 0.05}
# A measured energy is never negative, nor next to nothing.
_SMALLEST_RESPONSE = 0.1


def accepted(kind: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Whether a lepton or photon of absolute PDG id ``kind`` meets the detector."""
    eta = np.abs(eta)
    inside = np.zeros(np.broadcast(kind, eta).shape, bool)
    for code, end in ETA_MAX.items():
        inside |= (kind == code) & (eta < end)
    crack = (eta > CRACK[0]) & (eta < CRACK[1])
    return inside & ~(crack & (kind != MUON))


def efficiency(kind: np.ndarray, pt: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Probability that a lepton or photon is found: track times identification."""
    barrel = np.abs(eta) <= 1.5
    high = pt > 100.0
    electron = np.where(barrel, np.where(high, 0.99, 0.95), np.where(high, 0.90, 0.83))
    muon = np.where(barrel, 0.99, np.where(np.abs(eta) <= 2.5, 0.98, 0.0))
    track = np.where(kind == ELECTRON, electron, np.where(kind == MUON, muon, 1.0))
    identified = np.where(barrel, 0.95, 0.85)
    return np.where(pt > 10.0, track * identified, 0.0)


def resolution(
    kind: np.ndarray, pt: np.ndarray, eta: np.ndarray, energy: np.ndarray
) -> np.ndarray:
    """Relative width of the measured momentum of a lepton or photon."""
    eta = np.abs(eta)
    energy = np.maximum(energy, 1e-3)
    calorimeter = np.hypot(0.0017, 0.101 / np.sqrt(energy))
    floor = np.select([eta <= 0.5, eta <= 1.5], [0.01, 0.015], 0.025)
    slope = np.select([eta <= 0.5, eta <= 1.5], [1.0e-4, 1.5e-4], 3.5e-4)
    return np.where(kind == MUON, np.hypot(floor, slope * pt), calorimeter)


def jet_resolution(pt: np.ndarray) -> np.ndarray:
    """Relative width of the measured jet momentum."""
    pt = np.maximum(pt, 1e-3)
    terms = (JET_NOISE / pt, JET_STOCHASTIC / np.sqrt(pt), JET_CONSTANT)
    return np.sqrt(sum(np.square(term) for term in terms))


def response(width: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Measured over true momentum, by standard normal numbers."""
    return np.maximum(1.0 + width * normal, _SMALLEST_RESPONSE)


def soft_resolution(sum_et: np.ndarray) -> np.ndarray:
    """Width in GeV of each component of the soft momentum."""
    return SOFT_STOCHASTIC * np.sqrt(sum_et)


def charm_tag(flavour: np.ndarray, eta: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Whether a jet is tagged, by uniform numbers in [0, 1).

    Args:
        flavour: 5, 4 or 0.
        eta: of the jet.
        uniform: of the same shape.
    """
    rate = np.full(np.shape(flavour), CHARM_TAG[0])
    for code in (4, 5):
        rate = np.where(flavour == code, CHARM_TAG[code], rate)
    return (uniform < rate) & (np.abs(eta) < TAGGER_ETA_MAX)


def hadron_flavour(ids: np.ndarray) -> np.ndarray:
    """5 for bottom, 4 for charm hadrons by their PDG id, 0 for everything else.

    The hundreds digit is the heaviest quark of a meson, the thousands digit that of a
    baryon; without a tens digit it is a diquark.
    """
    ids = np.abs(ids)
    meson, baryon = ids // 100 % 10, ids // 1000 % 10
    heaviest = np.where(baryon > 0, baryon, meson)
    hadron = (ids // 10 % 10 > 0) & (ids < 1_000_000)
    return np.where(hadron & ((heaviest == 4) | (heaviest == 5)), heaviest, 0)
