"""The tables of an evaluation of jets, and how values are printed in tables."""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from jetvae_jax.core.words import in_short, number
from jetvae_jax.metrics import conditions as boundary
from jetvae_jax.metrics.classifier.two_sample import CLASSIFIERS
from jetvae_jax.metrics.measurements import known_metrics
from jetvae_jax.metrics.suite.enforced import MARK, enforced
from jetvae_jax.metrics.suite.measurement import Metric
from jetvae_jax.metrics.suite.text import sections
from jetvae_jax.report.page import (
    Block,
    Cell,
    Heading,
    Paragraph,
    Row,
    Table,
    table,
)
from jetvae_jax.report.style import TRAINED

PUBLISHED = (
    ("ConVAE, generated, best of all models", 0.0061, None),
    ("ConVAE + RealNVP, generated (preliminary)", 0.0040, 0.0022),
    ("ConVAE, reconstructed, beta = 0", 0.0027, None),
    ("better reconstruction (preliminary)", 0.0018, 0.0013),
)
"""Model, EMD sum and EMD of the mass by Cobe, Fialho, Orzari and Tomei, "Machine
Learning for Simulation of Collision Events", RENAFAE workshop 2022: gluon jets of
JetNet with 30 particles; the EMD compares the heights of histogram bins."""
PUBLISHED_BY = "published, Cobe et al. 2022"

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MISSING = "\N{EN DASH}"
FLOOR = "floor"
"""Name of the row or column of other real samples, the same in every table."""


def label(text: str, enforced: bool) -> Cell:
    """A name, marked if that statistic was part of the training loss."""
    return Cell(text, TRAINED if enforced else "", "trained")


Mark = Callable[[str, bool], Any]
"""``(text, enforced) -> heading``: :func:`label`, or :func:`starred` as text."""


def starred(text: str, enforced: bool) -> str:
    """The same for a terminal."""
    return f"{text} {MARK}" if enforced else text


def in_loss(held: Sequence[str], others: Sequence[str] = ()) -> list[Block]:
    """What the mark of :func:`label` means; nothing if the loss held nothing.

    Args:
        held: names of the statistics that were part of the training loss.
        others: names of those that are computed from them.
    """
    if not held:
        return []
    text = (
        "marks statistics that were part of the training loss: "
        f"{', '.join(held)}. Their agreement does not show the quality of "
        "the model; the other statistics do."
    )
    if others:
        text += f" Computed from these, and no check either: {', '.join(others)}."
    return [Paragraph(text, "note", badge=TRAINED)]


def metric_label(metric: Metric, enforced: bool, drawn: str = "") -> Cell:
    """A metric's name with its scale, its unit and the direction that is better.

    Args:
        metric: as `metrics.known_metrics` lists it.
        enforced: it compares an observable that the training loss held.
        drawn: the jets it was drawn from.
    """
    scale = f"1e{metric.exponent}" if metric.scale != 1 else ""
    unit = _power(f"{scale} {metric.unit}".strip())
    name = f"{metric.label}{f' [{unit}]' if unit else ''} {drawn}".rstrip()
    return label(f"{name}\N{NBSP}{metric.arrow}", enforced)


