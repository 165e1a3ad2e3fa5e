"""A VAE for sets: neither the order of the particles nor padding has any influence.

The encoder is a stack of equivariant EPiC layers (arXiv:2301.08128) and a pooled
summary: a Deep Set (arXiv:1703.06114) whose points also depend on a summary of their
jet. The decoder starts from one learned embedding per slot, adds the latent vector to
each and applies the same layers. It gives one particle per slot; the scaling decides
which of them exist. Train it with a permutation-invariant loss (Chamfer, Sinkhorn).
"""

import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt
from jetvae_jax.core.types import VAE, Array, GaussianPosterior, Model, Task
from jetvae_jax.models import vae

USES_MASK = True


@configs.config
class Config:
    """Sizes of the network.

    Attributes:
        num_particles: particles that the decoder generates.
        num_features: features of a particle.
        latent_dim: dimensions of the latent space.
        width: channels of a particle.
        context: size of the vector that all particles share.
        encoder_layers: equivariant layers of the encoder; 0 is a plain Deep Set.
        decoder_layers: equivariant layers of the decoder.
        hidden: sizes of the dense layers before the posterior.
        activation: function between the layers.
        jet_rows: rows before the particles that describe the jet as a whole.
        num_conditions: numbers given to encoder and decoder beside the particles.
    """

    num_particles: PositiveInt = 30
    num_features: PositiveInt = 3
    latent_dim: PositiveInt = 30
    width: PositiveInt = 128
    context: PositiveInt = 32
    encoder_layers: NonNegativeInt = 2
    decoder_layers: PositiveInt = 4
    hidden: tuple[PositiveInt, ...] = (256,)
    activation: layers.Activation = "leaky_relu"
    jet_rows: NonNegativeInt = 0
    num_conditions: NonNegativeInt = 0


def _layer(config: Config, i: int) -> layers.EpicLayer:
    return layers.EpicLayer(
        config.width,
        config.context,
        config.num_particles,
        config.activation,
        name=f"layer_{i}",
    )


class Encoder(nn.Module):
    """Points to a posterior, independent of their order and of padding."""

    config: Config

    @nn.compact
    def __call__(self, x: Array, mask: Array, jet: Array) -> GaussianPosterior:
        """``x [..., N, F]``, ``mask [..., N]``, ``jet [..., G]`` to the posterior."""
        config, act = self.config, layers.activation(self.config.activation)
        x = jnp.where(mask[..., None], x, 0.0)
        x = layers.MLP((config.width,), config.width, config.activation, name="embed")(
            x
        )
        x = act(x)
        summary = layers.pool(x, mask, config.num_particles)
        summary = jnp.concatenate([summary, jet], axis=-1)
        context = act(layers.Dense(config.context, name="context")(summary))
        for i in range(config.encoder_layers):
            x, context = _layer(config, i)(x, context, mask)
        summary = layers.pool(x, mask, config.num_particles)
        outputs = layers.MLP(
            config.hidden,
            2 * config.latent_dim,
            config.activation,
            last_scale=layers.QUIET,
            name="posterior",
        )(jnp.concatenate([summary, context], axis=-1))
        return vae.posterior(outputs)


class Decoder(nn.Module):
    """A latent vector to one point per slot."""

    config: Config

    @nn.compact
    def __call__(self, z: Array) -> tuple[Array, Array]:
        """``z [..., L]`` to ``[..., N, F]`` and ``[..., G]``."""
        config, act = self.config, layers.activation(self.config.activation)
        slots = self.param(
            "slots",
            layers.within(3**0.5),  # variance 1
            (config.num_particles, config.width),
        )
        z = act(layers.MLP(config.hidden, config.width, config.activation, name="z")(z))
        context = act(layers.Dense(config.context, name="context")(z))
        x = act(slots + layers.Dense(config.width, name="embed")(z)[..., None, :])
        for i in range(config.decoder_layers):
            x, context = _layer(config, i)(x, context)
        jet = vae.jet_features(context, config.jet_rows * config.num_features)
        return layers.Dense(config.num_features, scale=layers.QUIET, name="last")(
            x
        ), jet


def build(config: Config) -> VAE:
    """The network of ``config``; its encoder takes jets of any number of particles."""
    return vae.as_vae(
        Encoder(config),
        Decoder(config),
        num_particles=config.num_particles,
        num_features=config.num_features,
        latent_dim=config.latent_dim,
        jet_rows=config.jet_rows,
        num_conditions=config.num_conditions,
        any_length=True,
    )


def model(config: Config, task: Task) -> Model:
    """The generative model: this VAE with the objective and components of the task."""
    return vae.model(build(config), task)
