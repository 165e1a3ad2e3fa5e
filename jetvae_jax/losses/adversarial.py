"""Losses of a VAE trained against a discriminator.

Algorithm 2 of "The assessment of different VAE derivatives" (Stevenson, Kruger 2022),
with D(x) the discriminator's probability that x is true, x' the reconstruction and g
the decoded draw of the prior::

    Loss_disc = BCE(D(x), 1) + BCE(D(x'), 0) + BCE(D(g), 0)
    L_recon   = (D(x') - D(x))^2
    Err_dec   = gamma L_recon - Loss_disc
    Err_enc   = beta L_KL + gamma L_recon

and the one that it comes from, VAE/GAN (arXiv:1512.09300, equations 7 to 10), whose
reconstruction is a unit Gaussian in the last hidden layer h of the discriminator::

    L_recon   = |h(x') - h(x)|^2 / 2
    Err_enc   = beta L_KL + L_recon

The encoder is not told to fool the discriminator, the discriminator not to
reconstruct. To both Err, ``reconstruction`` times the plain distance can be added.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeFloat, PositiveFloat
from jetvae_jax.core.types import (
    VAE,
    Array,
    Batch,
    Discriminator,
    Key,
    Params,
    Prior,
    Terms,
)
from jetvae_jax.losses import variational

Errors = Callable[[Params, Key, Batch], tuple[dict[str, Array], Terms]]
"""``(params, key, batch) -> ({"encoder": [J], "decoder": [J], ...}, terms)``."""


@configs.config
class Config:
    """How discriminator and VAE are played against each other.

    Attributes:
        form: 'algorithm2' of the talk measures the reconstruction by the
            discriminator's output, 'feature' by its last hidden layer (VAE/GAN).
        alpha: learning rate of the discriminator over that of the others.
        gamma: weight of the reconstruction as the discriminator sees it.
        beta: weight of the KL in the encoder's error.
        reconstruction: weight of the plain distance, beside gamma; 0 leaves it out.
    """

    form: Literal["algorithm2", "feature"] = "algorithm2"
    alpha: PositiveFloat = 0.1
    gamma: NonNegativeFloat = 15.0
    beta: NonNegativeFloat = 1.0
    reconstruction: NonNegativeFloat = 0.0


def bce(logits: Array, *, true: bool) -> Array:
    """Cross entropy of ``sigmoid(logits)`` with 1 or 0, never NaN nor infinite.

    ``-log D`` is ``softplus(-logit)``: no probability is formed that could round to
    0 or 1. Same shape, in nats.
    """
    return jax.nn.softplus(-logits if true else logits)


def discriminator_loss(true: Array, reconstructed: Array, generated: Array) -> Array:
    """``Loss_disc`` from the three logits ``[...]``, in nats."""
    fake = bce(reconstructed, true=False) + bce(generated, true=False)
    return bce(true, true=True) + fake


def output_distance(true: Array, reconstructed: Array) -> Array:
    """``(D(x') - D(x))^2`` from two logits ``[...]``."""
    return jnp.square(jax.nn.sigmoid(reconstructed) - jax.nn.sigmoid(true))


def feature_distance(true: Array, reconstructed: Array) -> Array:
    """``|h(x') - h(x)|^2 / 2`` from two hidden layers ``[..., D]``."""
    return 0.5 * jnp.sum(jnp.square(reconstructed - true), axis=-1)


def build(
    config: Config,
    vae: VAE,
    discriminator: Discriminator,
    objective: variational.Objective,
    *,
    prior: Prior | None = None,
    exists: Callable[[Array, Array], Array] | None = None,
) -> Errors:
    """The error of each part, all of one forward pass.

    Args:
        config: form and weights.
        vae: the model.
        discriminator: takes what the model makes.
        objective: gives the plain distance and the term ``loss`` to watch.
        prior: of the latents, learned by the KL alone; None for N(0, 1).
        exists: ``(x_hat [J, N, F], axis) -> [J, N]``, which made points the
            discriminator sees as existing; true ones go by their mask. None: all
            points count, on both sides, as for tables.

    Returns:
        ``(params, key, batch) -> (errors, terms)``: params is ``{"encoder",
        "decoder", "discriminator"}`` and ``"prior"``; errors has the same keys, each
        ``[J]``, and each is meant for that part of params alone. The terms are those
        of the plain loss, ``loss`` itself, ``disc_loss``, ``similarity`` (L_recon)
        and the probabilities ``disc_true``, ``disc_reconstructed``,
        ``disc_generated``.
    """

    def errors_fn(params, key, batch: Batch):
        done = variational.run(
            params, key, batch, vae=vae, objective=objective, prior=prior
        )
        told = variational.conditions(batch)
        shape, draw = done.z.shape[:-1], jax.random.fold_in(key, 1)
        if prior is None:
            z = jax.random.normal(draw, done.z.shape)
        else:
            z = prior.sample(params["prior"], draw, shape, *told)
        generated = vae.decode(params, z, *told)

        def judged(x, mask):
            if exists is None:
                mask = jnp.ones(x.shape[:-1], bool)
            elif mask is None:
                mask = exists(x, batch.axis)
            arguments = params["discriminator"], x, mask, *told
            logits = discriminator.apply(*arguments)
            if config.form == "feature":
                return logits, discriminator.features(*arguments)
            return logits, logits

        true, true_hidden = judged(batch.x, batch.mask)
        again, again_hidden = judged(done.x_hat, None)
        made, _ = judged(generated, None)
        disc_loss = discriminator_loss(true, again, made)
        encoder_gamma = config.gamma
        if config.form == "feature":
            similarity = feature_distance(true_hidden, again_hidden)
            encoder_gamma = 1.0
        else:
            similarity = output_distance(true, again)
        kl, plain = config.beta * done.terms["kl"], 0.0
        if config.reconstruction:
            plain = config.reconstruction * done.distance
        if objective.uniform:
            kl = kl + objective.uniform * done.terms["uniform"]
        errors = {
            "encoder": kl + encoder_gamma * similarity + plain,
            "decoder": config.gamma * similarity + plain - disc_loss,
            "discriminator": disc_loss,
        }
        if prior is not None:
            errors["prior"] = done.terms["kl"]
        terms = {
            "loss": objective.total(done.distance, done.terms),
            **done.terms,
            "disc_loss": disc_loss,
            "similarity": similarity,
            "disc_true": jax.nn.sigmoid(true),
            "disc_reconstructed": jax.nn.sigmoid(again),
            "disc_generated": jax.nn.sigmoid(made),
        }
        return errors, terms

    return errors_fn
