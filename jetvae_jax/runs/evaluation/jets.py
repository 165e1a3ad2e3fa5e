"""Judge generated jets against real ones: every metric, in one report."""

import functools
import pathlib
from typing import Any

import jax
import numpy as np
from absl import logging

from jetvae_jax import metrics, report
from jetvae_jax.errors import InputError
from jetvae_jax.losses import reparameterize
from jetvae_jax.metrics import export
from jetvae_jax.metrics.fpnd import JET_TYPES, NUM_PARTICLES, fpnd
from jetvae_jax.metrics.fpnd import load as load_fpnd
from jetvae_jax.metrics.protocols import KNOWN
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import EvaluateConfig, VAERun, versions
from jetvae_jax.runs.domains.jets import Data
from jetvae_jax.runs.evaluation import _contest as contest
from jetvae_jax.runs.evaluation._record import record
from jetvae_jax.runs.fit_flow import CHECKPOINT as FLOW
from jetvae_jax.runs.fit_flow import METRICS as FLOW_METRICS
from jetvae_jax.runs.fit_flow import load_flow, posteriors
from jetvae_jax.runs.train import METRICS as VAE_METRICS
from jetvae_jax.runs.train import TrainedVAE
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.types import Jets

LATENT_JETS = 10_000  # enough for a histogram of each latent dimension


def evaluate(
    folder: Workdir,
    trained: TrainedVAE | None,
    config: EvaluateConfig,
    files: Data,
) -> pathlib.Path:
    """Write ``evaluation.{json,txt,csv,tex}`` and ``report.html``.

    Args:
        folder: of a run, or where to write.
        trained: the run's VAE, if there is one.
        config: which jets are judged against which.
        files: how to read files where no run says it.

    Returns:
        The path of the report.
    """
    jets = contest.gather(folder, trained, config, files)
    logging.info(
        "comparing %s jets with %s real ones: %s",
        ", ".join(f"{len(j.mask):,}" for j in jets.candidates.values()),
        f"{len(jets.real.mask):,}", ", ".join(jets.candidates),
    )  # fmt: skip
    jet_type = jets.sources["real"].get("jet_type", "g")
    measure_fpnd, note = _fpnd(config.fpnd, jet_type, jets)
    observables: dict[str, dict[str, np.ndarray]] = {}
    result = metrics.evaluate(
        jax.random.key(config.seed),
        jets.real,
        jets.candidates,
        truth=jets.truth,
        protocol=[KNOWN[name] for name in config.protocols],
        axes=jets.axes,
        fpnd=measure_fpnd,
        classify=config.classify,
        progress=lambda name: logging.info("judging %s", name),
        measured=observables.__setitem__,
    )
    observables["input"] = observables.pop("real")
    result["jet_type"] = jet_type
    judged = None if config.generated else trained  # the run that made the jets
    result["trained_on"] = sorted(trained_on(judged.run)) if judged else []
    result["run"] = trained.run.to_json() if trained else None
    result["versions"] = versions()
    result["best_epoch"] = trained.meta["best_epoch"] if trained else None
    result["notes"] = [*jets.notes, *note]
    result["sources"] = jets.sources
    record(folder, result, metrics.table(result))
    folder.write_text("evaluation.csv", export.csv(result))
    folder.write_text("evaluation.tex", export.latex(result))
    logging.info("drawing the report")
    target = folder / "report.html"
    samples = {"input": jets.real} | jets.candidates
    report.write(
        target,
        title=jets.title,
        summary=result["notes"],
        evaluation=result,
        samples=samples,
        observables={name: observables[name] for name in samples},
        history={
            "vae": folder.read_lines(VAE_METRICS),
            "flow": folder.read_lines(FLOW_METRICS),
        }
        if judged
        else {},
        latents=_latents(folder.path, judged, jets.real) if judged else {},
        trained_on=result["trained_on"],
        leaderboard=(jet_type, jets.real.mask.shape[-1]),
    )
    return target


def trained_on(run: VAERun) -> frozenset[str]:
    """Observables that the training loss of a run pulls to their true values.

    A figure of such an observable tells that training worked, not that the model
    found anything by itself.
    """
    objective = run.objective
    weights = {
        "pt": objective.gamma * objective.gamma_pt,
        "mass": objective.gamma * objective.gamma_mass,
    }
    return frozenset(name for name, weight in weights.items() if weight)


def _fpnd(where: str, jet_type: str, jets: contest.Contest):
    """How to measure FPND, or None; and a note of why not."""
    if not where:
        return None, []
    if jets.axes is None:
        return None, [
            "FPND: left out, its network knows particles relative to the axis of the "
            "whole jet only, as in JetNet's files, which not all of these files have"
        ]
    num_particles = jets.real.mask.shape[-1]
    if num_particles != NUM_PARTICLES or jet_type not in JET_TYPES:
        return None, [
            f"FPND: left out, it is defined for {NUM_PARTICLES} particles and "
            f"jets of type {', '.join(JET_TYPES)} only"
        ]
    try:
        resources = load_fpnd(None if where == "installed" else where)
    except InputError as error:
        if where != "installed":
            raise
        return None, [f"FPND: left out: {error}"]
    measure = functools.partial(fpnd, jet_type=jet_type, resources=resources)
    return measure, []


def _latents(workdir: pathlib.Path, trained: TrainedVAE, test: Jets) -> dict:
    key = jax.random.key(0)
    few = dataset.head(test, LATENT_JETS)
    latents: dict[str, Any] = {
        "posterior": reparameterize(key, posteriors(trained, few))
    }
    if (workdir / FLOW).exists():
        flow = load_flow(workdir, trained)
        latents["flow"] = flow.sample(key, len(few.mask))
    return {name: np.asarray(z) for name, z in latents.items()}
