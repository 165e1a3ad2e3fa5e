"""Train a VAE on the training jets of a data set."""

import dataclasses
import functools
import os
from typing import NamedTuple

import jax
import numpy as np

from jetvae_jax import models
from jetvae_jax.data import scaling
from jetvae_jax.losses import elbo, mass_weight, reconstruction
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import VAERun, versions
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.training import FitResult, checkpoint, configured_step, fit
from jetvae_jax.types import VAE, Array, Batch, Jets, Params

CHECKPOINT = "vae.npz"
STATE = "vae.state.npz"
METRICS = "vae.metrics.jsonl"


class TrainedVAE(NamedTuple):
    """A VAE as its checkpoint describes it.

    Attributes:
        vae: the pure functions.
        params: trained parameters.
        scaler: fitted to the training jets.
        run: the settings it was trained with.
        meta: versions, source of the data, best epoch.
    """

    vae: VAE
    params: Params
    scaler: scaling.Scaler
    run: VAERun
    meta: dict

    def scale(self, jets: Jets) -> Batch:
        """Jets in GeV to what the encoder takes."""
        return scaling.scale(self.run.scaling, self.scaler, jets)

    def unscale(self, x: Array, axis: Array) -> Jets:
        """What the decoder gives, ``[..., N, F]``, to jets in GeV."""
        return scaling.unscale(self.run.scaling, self.scaler, x, axis)


def train(workdir: str | os.PathLike, run: VAERun) -> FitResult:
    """Train, or go on with, the VAE of ``run`` in ``workdir``.

    Leaves ``vae.npz`` (the best epoch; rebuilds its model alone), ``vae.state.npz``
    (to resume), ``vae.metrics.jsonl`` and ``config.json``.

    Raises:
        InputError: bad data or settings, a workdir of another run, or NaN.
    """
    folder = Workdir(workdir)
    jets = dataset.load(run.data)
    scaler = scaling.fit(run.scaling, jets.train)
    vae = models.get(run.model).build(run.model_config)
    objective = run.objective
    if objective.gamma_mass < 0:
        weight = float(mass_weight(*jets.train[:2]))
        objective = dataclasses.replace(objective, gamma_mass=weight)
    loss_fn = elbo.build(
        objective,
        vae,
        reconstruction.get(run.loss).build(run.loss_config),
        functools.partial(scaling.momenta, run.scaling, scaler),
    )
    num_train = len(jets.train.mask)
    scale = jax.jit(functools.partial(scaling.scale, run.scaling, scaler))
    settings = run.to_json() | {"fingerprint": jets.source["fingerprint"]}

    def save(params, best_epoch):
        meta = {
            "kind": "vae",
            "run": run.to_json(),
            "scaler_shapes": {k: v.shape for k, v in scaler._asdict().items()},
            "units": {"momenta": "GeV", "angles": "rad"},
            "features": scaling.FEATURES[run.scaling.coordinates],
            "source": jets.source,
            "notes": jets.notes,
            "best_epoch": best_epoch,
            "versions": versions(),
        }
        tree = {"params": params, "scaler": scaler}
        checkpoint.save(folder / CHECKPOINT, tree, meta=meta)

    result = fit(
        configured_step(loss_fn, vae.init, run.training, num_jets=num_train),
        jax.random.key(run.seed),
        scale(jets.train),
        scale(jets.valid),
        config=run.training,
        name=run.model,
        state_path=folder / STATE,
        settings=settings,
        on_epoch=functools.partial(folder.write_lines, METRICS),
        on_save=save,
    )
    folder.write_json("config.json", run.to_json())
    return result


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
    vae = models.get(run.model).build(run.model_config)
    template = {
        "params": jax.eval_shape(vae.init, jax.random.key(0)),
        "scaler": scaling.Scaler(
            **{k: np.zeros(v, np.float32) for k, v in meta["scaler_shapes"].items()}
        ),
    }
    tree = checkpoint.restore(path, template)
    return TrainedVAE(vae, tree["params"], tree["scaler"], run, meta)
