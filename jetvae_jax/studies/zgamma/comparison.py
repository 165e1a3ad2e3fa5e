"""Six models of Z gamma events, several trainings each, compared by the same metrics.

The comparison of Stevenson, Kruger 2022. Every pair of model and seed has a folder of
its own in the workdir: after an interruption the same call continues and skips what is
done.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax.core import configs
from jetvae_jax.core.configs import PositiveInt, versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, read_lines
from jetvae_jax.core.words import counted
from jetvae_jax.events import metrics
from jetvae_jax.events.evaluation import classify
from jetvae_jax.events.loading import load as read
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import CopulaRun, FlowRun, GenerateConfig, ModelRun
from jetvae_jax.runs.generation import generate
from jetvae_jax.runs.latent_density import fit_density
from jetvae_jax.runs.trained import METRICS, load_model
from jetvae_jax.runs.training import train
from jetvae_jax.studies.zgamma import report, verdict
from jetvae_jax.training.progress import clock

DONE = "metrics.json"
"""Results of a model and seed; there once it is evaluated."""


class Candidate(NamedTuple):
    """A model, and how events are made with it.

    Attributes:
        name: for the table.
        vae: the training.
        latents: as in ``GenerateConfig``; a flow or copula is fitted after the
            training.
        flow: the fit of the flow.
        copula: the fit of the copula.
    """

    name: str
    vae: ModelRun
    latents: Literal["prior", "flow", "copula", "reconstruction"]
    flow: FlowRun
    copula: CopulaRun

    def seeded(self, seed: int) -> "Candidate":
        """The same with another seed of networks, shuffles and noise."""
        vae = dataclasses.replace(self.vae, seed=seed)
        flow = dataclasses.replace(self.flow, seed=seed)
        copula = dataclasses.replace(self.copula, seed=seed)
        return self._replace(vae=vae, flow=flow, copula=copula)

    def to_json(self) -> dict:
        """The settings that determine the generated events."""
        fits = {"flow": self.flow, "copula": self.copula}
        after = fits[self.latents].to_json() if self.latents in fits else None
        return {"vae": self.vae.to_json(), "latents": self.latents, "after": after}


@configs.config
class CompareConfig:
    """How models are compared.

    Attributes:
        seeds: trainings of each model, whose spread is the error of its results.
        models: which of the models; empty for all.
        classify: train classifiers to distinguish generated events from real ones.
    """

    seeds: PositiveInt = 3
    models: tuple[str, ...] = ()
    classify: bool = True


def compare(
    workdir: str | pathlib.Path, candidates: Sequence[Candidate], config: CompareConfig
) -> int:
    """Train, generate and evaluate; write ``comparison.{json,csv,txt,html}``.

    Args:
        workdir: holds a folder for each model, and in it one for each seed.
        candidates: models of the same events.
        config: how many of which.

    Returns:
        The signal that stopped a training, or 0.

    Raises:
        InputError: trainings of different data, a folder of other settings, or
            whatever a training raises.
    """
    announce_missing()
    folder = Workdir(workdir)
    first = candidates[0].vae
    for model in candidates:
        if (model.vae.domain, model.vae.data) != ("events", first.data):
            raise InputError(
                f"{model.name}: is trained on other data than {candidates[0].name}: "
                "models are compared on the same events"
            )
    jobs = [(model.seeded(s), s) for s in range(config.seeds) for model in candidates]
    paths = [where(folder, model, seed) for model, seed in jobs]
    left = sum(not (path / DONE).exists() for path in paths)
    logging.info("%s, %d to do", counted(len(jobs), "training"), left)
    start, done = time.monotonic(), 0
    results: dict[str, list[dict]] = {model.name: [] for model in candidates}
    for (model, seed), path in zip(jobs, paths, strict=True):
        if not (path / DONE).exists():
            if signal := _train_and_generate(path, model):
                return signal
            _evaluate(path, model, config)
            done += 1
            rest = (time.monotonic() - start) / done * (left - done)
            logging.info(
                "%s, seed %d: done; %d of %d left, about %s",
                model.name, seed, left - done, left, clock(rest),
            )  # fmt: skip
        results[model.name].append(_done(path, model, config))
    _write(folder, candidates, results, config)
    return 0


def where(folder: Workdir, model: Candidate, seed: int) -> pathlib.Path:
    """The folder of a model's training."""
    return folder / model.name.replace("+", "_") / f"seed{seed}"


