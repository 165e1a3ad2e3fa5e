"""Boundary conditions of jets: mass shell, edge of the jet, balance, order, counts.

Functions of arrays in double precision, on the host. Relative features are those of
`core.kinematics.to_relative`: ptrel, etarel, phirel, and the distance of a particle is
``hypot(etarel, phirel)``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core import momenta
from jetvae_jax.core.types import Array, Jets, RelativeJets
from jetvae_jax.data.validation import Stated
from jetvae_jax.metrics.conditions import Condition, largest, off_shell, share
from jetvae_jax.metrics.observables import relative_mass

HARD = 0.01
"""ptrel from which a particle is hard: softer ones scatter around the edge."""
EDGE, TAIL = 0.999, 0.999
"""Quantiles: of the real jets' sizes, and of a jet's imbalance."""
# float32 leaves 6e-8 of pt, eta, phi, ptrel, ...; energies grow with exp(eta), and a
# mass is the root of a small difference of squares.
SHELL, ROUNDING, MASS_ROUNDING, ORDER = 1e-5, 1e-5, 1e-4, 1e-5
_CHUNK = 50_000  # jets at once


class Measured(NamedTuple):
    """What the conditions are made of, each ``[J]``.

    Attributes:
        pt: of the sum of the particles, in GeV; NaN where pt is not known.
        eta: of the sum.
        mass: of the sum, in GeV; of relative jets in units of pt.
        count: number of particles.
        distance: largest of a particle from the axis; 0 of none.
        hard: largest of a hard particle from the axis.
        off_axis: distance of the pt-weighted centroid from the axis.
        ptrel_sum: sum of ptrel.
        unordered: particles are not in descending pt.
        nonpositive: a particle has no positive pt.
        padding: a number beside the particles is not zero.
    """

    pt: np.ndarray
    eta: np.ndarray
    mass: np.ndarray
    count: np.ndarray
    distance: np.ndarray
    hard: np.ndarray
    off_axis: np.ndarray
    ptrel_sum: np.ndarray
    unordered: np.ndarray
    nonpositive: np.ndarray
    padding: np.ndarray


class Limits(NamedTuple):
    """Limits that real jets give.

    Attributes:
        hard: quantile ``EDGE`` of the distance of the outermost hard particle.
        mass: largest, in GeV; of relative jets in units of pt.
        pt: largest, in GeV; NaN where pt is not known.
        count: largest number of particles.
    """

    hard: float
    mass: float
    pt: float
    count: int


def measured(jets: Jets | RelativeJets, axis: Array | None = None) -> Measured:
    """Measures every jet.

    Args:
        jets: particles ``[J, N, 3]`` in GeV, or relative; mask ``[J, N]``.
        axis: ``[J, 3]`` (pt in GeV, eta, phi) of the jets as the file states it; None
            for the sum of the particles. Relative jets refer to their own.
    """
    parts = []
    for start in range(0, max(len(jets.mask), 1), _CHUNK):
        rows = slice(start, start + _CHUNK)
        p = np.asarray(jets.particles[rows], np.float64)
        mask = np.asarray(jets.mask[rows], bool)
        if isinstance(jets, RelativeJets):
            parts.append(_of_relative(p, mask))
        else:
            own = None if axis is None else np.asarray(axis[rows], np.float64)
            parts.append(_of_momenta(p, mask, own))
    return Measured(*map(np.concatenate, zip(*parts, strict=True)))


def limits(real: Measured) -> Limits:
    """The limits that a sample of real jets gives."""
    filled = real.hard[real.count > 0]
    return Limits(
        hard=float(np.quantile(filled, EDGE)) if filled.size else 0.0,
        mass=float(np.max(real.mass, initial=0.0)),
        pt=float(np.max(real.pt, initial=0.0)),
        count=int(np.max(real.count, initial=0)),
    )


def conditions(
    jets: Measured,
    limits: Limits,
    *,
    stated: Stated | None = None,
    own_axis: bool = False,
    faults: Mapping[str, int] | None = None,
    num_rows: int = 0,
    width: int = 0,
) -> list[Condition]:
    """All conditions of one sample.

    Args:
        jets: from :func:`measured`.
        limits: of the real jets.
        stated: what the file says of each jet beside its particles.
        own_axis: the file means the sum of its particles by the jet, so that what it
            states must agree with them; else they may be its leading ones.
        faults: rows of the file by fault, as they were before the reader mended them.
        num_rows: of the file, the dropped ones included.
        width: particles of which a jet here may have at most; 0 for any number.
    """
    filled = jets.count > 0
    balance, tail, total = jets.off_axis[filled], None, None
    if filled.any():
        tail = float(np.quantile(balance, TAIL))
        total = float(jets.ptrel_sum[filled].mean())
    rms = float(np.sqrt(np.mean(np.square(balance)))) if filled.any() else None
    is_relative = bool(np.isnan(jets.pt).all())
    mass_unit, mass_label = ("", "mass / pT") if is_relative else ("GeV", "mass")
    beyond = f"{limits.mass:.4g} {mass_unit}".strip()
    return [
        *_of_file(jets, stated, own_axis=own_axis, width=width),
        Condition(
            "distance", "farthest particle from the axis", largest(jets.distance)
        ),
        Condition(
            "edge",
            f"a particle of ptrel > {HARD:g} beyond {limits.hard:.3g}",
            share(jets.hard > limits.hard),
            "%",
        ),
        Condition("centroid", "centroid from the axis, RMS", rms),
        Condition("centroid_tail", f"the same, quantile {TAIL:g}", tail),
        Condition("ptrel_sum", "sum of ptrel, mean", total),
        Condition("ptrel_largest", "sum of ptrel, largest", largest(jets.ptrel_sum)),
        Condition(
            "mass_range",
            f"{mass_label} beyond {beyond}",
            share(jets.mass > limits.mass),
            "%",
        ),
        Condition(
            "pt_range",
            f"pT beyond {limits.pt:.4g} GeV",
            None if is_relative else share(jets.pt > limits.pt),
            "%",
        ),
        Condition(
            "count_range",
            f"more than {limits.count} particles",
            share(jets.count > limits.count),
            "%",
        ),
        Condition("empty", "jets without particles", share(~filled), "%"),
        *_of_particles(jets, faults or {}, num_rows),
    ]


def _of_file(
    jets: Measured, stated: Stated | None, *, own_axis: bool, width: int
) -> list[Condition]:
    """What a file states, in itself and against its particles."""
    if stated is None:
        stated = Stated(*(np.full(len(jets.count), np.nan) for _ in Stated._fields))
    filled = jets.count > 0
    values = Stated(*(np.asarray(a, np.float64)[filled] for a in stated))
    pt, eta, mass = (a[filled] for a in (jets.pt, jets.eta, jets.mass))
    mass = np.where(np.isnan(pt), np.nan, mass)  # of relative jets it has no unit
    momentum = values.pt * np.cosh(values.eta)
    known = ~np.isnan(values.multiplicity)
    expected = np.minimum(values.multiplicity, width) if width else values.multiplicity
    wrong = ~np.isin(expected, np.arange(0, 1 + np.max(jets.count, initial=0)))
    wrong |= expected != jets.count[filled]
    exact = ROUNDING if own_axis else None
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = (
            np.abs(pt - values.pt) / values.pt,
            np.abs(eta - values.eta),
            np.abs(mass - values.mass) / values.pt,
        )
    rows = (
        ("stated_pt", "stated pT and the particles', |Δ| / pT", exact),
        ("stated_eta", "stated η and the particles', |Δ|", exact),
        ("stated_mass", "stated mass and the particles', |Δ| / pT",
         MASS_ROUNDING if own_axis else None),
    )  # fmt: skip
    return [
        Condition(
            "mass_shell",
            "stated jet, |E² - p² - m²| / E²",
            largest(off_shell(values.energy, momentum, values.mass)),
            "",
            SHELL,
        ),
        *(
            Condition(name, label, largest(gap), "", allowed)
            for (name, label, allowed), gap in zip(rows, gaps, strict=True)
        ),
        Condition(
            "stated_count",
            "stated number of particles is not theirs",
            share(wrong[known]) if known.any() else None,
            "%",
            0.0,
        ),
    ]


def _of_particles(
    jets: Measured, faults: Mapping[str, int], num_rows: int
) -> list[Condition]:
    """Order, pt and padding: of the arrays, or of the file if it was worse."""

    def worst(bad: np.ndarray, fault: str) -> float:
        return max(share(bad), 100.0 * faults.get(fault, 0) / max(num_rows, 1))

    rows = (
        ("order", "particles not in descending pT", jets.unordered, "unsorted"),
        ("padding", "padding that is not zero", jets.padding, "padding"),
        ("positive", "a particle of zero or negative pT", jets.nonpositive, ""),
        ("dropped", "dropped by the reader: NaN, pT < 0, ...", jets.count < 0,
         "dropped"),
    )  # fmt: skip
    return [
        Condition(name, label, worst(bad, fault), "%", 0.0)
        for name, label, bad, fault in rows
    ]


def _of_momenta(p: np.ndarray, mask: np.ndarray, axis: np.ndarray | None) -> Measured:
    """Of jets ``[n, N, 3]`` in GeV."""
    there = np.where(mask[..., None], p, 0.0)
    total = there.sum(-2)
    energy = np.linalg.norm(there, axis=-1).sum(-1)
    sums = momenta.pt_eta_phi(total)
    jet_pt, jet_eta, jet_phi = sums if axis is None else axis.T
    pt, eta, phi = momenta.pt_eta_phi(there)
    ptrel = pt / np.where(jet_pt > 0, jet_pt, np.inf)[:, None]
    etarel = eta - jet_eta[:, None]
    phirel = momenta.wrap_phi(phi - jet_phi[:, None])
    mass = momenta.mass(energy, total)
    found = _of_features(ptrel, etarel, phirel, pt, mask, p)
    return Measured(pt=sums[0], eta=sums[1], mass=mass, **found)


def _of_relative(x: np.ndarray, mask: np.ndarray) -> Measured:
    """Of relative jets ``[n, N, 3]``."""
    ptrel, etarel, phirel = np.moveaxis(np.where(mask[..., None], x, 0.0), -1, 0)
    px, py = (ptrel * np.cos(phirel)).sum(-1), (ptrel * np.sin(phirel)).sum(-1)
    pt, unknown = np.hypot(px, py), np.full(len(mask), np.nan)
    mass = np.asarray(relative_mass(RelativeJets(x, mask)))
    mass = mass / np.where(pt > 0, pt, 1.0)
    found = _of_features(ptrel, etarel, phirel, ptrel, mask, x)
    return Measured(pt=unknown, eta=unknown, mass=mass, **found)


def _of_features(ptrel, etarel, phirel, pt, mask, raw) -> dict[str, Any]:
    """What does not depend on the kind of jets; pt ``[n, N]`` orders particles."""
    distance = np.where(mask, np.hypot(etarel, phirel), 0.0)
    total = np.sum(ptrel, -1, where=mask)
    weight = np.where(mask, ptrel, 0.0) / np.where(total != 0, total, 1.0)[:, None]
    off_axis = np.hypot((weight * etarel).sum(-1), (weight * phirel).sum(-1))
    # float32 files: rounding is no disorder; a hole before a particle is one.
    size = np.where(mask, pt, 0.0)
    room = size[:, :-1] + ORDER * np.abs(size[:, :-1])
    return {
        "count": mask.sum(-1),
        "distance": distance.max(-1, initial=0.0),
        "hard": np.where(ptrel > HARD, distance, 0.0).max(-1, initial=0.0),
        "off_axis": off_axis,
        "ptrel_sum": total,
        "unordered": np.any(size[:, 1:] > room, axis=-1),
        "nonpositive": np.any(mask & ~(pt > 0), axis=-1),
        "padding": np.any(~mask[..., None] & (raw != 0), axis=(-2, -1)),
    }
