"""Models of jets, several trainings each: reconstruction, generation, substructure."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from absl import logging

from jetvae_jax import metrics
from jetvae_jax.core.configs import versions
from jetvae_jax.core.files import Workdir, read_lines
from jetvae_jax.core.types import Array, Jets
from jetvae_jax.data.splits import Dataset
from jetvae_jax.data.streaming import count, head
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.suite.protocols import JETNET_50K
from jetvae_jax.observables.jets import relative
from jetvae_jax.observables.named import observable
from jetvae_jax.observables.substructure import NAMES as SUBSTRUCTURE
from jetvae_jax.observables.substructure import substructure
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig, ModelRun
from jetvae_jax.runs.generation import generated_samples
from jetvae_jax.runs.trained import METRICS, TrainedModel, load_model
from jetvae_jax.studies import trainings
from jetvae_jax.studies.jet_models import report, results
from jetvae_jax.studies.trainings import Candidate

MAX_TEST = 100_000  # jets of the test part that are compared, at most
SEED = 42  # of the metrics' draws
# Of the protocol, what the tables show: coverage and KPD take most of the time.
PROTOCOL = dataclasses.replace(JETNET_50K, cov_mmd=None, kpd=None, fpnd=None)


def compare(
    workdir: str | pathlib.Path, candidates: Sequence[Candidate], seeds: Sequence[int]
) -> int:
    """Train, fit the flow, evaluate; write ``comparison.{json,txt,html}``.

    Args:
        workdir: holds a folder for each model, and in it one for each seed.
        candidates: VAEs of the same jets, with the flow that is fitted to each.
        seeds: of training and flow.

    Returns:
        The signal that stopped a training, or 0.

    Raises:
        InputError: trainings of different data, a folder of other settings, or whatever
            a training raises.
    """
    announce_missing()
    folder = Workdir(workdir)
    runs = {candidate.name: candidate.vae for candidate in candidates}
    results.check(runs)
    parts = dataset.load("jets", candidates[0].vae.data)
    done = trainings.over_seeds(
        candidates,
        seeds,
        where=lambda candidate, seed: _where(folder, candidate.name, seed),
        evaluate=functools.partial(_evaluate, parts),
    )
    if done.signal_number:
        return done.signal_number
    found = {
        name: [one["metrics"] for one in own] for name, own in done.results.items()
    }
    floor, shortages = _floor(parts)
    notes = [*parts.notes, *shortages]
    folder.write_json(
        "comparison.json",
        {
            "seeds": list(seeds),
            "test_jets": min(count(parts.test), MAX_TEST),
            "training_jets": count(parts.train),
            "floor": floor,
            "metrics": found,
            "parameters": {n: own[0]["parameters"] for n, own in done.results.items()},
            "seconds": {
                n: [one["seconds"] for one in own] for n, own in done.results.items()
            },
            "settings": {c.name: c.to_json() for c in candidates},
            "versions": versions(),
            "source": parts.source,
            "notes": notes,
        },
    )
    text = results.text(found, runs, floor)
    text += "".join(f"note: {line}\n" for line in notes)
    tables = folder.write_text("comparison.txt", text)
    logging.info("tables: %s", tables)
    _report(folder, parts, done.results, runs, floor, seeds, notes)
    return 0


def _where(folder: Workdir, name: str, seed: int) -> pathlib.Path:
    return folder / name / f"seed{seed}"


def _evaluate(parts: Dataset, path: pathlib.Path, candidate: Candidate) -> dict:
    del candidate
    trained = load_model(path)
    samples = {kind: _sample(trained, kind) for kind in results.GENERATED}
    found, _ = _measured(head(parts.test, MAX_TEST), samples)
    found["paired"] = _paired(head(parts.test, MAX_TEST), samples["reconstruction"])
    history = trained.history()
    seconds = sum(row["seconds"] for rows in history.values() for row in rows)
    return {
        "metrics": found,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(trained.params)),
        "seconds": round(seconds, 1),
        "best_epoch": trained.meta["best_epoch"],
    }


def _sample(trained: TrainedModel, kind) -> Jets:
    """Reconstructions of the first test jets, or as many generated jets."""
    number = min(count(trained.data().test), MAX_TEST)
    config = GenerateConfig(latents=kind, num_jets=number, seed=trained.run.seed)
    return generated_samples(trained, config)


def _measured(
    real: Jets, samples: Mapping[str, Jets]
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Metrics of each sample, by the protocol jetnet_50k, in one flat dict.

    And what to know of them: where the protocol asks for more jets than there are.
    """
    result = metrics.evaluate(jax.random.key(SEED), real, samples, protocol=PROTOCOL)
    found, protocol = result["candidates"], PROTOCOL.name
    values = {
        name: {m: one["protocols"][protocol][m]["value"] for m in results.METRICS}
        | {f"ks_{name}": one["jet"][name]["ks"] for name in results.DISTRIBUTIONS}
        for name, one in found.items()
    }
    return values, result["notes"]


def _paired(real: Jets, reconstructed: Jets) -> dict[str, float]:
    """Error of each observable of a reconstruction; 1 is that of another real jet.

    The median difference from its own jet, over the median difference of two real
    jets: a mean would be that of the few jets in the tails. Of polynomials it is the
    mean over those of the degree.
    """
    values = {}
    given = (Jets(*jets[:2]) for jets in (real, reconstructed))
    before, after = (map_chunks(_observed, jets) for jets in given)
    for name, x in before.items():
        apart = np.abs(x - np.roll(x, 1, axis=0))
        scale = np.maximum(np.median(apart, axis=0), np.finfo(x.dtype).tiny)
        own = np.median(np.abs(x - after[name]), axis=0)
        values[name] = float(np.mean(own / scale))
    return values


def _observed(jets: Jets) -> dict[str, Array]:
    """Observables ``[J, K]`` of jets; those of the substructure in one pass."""
    inside = [name for name in results.PAIRED if name in SUBSTRUCTURE]
    found = substructure(relative(jets), names=inside)
    return {
        name: found[name][:, None]
        if name in found
        else observable(jets.particles, jets.mask, name=name)
        for name in results.PAIRED
    }


def _floor(parts: Dataset) -> tuple[dict[str, dict[str, float]], list[str]]:
    """The metrics of other real jets, the same for every sample; notes on them."""
    real = head(parts.test, MAX_TEST)
    other = head(parts.train, count(real))
    found, notes = _measured(real, {"floor": other})
    return dict.fromkeys(results.GENERATED, found["floor"]), notes


def _report(
    folder: Workdir,
    parts: Dataset,
    done: Mapping[str, Sequence[Mapping]],
    runs: Mapping[str, ModelRun],
    floor: results.Results,
    seeds: Sequence[int],
    notes: Sequence[str],
) -> None:
    logging.info("drawing the report")
    first = {name: _where(folder, name, seeds[0]) for name in runs}
    real = head(parts.test, MAX_TEST)
    report.write(
        folder / "comparison.html",
        found={name: [one["metrics"] for one in own] for name, own in done.items()},
        runs=runs,
        floor=floor,
        sizes={
            name: (own[0]["parameters"], [one["seconds"] for one in own])
            for name, own in done.items()
        },
        seeds=seeds,
        jets=(count(parts.train), count(real)),
        notes=notes,
        samples={"input": real}
        | {name: _sample(load_model(path), "flow") for name, path in first.items()},
        history={name: read_lines(path / METRICS) for name, path in first.items()},
    )
