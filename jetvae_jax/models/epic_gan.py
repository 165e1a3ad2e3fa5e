"""EPiC-GAN (arXiv:2301.08128): sets of particles in time linear in their number.

Generator and critic are made of equivariant layers in which the points know of each
other by their mean and their sum alone, and by a vector of the whole set that is
carried along. All dense layers are weight-normalised. As published, with 3 features:
424,850 parameters of the generator and 313,170 of the critic, whatever the number of
particles. The public code (github.com/uhh-pd-ml/EPiC-GAN) is the source of sizes; this
is an implementation of its own.

Padding does not take part, so that a batch holds sets of any numbers of points.
"""

import functools

import jax
import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt
from jetvae_jax.core.types import Array, Key, Model, Task
from jetvae_jax.models import gan

USES_MASK = True
USES_DISTANCE = False
USES_OBSERVABLES = True
DEVIATION = 5.0
"""Standard deviation of the features inside the networks, as published."""


@configs.config
class Config(gan.Config):
    """Sizes of the networks.

    Attributes:
        num_particles: points of a set, at most.
        num_features: features of a point.
        width: channels of a point.
        whole: numbers that describe the set as a whole, in each layer and as noise.
        noise: random numbers of each point.
        generator_layers: equivariant layers of the generator.
        critic_layers: equivariant layers of the critic.
        num_conditions: numbers given to both networks.
    """

    num_particles: PositiveInt = 30
    num_features: PositiveInt = 3
    width: PositiveInt = 128
    whole: PositiveInt = 10
    noise: PositiveInt = 3
    generator_layers: PositiveInt = 6
    critic_layers: PositiveInt = 3
    num_conditions: NonNegativeInt = 0


Dense = functools.partial(layers.NormalisedDense, scale=layers.AS_TORCH)


def act(x: Array) -> Array:
    """Leaky ReLU of slope 0.01."""
    return jax.nn.leaky_relu(x, 0.01)


def pooled(x: Array, mask: Array, *more: Array) -> Array:
    """Mean and sum of the existing points ``[..., N, C]``, then further vectors."""
    return jnp.concatenate([*layers.mean_and_sum(x, mask, 1), *more], axis=-1)


class Layer(nn.Module):
    """An equivariant layer: the points update the whole, then it updates the points."""

    width: int

    @nn.compact
    def __call__(self, x: Array, whole: Array, mask: Array) -> tuple[Array, Array]:
        """``x [..., N, C]`` and ``whole [..., W]``, both updated."""
        hidden = act(Dense(self.width, name="whole_0")(pooled(x, mask, whole)))
        whole = act(Dense(whole.shape[-1], name="whole_1")(hidden) + whole)
        hidden = act(Dense(self.width, name="point_0")(with_whole(x, whole)))
        return act(Dense(self.width, name="point_1")(hidden) + x), whole


def with_whole(x: Array, whole: Array) -> Array:
    """Points ``[..., N, C]`` with the vector of the set appended to each."""
    return layers.with_condition(x, whole[..., None, :])


class Generator(nn.Module):
    """Noise of the set and of its points to points."""

    config: Config

    @nn.compact
    def __call__(self, noise: tuple[Array, Array], mask: Array, given: Array) -> Array:
        """``noise`` ``[..., W]`` and ``[..., N, L]`` to ``[..., N, F]``."""
        config, (whole, x) = self.config, noise
        x = act(Dense(config.width, name="point")(x))
        hidden = Dense(config.width, name="whole_0")
        whole = act(hidden(layers.with_condition(whole, given)))
        whole = act(Dense(config.whole, name="whole_1")(whole))
        start = x, whole
        for i in range(config.generator_layers):
            x, whole = Layer(config.width, name=f"layer_{i}")(x, whole, mask)
            x, whole = x + start[0], whole + start[1]
        return Dense(config.num_features, name="last")(x) / DEVIATION


class Critic(nn.Module):
    """Points to numbers that depend neither on their order nor on padding."""

    config: Config

    @nn.compact
    def __call__(
        self, x: Array, mask: Array, given: Array, key: Key | None = None
    ) -> Array:
        """``x [..., N, F]``, ``given [..., G]`` to ``[..., H]``."""
        del key
        config = self.config
        width = config.width
        x = jnp.where(mask[..., None], x, 0.0) * DEVIATION
        x = act(Dense(width, name="point_0")(x))
        x = act(Dense(width, name="point_1")(x) + x)
        whole = act(Dense(width, name="whole_0")(pooled(x, mask, given)))
        whole = act(Dense(config.whole, name="whole_1")(whole))
        for i in range(config.critic_layers):
            x, whole = Layer(width, name=f"layer_{i}")(x, whole, mask)
        y = act(Dense(width, name="dense_0")(pooled(x, mask, whole)))
        y = act(Dense(width, name="dense_1")(y) + y)
        return Dense(config.outputs, name="last")(y)


def model(config: Config, task: Task) -> Model:
    """The generative model."""

    def noise(key: Key, mask: Array) -> tuple[Array, Array]:
        whole, points = jax.random.split(key)
        return (
            jax.random.normal(whole, (*mask.shape[:-1], config.whole)),
            jax.random.normal(points, (*mask.shape, config.noise)),
        )

    return gan.build(
        config, Generator(config), Critic(config), task, noise=noise, sets=True
    )
