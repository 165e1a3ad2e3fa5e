"""Evaluation of generated events: metrics, table, report."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.files import Workdir
from jetvae_jax.events import conditions, kinds, metrics, report, responses, transform
from jetvae_jax.events.domain import SUFFIX, Data
from jetvae_jax.events.scaling import columns_of
from jetvae_jax.metrics import conditional, inputs
from jetvae_jax.metrics.classifier.two_sample import c2st_table
from jetvae_jax.metrics.conditions import gathered, text
from jetvae_jax.metrics.inputs import EvaluateConfig, record
from jetvae_jax.metrics.suite.enforced import in_loss, sentence
from jetvae_jax.report import about
from jetvae_jax.report import responses as of_responses


class Inputs(NamedTuple):
    """What is compared.

    Attributes:
        names: of the C columns.
        real: ``[J, C]`` events the others are compared with.
        candidates: name to events ``[M, C]`` to evaluate.
        truth: ``[T, C]`` further real events, whose metrics are the floor.
        notes: of the readers, and what was chosen.
        sources: name to the metadata of its file.
        title: for the report.
        num_train: events that trained the model; 0 if none did, or not known.
    """

    names: tuple[str, ...]
    real: np.ndarray
    candidates: dict[str, np.ndarray]
    truth: np.ndarray
    notes: list[str]
    sources: dict[str, Any]
    title: str
    num_train: int


def gather(
    folder: Workdir, trained: Any, config: EvaluateConfig, files: Data
) -> Inputs:
    """The events that the config names, from the workdir where it names none.

    Args:
        folder: of the run.
        trained: the run's TrainedModel, or None.
        config: which events.
        files: how to read files; a trained model's own columns come first.

    Raises:
        InputError: nothing to compare, or whatever is wrong with a file.
    """
    how = files
    if trained is not None:  # whose number of events is that of the training
        how = dataclasses.replace(trained.run.data, max_events=0)
    notes: list[str] = []
    sources: dict[str, Any] = {}
    if not config.real:
        assert trained is not None
        sources["real"] = trained.meta["source"]
    columns: tuple[str, ...] = how.columns

    def read(name: str, path: str, changes: Mapping[str, Any]) -> np.ndarray:
        nonlocal columns
        # The data set or tree is that of the training's file, not of every other one.
        table = how.read(path, columns=columns, key="", **changes)
        columns = table.names
        logging.info("%s: %s events in %s", name, f"{len(table.values):,}", path)
        notes.extend(f"{name}: {note}" for note in table.notes)
        sources[name] = table.source
        return table.values

    found = inputs.gather(
        config, trained,
        lambda name, path: read(name, path, {}),
        # Generated events are evaluated as they are, even if a column is constant.
        lambda name, path: read(name, path, {"repair": True, "constant": True}),
        suffix=SUFFIX, what="events", notes=notes,
    )  # fmt: skip
    return Inputs(
        columns, found.real, found.candidates, found.truth, notes, sources, found.title,
        found.num_train,
    )  # fmt: skip


def evaluate(
    folder: Workdir,
    trained: Any,
    config: EvaluateConfig,
    files: Data,
) -> pathlib.Path:
    """Write ``evaluation.{json,txt}`` and ``report.html``.

    Args:
        folder: of a run, or where to write.
        trained: the run's TrainedModel, or None.
        config: which events are compared with which.
        files: how to read files where no run says it.

    Returns:
        The path of the report.
    """
    inputs.no_condition(config)
    events = gather(folder, trained, config, files)
    names, real = events.names, events.real
    size = max(map(len, events.candidates.values()))
    logging.info(
        "comparing %s with %s real events", ", ".join(events.candidates),
        f"{len(real):,}",
    )  # fmt: skip
    floor = metrics.floor(real, events.truth, names, size=size, seed=config.seed)
    evaluated = {
        name: metrics.compare(real, made, names)
        for name, made in events.candidates.items()
    }
    if config.classify:
        for name, made in {"floor": events.truth[:size], **events.candidates}.items():
            logging.info("training classifiers on %s", name)
            values = floor if name == "floor" else evaluated[name]
            values["c2st"] = classify(real, made, names, seed=config.seed)
    bounds = _conditions(trained, events)
    generator = None if config.generated else trained  # of the events
    answers = None
    if generator and not config.real and generator.run.scaling.conditions:
        logging.info("comparing in bins of the conditions")
        answers = conditional.compare(
            seeds.key(config.seed), generator, real, responses.task(generator)
        )
    held = sorted(in_loss(generator.run.objective)) if generator else []
    no_check = [name for name in names if name in held]
    no_check += ["ks_mean"] if no_check else []
    result = {
        "names": list(names),
        "events": len(real),
        "floor": floor,
        "candidates": evaluated,
        "trained_on": held,
        "no_check": no_check,
        **inputs.provenance(trained),
        "notes": events.notes,
        "sources": events.sources,
        "conditions": bounds,
        "responses": answers,
    }
    blocks = [report.text({"floor": floor, **evaluated}, names, no_check)]
    blocks += [f"{sentence(held)}\n" if held else "", text(bounds)]
    blocks.append(of_responses.text(answers))
    record(folder, result, "\n".join(filter(None, blocks)))
    history = generator.history() if generator else {}
    return report.write(
        folder / "report.html",
        title=events.title,
        about=about.of_evaluation(generator, config, events.num_train, "events"),
        summary=events.notes,
        evaluation=result,
        samples={"input": real, **events.candidates},
        names=names,
        history=history,
    )


def _conditions(trained: Any, events: Inputs) -> dict[str, Any]:
    """Boundary conditions of the real events and of the candidates."""
    columns = kinds.find(events.names, events.real)
    if trained is not None:  # its user may have given other kinds
        columns = columns_of(trained.run.scaling)
    limits = conditions.limits(events.truth)
    return gathered(
        {
            name: conditions.conditions(columns, limits, values)
            for name, values in {"real": events.real, **events.candidates}.items()
        }
    )


def observables(run: Any, samples: Any) -> dict[str, np.ndarray]:
    """The columns of events by name, ``[J]`` each."""
    return dict(zip(run.data.columns, np.asarray(samples).T, strict=True))


def unchecked(run: Any, *, deterministic: bool = True) -> frozenset[str]:
    """Columns that the training loss of a run pulls to their true values."""
    del deterministic
    return in_loss(run.objective)


def headlines(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Three metrics of every sample, for a summary.

    Args:
        result: the contents of ``evaluation.json``.
    """
    samples = {**result["candidates"], "floor": result["floor"]}
    names = {"ks_mean": "KS, mean", "spearman": "Spearman", "c2st": "AUC"}
    if any("c2st" not in found for found in samples.values()):
        names = names | {"spearman_largest": "largest"}
        del names["c2st"]
    return [
        (
            label,
            ", ".join(
                f"{n} {report.cell(found[metric])}" for n, found in samples.items()
            ),
        )
        for metric, label in names.items()
    ]


def classify(
    real: np.ndarray, made: np.ndarray, names: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """Can a small network tell made events from real ones? See ``metrics.c2st``.

    It sees logarithms, logits and angles as the transforms of the real columns give
    them: what a heavy tail would hide from it, it then finds.
    """
    columns = kinds.find(names, real)
    scaler = transform.fit(transform.Config(), columns, real)
    scale = jax.jit(lambda values: transform.scale(columns, scaler, values).x[:, 0])
    x, y = (np.asarray(scale(values)) for values in (real, made))
    return c2st_table(seeds.key(seed), x, y)
