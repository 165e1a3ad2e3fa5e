"""Train a VAE on the training part of a data set."""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax import models, sampling
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import VAE, Array, Batch, Params
from jetvae_jax.densities import marginals
from jetvae_jax.runs import composition, dataset
from jetvae_jax.runs.config import VAERun, versions
from jetvae_jax.training import FitResult, Step, checkpoint, fit, loss_terms
from jetvae_jax.training.augmented import augmented

CHECKPOINT = "vae.npz"
STATE = "vae.state.npz"
METRICS = "vae.metrics.jsonl"
CDF_EVENTS = 1_000_000  # enough for the knots of a CDF
JUDGED = 5_000  # samples generated each epoch, if they are monitored


class TrainedVAE(NamedTuple):
    """A VAE as its checkpoint describes it.

    Attributes:
        composed: the pure functions.
        params: trained parameters, of all parts.
        scaler: fitted to the training samples.
        run: the settings it was trained with.
        meta: versions, source of the data, best epoch.
    """

    composed: composition.Composed
    params: Params
    scaler: Any
    run: VAERun
    meta: dict

    @property
    def vae(self) -> VAE:
        """Encoder and decoder."""
        return self.composed.vae

    @property
    def identity(self) -> dict:
        """What the checkpoint of a flow or a copula remembers of its VAE."""
        return {"vae": self.run.to_json(), "vae_epoch": self.meta["best_epoch"]}

    def check_same(self, path: str, meta: dict, remedy: str) -> None:
        """Stops unless a checkpoint with that ``meta`` was fitted to this VAE.

        Raises:
            InputError: it was not; the message ends with what to do.
        """
        # Rebuilt, so that a field that a later version added has its default in both.
        same = VAERun.from_json(meta["vae"]) == self.run
        if meta["vae_epoch"] != self.meta["best_epoch"] or not same:
            raise InputError(
                f"{path}: was fitted to another VAE than the one beside it: {remedy}"
            )

    def scale(self, sample: Any) -> Batch:
        """Samples, such as jets in GeV, to what the encoder takes."""
        return self.run.road.scale(self.run.scaling, self.scaler, sample)

    def unscale(self, x: Array, axis: Array, condition: Array | None = None) -> Any:
        """What the decoder gives, ``[..., N, F]``, to samples, such as jets in GeV."""
        given = self.run.scaling, self.scaler, x, axis, condition
        return self.run.road.unscale(*given)


def train(
    workdir: str | os.PathLike,
    run: VAERun,
    *,
    on_epoch: Callable[[list[dict]], object] | None = None,
) -> FitResult:
    """Train, or go on with, the VAE of ``run`` in ``workdir``.

    Leaves ``vae.npz`` (the best epoch; rebuilds its model alone), ``vae.state.npz``
    (to resume), ``vae.metrics.jsonl`` and ``config.json``.

    Args:
        workdir: the folder of the run.
        run: what to train on what.
        on_epoch: called with the history after each epoch.

    Raises:
        InputError: bad data or settings, a workdir of another run, or NaN.
    """
    folder, road = Workdir(workdir), run.road
    parts, scaler, composed, step, train, valid = _prepare(run)
    settings = run.to_json() | {"fingerprint": parts.source["fingerprint"]}

    def save(params, best_epoch):
        meta = {
            "kind": "vae",
            "run": run.to_json(),
            "scaler_shapes": {k: v.shape for k, v in scaler._asdict().items()},
            **road.facts(run),
            "source": parts.source,
            "notes": parts.notes,
            "best_epoch": best_epoch,
            "versions": versions(),
        }
        tree = {"params": params, "scaler": scaler}
        checkpoint.save(folder / CHECKPOINT, tree, meta=meta)

    def write_metrics(history):
        folder.write_lines(METRICS, history)
        if on_epoch:
            on_epoch(history)

    result = fit(
        step,
        jax.random.key(run.seed),
        train,
        valid,
        config=run.training,
        name=run.model,
        things=road.THINGS,
        state_path=folder / STATE,
        settings=settings,
        on_epoch=write_metrics,
        on_save=save,
        judge=_judge(run, composed, scaler, parts.valid),
    )
    folder.write_json("config.json", run.to_json())
    return result


