"""Several models of events, several seeds each, under one measure.

Every pair of model and seed has a folder of its own in the workdir: the same call goes
on after any stop and passes over what is done.
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

from jetvae_jax.core.errors import InputError, at_least
from jetvae_jax.core.files import Workdir
from jetvae_jax.events import metrics
from jetvae_jax.events.evaluation import classify
from jetvae_jax.events.loading import load as read
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import CopulaRun, FlowRun, GenerateConfig, VAERun, versions
from jetvae_jax.runs.fit_copula import fit_copula
from jetvae_jax.runs.fit_flow import METRICS as FLOW_METRICS
from jetvae_jax.runs.fit_flow import fit_flow
from jetvae_jax.runs.generate import generate
from jetvae_jax.runs.train import METRICS, load_vae, train
from jetvae_jax.studies.zgamma import report, verdict
from jetvae_jax.training.progress import clock

DONE = "figures.json"


class Contender(NamedTuple):
    """A model, and how events are made with it.

    Attributes:
        name: for the table.
        vae: the training.
        latents: as of a ``GenerateConfig``; a flow or copula is fitted after the
            training.
        flow: the fit of the flow.
        copula: the fit of the copula.
    """

    name: str
    vae: VAERun
    latents: Literal["prior", "flow", "copula", "reconstruction"]
    flow: FlowRun
    copula: CopulaRun

    def seeded(self, seed: int) -> "Contender":
        """The same with another seed of networks, shuffles and noise."""
        vae = dataclasses.replace(self.vae, seed=seed)
        flow = dataclasses.replace(self.flow, seed=seed)
        copula = dataclasses.replace(self.copula, seed=seed)
        return self._replace(vae=vae, flow=flow, copula=copula)

    def to_json(self) -> dict:
        """What decides the events that it makes."""
        fits = {"flow": self.flow, "copula": self.copula}
        after = fits[self.latents].to_json() if self.latents in fits else None
        return {"vae": self.vae.to_json(), "latents": self.latents, "after": after}


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """How models are compared.

    Attributes:
        seeds: trainings of each model; the spread of its figures is theirs.
        models: which of the models; empty for all.
        classify: train classifiers to tell made events from real ones.
    """

    seeds: int = 3
    models: tuple[str, ...] = ()
    classify: bool = True

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        at_least(self, seeds=1)


def compare(
    workdir: str | pathlib.Path, contenders: Sequence[Contender], config: CompareConfig
) -> int:
    """Train, generate and judge; write ``comparison.{json,csv,txt,html}``.

    Args:
        workdir: holds a folder a model, and in it one a seed.
        contenders: models of the same events.
        config: how many of which.

    Returns:
        The signal that stopped a training, or 0.

    Raises:
        InputError: trainings of different data, a folder of other settings, or
            whatever a training raises.
    """
    folder = Workdir(workdir)
    first = contenders[0].vae
    for one in contenders:
        if (one.vae.domain, one.vae.data) != ("events", first.data):
            raise InputError(
                f"{one.name}: is trained on other data than {contenders[0].name}: "
                "models are compared on the same events"
            )
    jobs = [(one.seeded(s), s) for s in range(config.seeds) for one in contenders]
    paths = [where(folder, one, seed) for one, seed in jobs]
    left = sum(not (path / DONE).exists() for path in paths)
    logging.info("%d trainings, %d to do", len(jobs), left)
    start, done = time.monotonic(), 0
    figures: dict[str, list[dict]] = {one.name: [] for one in contenders}
    for (one, seed), path in zip(jobs, paths, strict=True):
        if not (path / DONE).exists():
            if signal := _make(path, one):
                return signal
            _judge(path, one, config)
            done += 1
            rest = (time.monotonic() - start) / done * (left - done)
            logging.info(
                "%s, seed %d: done; %d of %d left, about %s",
                one.name, seed, left - done, left, clock(rest),
            )  # fmt: skip
        figures[one.name].append(_done(path, one, config))
    _write(folder, contenders, figures, config)
    return 0


def where(folder: Workdir, one: Contender, seed: int) -> pathlib.Path:
    """The folder of a model's training."""
    return folder / one.name.replace("+", "_") / f"seed{seed}"


