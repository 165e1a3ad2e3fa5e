"""Densities of latents from marginals and a copula (Sklar's theorem).

    z_l = F_l^-1(u_l),  u = Phi(y),  y ~ copula
    log p(z) = log p(y(z)) + sum_l log dy_l/dz_l

- :mod:`~jetvae_jax.densities.marginals` maps each column to its normal score y, with
  ``u = Phi(y)``, by an empirical or a neural CDF.
- The copula is a density of normal scores: a Gaussian copula, or a flow. The marginals
  of a flow are only nearly normal; :func:`own_marginals` removes them exactly by their
  empirical CDFs, so that u is uniform.
- :func:`with_marginals` combines both into a density of latents.

A copula-VAE (Stevenson, Kruger 2022) has latents that are uniform on the unit cube. It
can be trained in three ways:

separately (arXiv:1906.05423)
    Train any VAE, :func:`fit` a copula to its latents, decode draws of the copula.
with a CDF encoder
    :func:`~jetvae_jax.models.vae.cdf_encoder` fixes the encoder beforehand. Train the
    decoder alone and :func:`fit` a copula to the scores of the events.
jointly
    :func:`~jetvae_jax.models.vae.squashed` gives the decoder uniform latents. Take
    ``gaussian_copula`` as learned prior, or penalise the marginals alone
    (:func:`~jetvae_jax.losses.objective.normal_marginals`) and fit a copula later.
"""

from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array, Density, Key, Params
from jetvae_jax.densities import gaussian_copula, marginals
from jetvae_jax.densities.marginals import Marginals, fit_empirical


def uniforms(y: Array) -> Array:
    """``u = Phi(y)``, the point of the unit cube with normal scores y."""
    return jax.scipy.special.ndtr(*floats(jnp, y))


def log_density(copula: Density, params: Params, u: Array) -> Array:
    """``log c(u)``, the density on the unit cube, ``[..., L] -> [...]``.

    Args:
        copula: a density of scores.
        params: its parameters.
        u: in (0, 1).
    """
    y = jax.scipy.special.ndtri(*floats(jnp, u))
    independent = jnp.sum(jax.scipy.stats.norm.logpdf(y), axis=-1)
    return copula.log_prob(params, y) - independent


def with_marginals(copula: Density, marginals: Marginals) -> Density:
    """The density of z; its parameters are ``{"marginals": ..., "copula": ...}``."""

    def init(key: Key) -> Params:
        return {"marginals": marginals.init(key), "copula": copula.init(key)}

    def log_prob(params: Params, z: Array, condition: Array | None = None) -> Array:
        y, log_slope = marginals.scores(params["marginals"], z)
        log_p = copula.log_prob(params["copula"], y, condition)
        return log_p + jnp.sum(log_slope, axis=-1)

    def sample(
        params: Params,
        key: Key,
        shape: tuple[int, ...] = (),
        condition: Array | None = None,
    ) -> Array:
        y = copula.sample(params["copula"], key, shape, condition)
        return marginals.values(params["marginals"], y)

    return Density(init, log_prob, sample, copula.dim)


def own_marginals(prior: Density, marginals: Marginals) -> Density:
    """A copula from a density of scores: its marginals become standard normal.

    Its parameters are ``{"own": knots of the prior's marginals, "flow": its own}``;
    :func:`fit_own` makes them.

    Args:
        prior: a density of scores, nearly normal in each column.
        marginals: empirical ones.
    """

    def init(key: Key) -> Params:
        return {"own": marginals.init(key), "flow": prior.init(key)}

    def log_prob(params: Params, y: Array, condition: Array | None = None) -> Array:
        raw = marginals.values(params["own"], y)
        _, log_slope = marginals.scores(params["own"], raw)
        log_p = prior.log_prob(params["flow"], raw, condition)
        return log_p - jnp.sum(log_slope, axis=-1)

    def sample(
        params: Params,
        key: Key,
        shape: tuple[int, ...] = (),
        condition: Array | None = None,
    ) -> Array:
        raw = prior.sample(params["flow"], key, shape, condition)
        return marginals.scores(params["own"], raw)[0]

    return Density(init, log_prob, sample, prior.dim)


