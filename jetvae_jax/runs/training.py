"""Train a generative model on the training part of a data set."""

import functools
import os
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.configs import versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Model, Params
from jetvae_jax.data.splits import Dataset
from jetvae_jax.data.streaming import count, head
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import ModelRun
from jetvae_jax.runs.trained import (
    CHECKPOINT,
    build_model,
    load_model,
    task_of,
    unbounded,
)
from jetvae_jax.training import FitResult, Step, checkpoint, fit, logs, loss_terms
from jetvae_jax.training.logs import NO_LOGS
from jetvae_jax.training.step import augmented, model_step

STATE = "vae.state.npz"
MONITORED = 5_000  # samples generated each epoch, if they are monitored


def train(
    workdir: str | os.PathLike,
    run: ModelRun,
    *,
    on_epoch: Callable[[list[dict]], object] | None = None,
    log: logs.Logs = NO_LOGS,
) -> FitResult:
    """Train the model of ``run`` in ``workdir``, or continue its training.

    Writes ``vae.npz`` (the best epoch, with all that is needed to rebuild the model),
    ``vae.state.npz`` (to resume), ``vae.metrics.jsonl`` and ``config.json``.

    Args:
        workdir: the folder of the run.
        run: model, data and settings.
        on_epoch: called with the history after each epoch.
        log: further logs, by name; see :mod:`jetvae_jax.training.logs`.

    Raises:
        InputError: bad data or settings, a workdir of another run or one in which
            another process is at work, a log that cannot be written, or NaN in
            training.
    """
    logs.check(log)
    folder = Workdir(workdir)
    with folder.locked():
        _check_own(folder, run)
        ready = prepare(run)
        about = logs.About(folder, "vae", run.to_json())
        with logs.opened(log, about) as write_logs:
            return _train(folder, run, ready, write_logs, on_epoch)


def _train(
    folder: Workdir,
    run: ModelRun,
    ready: "Prepared",
    write_logs: logs.Write,
    on_epoch: Callable[[list[dict]], object] | None,
) -> FitResult:
    source = ready.parts.source
    settings = run.to_json() | {"fingerprint": source["fingerprint"]}
    arrays = {k: v for k, v in ready.scaler._asdict().items() if v is not None}

    def save(params, best_epoch):
        meta = {
            "kind": "vae",
            "run": run.to_json(),
            "scaler_shapes": {k: v.shape for k, v in arrays.items()},
            **run.pipeline.metadata(run),
            "source": source,
            "notes": ready.parts.notes,
            "best_epoch": best_epoch,
            "versions": versions(),
        }
        tree = {"params": params, "scaler": ready.scaler}
        checkpoint.save(
            folder / CHECKPOINT, tree, meta=meta, unbounded=unbounded(ready.scaler)
        )

    def after_epoch(history):
        write_logs(history)
        if on_epoch:
            on_epoch(history)

    result = fit(
        ready.step,
        seeds.key(run.seed),
        ready.train,
        ready.valid,
        config=run.training,
        name=run.model,
        unit=run.pipeline.UNIT,
        state_path=folder / STATE,
        settings=settings,
        renew=lambda old: {**old, **ModelRun.from_json(old).to_json()},
        on_epoch=after_epoch,
        on_save=save,
        monitor=_monitor(run, ready),
    )
    # A finished run writes again what was deleted, or lost by an earlier version.
    if result.best_epoch and not checkpoint.is_of(
        folder / CHECKPOINT, result.best_epoch
    ):
        save(result.params, result.best_epoch)
    write_logs(result.history)
    folder.write_json("config.json", run.to_json())
    return result


def _check_own(folder: Workdir, run: ModelRun) -> None:
    """Check that a model without a state, which training would replace, is of this run.

    Raises:
        InputError: it has other settings.
    """
    path = folder / CHECKPOINT
    if (folder / STATE).exists() or not path.exists():
        return
    if ModelRun.from_json(checkpoint.read_meta(path)["run"]) != run:
        raise InputError(
            f"{path}: is a trained model of other settings: give another --workdir, or "
            "delete this file to train a new one"
        )


def check(run: ModelRun) -> None:
    """Check everything that precedes the first step of a training.

    Raises:
        InputError: bad data, settings or monitor.
    """
    prepare(run)


class Prepared(NamedTuple):
    """Inputs of a training.

    Attributes:
        parts: training, validation and test data, in GeV or pixels.
        scaler: fitted to the training part.
        model: the generative model.
        step: the training algorithm.
        train: the training part as ``step`` takes it: scaled, unless it is augmented.
        valid: the validation part, scaled.
    """

    parts: Dataset
    scaler: Any
    model: Model
    step: Step
    train: Any
    valid: Any


