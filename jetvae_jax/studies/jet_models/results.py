"""The tables of a comparison of models of jets, and what observables in a loss change.

Results of a training are those of its reconstructions, of jets from the prior and from
the flow, and, under ``paired``, how near a reconstruction is to its own jet.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.jets.evaluation import trained_on
from jetvae_jax.metrics import known_metrics
from jetvae_jax.metrics.labels import label
from jetvae_jax.metrics.suite.enforced import enforced
from jetvae_jax.observables.named import fixed_by
from jetvae_jax.runs.config import ModelRun
from jetvae_jax.studies import seeds
from jetvae_jax.studies.seeds import SURE, Column, Results

GENERATED = {
    "reconstruction": "Reconstructed test jets",
    "prior": "Generated from the prior",
    "flow": "Generated from the flow",
}
METRICS = ("w1m", "w1p", "w1efp", "fpd")
DISTRIBUTIONS = ("mass", "width", "ptd", "tau21", "tau32", "c2", "d2")
EFPS = ("efp1", "efp2", "efp3", "efp4", "efp5")
PAIRED = ("mass", "pt", *DISTRIBUTIONS[1:], *EFPS)
MARK = "*"
"""After a value whose observable was in the loss of that model."""

Found = Mapping[str, Sequence[Results]]
Table = tuple[list[str], list[tuple[str, list[str]]]]


def _columns() -> Iterator[Column]:
    known = known_metrics()
    for sample in GENERATED:
        for name in METRICS:
            metric = known[name]
            scale = f" [1e{metric.exponent}]" if metric.scale != 1 else ""
            yield Column(
                sample, name, f"{metric.label}{scale}", ".2f", 1 / metric.scale
            )
        for name in DISTRIBUTIONS:
            yield Column(sample, f"ks_{name}", f"KS {label(name)}", ".3f")
    for name in PAIRED:
        yield Column("paired", name, label(name), ".3f")


def columns() -> dict[str, list[Column]]:
    """Heading of a table to its columns."""
    titles = {**GENERATED, "paired": "A reconstruction and its own jet"}
    found = list(_columns())
    return {
        title: [column for column in found if column.sample == sample]
        for sample, title in titles.items()
    }


def table(
    found: Found, runs: Mapping[str, ModelRun], given: Sequence[Column], floor: Results
) -> Table:
    """Headings, and name and cells of each row, the floor first.

    Args:
        found: model to the results of its trainings.
        runs: model to its training.
        given: the columns.
        floor: the results of other real jets, for every sample alike.
    """
    of_floor = [floor[c.sample] for c in given if c.sample in floor]
    rows = []
    if of_floor:
        rows.append(("floor", [seeds.cell([floor], column) for column in given]))
    for name, results in found.items():
        held = fixed_by(trained_on(runs[name]))
        cells = [
            seeds.cell(results, c) + (MARK if in_loss(c, held) else "") for c in given
        ]
        rows.append((name, cells))
    return [column.heading for column in given], rows


def in_loss(column: Column, held: frozenset[str]) -> bool:
    """Whether a column compares an observable that the loss held."""
    return enforced(column.metric.removeprefix("ks_"), held)


class Effect(NamedTuple):
    """What observables in the loss did to one metric.

    Attributes:
        column: the metric.
        before: mean without.
        after: mean with them.
        deviations: of their difference, over the seeds; negative is better, 0 if there
            is one seed.
        held: the metric compares one of them, or an observable that both losses hold.
    """

    column: Column
    before: float
    after: float
    deviations: float
    held: bool


def effects(
    found: Found, runs: Mapping[str, ModelRun]
) -> dict[tuple[str, str], list[Effect]]:
    """Models that differ by the observables in their loss, and how their metrics do.

    Returns:
        Model without and model with observables to the changes of all metrics.
    """
    pairs = {}
    for name, run in runs.items():
        if not run.objective.observables:
            continue
        plain = dataclasses.replace(
            run.objective, observables=(), gamma_observables=(1.0,)
        )
        without = dataclasses.replace(run, objective=plain)
        for base, other in runs.items():
            if other == without:
                held = fixed_by(trained_on(run))
                changes = _changes(found[base], found[name], held)
                pairs[base, name] = list(changes)
    return pairs


def _changes(
    before: Sequence[Results], after: Sequence[Results], held: frozenset[str]
) -> Iterator[Effect]:
    for column in _columns():
        values = [seeds.values(results, column) for results in (before, after)]
        if not all(values):
            continue
        low, high = map(np.mean, values)
        error = float(np.linalg.norm([seeds.spread(one) for one in values]))
        apart = float(high - low) / error if error else 0.0
        yield Effect(column, float(low), float(high), apart, in_loss(column, held))


def effect_sentences(found: Sequence[Effect]) -> list[str]:
    """What improved and what got worse, in the loss and not in the loss."""
    if not any(effect.deviations for effect in found):
        return ["one training of each, which has no deviation: nothing is decided"]
    lines = []
    for held, where in ((False, "not in the loss"), (True, "in the loss")):
        own = [effect for effect in found if effect.held == held]
        for word, sign in (("better", -1), ("worse", 1)):
            sure = [e for e in own if sign * e.deviations > SURE]
            named = "; ".join(
                f"{_place(e.column)} {e.before:{e.column.form}} to "
                f"{e.after:{e.column.form}}"
                for e in sure
            )
            lines.append(
                f"{where}, {word} by more than {SURE} deviations: {len(sure)} of "
                f"{len(own)}" + (f" ({named})" if sure else "")
            )
    return lines


def _place(column: Column) -> str:
    where = {"paired": "own jet", "reconstruction": "reconstructed"}
    return f"{column.heading}, {where.get(column.sample, column.sample)}:"


def text(found: Found, runs: Mapping[str, ModelRun], floor: Results) -> str:
    """All tables in Markdown, with what the seeds decide."""
    blocks = []
    for title, given in columns().items():
        shown = seeds.markdown(*table(found, runs, given, floor))
        said = "\n".join(f"- {line}" for line in seeds.best(found, given))
        blocks.append(f"{title}:\n\n{shown}\n\n{said}".rstrip())
    for (base, name), changes in effects(found, runs).items():
        said = "\n".join(f"- {line}" for line in effect_sentences(changes))
        blocks.append(f"{name} against {base}:\n\n{said}")
    return "\n\n".join(blocks) + f"\n\n{MARK} in the training loss\n"


def check(runs: Mapping[str, ModelRun]) -> None:
    """Models can be compared: on the same jets, with an encoder.

    Raises:
        InputError: they cannot.
    """
    first, *others = runs.items()
    for name, run in (first, *others):
        if run.domain != "jets":
            raise InputError(
                f"--domain={run.domain}: models of jets are compared: leave it out"
            )
        if run.data != first[1].data:
            raise InputError(
                f"{name}: is trained on other data than {first[0]}: models are "
                "compared on the same jets"
            )
