"""Fit a density to the latents of the training part: a flow, or a copula.

Both consist of marginals and a dependence. A flow is fitted to standardised latents. A
copula first maps each latent by its distribution function; its dependence is Gaussian,
in closed form, or a flow whose marginals are removed afterwards. Flows are fitted by
maximum likelihood in the same training loop as models, with exact resume.
"""

import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.configs import versions
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array, Density, GaussianPosterior, Key, Params, Terms
from jetvae_jax.densities import copula
from jetvae_jax.losses.objective import reparameterize
from jetvae_jax.runs.config import CopulaRun, FlowRun, ModelRun
from jetvae_jax.runs.trained import TrainedModel, flow_of, load_model
from jetvae_jax.training import FitResult, checkpoint, configured_step, fit, logs
from jetvae_jax.training.logs import NO_LOGS

MARGIN = 1.2  # how far beyond the outermost training latent a draw may lie


class _Latents(NamedTuple):
    """Posterior ``[J, L]`` and condition ``[J, G]`` or None of a part of the data."""

    posterior: GaussianPosterior
    condition: Array | None


class _Ready(NamedTuple):
    """The data of a maximum-likelihood fit, and how its result completes the density.

    Attributes:
        params: of the density, as far as they are known in closed form.
        train: data of the flow; None where no flow is to be fitted.
        valid: the same for validation.
        key: of the fit.
        meta: for the checkpoint.
        finish: ``(params of the flow) -> params of the density``.
    """

    params: Params
    train: _Latents | None
    valid: _Latents | None
    key: Key
    meta: dict
    finish: Any


def fit_density(
    workdir: str | os.PathLike,
    run: FlowRun | CopulaRun,
    *,
    log: logs.Logs = NO_LOGS,
) -> FitResult | None:
    """Fit a density to the latents of the model in ``workdir``, or continue a fit.

    Writes ``flow.npz`` or ``copula.npz`` and, where a flow is fitted, its state and
    metrics beside it. The test part is not touched.

    Args:
        workdir: of a finished training.
        run: the flow or copula and how it is fitted.
        log: of the fit of a flow; see :mod:`jetvae_jax.training.logs`.

    Returns:
        The result of the fit of a flow; None for a copula in closed form.

    Raises:
        InputError: no trained model, a model without encoder, changed data, too few
            samples, a fit with other settings, another process at work there, or NaN.
    """
    logs.check(log)
    trained = load_model(workdir)
    folder = Workdir(workdir)
    with folder.locked():
        return _fit(folder, trained, run, log)


def _fit(
    folder: Workdir, trained: TrainedModel, run: FlowRun | CopulaRun, log: logs.Logs
) -> FitResult | None:
    trained.check_encoder()
    train, valid = (_Latents(*trained.encode(part)) for part in trained.data()[:2])
    name = "flow" if isinstance(run, FlowRun) else "copula"
    dim = trained.model.latent_dim
    flow = flow_of(run, dim, trained.run.sizes["num_conditions"])
    if isinstance(run, FlowRun):
        ready = _prepare_flow(run, train, valid)
    else:
        ready = _prepare_copula(run, train, valid, flow)

    def save(params, best_epoch=None):
        meta = {
            "kind": name,
            **ready.meta,
            "run": run.to_json(),
            "latent_dim": dim,
            "versions": versions(),
            **trained.identity,
        }
        if best_epoch is not None:
            meta["best_epoch"] = best_epoch
        tree = jax.tree.map(jnp.asarray, ready.finish(params))
        checkpoint.save(folder / f"{name}.npz", tree, meta=meta)

    if flow is None:
        save(None)
        logging.info("wrote %s", folder / f"{name}.npz")
        return None
    with logs.opened(log, logs.About(folder, name, run.to_json())) as write:
        result = fit(
            configured_step(
                likelihood(flow),
                flow.init,
                run.training,
                num_jets=len(train.posterior.mean),
            ),
            ready.key,
            ready.train,
            ready.valid,
            config=run.training,
            name=run.flow if name == "flow" else name,
            unit=trained.run.pipeline.UNIT,
            state_path=folder / f"{name}.state.npz",
            settings=run.to_json() | trained.identity,
            renew=lambda old: {
                **old,
                **type(run).from_json(old).to_json(),
                "vae": ModelRun.from_json(old["vae"]).to_json(),
            },
            on_epoch=write,
            on_save=save,
        )
        write(result.history)
    # A finished fit writes again what was deleted, or lost by an earlier version.
    if result.best_epoch and not checkpoint.is_of(
        folder / f"{name}.npz", result.best_epoch
    ):
        save(result.params, result.best_epoch)
    return result


def likelihood(density: Density):
    """The loss ``(params, key, latents) -> (-log p [J], {"nll": -log p})``, in nats.

    The latents are a posterior and a condition; each step draws from the posterior.
    """

    def loss(params: Params, key: Key, latents: Any) -> tuple[Array, Terms]:
        posterior, condition = latents
        z = reparameterize(key, posterior)
        nll = -density.log_prob(params, z, condition)
        return nll, {"nll": nll}

    return loss


def _fixed(values: Array) -> GaussianPosterior:
    """A posterior of zero width: every draw is ``values``."""
    return GaussianPosterior(values, jnp.full_like(values, -jnp.inf))


def _prepare_flow(run: FlowRun, train: _Latents, valid: _Latents) -> _Ready:
    variance = jnp.var(train.posterior.mean, axis=0)
    if run.latents == "samples":
        variance = variance + jnp.mean(jnp.exp(train.posterior.logvar), axis=0)
    mean = jnp.mean(train.posterior.mean, axis=0)
    std = jnp.sqrt(jnp.maximum(variance, 1e-12))

    def standardised(latents: _Latents) -> _Latents:
        posterior = latents.posterior
        logvar = posterior.logvar - 2 * jnp.log(std)
        if run.latents == "means":
            logvar = jnp.full_like(logvar, -jnp.inf)
        centred = GaussianPosterior((posterior.mean - mean) / std, logvar)
        return _Latents(centred, latents.condition)

    scaled = standardised(train)
    seen = reparameterize(seeds.key(run.seed), scaled.posterior)
    reach = MARGIN * jnp.max(jnp.abs(seen), axis=0)
    return _Ready(
        {},
        scaled,
        standardised(valid),
        seeds.key(run.seed),
        {"reach": [float(r) for r in reach]},
        lambda params: {"params": params, "mean": mean, "std": std},
    )


def _prepare_copula(
    run: CopulaRun, train: _Latents, valid: _Latents, flow: Density | None
) -> _Ready:
    key, fit_key, own_key = jax.random.split(seeds.key(run.seed), 3)
    drawn = [reparameterize(key, part.posterior) for part in (train, valid)]
    params = copula.fit(run.config, drawn[0])
    if flow is None:
        return _Ready(params, None, None, fit_key, {}, lambda _: params)
    columns = copula.columns(run.config, flow.dim)
    scores = [columns.scores(params["marginals"], z)[0] for z in drawn]

    def finish(fitted: Params) -> Params:
        own = copula.fit_own(flow, fitted, own_key, num_knots=run.config.num_knots)
        return params | {"copula": own}

    ready = [_Latents(_fixed(y), None) for y in scores]
    return _Ready(params, ready[0], ready[1], fit_key, {}, finish)