def prepare(run: ModelRun) -> Prepared:
    """Read the data and build the model of a run, without training it.

    Raises:
        InputError: bad data, settings or monitor.
    """
    pipeline = run.pipeline
    parts = dataset.load(run.domain, run.data)
    scaler = pipeline.fit(run.scaling, parts.train)
    scale = functools.partial(pipeline.scale, run.scaling, scaler)
    task = task_of(
        run, scaler,
        objective=pipeline.objective(run, scaler, parts.train),
        sample=lambda count: jax.jit(scale)(head(parts.train, count)),
    )  # fmt: skip
    model = pretrained(run, build_model(run, task))
    step = model_step(model, run.training, num_jets=count(parts.train))
    if symmetries := pipeline.augment(run):
        train = parts.train  # augmented, then scaled, at every step
        step = augmented(step, lambda key, part: scale(symmetries(key, part)))
    else:
        train = dataset.mapped(scale, parts.train)
    _check_monitor(run, step, train)
    valid = dataset.mapped(scale, parts.valid)
    return Prepared(parts, scaler, model, step, train, valid)


def pretrained(run: ModelRun, model: Model) -> Model:
    """A model whose ``init`` takes the parameters of the trained one that a run names.

    Constants, which a model measures on its training sample, remain those of this
    run; so do components that the trained model does not have, such as a
    discriminator. The trained model may have fewer particles, where the model can
    continue from these.

    Raises:
        InputError: there is no such model, or its parameters are of other shapes.
    """
    if not run.pretrained:
        return model
    flag = f"--pretrained={run.pretrained}"
    try:
        source = load_model(run.pretrained)
    except InputError as error:
        raise InputError(f"{flag}: {error}") from error
    if (source.run.domain, source.run.model) != (run.domain, run.model):
        raise InputError(
            f"{flag}: is a model of --domain={source.run.domain} "
            f"--model={source.run.model}, this run is one of --domain={run.domain} "
            f"--model={run.model}"
        )
    wanted = jax.eval_shape(model.init, jax.random.key(0))
    taken = {
        name: params
        for name, params in source.params.items()
        if name in wanted and name not in model.constants
    }
    if not taken:
        raise InputError(f"{flag}: --model={run.model} has no parameters to train")
    wanted = {name: wanted[name] for name in taken}
    taken = _continued(taken, wanted, model.per_particle)
    differences = checkpoint.differences(checkpoint.flatten(taken), wanted)
    if differences:
        raise InputError(
            f"{flag}: does not fit this run: {'; '.join(differences[:3])}: give the "
            f"settings of its config.json"
        )
    logging.info("train: starts from %s: %s", run.pretrained, ", ".join(sorted(taken)))
    return model._replace(init=lambda key: {**model.init(key), **taken})


def _continued(taken: Params, wanted: Params, paths: Collection[str]) -> Params:
    """Parameters with as many rows at these paths as are wanted, the last repeated."""

    def continued(keys: Any, rows: Any, like: Any) -> Any:
        if checkpoint.named(keys) not in paths:
            return rows
        missing = max(like.shape[0] - len(rows), 0)
        return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])

    if jax.tree.structure(taken) != jax.tree.structure(wanted):
        return taken
    return jax.tree_util.tree_map_with_path(continued, taken, wanted)


def _check_monitor(run: ModelRun, step: Step, train: Any) -> None:
    monitor, known = run.training.monitor, run.pipeline.MONITORS
    if monitor in ("loss", *known):
        return
    terms = loss_terms(step, train, run.training)
    if monitor not in terms:
        made = f"; of generated {run.domain}: " + ", ".join(known)
        raise InputError(
            f"train.monitor = {monitor!r}: choose a term of the loss: "
            f"{', '.join(terms)}{made if known else ''}"
        )


def _monitor(
    run: ModelRun, ready: Prepared
) -> Callable[[Params], dict[str, float]] | None:
    """Metrics of samples generated at each epoch, if the run monitors one."""
    pipeline = run.pipeline
    if run.training.monitor not in pipeline.MONITORS:
        return None
    real = head(ready.parts.valid, MONITORED)
    number = count(real)
    contexts = pipeline.contexts(run.scaling, ready.scaler, ContextRequest())

    @jax.jit
    def draw(params):
        latent_key, context_key = jax.random.split(seeds.key(run.seed))
        context = contexts(context_key, number)
        points = ready.model.sample(params, latent_key, context)
        return pipeline.unscale(run.scaling, ready.scaler, points, context)

    return lambda params: pipeline.monitor(
        run.scaling, real, jax.device_get(draw(params))
    )
