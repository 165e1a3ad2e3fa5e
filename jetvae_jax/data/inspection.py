"""Inspects a file of jets: its content, its defects, whether it is fit to train.

With ``repair`` the verdict is that on the jets that repairing leaves. Damaged files are
read up to the damage. Only one row of numbers a jet is kept in memory, so files may be
larger than the memory.
"""

import contextlib
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core import momenta
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import absent
from jetvae_jax.core.words import counted, number
from jetvae_jax.data import validation
from jetvae_jax.data.formats import Reader, Wanted
from jetvae_jax.data.formats import columns as column_mapping
from jetvae_jax.data.loading import opened
from jetvae_jax.data.validation import Audit, Block, Rows, hashes

MIN_JETS = 1000  # for a model worth the name
FEWEST = 143  # of which 70 % are a batch of 100
# Two jets are never equal by chance; a few may be mistakes of the generator.
MAX_DUPLICATES = 1e-3
FIT = "fit to train"
MAX_JETS = 1_000_000  # rows kept
MAX_ETA, MAX_DISTANCE = 6.0, 1.5
JET = ("pt [GeV]", "eta", "phi [rad]", "mass [GeV]", "particles")
# Name, least, largest, bins.
PARTICLE = (
    ("log10(pt / GeV)", -4.0, 5.0, 90),
    ("eta - eta of the jet", -1.0, 1.0, 100),
    ("phi - phi of the jet [rad]", -1.0, 1.0, 100),
    ("fraction of the jet's pt", 0.0, 1.0, 100),
)


class Look(NamedTuple):
    """What :func:`look` found.

    Attributes:
        summary: names and values, in the order to show them.
        ranges: least, mean and largest value by quantity with its unit.
        remarks: what is unusual and does no harm.
        reasons: why the file is not fit to train as it is; empty if it is.
        jets: ``{"pt [GeV]": [J], ...}`` of the good jets, at most ``MAX_JETS``.
        particles: ``{"log10(pt / GeV)": (counts, edges), ...}``.
    """

    summary: dict[str, Any]
    ranges: dict[str, tuple[float, float, float]]
    remarks: tuple[str, ...]
    reasons: tuple[str, ...]
    jets: dict[str, np.ndarray]
    particles: dict[str, tuple[np.ndarray, np.ndarray]]

    @property
    def verdict(self) -> str:
        """``fit to train``, or that it is not and why, one reason a line."""
        if not self.reasons:
            return FIT
        return "not fit to train as it is:\n" + "\n".join(
            f"  - {reason}" for reason in self.reasons
        )

    def __str__(self) -> str:
        """All of it as text."""
        lines = [f"{name:22} {value}" for name, value in self.summary.items()]
        if self.ranges:
            lines += ["", f"{'':22} {'least':>12} {'mean':>12} {'largest':>12}"]
        for name, values in self.ranges.items():
            lines.append(
                f"{name:22} " + " ".join(f"{number(v, 5):>12}" for v in values)
            )
        if self.remarks:
            lines += ["", "remarks:", *(f"  - {remark}" for remark in self.remarks)]
        return "\n".join([*lines, "", self.verdict])


def look(
    path: str | os.PathLike,
    *,
    jet_type: str = "g",
    columns: tuple[str, ...] = (),
    max_jets: int | None = None,
    repair: bool = False,
    seed: int = 0,
) -> Look:
    """Inspects one file.

    Args:
        path: of the file, in any format that :func:`~jetvae_jax.data.loading.load`
            reads.
        jet_type: class to inspect, in a file of several.
        columns: where the jets are in a user's own file.
        max_jets: jets to inspect, from the first; None for all.
        repair: what repairing drops or reorders is a remark, not a reason.
        seed: of the jets' phi where the file has none.

    Returns:
        Look, of what can be read.

    Raises:
        InputError: an argument is out of its range, or there is no such file.
    """
    validation.check_request(1, max_jets, seed)
    mapping = column_mapping.parse(columns) if columns else None
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: {absent(path)}")
    _check_type(path, jet_type, mapping)
    summary: dict[str, Any] = {"file": str(path), "size": f"{path.stat().st_size:,} B"}
    audit, tally, reasons = Audit(str(path), True), _Tally(), []
    generated, classes = False, {}
    try:
        with opened(path, mapping) as file:
            summary["layout"] = file.layout
            generated = file.generated
            if file.relative:
                few = Wanted(1, MIN_JETS, jet_type, seed)
                for _ in file.read(few, Audit(str(path), True)):
                    pass  # says what is wrong, if they are none
                raise InputError(
                    f"{file.key}: relative features, and no pt of the jets: can be "
                    "evaluated, not trained on"
                )
            if file.generator:
                summary["generator"] = file.generator
            _read(file, audit, tally, Wanted(1, max_jets, jet_type, seed))
            classes = {} if audit.damage else file.classes()
    except InputError as error:
        reasons.append(_without(str(path), str(error)))
    if classes:
        total = max(sum(classes.values()), 1)
        summary["classes"] = ", ".join(
            f"{name} {n:,} ({n / total:.0%})" for name, n in classes.items()
        )
        summary["class looked at"] = jet_type
    if audit.damage:
        summary["damaged"] = f"after {tally.jets:,} jets; what follows is of those"
    summary |= tally.summary()
    others = [name for name, n in classes.items() if n]
    elsewhere = bool(others) and jet_type not in others and not tally.jets
    if elsewhere:
        reasons.append(
            f"no jet of class {jet_type}: look at {' or '.join(others)} by "
            "--inspect.jet_type, train on it by --data.jet_type"
        )
    remarks = [*_tidy(path, audit.notes), *tally.remarks()]
    remarks += _advice(tally, repair)
    problems = _row_problems(path, audit, tally, repair)
    (remarks if repair else reasons).extend(problems)
    if repair and problems:
        left = f"{tally.good - tally.duplicates():,} of {tally.jets:,} jets"
        remarks.append(f"{left} are left by --data.repair")
    if not elsewhere:
        stated = bool(mapping and mapping.unit) or generated
        reasons += _whole_file_reasons(tally, summary, stated, repair)
    return Look(
        summary,
        tally.ranges(),
        tuple(remarks),
        tuple(reasons),
        tally.jet_rows(),
        tally.histograms(),
    )


