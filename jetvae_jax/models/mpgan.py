"""MPGAN (arXiv:2106.11535): sets of particles by messages between all pairs.

Two layers of message passing in generator and critic: a dense network on the features
of each pair of points, its sum over the other points, and a dense network on that and
the point itself. As published, with 3 features: 361,123 parameters of the generator and
355,617 of the critic. The public code (github.com/rkansal47/MPGAN) is the source of
sizes; this is an implementation of its own.

Padding sends no messages. A generated set of n points is made of the n points whose
first random number is smallest, as published; they come first.
"""

import functools
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveFloat, PositiveInt
from jetvae_jax.core.types import Array, Key, Model, Task
from jetvae_jax.models import gan

USES_MASK = True
USES_DISTANCE = False
USES_OBSERVABLES = True


@configs.config
class Config(gan.Config):
    """Sizes of the networks.

    Attributes:
        num_particles: points of a set, at most.
        num_features: features of a point.
        noise: random numbers of each point.
        deviation: their standard deviation.
        pair: layers of the network on pairs.
        point: hidden layers of the network on points.
        width: channels of a point between the layers.
        num_layers: of message passing.
        dropout: share of the numbers that are dropped after each layer of the critic.
        output: sigmoid for features scaled to [0, 1], linear for any others.
        num_conditions: numbers given to all layers of both networks.
    """

    num_particles: PositiveInt = 30
    num_features: PositiveInt = 3
    noise: PositiveInt = 32
    deviation: PositiveFloat = 0.2
    pair: Annotated[tuple[PositiveInt, ...], configs.not_empty] = (96, 160, 192)
    point: Annotated[tuple[PositiveInt, ...], configs.not_empty] = (256, 256)
    width: PositiveInt = 32
    num_layers: PositiveInt = 2
    dropout: Annotated[float, configs.not_negative, configs.below(1)] = 0.5
    output: Literal["sigmoid", "linear"] = "linear"
    num_conditions: NonNegativeInt = 0


Dense = functools.partial(layers.Dense, scale=layers.AS_TORCH)


def act(x: Array) -> Array:
    """Leaky ReLU of slope 0.2."""
    return jax.nn.leaky_relu(x, 0.2)


class Messages(nn.Module):
    """A layer of message passing.

    Attributes:
        config: sizes.
        features: channels of a point afterwards.
        dropout: after each of its dense layers.
    """

    config: Config
    features: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Array, mask: Array, given: Array, key: Key | None) -> Array:
        """``x [..., N, C] -> [..., N, features]``."""
        config = self.config
        sizes = [*config.pair, *config.point, self.features]
        keys = [None] * len(sizes)
        if key is not None:
            keys = list(jax.random.split(key, len(sizes)))
        drops = iter(keys)

        def drop(y: Array) -> Array:
            return layers.dropout(next(drops), y, self.dropout)

        first = config.pair[0]
        # A dense layer on [receiver, sender, given] without copies of each for pairs
        receiver = Dense(first, name="pair_0")(
            layers.with_condition(x, given[..., None, :])
        )
        sender = Dense(first, use_bias=False, name="sender")(x)
        pair = drop(act(receiver[..., :, None, :] + sender[..., None, :, :]))
        for i, size in enumerate(config.pair[1:], 1):
            pair = drop(act(Dense(size, name=f"pair_{i}")(pair)))
        # What does not exist sends nothing.
        pair = jnp.where(mask[..., None, :, None], pair, 0.0)
        x = jnp.concatenate([jnp.sum(pair, axis=-2), x], axis=-1)
        x = layers.with_condition(x, given[..., None, :])
        for i, size in enumerate(config.point):
            x = drop(act(Dense(size, name=f"point_{i}")(x)))
        return drop(Dense(self.features, name="last")(x))


class Generator(nn.Module):
    """Noise of the points to points."""

    config: Config

    @nn.compact
    def __call__(self, noise: Array, mask: Array, given: Array) -> Array:
        """``noise [..., N, L]``, ``given [..., G]`` to ``[..., N, F]``."""
        config, x = self.config, noise
        for i in range(config.num_layers):
            last = i == config.num_layers - 1
            size = config.num_features if last else config.width
            x = Messages(config, size, name=f"layer_{i}")(x, mask, given, None)
        # The published tanh, for features in [0, 1] instead of [-1, 1].
        return jax.nn.sigmoid(2 * x) if config.output == "sigmoid" else x


class Critic(nn.Module):
    """Points to numbers that depend neither on their order nor on padding."""

    config: Config

    @nn.compact
    def __call__(
        self, x: Array, mask: Array, given: Array, key: Key | None = None
    ) -> Array:
        """``x [..., N, F]``, ``given [..., G]`` to ``[..., H]``."""
        config = self.config
        x = 2 * x - 1 if config.output == "sigmoid" else x
        x = jnp.where(mask[..., None], x, 0.0)
        for i in range(config.num_layers):
            layer = Messages(config, config.width, config.dropout, name=f"layer_{i}")
            x = layer(x, mask, given, _fold(key, i))
        x = jnp.sum(jnp.where(mask[..., None], x, 0.0), axis=-2)
        y = Dense(config.outputs, name="last")(x)
        return layers.dropout(_fold(key, config.num_layers), y, config.dropout)


def _fold(key: Key | None, i: int) -> Key | None:
    return None if key is None else jax.random.fold_in(key, i)


def noise(config: Config, key: Key, mask: Array) -> Array:
    """Random numbers of points ``[..., N, L]``, the first of them ascending."""
    drawn = config.deviation * jax.random.normal(key, (*mask.shape, config.noise))
    order = jnp.argsort(drawn[..., 0], axis=-1)
    return jnp.take_along_axis(drawn, order[..., None], axis=-2)


def model(config: Config, task: Task) -> Model:
    """The generative model."""
    draw = functools.partial(noise, config)
    return gan.build(
        config, Generator(config), Critic(config), task, noise=draw, sets=True
    )