def _make(path: pathlib.Path, one: Contender) -> int:
    if signal := train(path, one.vae).signal_number:
        return signal
    if one.latents == "flow" and (signal := fit_flow(path, one.flow).signal_number):
        return signal
    if one.latents == "copula" and (signal := fit_copula(path, one.copula)):
        return signal
    generate(path, GenerateConfig(latents=one.latents, seed=one.vae.seed))
    return 0


def _made(path: pathlib.Path, one: Contender) -> np.ndarray:
    """The generated events ``[M, C]``."""
    table = read(str(path / f"generated_{one.latents}.hdf5"), constant=True)
    return table.values


def _judge(path: pathlib.Path, one: Contender, config: CompareConfig) -> None:
    parts, names = dataset.load("events", one.vae.data), one.vae.data.columns
    made, folder = _made(path, one), Workdir(path)
    figures = metrics.compare(parts.test, made, names)
    if config.classify:
        figures["c2st"] = classify(parts.test, made, names, seed=one.vae.seed)
    trained = load_vae(path)
    sizes = {
        name: sum(leaf.size for leaf in jax.tree.leaves(part))
        for name, part in trained.params.items()
    }
    files = {"training": METRICS}
    files |= {"flow": FLOW_METRICS} if one.latents == "flow" else {}
    history = {name: folder.read_lines(file) for name, file in files.items()}
    seconds = sum(row["seconds"] for rows in history.values() for row in rows)
    folder.write_json(
        DONE,
        {
            "settings": one.to_json(),
            "figures": figures,
            "parameters": sizes,
            "seconds": round(seconds, 1),
            "best_epoch": trained.meta["best_epoch"],
        },
    )


def _done(path: pathlib.Path, one: Contender, config: CompareConfig) -> dict:
    found = json.loads((path / DONE).read_text())
    if found["settings"] != one.to_json():
        raise InputError(
            f"{path}: holds a run with other settings: give another --workdir, or "
            "delete that folder to train it anew"
        )
    if config.classify and "c2st" not in found["figures"]:
        _judge(path, one, config)
        return _done(path, one, config)
    return found


def _write(
    folder: Workdir,
    contenders: Sequence[Contender],
    found: dict[str, list[dict]],
    config: CompareConfig,
) -> None:
    first = contenders[0].vae
    parts, names = dataset.load("events", first.data), first.data.columns
    size = len(parts.test)
    floor = metrics.floor(parts.test, parts.train, names, size=size)
    if config.classify:
        logging.info("training classifiers on other real events")
        floor["c2st"] = classify(parts.test, parts.train[:size], names, seed=0)
    models = {
        name: metrics.over_seeds([row["figures"] for row in rows])
        | {
            "parameters": rows[0]["parameters"],
            "seconds": float(np.mean([row["seconds"] for row in rows])),
            "best_epochs": [row["best_epoch"] for row in rows],
        }
        for name, rows in found.items()
    }
    judged: dict[str, Any] = {
        "names": list(names),
        "events": size,
        "seeds": config.seeds,
        "floor": floor,
        "models": models,
        "verdict": verdict.of(models, floor),
        "settings": {one.name: one.to_json() for one in contenders},
        "versions": versions(),
        "source": parts.source,
        "notes": list(parts.notes),
    }
    folder.write_json("comparison.json", judged)
    folder.write_text("comparison.csv", report.csv(judged))
    text = report.text(judged)
    folder.write_text("comparison.txt", text)
    for line in text.splitlines():
        logging.info("%s", line)
    logging.info("drawing the report")
    samples, history = {"input": parts.test}, {}
    for one in contenders:
        path = where(folder, one, 0)
        samples[one.name] = _made(path, one)
        history[one.name] = Workdir(path).read_lines(METRICS)
        if one.latents == "flow":
            history[f"{one.name}, flow"] = Workdir(path).read_lines(FLOW_METRICS)
    report.write(folder / "comparison.html", judged, samples, history)
