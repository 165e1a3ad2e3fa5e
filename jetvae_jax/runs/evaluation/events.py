"""Judge generated events against real ones: figures, table, report."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from jetvae_jax.data.events import kinds, transform
from jetvae_jax.metrics import event_figures
from jetvae_jax.metrics.c2st import c2st_table
from jetvae_jax.report import events as report
from jetvae_jax.runs.config import EvaluateConfig, versions
from jetvae_jax.runs.domains.events import Data
from jetvae_jax.runs.evaluation import _event_contest as contest
from jetvae_jax.runs.evaluation._record import record
from jetvae_jax.runs.fit_flow import METRICS as FLOW_METRICS
from jetvae_jax.runs.train import METRICS as VAE_METRICS
from jetvae_jax.runs.train import TrainedVAE
from jetvae_jax.runs.workdir import Workdir


def evaluate(
    folder: Workdir,
    trained: TrainedVAE | None,
    config: EvaluateConfig,
    files: Data,
) -> pathlib.Path:
    """Write ``evaluation.{json,txt}`` and ``report.html``.

    Args:
        folder: of a run, or where to write.
        trained: the run's VAE, if there is one.
        config: which events are judged against which.
        files: how to read files where no run says it.

    Returns:
        The path of the report.
    """
    events = contest.gather(folder, trained, config, files)
    names, real = events.names, events.real
    size = max(map(len, events.candidates.values()))
    logging.info(
        "comparing %s with %s real events", ", ".join(events.candidates),
        f"{len(real):,}",
    )  # fmt: skip
    floor = event_figures.floor(real, events.truth, names, size=size, seed=config.seed)
    judged = {
        name: event_figures.compare(real, made, names)
        for name, made in events.candidates.items()
    }
    if config.classify:
        for name, made in {"floor": events.truth[:size], **events.candidates}.items():
            logging.info("training classifiers on %s", name)
            figures = floor if name == "floor" else judged[name]
            figures["c2st"] = classify(real, made, names, seed=config.seed)
    result = {
        "names": list(names),
        "events": len(real),
        "floor": floor,
        "candidates": judged,
        "run": trained.run.to_json() if trained else None,
        "best_epoch": trained.meta["best_epoch"] if trained else None,
        "versions": versions(),
        "notes": events.notes,
        "sources": events.sources,
    }
    record(folder, result, report.text({"floor": floor, **judged}, names))
    history = {
        name: folder.read_lines(file)
        for name, file in (("VAE", VAE_METRICS), ("flow", FLOW_METRICS))
    }
    return report.write(
        folder / "report.html",
        title=events.title,
        summary=events.notes,
        evaluation=result,
        samples={"input": real, **events.candidates},
        names=names,
        history=history if trained and not config.generated else {},
    )


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
    return c2st_table(jax.random.key(seed), x, y)
