"""Boundary conditions of tables of events: mass shell, relations of columns, kinds.

Functions of arrays in double precision, on the host. The relations are those of the
columns of ``experiments/make_zgamma.py``, where a table has them; four-vectors of other
tables are found by their names, such as ``m_jj``, ``pt_jj``, ``eta_jj``, ``e_jj``.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jetvae_jax.core.momenta import cartesian, wrap_phi
from jetvae_jax.events.kinds import Columns
from jetvae_jax.metrics.conditions import Condition, largest, median, off_shell, share

ROUNDING, SHELL = 2e-3, 4e-3
"""Of columns that are functions of others, and of E^2 - p^2 - m^2, in files of four
digits or more: 5e-4 from each column, twice that from its square."""
_FLOAT32 = 1e-6
_ZGAMMA = {"zy": "mlly", "ll": "mll"}


class FourVector(NamedTuple):
    """Names of the columns of one four-vector: mass, pt and energy in GeV, and eta."""

    mass: str
    pt: str
    eta: str
    energy: str


class Limits(NamedTuple):
    """The range of every column of the training events, ``[C]`` each."""

    low: np.ndarray
    high: np.ndarray


def limits(training: np.ndarray) -> Limits:
    """The range of the training events ``[J, C]``, or of other real ones."""
    values = np.asarray(training, np.float64)
    return Limits(values.min(0), values.max(0))


def four_vectors(names: Sequence[str]) -> list[FourVector]:
    """The four-vectors that a table has all columns of."""
    found = []
    for pt in (name for name in names if name.startswith("pt_")):
        of = pt.removeprefix("pt_")
        masses = (_ZGAMMA.get(of, ""), f"m_{of}", f"mass_{of}", f"m{of}")
        energies = (f"e_{of}", f"energy_{of}")
        mass = next((name for name in masses if name in names), None)
        energy = next((name for name in energies if name in names), None)
        if mass and energy and f"eta_{of}" in names:
            found.append(FourVector(mass, pt, f"eta_{of}", energy))
    return found


def conditions(columns: Columns, limits: Limits, events: np.ndarray) -> list[Condition]:
    """All conditions of one sample.

    Args:
        columns: names and kinds of the C columns, of real events.
        limits: of the training events.
        events: ``[J, C]``.
    """
    values = np.asarray(events, np.float64)
    table = dict(zip(columns.names, values.T, strict=True))
    outside = np.any((values < limits.low) | (values > limits.high), axis=-1)
    return [
        *_shells(table, four_vectors(columns.names)),
        *_photon(table),
        *_relations(table),
        *_kinds(columns, limits, values),
        Condition(
            "range", "a column outside the training's range", share(outside), "%"
        ),
    ]


def _shells(
    table: dict[str, np.ndarray], vectors: Sequence[FourVector]
) -> list[Condition]:
    found = []
    for v in vectors:
        mass, pt, eta, energy = (table[name] for name in v)
        momentum = np.abs(pt) * np.cosh(eta)
        gap = off_shell(energy, momentum, mass)
        space_like = momentum > energy * (1 + ROUNDING)
        what = f"|E² - p² - m²| / E² of {v.mass}"
        found += [
            Condition(f"shell_{v.mass}", f"{what}, median", median(gap)),
            Condition(
                f"shell_{v.mass}_largest",
                f"{what}, largest",
                largest(gap),
                "",
                SHELL,
            ),
            Condition(
                f"space_like_{v.mass}",
                f"{v.energy} below the momentum",
                share(space_like),
                "%",
                0.0,
            ),
        ]
    return found


PHOTON = tuple(
    f"{part}_{of}" for of in ("zy", "ll") for part in ("pt", "eta", "phi", "e")
)
"""Columns of which the momentum of the photon is a difference: Z gamma minus Z."""


def _photon(table: dict[str, np.ndarray]) -> list[Condition]:
    """Momentum and energy balance: what is left beside the leptons is massless."""
    if not all(name in table for name in PHOTON):
        return []

    def momentum(of: str) -> np.ndarray:
        return cartesian(*(table[f"{part}_{of}"] for part in ("pt", "eta", "phi")))

    energy = table["e_zy"] - table["e_ll"]
    squares = np.square(momentum("zy") - momentum("ll")).sum(axis=-1)
    gap = np.abs(np.square(energy) - squares) / np.square(table["e_zy"])
    what = "|E² - p²| of the photon (zy - ll) / E² of zy"
    return [
        Condition("shell_photon", f"{what}, median", median(gap)),
        Condition("shell_photon_largest", f"{what}, largest", largest(gap), "", SHELL),
    ]


def _ratio(t: dict[str, np.ndarray]) -> np.ndarray:
    pt = np.where(t["pt_ll"] == 0, np.nan, t["pt_ll"])
    return np.abs(t["llpt_mlly"] * t["mlly"] / pt - 1)


def _angle(t: dict[str, np.ndarray]) -> np.ndarray:
    return np.abs(np.abs(wrap_phi(t["MET_phi"] - t["phi_zy"])) - t["dPhi_METZy"])


# Columns, and the label and the distance of an equation that they obey.
EQUATIONS: dict[str, tuple[tuple[str, ...], str, Callable]] = {
    "llpt_mlly": (
        ("llpt_mlly", "mlly", "pt_ll"),
        "|llpt_mlly mlly / pt_ll - 1|, largest",
        _ratio,
    ),
    "dPhi_METZy": (
        ("dPhi_METZy", "MET_phi", "phi_zy"),
        "|dPhi_METZy - |MET_phi - phi_zy||, largest",
        _angle,
    ),
}
"""Name to the columns, the label and the distance from an equation that holds."""
ORDERED = (("mll", "mlly"), ("e_ll", "e_zy"), ("dPhi_ll", "dR_ll"), ("Ncj", "Nj"))
"""Pairs of columns, of which the first is at most the second in any event."""


def _relations(table: dict[str, np.ndarray]) -> list[Condition]:
    found = [
        Condition(name, label, largest(distance(table)), "", ROUNDING)
        for name, (columns, label, distance) in EQUATIONS.items()
        if all(column in table for column in columns)
    ]
    for small, large in ORDERED:
        if small in table and large in table:
            bad = table[small] > table[large] * (1 + ROUNDING)
            label = f"{small} above {large}"
            found.append(Condition(f"{small}_{large}", label, share(bad), "%", 0.0))
    return found


def _kinds(columns: Columns, limits: Limits, values: np.ndarray) -> list[Condition]:
    """Events with a value that its kind of column does not have."""
    whole, positive = columns.where("integer"), columns.where("positive")
    angle, bounded = columns.where("angle"), columns.where("bounded")
    low, high = (
        np.array([getattr(columns.kinds[i], end) for i in bounded])
        for end in ("low", "high")
    )
    slack = 1e-3 * (high - low)  # as the reader allows
    # Azimuths are in [-pi, pi], unless those of the training are in [0, 2 pi].
    within = np.maximum(np.abs(limits.low), np.abs(limits.high))[angle]
    most = np.where(within > np.pi + _FLOAT32, 2 * np.pi, np.pi) + _FLOAT32
    counts, between = values[:, whole], values[:, bounded]
    rows = (
        (whole, "whole", "counts that are not whole or negative",
         (counts != np.floor(counts)) | (counts < 0)),
        (positive, "positive", "positive columns that are not above 0",
         ~(values[:, positive] > 0)),
        (angle, "angle", "angles out of their range",
         np.abs(values[:, angle]) > most),
        (bounded, "bounded", "bounded columns beyond their limits",
         (between < low - slack) | (between > high + slack)),
    )  # fmt: skip
    return [
        Condition(name, label, share(np.any(bad, axis=-1)), "%", 0.0)
        for place, name, label, bad in rows
        if len(place)
    ]
