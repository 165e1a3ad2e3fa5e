"""Copulas: latents whose columns are uniform, and how they depend on each other.

A copula-VAE (Stevenson, Kruger 2022) has a multivariate uniform latent u. Here

- ``marginals`` maps each column to its normal score, ``u = Phi(y)``, by an empirical
  or a neural CDF;
- ``gaussian`` and any flow (``priors.from_flow``, ``own_marginals``) say how the
  columns depend on each other;
- ``with_marginals`` puts both together into a ``Prior`` of latents, to draw from and
  to rank events by;
- ``squashed`` gives a decoder the uniforms; ``cdf_encoder`` does without training an
  encoder at all.

Three ways of training:

apart (arXiv:1906.05423)
    1. Any VAE, on its own. 2. ``fit`` to its latents. 3. Decode draws of the copula.
cdf encoder
    ``cdf_encoder``: encoder known beforehand, decoder trained alone, ``fit`` to the
    scores of the events; neither waits for the other.
together
    ``squashed`` with ``gaussian.build`` as learned prior: the KL to a copula, or with
    the penalty ``losses.uniform`` on the marginals only and a copula fitted after.
"""

import dataclasses
from typing import Literal

import numpy as np

from jetvae_jax import priors
from jetvae_jax.copulas import gaussian, marginals
from jetvae_jax.copulas.joint import (
    fit_own,
    log_density,
    own_marginals,
    uniforms,
    with_marginals,
)
from jetvae_jax.copulas.latent import cdf_encoder, squashed
from jetvae_jax.copulas.marginals import Marginals
from jetvae_jax.errors import InputError
from jetvae_jax.types import Array, Flow, Params, Prior

__all__ = [
    "Config",
    "Marginals",
    "build",
    "cdf_encoder",
    "fit",
    "fit_own",
    "gaussian",
    "log_density",
    "marginals",
    "own_marginals",
    "squashed",
    "uniforms",
    "with_marginals",
]


@dataclasses.dataclass(frozen=True)
class Config:
    """What a copula of latents is made of.

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
    num_knots: int = 256
    num_bins: int = 16

    def __post_init__(self):
        for name, known in (
            ("dependence", ("gaussian", "flow")),
            ("correlation", ("scores", "spearman")),
            ("marginals", ("empirical", "spline")),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} = {getattr(self, name)!r}: choose {' or '.join(known)}"
                )
        if self.num_knots < 17:
            raise InputError(f"num_knots = {self.num_knots}: give at least 17")
        if not 2 <= self.num_bins <= 100:
            raise InputError(f"num_bins = {self.num_bins}: give 2 to 100")


def columns(config: Config, dim: int) -> Marginals:
    """The marginals that ``config`` asks for."""
    if config.marginals == "spline":
        return marginals.spline(dim, num_bins=config.num_bins)
    return marginals.empirical(dim, num_knots=config.num_knots)


def build(config: Config, *, dim: int, flow: Flow | None = None) -> Prior:
    """The prior of latents that ``config`` describes.

    Args:
        config: its parts.
        dim: L.
        flow: on L scores; for ``dependence = flow``.

    Returns:
        A Prior with parameters ``{"marginals", "copula"}``; those of a flow copula
        are ``{"own", "flow"}``.

    Raises:
        ValueError: a flow is missing, or was given for nothing.
    """
    if (flow is not None) != (config.dependence == "flow"):
        raise ValueError(f"dependence = {config.dependence!r} with flow = {flow}")
    if flow is None:
        copula = gaussian.build(dim)
    else:
        own = marginals.empirical(dim, num_knots=config.num_knots)
        copula = own_marginals(priors.from_flow(flow), own)
    return with_marginals(copula, columns(config, dim))


def fit(config: Config, latents: Array, *, what: str = "latents") -> Params:
    """Marginals, and the correlations of a Gaussian copula, of a sample.

    Neural CDFs start close; ``losses.nll`` polishes them. A flow copula has its
    ``"copula"`` fitted after: the flow to ``columns(...).scores`` of the sample by
    ``losses.nll``, then :func:`fit_own`.

    Args:
        config: the parts.
        latents: ``[J, L]``, J at least 20.
        what: of the message.

    Returns:
        ``{"marginals": ..., "copula": ...}``, the latter for 'gaussian' only.

    Raises:
        InputError: too few rows, NaN, or a constant column.
    """
    latents = np.asarray(latents)
    if config.marginals == "spline":
        start = marginals.start_spline(latents, num_bins=config.num_bins, what=what)
    else:
        start = marginals.fit_empirical(latents, num_knots=config.num_knots, what=what)
    params = {"marginals": start}
    if config.dependence == "gaussian":
        params["copula"] = gaussian.fit(latents, method=config.correlation, what=what)
    return params
