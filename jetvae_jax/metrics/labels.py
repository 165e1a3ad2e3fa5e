"""Names of observables, the same in tables, at axes and in texts."""

LABELS = {
    "mass": "jet mass",
    "pt": "jet pT",
    "energy": "jet energy",
    "eta": "jet η",
    "phi": "jet φ",
    "relative_mass": "jet mass / jet pT",
    "sum_ptrel": "sum of relative pT",
    "multiplicity": "particles per jet",
    "tau1": "τ₁",
    "tau2": "τ₂",
    "tau3": "τ₃",
    "e2": "e₂",
    "e3": "e₃",
    "tau21": "τ₂₁",
    "tau32": "τ₃₂",
    "d2": "D₂",
    "c2": "C₂",
    "width": "jet width",
    "ptd": "pT dispersion",
    **{f"efp{d}": f"EFPs of degree {d}" for d in range(1, 6)},
    "px": "particle px",
    "py": "particle py",
    "pz": "particle pz",
    "ptrel": "relative pT",
    "etarel": "relative η",
    "phirel": "relative φ",
}
"""Observable to its name; others, such as columns of a file, have their own."""
UNITS = dict.fromkeys(("mass", "pt", "energy", "px", "py", "pz"), "GeV") | {
    "phi": "rad",
    "phirel": "rad",
}
"""Observable to its unit, where it has one."""


def label(observable: str) -> str:
    """The name of an observable."""
    return LABELS.get(observable, observable)