def _check_type(
    path: pathlib.Path, jet_type: str, mapping: column_mapping.Columns | None
) -> None:
    """Checks that there is such a class, everywhere or in this file.

    Raises:
        InputError: there is none.
    """
    own: tuple[str, ...] = ()
    if jet_type not in validation.JET_TYPES:
        # What is wrong with a file is not for this check to say.
        with contextlib.suppress(InputError), opened(path, mapping) as file:
            own = file.types
    validation.check_jet_type(jet_type, own)


def _read(file: Reader, audit: Audit, tally: "_Tally", wanted: Wanted) -> None:
    for block in file.read(wanted, audit):
        width, before = block.mask.shape[1], len(audit.notes)
        good = validation.good_rows(
            block, audit, file.key, width, allow_empty=file.generated
        )
        # The tally counts the sorted jets, over all blocks.
        del audit.notes[before:]
        tally.add(block, good)


def _row_problems(
    path: pathlib.Path, audit: Audit, tally: "_Tally", repair: bool
) -> list[str]:
    """What is wrong with single rows, and what repairing would do."""
    audit.notes.clear()
    problems = _tidy(path, audit.finish())
    if problems and not repair:
        good = f"{tally.good:,} of {tally.jets:,} jets are good"
        problems.append(f"{good}: --data.repair drops or reorders the others")
    return problems


def _advice(tally: "_Tally", repair: bool) -> list[str]:
    """What training takes, and is better mended before."""
    advice = []
    if tally.duplicates() > MAX_DUPLICATES * tally.good:
        advice.append(
            f"{tally.duplicates():,} jets are in it twice: the same jets would train "
            "and test; --data.repair drops them"
        )
    if FEWEST <= (left := _left(tally, repair)) < MIN_JETS:
        advice.append(f"{left:,} good jets are few: {MIN_JETS:,} or more are better")
    return advice


def _left(tally: "_Tally", repair: bool) -> int:
    """Jets that training would have."""
    return tally.good - (tally.duplicates() if repair else 0)


def _whole_file_reasons(
    tally: "_Tally", summary: dict, stated: bool, repair: bool
) -> list[str]:
    """Reasons that no single row shows; adds the unit to the summary."""
    if not tally.good:
        return ["no good jet in it" if not tally.jets else "no good jet is left"]
    reasons = []
    unit = "GeV"
    if (median := tally.median_pt()) < validation.MIN_MEDIAN_PT:
        unit = "TeV, or momenta without unit"
    elif median > validation.MAX_MEDIAN_PT:
        unit = "MeV"
    summary["guessed unit"] = f"{unit} (median jet pt {median:.5g})"
    if unit != "GeV" and not stated:
        reasons.append(
            f"momenta look like {unit}, expected GeV: convert the file, or state its "
            "unit in the columns: unit=GeV, MeV or TeV"
        )
    left = _left(tally, repair)
    if left < FEWEST:
        reasons.append(f"{left:,} good jets are too few: {MIN_JETS:,} or more")
    return reasons


def _tidy(path: pathlib.Path, notes) -> list[str]:
    done = (" dropped", " reordered")
    texts = [_without(str(path), note) for note in notes]
    for suffix in done:
        texts = [text.removesuffix(suffix) for text in texts]
    return texts


def _without(path: str, text: str) -> str:
    return text.removeprefix(path).lstrip(": ")


