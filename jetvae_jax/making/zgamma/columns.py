r"""The 18 columns of a Z gamma event.

The names are those of F. Stevenson, "The assessment of different VAE derivatives for
data generation and event classification in Z gamma final state background data"
(Kruger 2022), which does not define them; the definitions are ours. ``ll`` is the pair
of leptons, ``zy`` the pair and the photon, all as measured by the detector.

==========  ======  ============================================================
column      unit    meaning
==========  ======  ============================================================
mlly        GeV     mass of the leptons and the photon
phi_zy      rad     azimuth of their sum, in [-pi, pi)
eta_zy      1       pseudorapidity of their sum
pt_zy       GeV     transverse momentum of their sum
e_zy        GeV     energy of their sum
mll         GeV     mass of the leptons
phi_ll      rad     azimuth of the leptons' sum, in [-pi, pi)
eta_ll      1       pseudorapidity of the leptons' sum
pt_ll       GeV     transverse momentum of the leptons' sum
e_ll        GeV     energy of the leptons' sum
dR_ll       1       distance of the two leptons in (eta, phi)
MET         GeV     missing transverse momentum
MET_phi     rad     its azimuth, in [-pi, pi)
Nj          1       number of jets
Ncj         1       number of jets tagged as charm
dPhi_ll     rad     |azimuth between the two leptons|, in [0, pi]
dPhi_METZy  rad     |azimuth between MET and the leptons' and photon's sum|
llpt_mlly   1       pt_ll / mlly
==========  ======  ============================================================
"""

import numpy as np

from jetvae_jax.core.momenta import mass, pt_eta_phi, wrap_phi

NAMES = (
    *("mlly", "phi_zy", "eta_zy", "pt_zy", "e_zy"),
    *("mll", "phi_ll", "eta_ll", "pt_ll", "e_ll", "dR_ll"),
    *("MET", "MET_phi", "Nj", "Ncj", "dPhi_ll", "dPhi_METZy", "llpt_mlly"),
)

_BELOW_PI = float(np.nextafter(np.float32(np.pi), np.float32(0)))


def table(
    leptons: np.ndarray,
    photon: np.ndarray,
    missing: np.ndarray,
    num_jets: np.ndarray,
    num_charm: np.ndarray,
) -> np.ndarray:
    """The columns of E events.

    Args:
        leptons: ``[E, 2, 4]`` (px, py, pz, E) in GeV.
        photon: ``[E, 4]`` in GeV.
        missing: ``[E, 2]`` (px, py) in GeV.
        num_jets: ``[E]``.
        num_charm: ``[E]``.

    Returns:
        ``[E, 18]`` float64 in the order of ``NAMES``.
    """
    pair = leptons.sum(axis=1)
    whole = pair + photon
    pt, eta, phi = pt_eta_phi(whole)
    pt_ll, eta_ll, phi_ll = pt_eta_phi(pair)
    _, eta_l, phi_l = pt_eta_phi(leptons)
    between = np.abs(_angle(phi_l[:, 0] - phi_l[:, 1]))
    met, met_phi = np.hypot(*missing.T), np.arctan2(missing[:, 1], missing[:, 0])
    mlly = mass(whole[:, 3], whole[:, :3])
    columns = {
        "mlly": mlly,
        "phi_zy": _angle(phi),
        "eta_zy": eta,
        "pt_zy": pt,
        "e_zy": whole[:, 3],
        "mll": mass(pair[:, 3], pair[:, :3]),
        "phi_ll": _angle(phi_ll),
        "eta_ll": eta_ll,
        "pt_ll": pt_ll,
        "e_ll": pair[:, 3],
        "dR_ll": np.hypot(eta_l[:, 0] - eta_l[:, 1], between),
        "MET": met,
        "MET_phi": _angle(met_phi),
        "Nj": num_jets,
        "Ncj": num_charm,
        "dPhi_ll": between,
        "dPhi_METZy": np.abs(_angle(met_phi - phi)),
        "llpt_mlly": pt_ll / mlly,
    }
    return np.stack([columns[name] for name in NAMES], axis=-1).astype(np.float64)


def _angle(phi: np.ndarray) -> np.ndarray:
    """In [-pi, pi), also when rounded to float32."""
    return np.clip(wrap_phi(phi), -_BELOW_PI, _BELOW_PI)
