"""A look at any file of jets: what is in it, what is wrong, whether it is fit to train.

With ``repair`` the verdict is that on the jets that repairing leaves. Damaged files are
looked at up to the damage. Nothing is kept but one row of numbers a jet, so files
larger than the memory are no trouble.
"""

import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import layouts, validation
from jetvae_jax.data.formats import columns as column_mapping
from jetvae_jax.data.inspection.tally import Tally

MIN_JETS = 1000
# Two jets are never equal by chance; a few may be mistakes of the generator.
MAX_DUPLICATES = 1e-3
FIT = "fit to train"


class Look(NamedTuple):
    """What a look has found.

    Attributes:
        facts: names and values, in the order to show them.
        ranges: least, mean and largest value by quantity with its unit.
        remarks: what is unusual and does no harm.
        reasons: why the file is not fit to train as it is; empty if it is.
        jets: ``{"pt [GeV]": [J], ...}`` of the good jets, at most ``tally.MAX_JETS``.
        particles: ``{"log10 pt [GeV]": (counts, edges), ...}``.
    """

    facts: dict[str, Any]
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
        lines = [f"{name:22} {value}" for name, value in self.facts.items()]
        if self.ranges:
            lines += ["", f"{'':22} {'least':>12} {'mean':>12} {'largest':>12}"]
        for name, values in self.ranges.items():
            lines.append(f"{name:22} " + " ".join(f"{v:12.5g}" for v in values))
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
    """Looks at one file.

    Args:
        path: of the file, in any layout that :func:`~jetvae_jax.data.load.load` reads.
        jet_type: class to look at, in a file of several.
        columns: where the jets are in a user's own file.
        max_jets: jets to look at, from the first; None for all.
        repair: what repairing drops or reorders is a remark, not a reason.
        seed: of the jets' phi where the file has none.

    Returns:
        Look, of whatever can be read.

    Raises:
        InputError: the request itself makes no sense, or there is no such file.
    """
    validation.check_request(1, max_jets, jet_type, seed)
    mapping = column_mapping.parse(columns) if columns else None
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    facts: dict[str, Any] = {"file": str(path), "size": f"{path.stat().st_size:,} B"}
    audit, tally, reasons = validation.Audit(str(path), True), Tally(), []
    generated, held = False, []
    try:
        with layouts.opened(path, mapping) as file:
            facts |= {"layout": file.layout}
            generated = file.generated
            if file.generator:
                facts["generator"] = file.generator
            _read(file, audit, tally, max_jets, jet_type, seed)
            if not audit.damage and (classes := file.classes()):
                total = max(sum(classes.values()), 1)
                facts["classes"] = ", ".join(
                    f"{name} {n:,} ({n / total:.0%})" for name, n in classes.items()
                )
                facts["class looked at"] = jet_type
                held = [name for name, n in classes.items() if n]
    except InputError as error:
        reasons.append(_without(str(path), str(error)))
    if audit.damage:
        facts["damaged"] = f"after {tally.jets:,} jets; what follows is of those"
    facts |= tally.facts()
    elsewhere = bool(held) and jet_type not in held
    if elsewhere:
        reasons.append(
            f"no jet of class {jet_type}: look at {' or '.join(held)} by "
            "--inspect.jet_type, train on it by --data.jet_type"
        )
    remarks = [*_tidy(path, audit.notes), *tally.remarks()]
    audit.notes.clear()
    problems = _tidy(path, audit.finish())
    if problems and not repair:
        good = f"{tally.good:,} of {tally.jets:,} jets are good"
        problems.append(f"{good}: --data.repair drops or reorders the others")
    if tally.duplicates() > MAX_DUPLICATES * tally.good:
        problems.append(
            f"{tally.duplicates():,} jets stand in it twice: the same jets would train "
            "and test"
        )
    (remarks if repair else reasons).extend(problems)
    if repair and problems:
        left = f"{tally.good - tally.duplicates():,} of {tally.jets:,} jets"
        remarks.append(f"{left} are left by --data.repair")
    if not elsewhere:
        reasons += _judged(tally, facts, generated, repair)
    return Look(
        facts,
        tally.ranges(),
        tuple(remarks),
        tuple(reasons),
        tally.jet_rows(),
        tally.histograms(),
    )


def _read(file, audit, tally: Tally, max_jets, jet_type, seed) -> None:
    blocks = file.blocks(
        audit,
        num_particles=1,
        max_jets=max_jets,
        jet_type=jet_type,
        seed=seed,
    )
    for block in blocks:
        width, before = block.mask.shape[1], len(audit.notes)
        good = validation.assemble(
            [block], audit, file.key, width, allow_empty=file.generated
        )
        # The tally counts what was sorted, over all blocks.
        del audit.notes[before:]
        tally.add(block, good)


def _judged(tally: Tally, facts: dict, generated: bool, repair: bool) -> list[str]:
    """Reasons that no single row shows; adds the unit to the facts."""
    if not tally.good:
        return ["no good jet in it" if not tally.jets else "no good jet is left"]
    reasons = []
    unit = "GeV"
    if (median := tally.median_pt()) < validation.MIN_MEDIAN_PT:
        unit = "TeV, or momenta without unit"
    elif median > validation.MAX_MEDIAN_PT:
        unit = "MeV"
    facts["unit, by its looks"] = f"{unit} (median jet pt {median:.5g})"
    if unit != "GeV" and not generated:
        reasons.append(f"momenta look like {unit}, expected GeV: convert the file")
    left = tally.good - (tally.duplicates() if repair else 0)
    if left < MIN_JETS:
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
