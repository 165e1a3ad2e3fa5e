"""Fit a copula to the latents of the training part: the second half of a copula-VAE."""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax import densities
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array, Flow, Key, Params, Prior
from jetvae_jax.densities import copula, normal
from jetvae_jax.losses import nll, reparameterize
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import CopulaRun, versions
from jetvae_jax.runs.fit_flow import posteriors
from jetvae_jax.runs.train import TrainedVAE, load_vae
from jetvae_jax.training import checkpoint, configured_step, fit

CHECKPOINT = "copula.npz"


class TrainedCopula(NamedTuple):
    """A density of latents made of marginals and a copula.

    Attributes:
        prior: the pure functions.
        params: fitted parameters.
    """

    prior: Prior
    params: Params

    def sample(self, key: Key, num: int, condition: Array | None = None) -> Array:
        """Latents of the VAE, ``[J, L]``; a copula is told nothing."""
        del condition
        return self.prior.sample(self.params, key, (num,))

    def log_prob(self, z: Array) -> Array:
        """Log-density of latents, ``[..., L] -> [...]`` in nats."""
        return self.prior.log_prob(self.params, z)


def build(run: CopulaRun, dim: int) -> Prior:
    """The density that ``run`` describes, of ``dim`` latents."""
    flow = _flow(run, dim) if run.config.dependence == "flow" else None
    return copula.build(run.config, dim=dim, flow=flow)


def _flow(run: CopulaRun, dim: int) -> Flow:
    return densities.get(run.flow).build(run.flow_config, dim=dim)


def fit_copula(workdir: str | os.PathLike, run: CopulaRun) -> int:
    """Fit marginals and dependence to latents of the training part.

    Leaves ``copula.npz``. The latents are one draw from each posterior.

    Returns:
        The signal that stopped the fit of a flow copula, or 0.

    Raises:
        InputError: no trained VAE, changed data, or too few samples.
    """
    folder = Workdir(workdir)
    trained = load_vae(folder.path)
    source = trained.meta["source"]
    parts = dataset.load_same(trained.run.domain, trained.run.data, source)
    key, fit_key, own_key = jax.random.split(jax.random.key(run.seed), 3)
    train, valid = (
        reparameterize(key, posteriors(trained, part)) for part in parts[:2]
    )
    params, dim = copula.fit(run.config, train), trained.vae.latent_dim
    stopped = 0
    if run.config.dependence == "flow":
        columns = copula.columns(run.config, dim)
        scores = [columns.scores(params["marginals"], z)[0] for z in (train, valid)]
        flow = _flow(run, dim)
        result = fit(
            configured_step(
                nll.build(flow), flow.init, run.training, num_jets=len(train)
            ),
            fit_key, *scores, config=run.training, name="copula",
            things=trained.run.road.THINGS,
        )  # fmt: skip
        stopped = result.signal_number
        own = copula.fit_own(
            normal.from_flow(flow), result.params, own_key,
            num_knots=run.config.num_knots,
        )  # fmt: skip
        params = params | {"copula": own}
    meta = {
        "kind": "copula",
        "run": run.to_json(),
        "latent_dim": dim,
        "versions": versions(),
        **trained.identity,
    }
    if not stopped:
        tree = jax.tree.map(jnp.asarray, params)
        checkpoint.save(folder / CHECKPOINT, tree, meta=meta)
    return stopped


def load_copula(workdir: str | os.PathLike, trained: TrainedVAE) -> TrainedCopula:
    """The copula of a workdir.

    Raises:
        InputError: there is none, it is damaged, or belongs to another VAE.
    """
    path = os.path.join(os.fspath(workdir), CHECKPOINT)
    meta = checkpoint.read_meta(path)
    trained.check_same(path, meta, "run fit_copula again")
    prior = build(CopulaRun.from_json(meta["run"]), meta["latent_dim"])
    template = jax.eval_shape(prior.init, jax.random.key(0))
    return TrainedCopula(prior, checkpoint.restore(path, template))
