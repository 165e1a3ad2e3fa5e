"""A discriminator of dense layers on the flattened features: for tables.

The points must come in a fixed order and number. The mask is not read: padding is
part of the input.
"""

import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt
from jetvae_jax.core.types import Array, Discriminator
from jetvae_jax.discriminators import _discriminator

USES_MASK = False


@configs.config
class Config:
    """Sizes of the network.

    Attributes:
        num_particles: points of a set; 1 for the row of a table.
        num_features: features of a point; the columns of a table.
        num_layers: hidden layers; the last is the one of the feature-layer form.
        nodes: size of each hidden layer.
        activation: function between the layers.
        jet_rows: rows before the points that describe the set as a whole.
        num_conditions: numbers given to the network beside the features.
    """

    num_particles: PositiveInt = 1
    num_features: PositiveInt = 18
    num_layers: PositiveInt = 3
    nodes: PositiveInt = 128
    activation: layers.Activation = "leaky_relu"
    jet_rows: NonNegativeInt = 0
    num_conditions: NonNegativeInt = 0


class Network(nn.Module):
    """Dense layers, then one logit."""

    config: Config

    @nn.compact
    def __call__(self, x: Array, mask: Array, whole: Array) -> tuple[Array, Array]:
        """``x [..., N, F]``, ``whole [..., G]`` to logit and last hidden layer."""
        del mask
        act = layers.activation(self.config.activation)
        x = jnp.concatenate([x.reshape(*x.shape[:-2], -1), whole], axis=-1)
        for i in range(self.config.num_layers):
            x = act(layers.Dense(self.config.nodes, name=f"dense_{i}")(x))
        logit = layers.Dense(1, scale=layers.QUIET, name="logit")(x)
        return logit[..., 0], x


def build(config: Config) -> Discriminator:
    """The network of ``config`` as pure functions."""
    return _discriminator.as_discriminator(
        Network(config),
        num_particles=config.num_particles,
        num_features=config.num_features,
        jet_rows=config.jet_rows,
        num_conditions=config.num_conditions,
    )
