"""A GAN of dense layers on the flattened features: for tables, one row per event.

Sets of several points are flattened; they must come in a fixed order and number, and
padding is part of what is generated, at the value that the scaling gave it.
"""

from typing import Literal

import jax
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt
from jetvae_jax.core.types import Array, Key, Model, Task
from jetvae_jax.models import gan

USES_MASK = False
USES_DISTANCE = False
USES_OBSERVABLES = True


@configs.config
class Config(gan.Config):
    """Sizes of the networks.

    Attributes:
        num_particles: points of a set; 1 for the row of a table.
        num_features: features of a point; the columns of a table.
        noise: random numbers that the generator is given.
        num_layers: hidden layers of the generator, and of the critic.
        nodes: size of each hidden layer.
        activation: function between the layers.
        output: sigmoid for features scaled to [0, 1], linear for any others.
        jet_rows: rows before the points that describe the set as a whole.
        num_conditions: numbers given to both networks beside the noise, or the
            features.
    """

    objective: gan.Objective = "classic"
    num_particles: PositiveInt = 1
    num_features: PositiveInt = 18
    noise: PositiveInt = 16
    num_layers: PositiveInt = 3
    nodes: PositiveInt = 128
    activation: layers.Activation = "leaky_relu"
    output: Literal["sigmoid", "linear"] = "linear"
    jet_rows: NonNegativeInt = 0
    num_conditions: NonNegativeInt = 0


class Generator(nn.Module):
    """Noise to points."""

    config: Config

    @nn.compact
    def __call__(self, noise: Array, mask: Array, given: Array) -> Array:
        """``noise [..., L]``, ``given [..., G]`` to ``[..., N, F]``."""
        config = self.config
        size = config.nodes
        hidden = (size,) * config.num_layers
        width = mask.shape[-1] * config.num_features
        net = layers.MLP(hidden, width, config.activation, name="net")
        x = net(layers.with_condition(noise, given))
        x = x.reshape(*mask.shape, config.num_features)
        return jax.nn.sigmoid(x) if config.output == "sigmoid" else x


class Critic(nn.Module):
    """Points to numbers."""

    config: Config

    @nn.compact
    def __call__(
        self, x: Array, mask: Array, given: Array, key: Key | None = None
    ) -> Array:
        """``x [..., N, F]``, ``given [..., G]`` to ``[..., H]``."""
        del mask, key
        config = self.config
        hidden = (config.nodes,) * config.num_layers
        net = layers.MLP(
            hidden, config.outputs, config.activation, layers.QUIET, name="net"
        )
        return net(layers.with_condition(x.reshape(*x.shape[:-2], -1), given))


def model(config: Config, task: Task) -> Model:
    """The generative model."""

    def noise(key: Key, mask: Array) -> Array:
        return jax.random.normal(key, (*mask.shape[:-1], config.noise))

    return gan.build(
        config, Generator(config), Critic(config), task, noise=noise, sets=False
    )
