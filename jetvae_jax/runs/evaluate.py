"""Judge the generated jets of a workdir against its test jets."""

import os
import pathlib

import jax
import numpy as np
from absl import logging

from jetvae_jax import data, metrics, report
from jetvae_jax.errors import InputError
from jetvae_jax.losses import reparameterize
from jetvae_jax.runs import dataset, fit_flow, train
from jetvae_jax.runs.config import EvaluateConfig, versions
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.types import Jets

CANDIDATES = ("reconstruction", "prior", "flow")
LATENT_JETS = 10_000  # enough for a histogram of each latent dimension


def _candidates(folder: Workdir, num_particles: int) -> tuple[dict[str, Jets], list]:
    """The generated files of a workdir, as jets, and the reader's notes."""
    found, notes = {}, []
    for name in CANDIDATES:
        path = folder / f"generated_{name}.hdf5"
        if path.exists():
            # A decoder may leave a jet without particles: dropped, counted, reported.
            loaded = data.load(str(path), num_particles=num_particles, repair=True)
            found[name] = loaded.jets
            notes += [f"{name}: {note}" for note in loaded.notes]
    if not found:
        raise InputError(
            f"{folder.path}: holds no generated jets: run experiments/generate.py first"
        )
    return found, notes


def _latents(workdir: pathlib.Path, trained: train.TrainedVAE, test: Jets) -> dict:
    key = jax.random.key(0)
    few = jax.tree.map(lambda a: a[:LATENT_JETS], test)
    latents = {"posterior": reparameterize(key, fit_flow.posteriors(trained, few))}
    if (workdir / fit_flow.CHECKPOINT).exists():
        flow = fit_flow.load_flow(workdir, trained)
        latents["flow"] = flow.sample(key, len(few.mask))
    return {name: np.asarray(z) for name, z in latents.items()}


def evaluate(workdir: str | os.PathLike, config: EvaluateConfig) -> pathlib.Path:
    """Write ``evaluation.json``, ``evaluation.txt`` and ``report.html``.

    Candidates are the test jets reconstructed, and jets generated from the prior and
    from the flow, whichever files are there. The floor of every figure compares as
    many training jets with the same test jets.

    Returns:
        The path of the report.

    Raises:
        InputError: nothing to evaluate, or the data changed since training.
    """
    folder = Workdir(workdir)
    trained = train.load_vae(folder.path)
    jets = dataset.load_same(trained.run.data, trained.meta["source"])
    candidates, notes = _candidates(folder, trained.run.data.num_particles)
    logging.info("evaluating %s", ", ".join(candidates))
    result = metrics.evaluate(
        jax.random.key(config.seed), jets.test, candidates, truth=jets.train
    )
    result["run"] = trained.run.to_json()
    result["versions"] = versions()
    result["best_epoch"] = trained.meta["best_epoch"]
    result["notes"] = [*trained.meta["notes"], *notes]
    result["source"] = trained.meta["source"]
    folder.write_json("evaluation.json", result)
    table = metrics.table(result)
    folder.write_text("evaluation.txt", table)
    for line in table.splitlines():
        logging.info("%s", line)
    logging.info("drawing the report")
    target = folder / "report.html"
    report.write(
        target,
        title=f"{trained.run.model} on {pathlib.Path(trained.run.data.path).name}",
        summary=result["notes"],
        evaluation=result,
        samples={"input": jets.test} | candidates,
        history={
            "vae": folder.read_lines(train.METRICS),
            "flow": folder.read_lines(fit_flow.METRICS),
        },
        latents=_latents(folder.path, trained, jets.test),
    )
    return target
