"""Which loss makes the better digits: the same VAE with each, and several seeds."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from absl import logging

from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import evaluation, metrics
from jetvae_jax.images.domain import Data
from jetvae_jax.images.report import LOSS_LABELS
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import FlowRun, GenerateConfig, VAERun
from jetvae_jax.runs.fit_flow import CHECKPOINT as FLOW
from jetvae_jax.runs.fit_flow import fit_flow
from jetvae_jax.runs.generate import samples_of
from jetvae_jax.runs.train import METRICS, TrainedVAE, load_vae, train
from jetvae_jax.studies.digit_losses import report, verdict

FIGURES = "figures.json"


def compare(
    workdir: str | os.PathLike,
    runs: Mapping[str, VAERun],
    flow: FlowRun,
    *,
    seeds: Sequence[int],
) -> int:
    """Train, fit the flow and judge every run with every seed; table and pictures.

    Leaves a workdir each, ``compare.json``, ``compare.txt`` (Markdown) and
    ``compare.html``. All runs are judged by their positions, and those that have
    intensities by both. What is done is not done again.

    Args:
        workdir: where they go.
        runs: name to run; all of the same data.
        flow: fitted to each.
        seeds: of training and flow.

    Returns:
        The signal that stopped a training, or 0.

    Raises:
        InputError: bad data or settings.
    """
    folder = Workdir(workdir)
    first = next(iter(runs.values()))
    parts = dataset.load(first.domain, first.data)
    found: dict[str, list[dict]] = {name: [] for name in runs}
    shown: dict[str, dict[str, PixelSets]] = {}
    for seed in seeds:
        for name, run in runs.items():
            own = Workdir(folder / f"{name}_{seed}")
            logging.info("%s, seed %d", name, seed)
            run = dataclasses.replace(run, seed=seed)
            if signal_number := train(own.path, run).signal_number:
                return signal_number
            fitted = fit_flow(own.path, dataclasses.replace(flow, seed=seed))
            if fitted.signal_number:
                return fitted.signal_number
            trained = load_vae(own.path)
            judged = _is_judged(own)
            if not judged or name not in shown:
                made = _made(own, trained, parts)
                shown.setdefault(name, made | _few(trained, parts))
                if not judged:
                    own.write_json(FIGURES, _judge(folder, trained, parts, made))
            found[name].append(json.loads((own / FIGURES).read_text()))
    result = {
        "seeds": list(seeds),
        "runs": {name: run.to_json() for name, run in runs.items()},
        "figures": found,
    }
    folder.write_json("compare.json", result)
    table = verdict.text(found)
    folder.write_text("compare.txt", table)
    for line in table.splitlines():
        logging.info("%s", line)
    _report(folder, first.data, parts, found, shown, seeds[0])
    return 0


def _is_judged(own: Workdir) -> bool:
    """Whether the figures are there, and younger than what they are of."""
    figures, flow = own / FIGURES, own / FLOW
    return figures.exists() and figures.stat().st_mtime >= flow.stat().st_mtime


def _made(own: Workdir, trained: TrainedVAE, parts) -> dict[str, PixelSets]:
    """Reconstructions of the test part, and as many generated sets."""
    made = {}
    for kind in verdict.MADE:
        _, chunks = samples_of(trained, own.path, GenerateConfig(latents=kind))
        chunks = list(chunks)
        made[kind] = PixelSets(*map(np.concatenate, zip(*chunks, strict=True)))
    made["reconstruction"] = made["reconstruction"]._replace(labels=parts.test.labels)
    return made


def _judge(folder: Workdir, trained: TrainedVAE, parts, made) -> dict[str, dict]:
    """Figures of a trained run in each view."""
    figures = {}
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
            {kind: plain(sets) for kind, sets in made.items()},
            classifier=classifier,
            truth=plain(parts.train),
            paired=("reconstruction",),
        )
        figures[view] = result["candidates"] | {"floor": result["floor"]}
    return figures


def _few(trained: TrainedVAE, parts) -> dict[str, PixelSets]:
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
    seed: int,
) -> None:
    labels = {name: LOSS_LABELS.get(name, name) for name in shown}
    given = {"test": parts.test, "training": parts.train}
    whole = evaluation.whole_images(data)
    report.write(
        folder / "compare.html",
        tables={view: verdict.table(found, view) for view in verdict.VIEWS},
        verdicts={view: verdict.verdict(found, view) for view in verdict.VIEWS},
        reconstructed={
            part: whole.get(part, {})
            | {"input": evaluation.first(sets)}
            | {labels[name]: made[part] for name, made in shown.items()}
            for part, sets in given.items()
        },
        generated={
            kind: {"real": parts.test}
            | {labels[name]: made[kind] for name, made in shown.items()}
            for kind in verdict.MADE[1:]
        },
        again={"input": parts.test}
        | {labels[name]: made["reconstruction"] for name, made in shown.items()},
        history={
            name: Workdir(folder / f"{name}_{seed}").read_lines(METRICS)
            for name in shown
        },
        superpixels=data.form == "superpixels",
    )