def _samples(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Name of a sample to its results, those of the floor first."""
    samples = dict(evaluation["candidates"])
    if evaluation["floor"] is not None:
        samples = {FLOOR: evaluation["floor"], **samples}
    return samples


def _classified(samples: Mapping[str, Any]) -> list[Any]:
    """The classifiers that were trained on any of the samples."""
    return [
        described
        for described in CLASSIFIERS.values()
        if any(described.result in results for results in samples.values())
    ]


def headline(
    evaluation: Mapping[str, Any], *, trained_on: Collection[str] = ()
) -> Table:
    """The main metrics: one row per sample, then the published rows.

    Args:
        evaluation: what `metrics.evaluate` returns.
        trained_on: observables that were part of the training loss.
    """
    samples = _samples(evaluation)
    metrics = known_metrics()
    w1 = [
        (metric, name)
        for name, protocol in evaluation["protocols"].items()
        for metric in ("w1m", "w1p")
        if protocol["w1"]
    ]
    classified = _classified(samples)
    if evaluation.get("relative"):
        return _relative_headline(samples, w1, classified, evaluation, trained_on)
    head = [
        "sample",
        label("EMD sum / range\N{NBSP}↓", enforced("emd_normalised_sum", trained_on)),
        label("EMD mass [GeV]\N{NBSP}↓", "mass" in trained_on),
        *(
            metric_label(
                metrics[m],
                enforced(m, trained_on),
                "{num_jets:,} x {num_batches}".format(
                    **evaluation["protocols"][p]["w1"]
                ),
            )
            for m, p in w1
        ),
        *(described.label for described in classified),
        label("published EMD sum\N{NBSP}↓", enforced("bin_height_w1_sum", trained_on)),
        label("published EMD mass\N{NBSP}↓", "mass" in trained_on),
    ]
    rows = [
        [
            name,
            f"{results['emd_normalised_sum']:.4f}",
            f"{results['jet']['mass']['emd']:.2f}",
            *(_scaled(results["protocols"][p].get(m), metrics[m].scale) for m, p in w1),
            *(_auc(results.get(described.result)) for described in classified),
            f"{results['bin_height_w1_sum']:.4f}",
            f"{results['jet']['mass']['bin_height_w1']:.4f}",
        ]
        for name, results in samples.items()
    ]
    blank = [MISSING] * (2 + len(w1) + len(classified))
    published = [
        [
            Cell(name, PUBLISHED_BY),
            *blank,
            f"{total:.4f}",
            MISSING if mass is None else f"{mass:.4f}",
        ]
        for name, total, mass in PUBLISHED
    ]
    return table(head, rows, faint=published, style="compact")


def _relative_headline(samples, w1, classified, evaluation, trained_on) -> Table:
    """The main metrics of jets whose pt is not known; none like them are published."""
    metrics = known_metrics()
    drawn = "{num_jets:,} x {num_batches}"
    head = [
        "sample",
        label("EMD relative mass\N{NBSP}↓", "mass" in trained_on),
        *(
            metric_label(
                metrics[m],
                enforced(m, trained_on),
                drawn.format(**evaluation["protocols"][p]["w1"]),
            )
            for m, p in w1
        ),
        *(described.label for described in classified),
    ]
    rows = [
        [
            name,
            f"{results['jet']['relative_mass']['emd']:.4f}",
            *(_scaled(results["protocols"][p].get(m), metrics[m].scale) for m, p in w1),
            *(_auc(results.get(described.result)) for described in classified),
        ]
        for name, results in samples.items()
    ]
    return table(head, rows, style="compact")


def of_protocol(evaluation: Mapping[str, Any], protocol: str) -> Table:
    """The metrics of one protocol, and of classifiers: one row per sample.

    Args:
        evaluation: what `metrics.evaluate` returns.
        protocol: by name.
    """
    samples = _samples(evaluation)
    shown = {
        name: metric
        for name, metric in known_metrics().items()
        if any(name in r["protocols"][protocol] for r in samples.values())
    }
    classified = _classified(samples)
    head = [
        "sample",
        *(metric_label(metric, enforced=False) for metric in shown.values()),
        *(described.label for described in classified),
    ]
    rows = [
        [
            name,
            *(
                _scaled(results["protocols"][protocol].get(m), metric.scale)
                for m, metric in shown.items()
            ),
            *(_auc(results.get(described.result)) for described in classified),
        ]
        for name, results in samples.items()
    ]
    return table(head, rows, style="compact")


def full(evaluation: Mapping[str, Any], *, trained_on: Collection[str] = ()) -> Table:
    """Every metric of every sample, beside its floor.

    Args:
        evaluation: what `metrics.evaluate` returns.
        trained_on: observables that were part of the training loss.
    """
    samples = _samples(evaluation)
    rows = []
    for title, found in sections(dict(evaluation)):
        rows.append(Row([title], "section"))
        for row in found:
            marked = label(row.label, enforced(row.name, trained_on))
            cells = [row.cell(results) for results in samples.values()]
            values = [cell.replace("+-", " ± ") for cell in cells]
            rows.append(Row([marked, _power(row.unit) or MISSING, *values]))
    return Table(["", "unit", *samples], rows)


def conditions(found: Mapping[str, Any]) -> list[Block]:
    """Boundary conditions of every sample, beside those of the real one.

    Args:
        found: what `metrics.conditions.gathered` returns; nothing if empty.
    """
    if not found:
        return []
    head, rows = boundary.rows(found)
    marked = (
        [
            Cell(c.removesuffix(boundary.BEYOND), "!") if c.endswith(boundary.BEYOND)
            else c
            for c in row
        ]
        for row in rows
    )  # fmt: skip
    return [
        Heading(boundary.TITLE),
        table(head, marked, style="compact"),
        Paragraph(boundary.note(found), "note"),
    ]


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as plain text."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines) + "\n"


def with_error(value: float, error: float | None = None) -> str:
    """A value with two digits of its error, or with three digits if it has no error."""
    if error is None or not math.isfinite(error):
        return number(value)
    if error <= 1e-9 * abs(value):  # what rounding leaves of a spread of zero
        return f"{number(value, 4)} ± 0"
    if error < 5e-7:  # six digits do not show it
        return f"{number(value, 4)} ± {number(error, 2)}"
    if error >= 1e9:
        return f"{in_short(value)} ± {in_short(error)}"
    if error >= 1000 and math.isfinite(value):  # two digits are enough
        scale = 10 ** (math.floor(math.log10(error)) - 1)
        return " ± ".join(f"{round(v / scale) * scale:,}" for v in (value, error))
    digits = min(max(1 - math.floor(math.log10(error)), 0), 6)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def in_powers(text: str) -> str:
    """A text whose units in brackets have ten with its exponent: ``FPD [10⁻³]``."""
    return re.sub(r"\[[^\]]*\]", lambda m: _power(m[0]), text)


def _power(unit: str) -> str:
    """``1e-3`` in a unit as ten with its exponent."""
    return re.sub(r"\b1e(-?\d+)", lambda m: f"10{m[1].translate(_SUPERSCRIPT)}", unit)


def _scaled(result: Mapping[str, Any] | None, scale: float) -> str:
    if result is None:
        return MISSING
    error = result.get("error")
    return with_error(result["value"] / scale, None if error is None else error / scale)


def _auc(found: Mapping[str, Any] | None) -> str:
    return MISSING if found is None else with_error(found["auc"], found["error"])
