"""A discriminator of sets: neither the order of the points nor padding has influence.

Equivariant layers (arXiv:1703.06114) in which every point depends on the mean and the
sum of all points, then the same summary and dense layers, as in the discriminator of
arXiv:2301.08128. Padding may hold any values.
"""

from typing import Annotated

import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt
from jetvae_jax.core.layers import Activation
from jetvae_jax.core.types import Array, Discriminator
from jetvae_jax.discriminators import _discriminator

USES_MASK = True


@configs.config
class Config:
    """Sizes of the network.

    Attributes:
        num_particles: the largest number of points; keeps sums of order one.
        num_features: features of a point.
        width: channels of a point.
        layers: equivariant layers.
        hidden: sizes of the dense layers on the summary; the last is the one of the
            feature-layer form.
        activation: function between the layers.
        jet_rows: rows before the points that describe the set as a whole.
        num_conditions: numbers given to the network beside the features.
    """

    num_particles: PositiveInt = 30
    num_features: PositiveInt = 3
    width: PositiveInt = 64
    layers: PositiveInt = 2
    hidden: Annotated[tuple[PositiveInt, ...], configs.not_empty] = (128, 64)
    activation: Activation = "leaky_relu"
    jet_rows: NonNegativeInt = 0
    num_conditions: NonNegativeInt = 0


class Network(nn.Module):
    """Equivariant layers, a summary, dense layers, one logit."""

    config: Config

    @nn.compact
    def __call__(self, x: Array, mask: Array, whole: Array) -> tuple[Array, Array]:
        """``x [..., N, F]``, ``whole [..., G]`` to logit and last hidden layer."""
        config, act = self.config, layers.activation(self.config.activation)
        capacity = config.num_particles
        # Replaced, not multiplied by zero: NaN in the padding must not spread.
        x = jnp.where(mask[..., None], x, 0.0)
        x = act(layers.Dense(config.width, name="embed")(x))
        for i in range(config.layers):
            summary = layers.mean_and_sum(x, mask, capacity)
            shared = jnp.concatenate([*summary, whole], axis=-1)
            # "told" is the name of the layer in checkpoints.
            dense = layers.Dense(config.width, use_bias=False, name=f"told_{i}")
            shared = dense(shared)
            point = layers.Dense(config.width, name=f"point_{i}")(x)
            x = act(point + shared[..., None, :])
        summary = layers.mean_and_sum(x, mask, capacity)
        x = jnp.concatenate([*summary, whole], axis=-1)
        for i, size in enumerate(config.hidden):
            x = act(layers.Dense(size, name=f"dense_{i}")(x))
        logit = layers.Dense(1, scale=layers.QUIET, name="logit")(x)
        return logit[..., 0], x


def build(config: Config) -> Discriminator:
    """The network of ``config``; it takes sets of any number of points."""
    return _discriminator.as_discriminator(
        Network(config),
        num_particles=config.num_particles,
        num_features=config.num_features,
        jet_rows=config.jet_rows,
        any_length=True,
        num_conditions=config.num_conditions,
    )