def check(run: VAERun) -> None:
    """Does all that comes before the first step of a training.

    Raises:
        InputError: whatever would stop it there: bad data, settings or monitor.
    """
    _prepare(run)


class _Prepared(NamedTuple):
    """What a training needs: the data as read and as trained on, and the algorithm."""

    parts: dataset.Dataset
    scaler: Any
    composed: composition.Composed
    step: Step
    train: Any
    valid: Any


def _prepare(run: VAERun) -> _Prepared:
    road, monitor = run.road, run.training.monitor
    parts = dataset.load(run.domain, run.data)
    scaler = road.fit(run.scaling, parts.train)
    scale = functools.partial(road.scale, run.scaling, scaler)
    composed = compose(run, parts.train, scale)
    step = composition.training_step(
        run.parts, composed, road.objective(run, scaler, parts.train), run.training,
        num_jets=dataset.count(parts.train), exists=road.exists(run, scaler),
    )  # fmt: skip
    if symmetries := road.augment(run):
        train = parts.train  # changed anew, then scaled, at every step
        step = augmented(step, lambda key, part: scale(symmetries(key, part)))
    else:
        train = dataset.mapped(scale, parts.train)
    if monitor not in ("loss", *road.JUDGES):
        terms = loss_terms(step, train, run.training)
        if monitor not in terms:
            made = f"; of generated {run.domain}: " + ", ".join(road.JUDGES)
            raise InputError(
                f"train.monitor = {monitor!r}: choose a term of the loss: "
                f"{', '.join(terms)}{made if road.JUDGES else ''}"
            )
    valid = dataset.mapped(scale, parts.valid)
    return _Prepared(parts, scaler, composed, step, train, valid)


def _judge(
    run: VAERun, composed: composition.Composed, scaler: Any, valid: Any
) -> Callable[[Params], dict[str, float]] | None:
    """How generated samples are judged each epoch, if the run monitors that."""
    road, monitor = run.road, run.training.monitor
    if monitor not in road.JUDGES:
        return None
    real = dataset.head(valid, JUDGED)
    number = dataset.count(real)

    @jax.jit
    def draw(params):
        latent_key, context_key = jax.random.split(jax.random.key(run.seed))
        axis, condition = road.draw_context(run.scaling, scaler, context_key, number)
        z = sampling.prior_latents(
            params, latent_key, number, condition,
            vae=composed.vae, prior=composed.prior,
        )  # fmt: skip
        x = sampling.decode(params, z, condition, vae=composed.vae)
        return road.unscale(run.scaling, scaler, x, axis, condition)

    return lambda params: road.judge(real, jax.device_get(draw(params)))


def compose(
    run: VAERun, train: Any = None, scale: Callable[[Any], Batch] | None = None
) -> composition.Composed:
    """The networks of a run.

    Args:
        run: its settings.
        train: the training part, from which a CDF encoder is made; None if a
            checkpoint will bring it.
        scale: what the network sees of it.
    """
    vae = models.get(run.model).build(run.model_config)
    knots = None
    if run.parts.latent == "cdf" and scale is not None:
        features = jax.jit(scale)(dataset.head(train, CDF_EVENTS)).x[:, 0]
        knots = marginals.fit_empirical(features, what="features")
    return composition.compose(run.parts, vae, knots=knots, **run.sizes)


def load_vae(workdir: str | os.PathLike) -> TrainedVAE:
    """The trained VAE of a workdir, rebuilt from its checkpoint alone.

    Args:
        workdir: the run's folder, or the path of a checkpoint file.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = os.fspath(workdir)
    if not path.endswith(".npz"):
        path = os.path.join(path, CHECKPOINT)
    meta = checkpoint.read_meta(path)
    run = VAERun.from_json(meta["run"])
    composed = compose(run)
    template = {
        "params": jax.eval_shape(composed.init, jax.random.key(0)),
        "scaler": run.road.Scaler(
            **{k: np.zeros(v, np.float32) for k, v in meta["scaler_shapes"].items()}
        ),
    }
    tree = checkpoint.restore(path, template)
    return TrainedVAE(composed, tree["params"], tree["scaler"], run, meta)
