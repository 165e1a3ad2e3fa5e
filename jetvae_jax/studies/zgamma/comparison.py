"""Six models of Z gamma events, several trainings each, compared by the same metrics.

The comparison of Stevenson, Kruger 2022. Every pair of model and seed has a folder of
its own in the workdir: after an interruption the same call continues and skips what is
done.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from jetvae_jax.core import configs
from jetvae_jax.core.configs import PositiveInt, versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, read_lines
from jetvae_jax.events import metrics
from jetvae_jax.events.evaluation import classify
from jetvae_jax.events.loading import load as read
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.trained import METRICS, load_model
from jetvae_jax.runs.writing import generate
from jetvae_jax.studies import trainings
from jetvae_jax.studies.trainings import Candidate
from jetvae_jax.studies.zgamma import report, verdict


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
    done = trainings.over_seeds(
        candidates,
        range(config.seeds),
        where=functools.partial(where, folder),
        evaluate=functools.partial(_evaluate, config),
        complete=lambda found: not config.classify or "c2st" in found["metrics"],
    )
    if done.signal_number:
        return done.signal_number
    _write(folder, candidates, done.results, config)
    return 0


def where(folder: Workdir, model: Candidate, seed: int) -> pathlib.Path:
    """The folder of a model's training."""
    return folder / model.name.replace("+", "_") / f"seed{seed}"


def _generated(path: pathlib.Path, model: Candidate) -> np.ndarray:
    """The generated events ``[M, C]``."""
    table = read(str(path / f"generated_{model.latents}.hdf5"), constant=True)
    return table.values


def _evaluate(config: CompareConfig, path: pathlib.Path, model: Candidate) -> dict:
    generate(path, GenerateConfig(latents=model.latents, seed=model.vae.seed))
    parts, names = dataset.load("events", model.vae.data), model.vae.data.columns
    generated = _generated(path, model)
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
    return {
        "metrics": found,
        "parameters": sizes,
        "seconds": round(seconds, 1),
        "best_epoch": trained.meta["best_epoch"],
    }


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
