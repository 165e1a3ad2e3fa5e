"""The loss of any VAE: a distance, a divergence from the prior, and nothing else.

What is compared, and in which space, is the affair of a ``Distance``; what the latents
should follow, of a ``Prior``::

    loss = share D(x, x_hat) + beta KL(q(z|x) || p(z)) + uniform C(z)

With the standard normal prior the KL is analytic. With a learned one it is estimated
by the one draw that is decoded, ``log q(z|x) - log p(z)``: unbiased (arXiv:1312.6114,
equation 2), and the prior learns with the rest. It can be negative for a single jet.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jetvae_jax.core.types import (
    VAE,
    Array,
    Batch,
    Distance,
    GaussianPosterior,
    Key,
    LossFn,
    Params,
    Prior,
    Terms,
    optional,
)
from jetvae_jax.losses.latent_terms import gaussian_kl, normal_marginals, reparameterize


class Objective(NamedTuple):
    """What a VAE is trained to.

    Attributes:
        distance: of a batch and its reconstruction.
        beta: weight of the KL.
        share: weight of the distance.
        uniform: weight of the Cramér distance of the latents' marginals from the
            normal, so that ``Phi(z)`` is uniform; for copulas.
    """

    distance: Distance
    beta: float
    share: float = 1.0
    uniform: float = 0.0

    def total(self, distance: Array, terms: Terms) -> Array:
        """The loss ``[J]`` from the distance and the terms ``kl`` and ``uniform``."""
        loss = self.share * distance + self.beta * terms["kl"]
        return loss + self.uniform * terms["uniform"] if self.uniform else loss


class Pass(NamedTuple):
    """One way through a VAE.

    Attributes:
        z: ``[J, L]`` drawn from the posterior.
        x_hat: ``[J, N, F]`` decoded.
        distance: ``[J]`` weighted sum of the distance's terms.
        terms: of the distance, ``kl`` and, if it has a weight, ``uniform``.
    """

    z: Array
    x_hat: Array
    distance: Array
    terms: Terms


def points(reconstruction: Callable[..., Array], *, masked: bool = True) -> Distance:
    """A distance in scaled features alone: of tables, or of points as they are.

    Args:
        reconstruction: ``(x, y, *, x_mask, y_mask) -> [...]``.
        masked: leave padding out of the true points.
    """

    def distance(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
        mask = batch.mask if masked else None
        error = reconstruction(batch.x, x_hat, x_mask=mask)
        return error, {"reconstruction": error}

    return distance


def gaussian_log_prob(posterior: GaussianPosterior, z: Array) -> Array:
    """``log q(z|x)`` of a diagonal Gaussian, ``[..., L] -> [...]``, in nats."""
    mean, logvar = posterior
    squares = jnp.square((z - mean) * jnp.exp(-logvar / 2))
    return -0.5 * jnp.sum(squares + logvar + jnp.log(2 * jnp.pi), axis=-1)


def conditions(batch: Batch) -> tuple[Array, ...]:
    """What to append to the arguments of a model: nothing if there are none."""
    return optional(batch.condition)


def run(
    params: Params,
    key: Key,
    batch: Batch,
    *,
    vae: VAE,
    objective: Objective,
    prior: Prior | None = None,
) -> Pass:
    """Encode, draw, decode and compare.

    Args:
        params: ``{"encoder", "decoder"}``, and ``"prior"`` if there is one.
        key: of the draw.
        batch: of J sets.
        vae: the model.
        objective: says what is compared.
        prior: of the latents; None for the standard normal.
    """
    posterior = vae.encode(params, batch.x, batch.mask, *conditions(batch))
    z = reparameterize(key, posterior)
    x_hat = vae.decode(params, z, *conditions(batch))
    distance, terms = objective.distance(batch, x_hat)
    if prior is None:
        kl = gaussian_kl(posterior)
    else:
        log_p = prior.log_prob(params["prior"], z, *conditions(batch))
        kl = gaussian_log_prob(posterior, z) - log_p
    terms = {**terms, "kl": kl}
    if objective.uniform:
        terms["uniform"] = normal_marginals(z)
    return Pass(z, x_hat, distance, terms)


def build(vae: VAE, objective: Objective, *, prior: Prior | None = None) -> LossFn:
    """The loss that trains a VAE, alone or together with its prior.

    Args:
        vae: the model.
        objective: distance and weights.
        prior: None for the standard normal, else its parameters are
            ``params["prior"]``.

    Returns:
        ``(params, key, batch: Batch) -> (loss [J], terms)``, the terms unweighted:
        those of the distance, ``kl`` in nats and, if it has a weight, ``uniform``.
    """

    def loss_fn(params, key, batch: Batch):
        done = run(params, key, batch, vae=vae, objective=objective, prior=prior)
        return objective.total(done.distance, done.terms), done.terms

    return loss_fn
