"""The leaderboard: metrics measured here, then those published for the same jets."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jetvae_jax.metrics.suite import published
from jetvae_jax.metrics.suite.published import Entry
from jetvae_jax.report import tables
from jetvae_jax.report.page import Cell, Row, Table

_NOTE = (
    "Published rows are not measured here. Protocols and data sets differ: how many "
    "jets were drawn and how often, the split into training and test jets, the axis "
    "that relative features refer to; some models take properties of the jets from the "
    "test set. Read a difference only where protocols agree and it exceeds the errors "
    "and the floor, which is what real jets score against real jets. All metrics but "
    "COV: lower is better; KPD scatters around zero. W1P is the mean over three "
    "features."
)


def note(jet_class: str, num_particles: int) -> str:
    """What to keep in mind when reading the table."""
    if published.published(jet_class, num_particles):
        return _NOTE
    return (
        f"No published values are known here for jets of class "
        f"{jet_class or 'unknown'} with {num_particles} particles."
    )


def entries(
    evaluation: Mapping[str, Any],
    jet_class: str,
    num_particles: int,
    history: Mapping[str, Sequence[Mapping[str, float]]] | None = None,
) -> list[Entry]:
    """What an evaluation measured, an entry for each protocol and sample.

    Args:
        evaluation: what `metrics.evaluate` returns.
        jet_class: ``g``, ``q`` or ``t``, or any other.
        num_particles: the leading particles a jet keeps.
        history: of the trainings, ``"vae"`` and ``"flow"`` to a dict per epoch, whose
            ``seconds`` are the time of training.
    """
    found, shown = [], published.published_metrics()
    for protocol in evaluation["protocols"]:
        samples = list(evaluation["candidates"].items())
        if evaluation["floor"] is not None:
            samples.append((tables.FLOOR, evaluation["floor"]))
        for name, results in samples:
            values = {
                metric: (result["value"], result.get("error"))
                for metric, result in results["protocols"][protocol].items()
                if metric in shown
            }
            if values:
                entry = published.measured(
                    name,
                    jet_class,
                    values,
                    num_particles=num_particles,
                    protocol=f"{protocol}, from {evaluation['jets']:,} jets",
                    kind="generator" if name in evaluation["candidates"] else "floor",
                    seconds=_seconds(history or {}, name),
                )
                found.append(entry)
    return found


def _seconds(
    history: Mapping[str, Sequence[Mapping[str, float]]], sample: str
) -> float | None:
    """Time to train what a sample needs: the model, and its flow if it has one."""
    if sample == tables.FLOOR:
        return None
    rows = [row for name in ("vae", sample) for row in history.get(name, ())]
    if not rows or any("seconds" not in row for row in rows):
        return None
    return sum(row["seconds"] for row in rows)


def table(
    measured: Sequence[Entry],
    jet_class: str,
    num_particles: int,
    *,
    trained_on: Collection[str] = (),
) -> Table:
    """Measured entries, then the published ones of the same jets.

    Args:
        measured: entries measured here.
        jet_class: ``g``, ``q`` or ``t``; others have no published entries.
        num_particles: the leading particles a jet keeps.
        trained_on: observables that were part of the training loss.
    """
    metrics = published.published_metrics()
    head = [
        "model",
        *(
            tables.metric_label(metric, tables.enforced(name, trained_on))
            for name, metric in metrics.items()
        ),
    ]
    entries = [*measured, *published.published(jet_class, num_particles)]
    timed = any(entry.seconds is not None for entry in entries)
    head += ["training time"] * timed
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        origin = (entry.mark, entry.source, entry.protocol)
        groups.setdefault(origin, []).append(entry)
    rows = []
    for origin, members in groups.items():
        rows.append(Row([_origin(*origin)], "section"))
        style = "" if origin[0] == "measured" else "faint"
        rows += [
            Row([*_cells(entry, metrics), *[_time(entry)] * timed], style)
            for entry in members
        ]
    return Table(head, rows, "compact")


def _origin(mark: str, source: str, protocol: str) -> Cell:
    title = "Measured here" if mark == "measured" else source
    quoted = ", quoted by a third party" if mark == "quoted" else ""
    return Cell(title + quoted, note=f"Protocol: {protocol}")


def _cells(entry: Entry, metrics: Collection[str]) -> list[str | Cell]:
    name = entry.model if entry.kind == "generator" else tables.FLOOR
    measured = entry.mark == "measured"
    badge = ("measured", "measured") if measured else ("published", "")
    return [Cell(name, *badge), *(_cell(entry, metric) for metric in metrics)]


def _time(entry: Entry) -> str:
    """The time of training in two or three digits."""
    if (seconds := entry.seconds) is None:
        return tables.MISSING
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"


def _cell(entry: Entry, metric: str) -> str:
    """The value as published, or a measured one with two digits of its error."""
    if metric not in entry.values:
        return tables.MISSING
    value, error = entry.values[metric]
    if entry.mark == "measured":
        return tables.with_error(value, error)
    if error is None:
        return f"{value:g}"
    digits = len(f"{error:g}".partition(".")[2])
    return f"{value:.{digits}f} ± {error:g}"
