"""Evaluation of generated showers: metrics, response, tables, report."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Showers
from jetvae_jax.metrics import binned, inputs
from jetvae_jax.metrics.conditions import gathered, text
from jetvae_jax.metrics.frechet.physics import MAX_SAMPLES
from jetvae_jax.metrics.inputs import EvaluateConfig, record
from jetvae_jax.metrics.suite.enforced import in_loss, sentence
from jetvae_jax.observables.named import fixed_by
from jetvae_jax.report import about, tables
from jetvae_jax.showers import conditions, incident, metrics, report
from jetvae_jax.showers import geometry as geometries
from jetvae_jax.showers import load as reading
from jetvae_jax.showers.domain import SUFFIX, Data
from jetvae_jax.showers.geometry import Geometry
from jetvae_jax.showers.observables import COMPUTED

ENERGY_BINS = 6
NEARLY = 1.02
"""So far beyond the energies of the training an energy counts as within."""


class Inputs(NamedTuple):
    """What is compared.

    Attributes:
        geometry: of the C cells.
        real: ``[J, C]`` showers the others are compared with.
        candidates: name to showers ``[M, C]`` to evaluate.
        truth: ``[T, C]`` further real showers, whose metrics are the floor.
        notes: of the readers, and what was chosen.
        sources: name to the metadata of its file.
        title: for the report.
        num_train: showers that trained the model; 0 if none did, or not known.
        reach: smallest and largest incident energy of the training; None: not known.
    """

    geometry: Geometry
    real: Showers
    candidates: dict[str, Showers]
    truth: Showers
    notes: list[str]
    sources: dict[str, Any]
    title: str
    num_train: int
    reach: binned.Reach | None


def gather(
    folder: Workdir, trained: Any, config: EvaluateConfig, files: Data
) -> Inputs:
    """The showers that the config names, from the workdir where it names none.

    Args:
        folder: of the run.
        trained: the run's TrainedModel, or None.
        config: which showers.
        files: how to read files; that of a trained model comes first.

    Raises:
        InputError: nothing to compare, other cells than those of the real showers, or
            whatever is wrong with a file.
    """
    how, cells = files, files.geometry
    if trained is not None:  # whose number of showers is that of the training
        how = dataclasses.replace(trained.run.data, max_showers=0)
        cells = trained.run.scaling.geometry
    notes: list[str] = []
    sources: dict[str, Any] = {}
    reach = None
    if trained is not None:
        low, high = np.asarray(trained.scaler.limits, np.float64)[:, 0]
        reach = float(low / NEARLY), float(high * NEARLY)
    if not config.real:
        assert trained is not None
        sources["real"] = trained.meta["source"]

    def read(name: str, path: str) -> Showers:
        nonlocal cells
        found = reading.load(how, path, cells)
        cells = found.geometry.name
        logging.info(
            "%s: %s showers in %s", name, f"{len(found.showers.energy):,}", path
        )
        notes.extend(f"{name}: {note}" for note in found.notes)
        sources[name] = found.source
        return found.showers

    found = inputs.gather(
        config, trained, read, read, suffix=SUFFIX, what="showers", notes=notes
    )
    return Inputs(
        geometries.get(cells), found.real, found.candidates, found.truth, notes,
        sources, found.title, found.num_train, reach,
    )  # fmt: skip


def evaluate(
    folder: Workdir, trained: Any, config: EvaluateConfig, files: Data
) -> pathlib.Path:
    """Write ``evaluation.{json,txt}`` and ``report.html``.

    Args:
        folder: of a run, or where to write.
        trained: the run's TrainedModel, or None.
        config: which showers are compared with which.
        files: how to read files where no run says it.

    Returns:
        The path of the report.
    """
    inputs.no_condition(config)
    given = gather(folder, trained, config, files)
    geometry = given.geometry
    bounds = _conditions(given)
    given = _above_threshold(given)
    samples = {"input": given.real, **given.candidates}
    size = max(len(showers.energy) for showers in given.candidates.values())
    logging.info(
        "comparing %s with %s real showers", ", ".join(given.candidates),
        f"{len(given.real.energy):,}",
    )  # fmt: skip
    values = {n: metrics.measured(geometry, showers) for n, showers in samples.items()}
    further = metrics.measured(geometry, given.truth)
    floor = metrics.floor(values["input"], further, size=size, seed=config.seed)
    evaluated = {
        name: metrics.compare(values["input"], values[name])
        for name in given.candidates
    }
    others = jax.tree.map(lambda a: a[:size], given.truth)
    key = seeds.key(config.seed)
    for name, showers in {tables.FLOOR: others, **given.candidates}.items():
        row = floor if name == tables.FLOOR else evaluated[name]
        row |= metrics.physics_distances(key, geometry, given.real, showers)
        if config.classify:
            logging.info("training classifiers on %s", name)
            row |= metrics.classified(key, geometry, given.real, showers)
        row["showers"] = len(showers.energy)
    ends = binned.edges(
        np.concatenate([np.asarray(s.energy) for s in samples.values()]),
        ENERGY_BINS, reach=given.reach,
    )  # fmt: skip
    together = _responses(samples, values, ends)
    by_kind = {
        name: _responses(samples, values, ends, kind)
        for name, kind in _kinds(samples).items()
    }
    responses = by_kind or {"": together}
    generator = None if config.generated else trained  # of the showers
    held = sorted(in_loss(generator.run.objective)) if generator else []
    no_check = metrics.no_check(geometry, fixed_by(held, COMPUTED))
    few = min(len(showers.energy) for showers in samples.values())
    if few < MAX_SAMPLES:
        given.notes.append(
            f"FPD: of {MAX_SAMPLES:,} showers asked for there are {few:,}: too large "
            "by the bias of so few, which the errors contain"
        )
    result = {
        "geometry": geometry.name,
        "showers": len(given.real.energy),
        "floor": floor,
        "candidates": evaluated,
        "response": _as_json(together),
        "response_of": {name: _as_json(own) for name, own in by_kind.items()},
        "reach": given.reach,
        "trained_on": held,
        "no_check": no_check,
        **inputs.provenance(trained),
        "notes": given.notes,
        "sources": given.sources,
        "conditions": bounds,
    }
    rows = {tables.FLOOR: floor, **evaluated}
    table = report.text(rows, responses, given.reach, no_check)
    if held:
        table += f"\n{sentence(held)}\n"
    record(folder, result, f"{table}\n{text(bounds)}")
    history: dict[str, list[dict]] = {}
    if generator:
        history = generator.history()
        history = {generator.run.model: history["vae"], "flow": history["flow"]}
    return report.write(
        folder / "report.html",
        title=given.title,
        about=about.of_evaluation(generator, config, given.num_train, "showers"),
        summary=given.notes,
        evaluation=result,
        geometry=geometry,
        samples=samples,
        values=values,
        responses=responses,
        history=history,
    )


def _above_threshold(given: Inputs) -> Inputs:
    """Soft cells count as empty, in all showers."""

    def hard(showers: Showers) -> Showers:
        return reading.above_threshold(given.geometry, showers)[0]

    return given._replace(
        real=hard(given.real),
        truth=hard(given.truth),
        candidates={name: hard(s) for name, s in given.candidates.items()},
    )


def _conditions(given: Inputs) -> dict[str, Any]:
    """Boundary conditions of the real showers and of the candidates."""
    limits = conditions.limits(given.geometry, given.truth)
    return gathered(
        {
            name: conditions.conditions(given.geometry, limits, showers)
            for name, showers in {"real": given.real, **given.candidates}.items()
        }
    )


def _kinds(samples: Mapping[str, Showers]) -> dict[str, int]:
    """Names of the kinds of incident particles, if there are several and all known."""
    if any(showers.kind is None for showers in samples.values()):
        return {}
    what = incident.known(samples["input"])
    return dict(zip(what.classes, what.kinds, strict=True)) if what.kinds[1:] else {}


def _responses(
    samples: Mapping[str, Showers],
    values: Mapping[str, metrics.Values],
    edges: np.ndarray,
    kind: int | None = None,
) -> dict[str, binned.Binned]:
    """Response and resolution of every sample in bins of the incident energy.

    Args:
        samples: by name.
        values: their observables.
        edges: of the bins, in GeV.
        kind: PDG code of the incident particles that are taken; None: all.
    """
    return {
        name: binned.binned(
            values[name]["response"], showers.energy, edges,
            None if kind is None else np.asarray(showers.kind) == kind,
        )
        for name, showers in samples.items()
    }  # fmt: skip


def _as_json(responses: Mapping[str, binned.Binned]) -> dict[str, Any]:
    return {name: binned.as_json(found) for name, found in responses.items()}


def observables(run: Any, samples: Any) -> dict[str, np.ndarray]:
    """Observables of showers by name, ``[J]`` each: energy in GeV and so on."""
    found = metrics.measured(geometries.get(run.scaling.geometry), samples)
    return {name: values for name, values in found.items() if values.ndim == 1}


def unchecked(run: Any, *, deterministic: bool = True) -> frozenset[str]:
    """Observables that the loss of a run held, and those computed from these alone."""
    del deterministic
    return fixed_by(in_loss(run.objective), COMPUTED)


def headlines(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Three metrics of every sample, for a summary.

    Args:
        result: the contents of ``evaluation.json``.
    """
    samples = {**result["candidates"], tables.FLOOR: result["floor"]}
    names = {"ks_mean": "KS, mean", "separation_mean": "separation", "fpd": "FPD"}
    if all("auc_cells" in found for found in samples.values()):
        names = {"ks_mean": "KS, mean", "fpd": "FPD", "auc_cells": "AUC cells"}
    return [
        (
            label,
            ", ".join(
                f"{n} {report.cell(metric, found[metric])}"
                for n, found in samples.items()
            ),
        )
        for metric, label in names.items()
    ]