def fit_own(
    prior: Density,
    params: Params,
    key: Key,
    *,
    num_knots: int = 256,
    num_samples: int = 100_000,
) -> Params:
    """Parameters of :func:`own_marginals` from those of a fitted prior.

    Args:
        prior: without conditions.
        params: fitted.
        key: of the sample whose quantiles are taken.
        num_knots: as the marginals have.
        num_samples: of the prior.
    """
    raw = jax.jit(prior.sample, static_argnums=2)(params, key, (num_samples,))
    own = fit_empirical(raw, num_knots=num_knots, what="copula flow")
    return {"own": own, "flow": params}


@configs.config
class Config:
    """Marginals and copula of a density of latents.

    Attributes:
        dependence: 'gaussian', or 'flow' on the normal scores.
        correlation: of the Gaussian copula, from normal 'scores' or 'spearman'.
        marginals: CDFs of the columns, 'empirical' or 'spline', a neural one.
        num_knots: knots of an empirical CDF.
        num_bins: bins of a neural CDF.
    """

    dependence: Literal["gaussian", "flow"] = "gaussian"
    correlation: Literal["scores", "spearman"] = "scores"
    marginals: Literal["empirical", "spline"] = "empirical"
    num_knots: Annotated[int, configs.at_least(17)] = 256
    num_bins: Annotated[int, configs.between(2, 100)] = 16


def columns(config: Config, dim: int) -> Marginals:
    """The marginals that ``config`` asks for."""
    if config.marginals == "spline":
        return marginals.spline(dim, num_bins=config.num_bins)
    return marginals.empirical(dim, num_knots=config.num_knots)


def build(config: Config, *, dim: int, flow: Density | None = None) -> Density:
    """The density of latents that ``config`` describes.

    Args:
        config: kinds of marginals and copula.
        dim: L.
        flow: on L scores; for ``dependence = flow``.

    Returns:
        A Density with parameters ``{"marginals", "copula"}``; those of a flow copula
        are ``{"own", "flow"}``.

    Raises:
        ValueError: a flow is missing, or is given for a Gaussian copula.
    """
    if (flow is not None) != (config.dependence == "flow"):
        raise ValueError(f"dependence = {config.dependence!r} with flow = {flow}")
    if flow is None:
        copula = gaussian_copula.build(dim=dim)
    else:
        own = marginals.empirical(dim, num_knots=config.num_knots)
        copula = own_marginals(flow, own)
    return with_marginals(copula, columns(config, dim))


def fit(config: Config, latents: Array, *, what: str = "latents") -> Params:
    """Marginals, and the correlations of a Gaussian copula, of a sample, on the host.

    Neural CDFs start from the quantiles of the sample, for a fit by maximum likelihood.
    For a flow copula, fit the flow to ``columns(...).scores`` of the sample by maximum
    likelihood, then call :func:`fit_own`.

    Args:
        config: kinds of marginals and copula.
        latents: ``[J, L]``, J at least 20.
        what: name of the sample, for messages.

    Returns:
        ``{"marginals": ..., "copula": ...}``, the latter for 'gaussian' only.

    Raises:
        InputError: too few rows, NaN, or a constant column.
    """
    (latents,) = floats(np, latents)
    if config.marginals == "spline":
        start = marginals.start_spline(latents, num_bins=config.num_bins, what=what)
    else:
        start = marginals.fit_empirical(latents, num_knots=config.num_knots, what=what)
    params = {"marginals": start}
    if config.dependence == "gaussian":
        params["copula"] = gaussian_copula.fit(
            latents, method=config.correlation, what=what
        )
    return params
