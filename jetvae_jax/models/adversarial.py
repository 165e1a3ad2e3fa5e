"""A VAE trained against a discriminator.

Algorithm 2 of "The assessment of different VAE derivatives" (Stevenson, Kruger 2022),
with D(x) the discriminator's probability that x is true, x' the reconstruction and g
the decoded draw of the prior::

    Loss_disc = BCE(D(x), 1) + BCE(D(x'), 0) + BCE(D(g), 0)
    L_recon   = (D(x') - D(x))^2
    Err_dec   = gamma L_recon - Loss_disc
    Err_enc   = beta L_KL + gamma L_recon

and its origin, VAE/GAN (arXiv:1512.09300, equations 7 to 10), whose reconstruction
error is that of a unit Gaussian in the last hidden layer h of the discriminator::

    L_recon   = |h(x') - h(x)|^2 / 2
    Err_enc   = beta L_KL + L_recon

The encoder is not trained to fool the discriminator, and the discriminator is not
trained to reconstruct. To the losses of encoder and decoder, ``reconstruction`` times
the plain distance can be added.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeFloat, PositiveFloat
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.types import (
    VAE,
    Array,
    Batch,
    Context,
    Density,
    Discriminator,
    Key,
    Model,
    Objective,
    Params,
    Terms,
)
from jetvae_jax.losses.adversarial import bce
from jetvae_jax.losses.objective import forward


@configs.config
class Config:
    """Form and weights of the adversarial losses.

    Attributes:
        form: 'algorithm2' (Stevenson, Kruger 2022) measures the reconstruction by the
            discriminator's output, 'feature' by its last hidden layer (VAE/GAN).
        alpha: learning rate of the discriminator over that of the others.
        gamma: weight of L_recon, the reconstruction measured by the discriminator.
        beta: weight of the KL in the encoder's loss; negative: that of the objective,
            such as --objective.beta.
        reconstruction: weight of the plain distance, beside gamma; 0 leaves it out.
    """

    form: Literal["algorithm2", "feature"] = "algorithm2"
    alpha: PositiveFloat = 0.1
    gamma: NonNegativeFloat = 15.0
    beta: float = -1.0
    reconstruction: NonNegativeFloat = 0.0


def discriminator_loss(true: Array, reconstructed: Array, generated: Array) -> Array:
    """``Loss_disc`` from the three logits ``[...]``, in nats."""
    fake = bce(reconstructed, true=False) + bce(generated, true=False)
    return bce(true, true=True) + fake


def output_distance(true: Array, reconstructed: Array) -> Array:
    """``(D(x') - D(x))^2`` from two logits ``[...]``."""
    true, reconstructed = floats(jnp, true, reconstructed)
    return jnp.square(jax.nn.sigmoid(reconstructed) - jax.nn.sigmoid(true))


def feature_distance(true: Array, reconstructed: Array) -> Array:
    """``|h(x') - h(x)|^2 / 2`` from two hidden layers ``[..., D]``."""
    true, reconstructed = floats(jnp, true, reconstructed)
    return 0.5 * jnp.sum(jnp.square(reconstructed - true), axis=-1)


class Outputs(NamedTuple):
    """What a discriminator says of a batch.

    Attributes:
        true: logits ``[J]`` of the data.
        reconstructed: of their reconstructions.
        generated: of generated sets.
        similarity: ``[J]`` distance of data and reconstructions, by its output or its
            last hidden layer.
    """

    true: Array
    reconstructed: Array
    generated: Array
    similarity: Array


def component_losses(
    config: Config,
    objective: Objective,
    distance: Array,
    terms: Terms,
    outputs: Outputs,
) -> dict[str, Array]:
    """The losses ``[J]`` of encoder, decoder and discriminator.

    Args:
        config: form and weights.
        objective: gives the weights that the config does not.
        distance: ``[J]`` of reconstructions, without a discriminator.
        terms: ``kl``, and ``uniform`` if the objective has a weight for it.
        outputs: of the discriminator.
    """
    true, again, made, similarity = outputs
    disc_loss = discriminator_loss(true, again, made)
    encoder_gamma = 1.0 if config.form == "feature" else config.gamma
    beta = objective.beta if config.beta < 0 else config.beta
    kl, plain_distance = beta * terms["kl"], 0.0
    if config.reconstruction:
        plain_distance = config.reconstruction * distance
    if objective.uniform:
        kl = kl + objective.uniform * terms["uniform"]
    return {
        "encoder": kl + encoder_gamma * similarity + plain_distance,
        "decoder": config.gamma * similarity + plain_distance - disc_loss,
        "discriminator": disc_loss,
    }


def against(
    plain: Model,
    config: Config,
    vae: VAE,
    discriminator: Discriminator,
    objective: Objective,
    *,
    prior: Density | None = None,
    particle_mask: Callable[[Array, Context], Array] | None = None,
    freeze_encoder: bool = False,
) -> Model:
    """A VAE with a deterministic decoder, trained against a discriminator.

    Args:
        plain: the model of the VAE alone, of which only ``init`` and ``loss`` change.
        config: form and weights.
        vae: its networks.
        discriminator: of true and decoded sets.
        objective: gives the plain distance and the term ``loss`` to monitor.
        prior: of the latents, learned by the KL alone; None for N(0, 1).
        particle_mask: ``(x_hat [J, N, F], context) -> [J, N]``, the mask of decoded
            points for the discriminator; true points have their own. None: all points
            exist, true and decoded, as in tables.
        freeze_encoder: the encoder does not learn.

    Returns:
        A model whose loss is a dict with one ``[J]`` for each of ``encoder``,
        ``decoder``, ``discriminator`` and ``prior``. Its terms are those of the plain
        loss, ``loss`` itself, ``disc_loss``, ``similarity`` (L_recon) and the
        probabilities ``disc_true``, ``disc_reconstructed``, ``disc_generated``.
    """
    assert plain.encode is not None
    encode = plain.encode

    def init(key: Key) -> Params:
        own = discriminator.init(jax.random.fold_in(key, 2))
        return dict(plain.init(key)) | {"discriminator": own}

    def loss(params: Params, key: Key, batch: Batch):
        batch = record(jnp, batch)
        condition = batch.context.condition
        z, latent_terms = forward(
            params, key, batch,
            encode=encode, prior=prior, uniform=bool(objective.uniform),
        )  # fmt: skip
        x_hat = vae.decode(params, z, condition)
        distance, terms = objective.distance(batch, x_hat)
        terms = {**terms, **latent_terms}
        draw = jax.random.fold_in(key, 1)
        if prior is None:
            z = jax.random.normal(draw, z.shape)
        else:
            z = prior.sample(params["prior"], draw, z.shape[:-1], condition)
        generated = vae.decode(params, z, condition)

        def discriminate(x, mask):
            if particle_mask is None:
                mask = jnp.ones(x.shape[:-1], bool)
            elif mask is None:
                mask = particle_mask(x, batch.context)
            arguments = params["discriminator"], x, mask, condition
            logits = discriminator.apply(*arguments)
            if config.form == "feature":
                return logits, discriminator.features(*arguments)
            return logits, logits

        true, true_hidden = discriminate(batch.x, batch.mask)
        again, again_hidden = discriminate(x_hat, None)
        made, _ = discriminate(generated, None)
        if config.form == "feature":
            similarity = feature_distance(true_hidden, again_hidden)
        else:
            similarity = output_distance(true, again)
        outputs = Outputs(true, again, made, similarity)
        losses = component_losses(config, objective, distance, terms, outputs)
        if prior is not None:
            losses["prior"] = terms["kl"]
        reported = {
            "loss": objective.total(distance, terms),
            **terms,
            "disc_loss": losses["discriminator"],
            "similarity": similarity,
            "disc_true": jax.nn.sigmoid(true),
            "disc_reconstructed": jax.nn.sigmoid(again),
            "disc_generated": jax.nn.sigmoid(made),
        }
        return losses, reported

    rates = {"encoder": 0.0 if freeze_encoder else 1.0, "decoder": 1.0}
    if prior is not None:
        rates["prior"] = 1.0
    rates["discriminator"] = config.alpha
    return plain._replace(init=init, loss=loss, learning_rates=rates)