def _train_and_generate(path: pathlib.Path, model: Candidate) -> int:
    if signal := train(path, model.vae).signal_number:
        return signal
    if model.latents != "prior":
        fitted = fit_density(
            path, model.flow if model.latents == "flow" else model.copula
        )
        if fitted and fitted.signal_number:
            return fitted.signal_number
    generate(path, GenerateConfig(latents=model.latents, seed=model.vae.seed))
    return 0


def _generated(path: pathlib.Path, model: Candidate) -> np.ndarray:
    """The generated events ``[M, C]``."""
    table = read(str(path / f"generated_{model.latents}.hdf5"), constant=True)
    return table.values


def _evaluate(path: pathlib.Path, model: Candidate, config: CompareConfig) -> None:
    parts, names = dataset.load("events", model.vae.data), model.vae.data.columns
    generated, folder = _generated(path, model), Workdir(path)
    found = metrics.compare(parts.test, generated, names)
    if config.classify:
        found["c2st"] = classify(parts.test, generated, names, seed=model.vae.seed)
    trained = load_model(path)
    sizes = {
        name: sum(leaf.size for leaf in jax.tree.leaves(part))
        for name, part in trained.params.items()
    }
    history = trained.history()
    seconds = sum(row["seconds"] for rows in history.values() for row in rows)
    folder.write_json(
        DONE,
        {
            "settings": model.to_json(),
            "metrics": found,
            "parameters": sizes,
            "seconds": round(seconds, 1),
            "best_epoch": trained.meta["best_epoch"],
        },
    )


def _done(path: pathlib.Path, model: Candidate, config: CompareConfig) -> dict:
    found = json.loads((path / DONE).read_text())
    if found["settings"] != model.to_json():
        raise InputError(
            f"{path}: holds a run with other settings: give another --workdir, or "
            "delete that folder to train it again"
        )
    if config.classify and "c2st" not in found["metrics"]:
        _evaluate(path, model, config)
        return _done(path, model, config)
    return found


def _write(
    folder: Workdir,
    candidates: Sequence[Candidate],
    found: dict[str, list[dict]],
    config: CompareConfig,
) -> None:
    first = candidates[0].vae
    parts, names = dataset.load("events", first.data), first.data.columns
    size = len(parts.test)
    floor = metrics.floor(parts.test, parts.train, names, size=size)
    if config.classify:
        logging.info("training classifiers on other real events")
        floor["c2st"] = classify(parts.test, parts.train[:size], names, seed=0)
    models = {
        name: metrics.over_seeds([row["metrics"] for row in rows])
        | {
            "parameters": rows[0]["parameters"],
            "seconds": float(np.mean([row["seconds"] for row in rows])),
            "best_epochs": [row["best_epoch"] for row in rows],
        }
        for name, rows in found.items()
    }
    result: dict[str, Any] = {
        "names": list(names),
        "events": size,
        "training_events": len(parts.train),
        "seeds": config.seeds,
        "floor": floor,
        "models": models,
        "verdict": verdict.of(models, floor),
        "settings": {model.name: model.to_json() for model in candidates},
        "versions": versions(),
        "source": parts.source,
        "notes": list(parts.notes),
    }
    folder.write_json("comparison.json", result)
    folder.write_text("comparison.csv", report.csv(result))
    logging.info("tables: %s", folder.write_text("comparison.txt", report.text(result)))
    logging.info("drawing the report")
    samples, history = {"input": parts.test}, {}
    for model in candidates:
        path = where(folder, model, 0)
        samples[model.name] = _generated(path, model)
        history[model.name] = read_lines(path / METRICS)
        if model.latents == "flow":
            history[f"{model.name}, flow"] = read_lines(path / "flow.metrics.jsonl")
    report.write(folder / "comparison.html", result, samples, history)
