"""A VAE of dense layers on the flattened features: for tables, one row per event.

The model of "The assessment of different VAE derivatives" (Stevenson, Kruger 2022):
layers of equal size, their number, size and activation to choose. Sets of several
points are flattened; they must come in a fixed order and number. The mask is not
read: padding is part of the input, at the value that the scaling gave it.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt
from jetvae_jax.core.types import VAE, Array, GaussianPosterior, Model, Task
from jetvae_jax.models import vae

USES_MASK = False


@configs.config
class Config:
    """Sizes of the network.

    Attributes:
        num_particles: points of a set; 1 for the row of a table.
        num_features: features of a point; the columns of a table.
        latent_dim: dimensions of the latent space.
        num_layers: hidden layers of the encoder, and of the decoder.
        nodes: size of each hidden layer.
        activation: function between the layers.
        output: sigmoid for features scaled to [0, 1], linear for any others.
        jet_rows: rows before the points that describe the set as a whole.
        num_conditions: numbers given to encoder and decoder beside the features.
    """

    num_particles: PositiveInt = 1
    num_features: PositiveInt = 18
    latent_dim: PositiveInt = 10
    num_layers: PositiveInt = 3
    nodes: PositiveInt = 128
    activation: layers.Activation = "leaky_relu"
    output: Literal["sigmoid", "linear"] = "linear"
    jet_rows: NonNegativeInt = 0
    num_conditions: NonNegativeInt = 0


def _hidden(config: Config, x: Array) -> Array:
    act = layers.activation(config.activation)
    for i in range(config.num_layers):
        x = act(layers.Dense(config.nodes, name=f"dense_{i}")(x))
    return x


class Encoder(nn.Module):
    """Dense layers, then mean and log-variance."""

    config: Config

    @nn.compact
    def __call__(self, x: Array, mask: Array, jet: Array) -> GaussianPosterior:
        """``x [..., N, F]``, ``jet [..., G]`` to the posterior; mask is not read."""
        del mask
        x = jnp.concatenate([x.reshape(*x.shape[:-2], -1), jet], axis=-1)
        size = 2 * self.config.latent_dim
        last = layers.Dense(size, scale=layers.QUIET, name="posterior")
        return vae.posterior(last(_hidden(self.config, x)))


class Decoder(nn.Module):
    """The encoder mirrored."""

    config: Config

    @nn.compact
    def __call__(self, z: Array) -> tuple[Array, Array]:
        """``z [..., L]`` to ``[..., N, F]`` and ``[..., G]``."""
        config = self.config
        shape = (config.num_particles, config.num_features)
        hidden = _hidden(config, z)
        jet = vae.jet_features(hidden, config.jet_rows * config.num_features)
        last = layers.Dense(shape[0] * shape[1], scale=layers.QUIET, name="last")
        x = last(hidden).reshape(*z.shape[:-1], *shape)
        return jax.nn.sigmoid(x) if config.output == "sigmoid" else x, jet


def build(config: Config) -> VAE:
    """The network of ``config`` as pure functions."""
    return vae.as_vae(
        Encoder(config),
        Decoder(config),
        num_particles=config.num_particles,
        num_features=config.num_features,
        latent_dim=config.latent_dim,
        jet_rows=config.jet_rows,
        num_conditions=config.num_conditions,
    )


def model(config: Config, task: Task) -> Model:
    """The generative model: this VAE with the objective and components of the task."""
    return vae.model(build(config), task)
