"""A GAN of the cells of a detector, convolved where they are on a grid.

The generator gives each cell a mean and a deviation, and adds noise of its own to it;
what is below zero, the threshold, is an empty cell, and what is above has a least
energy that is learned. The critic sees the cells, about
which share of the energy each has, on which widths and asymmetries depend, the numbers
of the shower as a whole and sums over the cells. A conditional GAN of
calorimeters on a grid: arXiv:1812.01319.

Points must come in a fixed order. Features of points are not negative, and zero where
the mask is False.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import PositiveInt
from jetvae_jax.core.types import Array, Key, Model, Task
from jetvae_jax.models import _cells, gan, vae

USES_MASK = False
USES_DISTANCE = False
USES_OBSERVABLES = True
LOG_STD = (-7.0, 2.0)
START = (-0.2, -2.0)
"""Mean and log deviation of a cell at the start, of which one in sixteen is hit."""
STEEP = 20.0  # rise over the gap between nothing and the least energies
MOST, SHARE = 5.0, 10.0
GROWTH = 3.0
"""With which energies grow with features, which are their logarithms, about."""


@configs.config
class Config(_cells.Config, gan.Config):
    """Sizes of the networks.

    Attributes:
        noise: random numbers of the whole shower that the generator is given.
    """

    objective: gan.Objective = "cramer"
    noise: PositiveInt = 16


class Generator(nn.Module):
    """Noise of the shower and of its cells to the shower."""

    config: Config

    @nn.compact
    def __call__(self, noise: tuple[Array, Array], mask: Array, given: Array) -> Array:
        """``noise`` ``[..., L]`` and ``[..., C, F]`` to ``[..., R + C, F]``."""
        del mask
        config, (shared, own) = self.config, noise
        features = config.num_features
        known = layers.with_condition(shared, given)
        whole = layers.MLP(
            config.hidden, config.jet_rows * features, config.activation, name="whole"
        )(known)
        outputs = _cells.Cells(config, 2 * features, name="cells")(
            layers.with_condition(known, whole)
        )
        mean, log_std = jnp.split(outputs, 2, axis=-1)
        log_std = vae.smooth_clip(log_std + START[1], *LOG_STD)
        x = mean + START[0] + jnp.exp(log_std) * own
        x = jax.nn.relu(x)
        gap = 0.3 + self.param("gap", layers.within(0.0), (features,))
        x = jax.nn.relu(x + gap * jnp.tanh(STEEP * x))
        whole = whole.reshape(*whole.shape[:-1], config.jet_rows, features)
        return jnp.concatenate([whole, x], axis=-2)


class Critic(nn.Module):
    """A shower to numbers."""

    config: Config

    @nn.compact
    def __call__(
        self, x: Array, mask: Array, given: Array, key: Key | None = None
    ) -> Array:
        """``x [..., R + C, F]``, ``given [..., G]`` to ``[..., H]``."""
        del mask, key
        config = self.config
        whole, cells = x[..., : config.jet_rows, :], x[..., config.jet_rows :, :]
        sums = jnp.sum(jnp.concatenate([cells, jnp.tanh(4 * cells)], -1), axis=-2)
        energies = jnp.expm1(GROWTH * jnp.clip(cells, 0, MOST))
        shares = energies / (1 + jnp.sum(energies, axis=-2, keepdims=True))
        cells = jnp.concatenate([cells, SHARE * shares], axis=-1)
        known = layers.with_condition(whole.reshape(*whole.shape[:-2], -1), given)
        known = layers.with_condition(known, sums / config.num_particles**0.5)
        x = _cells.Summary(config, name="cells")(cells, known)
        return layers.Dense(config.outputs, scale=layers.QUIET, name="last")(x)


def model(config: Config, task: Task) -> Model:
    """The generative model."""

    def noise(key: Key, mask: Array) -> tuple[Array, Array]:
        shared, own = jax.random.split(key)
        lead = mask.shape[:-1]
        cells = (*lead, config.num_particles, config.num_features)
        return (
            jax.random.normal(shared, (*lead, config.noise)),
            jax.random.normal(own, cells),
        )

    return gan.build(
        config, Generator(config), Critic(config), task, noise=noise, sets=False
    )
