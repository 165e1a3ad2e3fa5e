"""Which loss gives the better digits: the same VAE with each loss, several seeds."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import jax
from absl import logging

from jetvae_jax.core.files import Workdir, read_lines
from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import evaluation, metrics
from jetvae_jax.images.domain import Data
from jetvae_jax.images.report import LOSS_LABELS
from jetvae_jax.report import about
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import FlowRun, GenerateConfig, ModelRun
from jetvae_jax.runs.generation import generated_samples
from jetvae_jax.runs.trained import METRICS, TrainedModel, load_model
from jetvae_jax.studies import trainings
from jetvae_jax.studies.digit_losses import report, verdict
from jetvae_jax.studies.trainings import Candidate
from jetvae_jax.training.logs import NO_LOGS, Logs


def compare(
    workdir: str | os.PathLike,
    runs: Mapping[str, ModelRun],
    flow: FlowRun,
    *,
    seeds: Sequence[int],
    log: Logs = NO_LOGS,
) -> int:
    """Train, fit the flow and evaluate every run with every seed; table and pictures.

    Writes a workdir for each, ``compare.json``, ``compare.txt`` (Markdown) and
    ``compare.html``. All runs are evaluated by their positions, and those that have
    intensities by both. What is done is not done again.

    Args:
        workdir: folder of all of them.
        runs: name to run; all of the same data.
        flow: fitted to each.
        seeds: of training and flow.
        log: of the trainings; see :mod:`jetvae_jax.training.logs`.

    Returns:
        The signal that stopped a training, or 0.

    Raises:
        InputError: bad data or settings.
    """
    announce_missing()
    folder = Workdir(workdir)
    candidates = [Candidate(name, run, "flow", flow, log) for name, run in runs.items()]
    first = candidates[0]
    parts = dataset.load(first.vae.domain, first.vae.data)

    def evaluate(path: pathlib.Path, candidate: Candidate) -> dict:
        del candidate
        trained = load_model(path)
        samples = _generated(trained, parts)
        return {"metrics": _evaluate(folder, trained, parts, samples)}

    def where(candidate: Candidate, seed: int) -> pathlib.Path:
        return folder / f"{candidate.name}_{seed}"

    done = trainings.over_seeds(candidates, seeds, where=where, evaluate=evaluate)
    if done.signal_number:
        return done.signal_number
    found = {
        name: [one["metrics"] for one in results]
        for name, results in done.results.items()
    }
    shown = {}
    for candidate in candidates:
        trained = load_model(where(candidate, seeds[0]))
        shown[candidate.name] = _generated(trained, parts) | _few(trained, parts)
    result = {
        "seeds": list(seeds),
        "runs": {name: run.to_json() for name, run in runs.items()},
        "metrics": found,
    }
    folder.write_json("compare.json", result)
    logging.info("tables: %s", folder.write_text("compare.txt", verdict.text(found)))
    _report(folder, first.vae.data, parts, found, shown, seeds)
    return 0


def _generated(trained: TrainedModel, parts) -> dict[str, PixelSets]:
    """Reconstructions of the test part, and as many generated sets."""
    made = {
        kind: generated_samples(trained, GenerateConfig(latents=kind))
        for kind in verdict.SAMPLES
    }
    made["reconstruction"] = made["reconstruction"]._replace(labels=parts.test.labels)
    return made


def _evaluate(
    folder: Workdir, trained: TrainedModel, parts, samples
) -> dict[str, dict]:
    """Metrics of a trained run in each view."""
    found = {}
    for view, intensity in verdict.VIEWS.items():
        if intensity and not trained.run.scaling.intensity:
            continue
        classifier, _ = evaluation.trained_classifier(
            folder, trained.run.data, intensity=intensity
        )
        plain = (lambda s: s) if intensity else evaluation.without_intensity
        result = metrics.digit_table(
            jax.random.key(42),
            plain(parts.test),
            {kind: plain(sets) for kind, sets in samples.items()},
            classifier=classifier,
            truth=plain(parts.train),
            paired=("reconstruction",),
        )
        found[view] = result["candidates"] | {"floor": result["floor"]}
    return found


def _few(trained: TrainedModel, parts) -> dict[str, PixelSets]:
    """The first reconstructions of both parts, for the pictures."""
    return {
        part: evaluation.reconstructed(trained, evaluation.first(given))
        for part, given in (("test", parts.test), ("training", parts.train))
    }


def _report(
    folder: Workdir,
    data: Data,
    parts: dataset.Dataset,
    found: Mapping[str, Sequence[Mapping]],
    shown: Mapping[str, Mapping[str, PixelSets]],
    seeds: Sequence[int],
) -> None:
    labels = {name: LOSS_LABELS.get(name, name) for name in shown}
    given = {"test": parts.test, "training": parts.train}
    whole = evaluation.whole_images(data)
    report.write(
        folder / "compare.html",
        about=about.table(
            seed=", ".join(map(str, seeds)),
            training=f"{len(parts.train.labels):,} images",
        ),
        tables={view: verdict.table(found, view) for view in verdict.VIEWS},
        verdicts={view: verdict.verdict(found, view) for view in verdict.VIEWS},
        reconstructed={
            part: whole.get(part, {})
            | {"input": evaluation.first(sets)}
            | {labels[name]: samples[part] for name, samples in shown.items()}
            for part, sets in given.items()
        },
        generated={
            kind: {"real": parts.test}
            | {labels[name]: samples[kind] for name, samples in shown.items()}
            for kind in verdict.SAMPLES[1:]
        },
        again={"input": parts.test}
        | {labels[name]: samples["reconstruction"] for name, samples in shown.items()},
        history={
            name: read_lines(folder / f"{name}_{seeds[0]}" / METRICS) for name in shown
        },
        superpixels=data.form == "superpixels",
    )