class _Tally:
    """Counts over jets that arrive in blocks: ranges, padding, order, duplicates.

    Attributes:
        jets: rows seen.
        good: rows without a problem.
    """

    def __init__(self):
        self.jets = self.good = 0
        self._slots = self._filled = self._unsorted = self._distant = 0
        self._steep = self._single = 0
        self._widest = self._particles = 0
        self._rows: list[np.ndarray] = []
        self._kept = 0
        self._hashes: list[np.ndarray] = []
        self._extremes = {
            "particle pt [GeV]": [np.inf, 0.0, -np.inf],
            "particle eta": [np.inf, 0.0, -np.inf],
        }
        self._counts = {name: np.zeros(bins) for name, _, _, bins in PARTICLE}
        self._edges = {n: np.linspace(a, b, k + 1) for n, a, b, k in PARTICLE}

    def add(self, block: Block, good: Rows) -> None:
        """Counts some rows.

        Args:
            block: as the file has them.
            good: those of it without problems, as they are read.
        """
        self.jets += len(block.mask)
        self.good += len(good.mask)
        self._slots += block.mask.size
        self._filled += int(block.mask.sum())
        self._widest = max(self._widest, block.mask.shape[1])
        pt = np.where(block.mask, block.pt, -np.inf)
        self._unsorted += int((pt[:, 1:] > pt[:, :-1] * (1 + 1e-5)).any(1).sum())
        if len(good.mask):
            self._add_good(np.asarray(good.particles, np.float64), good.mask)

    def _add_good(self, p: np.ndarray, mask: np.ndarray) -> None:
        self._hashes.append(hashes(p.astype(np.float32), mask))
        total = p.sum(1)
        energy = np.linalg.norm(p, axis=-1).sum(1)
        mass = momenta.mass(energy, total)
        jet_pt, jet_eta, jet_phi = momenta.pt_eta_phi(total)
        count = mask.sum(1)
        if self._kept < MAX_JETS:
            rows = np.stack([jet_pt, jet_eta, jet_phi, mass, count], axis=-1)
            self._rows.append(rows[: MAX_JETS - self._kept].astype(np.float32))
            self._kept += len(self._rows[-1])
        pt, eta, phi = momenta.pt_eta_phi(p)
        away_eta = eta - jet_eta[:, None]
        away_phi = momenta.wrap_phi(phi - jet_phi[:, None])
        fraction = pt / np.maximum(jet_pt, 1e-30)[:, None]
        far = mask & (np.hypot(away_eta, away_phi) > MAX_DISTANCE)
        self._distant += int(far.any(1).sum())
        self._steep += int((mask & (np.abs(eta) > MAX_ETA)).any(1).sum())
        self._single += int((count == 1).sum())
        self._particles += int(count.sum())
        for name, values in zip(self._extremes, (pt[mask], eta[mask]), strict=True):
            if values.size:
                least, summed, largest = self._extremes[name]
                self._extremes[name] = [
                    min(least, values.min()),
                    summed + values.sum(),
                    max(largest, values.max()),
                ]
        log_pt = np.log10(np.maximum(pt, 1e-30))
        for name, values in zip(
            self._counts, (log_pt, away_eta, away_phi, fraction), strict=True
        ):
            counts, _ = np.histogram(values[mask], self._edges[name])
            self._counts[name] += counts

    def summary(self) -> dict[str, Any]:
        """Names and values, for the reader."""
        if not self.jets:
            return {}
        return {
            "jets": f"{self.jets:,} read, {self.good:,} good",
            "particles a jet": f"up to {self._widest}, "
            f"{self._filled / self.jets:.4g} in the mean",
            "padding": f"{1 - self._filled / max(self._slots, 1):.1%} of the places",
            "order": f"{1 - self._unsorted / self.jets:.1%} of the jets in falling pt",
            "duplicates": f"{self.duplicates():,}",
        }

    def remarks(self) -> list[str]:
        """What is unusual and does no harm."""
        counts = {
            "not in falling pt: readers sort them": self._unsorted,
            f"with a particle beyond |eta| {MAX_ETA:g}": self._steep,
            f"with a particle {MAX_DISTANCE:g} or more from the axis": self._distant,
            "with a single particle": self._single,
        }
        return [f"{counted(n, 'jet')} {text}" for text, n in counts.items() if n]

    def ranges(self) -> dict[str, tuple[float, float, float]]:
        """Least, mean and largest of each quantity, of the good jets."""
        if not self.good:
            return {}
        jets = {
            f"jet {name}" if name != "particles" else "particles": (
                float(v.min()), float(v.mean(dtype=np.float64)), float(v.max())
            )
            for name, v in self.jet_rows().items()
        }  # fmt: skip
        particles = {
            name: (float(a), float(total / self._particles), float(b))
            for name, (a, total, b) in self._extremes.items()
            if np.isfinite(a)
        }
        return jets | particles

    def median_pt(self) -> float:
        """Of the good jets."""
        return float(np.median(self.jet_rows()[JET[0]]))

    def jet_rows(self) -> dict[str, np.ndarray]:
        """Jets' quantities, of at most ``MAX_JETS`` jets."""
        rows = np.concatenate([np.zeros((0, len(JET)), np.float32), *self._rows])
        return dict(zip(JET, rows.T, strict=True))

    def histograms(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Counts and edges of the particles' quantities."""
        return {name: (self._counts[name], self._edges[name]) for name in self._counts}

    def duplicates(self) -> int:
        """Good jets that are the same as an earlier one."""
        if not self._hashes:
            return 0
        found = np.concatenate(self._hashes)
        return len(found) - len(np.unique(found))
