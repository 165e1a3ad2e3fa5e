"""Marginals and dependence put together (Sklar's theorem): a prior of latents.

    z_l = F_l^-1(u_l),  u = Phi(y),  y ~ copula
    log p(z) = log p(y(z)) + sum_l log dy_l/dz_l

Any density of scores will do as a copula. That of a flow has marginals that are only
nearly normal; :func:`own_marginals` takes them out exactly, by their own empirical
CDFs, so that u is uniform.
"""

import jax
import jax.numpy as jnp

from jetvae_jax.copulas.marginals import Marginals, fit_empirical
from jetvae_jax.types import Array, Key, Params, Prior


def uniforms(y: Array) -> Array:
    """``u = Phi(y)``, the point of the unit cube that scores stand for."""
    return jax.scipy.special.ndtr(y)


def log_density(copula: Prior, params: Params, u: Array) -> Array:
    """``log c(u)``, the density on the unit cube, ``[..., L] -> [...]``.

    Args:
        copula: a density of scores.
        params: its parameters.
        u: in (0, 1).
    """
    y = jax.scipy.special.ndtri(u)
    independent = jnp.sum(jax.scipy.stats.norm.logpdf(y), axis=-1)
    return copula.log_prob(params, y) - independent


def with_marginals(copula: Prior, marginals: Marginals) -> Prior:
    """The prior of z; its parameters are ``{"marginals": ..., "copula": ...}``."""

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

    return Prior(init, log_prob, sample, copula.dim)


def own_marginals(prior: Prior, marginals: Marginals) -> Prior:
    """A density of scores with its marginals made standard normal: a copula.

    Its parameters are ``{"own": knots of the prior's marginals, "flow": its own}``;
    :func:`fit_own` makes them.

    Args:
        prior: of scores, nearly normal in each column.
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

    return Prior(init, log_prob, sample, prior.dim)


def fit_own(
    prior: Prior,
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
