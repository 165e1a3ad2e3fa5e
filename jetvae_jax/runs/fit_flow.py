"""Fit a flow to the latents of the training part, by maximum likelihood."""

import functools
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax import densities, sampling
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array, Flow, GaussianPosterior, Key, Params, optional
from jetvae_jax.data.streaming import Stream
from jetvae_jax.losses import nll, reparameterize
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import FlowRun, versions
from jetvae_jax.runs.train import TrainedVAE, load_vae
from jetvae_jax.training import FitResult, checkpoint, configured_step, fit

CHECKPOINT = "flow.npz"
STATE = "flow.state.npz"
METRICS = "flow.metrics.jsonl"
MARGIN = 1.2  # how far beyond the outermost training latent a draw may lie


class TrainedFlow(NamedTuple):
    """A flow over standardised latents, as its checkpoint describes it.

    Attributes:
        flow: the pure functions.
        params: trained parameters.
        mean: ``[L]`` of the training latents.
        std: ``[L]`` of the training latents.
        run: the settings it was fitted with.
        reach: ``[L]`` how far from their mean, in standard deviations, latents may be
            drawn; infinite in files of earlier versions.
    """

    flow: Flow
    params: Params
    mean: Array
    std: Array
    run: FlowRun
    reach: Array

    def sample(self, key: Key, num_jets: int, condition: Array | None = None) -> Array:
        """Latents of the VAE, ``[J, L]``."""
        return sampling.flow_latents(
            self.params, key, num_jets, condition,
            flow=self.flow, mean=self.mean, std=self.std, reach=self.reach,
        )  # fmt: skip

    def log_prob(self, z: Array, condition: Array | None = None) -> Array:
        """Log-density of latents, ``[..., L] -> [...]`` in nats."""
        told = optional(condition)
        log_p = self.flow.log_prob(self.params, (z - self.mean) / self.std, *told)
        return log_p - jnp.sum(jnp.log(self.std))


def posteriors(trained: TrainedVAE, sample: Any) -> GaussianPosterior:
    """Posterior of every jet (image, event), ``[J, L]``, encoded in slices."""
    return latents_of(trained, sample)[0]


def latents_of(
    trained: TrainedVAE, sample: Any
) -> tuple[GaussianPosterior, Array | None]:
    """Posterior ``[J, L]`` and condition ``[J, G]`` of every jet (image, event).

    Of a stream, chunk by chunk: L numbers a jet fit in memory where N particles do
    not.
    """

    @jax.jit
    def encode(sample):
        batch = trained.scale(sample)

        def one(batch):
            told = optional(batch.condition)
            return trained.vae.encode(trained.params, batch.x, batch.mask, *told)

        posterior = jax.lax.map(one, batch, batch_size=sampling.SLICE)
        return posterior, batch.condition

    if not isinstance(sample, Stream):
        return encode(sample)
    parts = [jax.device_get(encode(chunk)) for chunk in sample.chunks()]
    return jax.tree.map(lambda *rows: np.concatenate(rows), *parts)


def _standardise(
    posterior: GaussianPosterior, mean: Array, std: Array, latents: str
) -> GaussianPosterior:
    """The posterior of ``(z - mean) / std``; of no width when ``latents`` are means."""
    logvar = posterior.logvar - 2 * jnp.log(std)
    if latents == "means":
        logvar = jnp.full_like(logvar, -jnp.inf)
    return GaussianPosterior((posterior.mean - mean) / std, logvar)


def fit_flow(workdir: str | os.PathLike, run: FlowRun) -> FitResult:
    """Fit, or go on fitting, a flow to the latents of the VAE in ``workdir``.

    Leaves ``flow.npz``, ``flow.state.npz`` and ``flow.metrics.jsonl``. The test part
    is not touched.

    Raises:
        InputError: no trained VAE, changed data, a fit of other settings, or NaN.
    """
    folder = Workdir(workdir)
    trained = load_vae(folder.path)
    parts = dataset.load_same(
        trained.run.domain, trained.run.data, trained.meta["source"]
    )
    (train, told), (valid, told_valid) = (
        latents_of(trained, part) for part in parts[:2]
    )
    variance = jnp.var(train.mean, axis=0)
    if run.latents == "samples":
        variance = variance + jnp.mean(jnp.exp(train.logvar), axis=0)
    mean, std = jnp.mean(train.mean, axis=0), jnp.sqrt(jnp.maximum(variance, 1e-12))

    flow = densities.get(run.flow).build(
        run.flow_config,
        dim=trained.vae.latent_dim,
        num_conditions=trained.run.sizes.get("num_conditions", 0),
    )
    likelihood = nll.build(flow)

    def loss_fn(params, key, data):
        posterior, condition = data
        return likelihood(params, key, reparameterize(key, posterior), condition)

    num_train = train.mean.shape[0]

    seen = reparameterize(
        jax.random.key(run.seed), _standardise(train, mean, std, run.latents)
    )
    reach = MARGIN * jnp.max(jnp.abs(seen), axis=0)

    def save(params, best_epoch):
        meta = {
            "kind": "flow",
            "reach": [float(r) for r in reach],
            "run": run.to_json(),
            "latent_dim": trained.vae.latent_dim,
            "best_epoch": best_epoch,
            "versions": versions(),
            **trained.identity,
        }
        tree = {"params": params, "mean": mean, "std": std}
        checkpoint.save(folder / CHECKPOINT, tree, meta=meta)

    return fit(
        configured_step(loss_fn, flow.init, run.training, num_jets=num_train),
        jax.random.key(run.seed),
        (_standardise(train, mean, std, run.latents), told),
        (_standardise(valid, mean, std, run.latents), told_valid),
        config=run.training,
        name=run.flow,
        things=trained.run.road.THINGS,
        state_path=folder / STATE,
        settings=run.to_json() | trained.identity,
        on_epoch=functools.partial(folder.write_lines, METRICS),
        on_save=save,
    )


def load_flow(workdir: str | os.PathLike, trained: TrainedVAE) -> TrainedFlow:
    """The flow of a workdir.

    Raises:
        InputError: there is none, it is damaged, or belongs to another VAE.
    """
    path = os.path.join(os.fspath(workdir), CHECKPOINT)
    meta = checkpoint.read_meta(path)
    remedy = f"delete {CHECKPOINT} and {STATE} there and run fit_flow again"
    trained.check_same(path, meta, remedy)
    run = FlowRun.from_json(meta["run"])
    flow = densities.get(run.flow).build(
        run.flow_config,
        dim=meta["latent_dim"],
        num_conditions=trained.run.sizes.get("num_conditions", 0),
    )
    vector = np.zeros(meta["latent_dim"], np.float32)
    template = {
        "params": jax.eval_shape(flow.init, jax.random.key(0)),
        "mean": vector,
        "std": vector,
    }
    tree = checkpoint.restore(path, template)
    reach = np.asarray(meta.get("reach", np.full(meta["latent_dim"], np.inf)))
    return TrainedFlow(
        flow, tree["params"], tree["mean"], tree["std"], run, reach.astype(np.float32)
    )
