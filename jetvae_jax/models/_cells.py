"""Networks of the cells of a detector: convolutions on a grid, dense layers on none."""

import math
from typing import Annotated

import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array

FASTER = 10.0
"""Of the biases of single cells: outer cells are hardly ever hit."""


@configs.config
class Config:
    """Sizes of the networks.

    Attributes:
        num_particles: cells.
        num_features: features of a cell.
        jet_rows: rows before the cells that describe the shower as a whole.
        grid: layers, rows and columns of the cells; empty for cells on no grid.
        filters: channels of each convolution of 3 x 3 cells, layers being channels of
            the first; before each of them rows and columns are halved. Empty for dense
            layers alone, as where there is no grid.
        hidden: sizes of the dense layers beside them.
        profile: functions of the distance from the middle of the shower of which
            outputs of cells are made, instead of by dense layers or convolutions; 0
            for none, as where there is no grid.
        activation: function between the layers.
        num_conditions: numbers given to the networks beside the cells.
    """

    num_particles: PositiveInt = 900
    num_features: PositiveInt = 1
    jet_rows: NonNegativeInt = 0
    grid: tuple[int, ...] = ()
    filters: tuple[PositiveInt, ...] = (16, 32)
    hidden: Annotated[tuple[PositiveInt, ...], configs.not_empty] = (128,)
    profile: NonNegativeInt = 0
    activation: layers.Activation = "gelu"
    num_conditions: NonNegativeInt = 0

    def __post_init__(self):
        if self.profile == 1:
            raise InputError("profile: must be 0 or at least 2, got 1")
        if self.grid and math.prod(self.grid) != self.num_particles:
            raise InputError(
                f"grid: {self.grid!r} does not have {self.num_particles} cells"
            )

    @property
    def convolved(self) -> bool:
        """Whether there are convolutions."""
        return bool(self.grid and self.filters)

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns, filled up so that they can be halved."""
        unit = 2 ** len(self.filters)
        rows, columns = (-(-side // unit) * unit for side in self.grid[1:])
        return rows, columns

    @property
    def smallest(self) -> tuple[int, int, int]:
        """Rows, columns and channels after the last halving."""
        rows, columns = (side >> len(self.filters) for side in self.sides)
        return rows, columns, self.filters[-1]


class Summary(nn.Module):
    """Cells and what is given with them to one vector."""

    config: Config

    @nn.compact
    def __call__(self, cells: Array, given: Array) -> Array:
        """``cells [..., C, F]``, ``given [..., G]`` to ``[..., H]``."""
        config, act = self.config, layers.activation(self.config.activation)
        x = cells.reshape(*cells.shape[:-2], -1)
        if config.convolved:
            x = _image(config, cells)
            for i, channels in enumerate(config.filters):
                x = layers.space_to_depth(x)
                x = act(layers.Conv2D(channels, name=f"conv_{i}")(x))
            x = x.reshape(*x.shape[:-3], -1)
        x = layers.with_condition(x, given)
        for i, size in enumerate(config.hidden):
            x = act(layers.Dense(size, name=f"dense_{i}")(x))
        return x


class Cells(nn.Module):
    """The way back: what is known to ``outputs`` numbers of each cell.

    Attributes:
        config: the sizes.
        outputs: numbers of a cell.
    """

    config: Config
    outputs: int

    @nn.compact
    def __call__(self, given: Array) -> Array:
        """``given [..., G]`` to ``[..., C, outputs]``."""
        config, act = self.config, layers.activation(self.config.activation)
        x = given
        for i, size in enumerate(config.hidden[::-1]):
            x = act(layers.Dense(size, name=f"dense_{i}")(x))
        shape = (config.num_particles, self.outputs)
        own = FASTER * self.param("bias", layers.within(0.0), shape)
        if config.grid and config.profile:
            return Profile(config, self.outputs, name="profile")(x) + own
        if not config.convolved:
            last = layers.Dense(math.prod(shape), scale=layers.QUIET, name="last")
            return last(x).reshape(*x.shape[:-1], *shape) + own
        image = config.smallest
        x = act(layers.Dense(math.prod(image), name="image")(x))
        x = x.reshape(*x.shape[:-1], *image)
        for i, channels in enumerate(config.filters[-2::-1]):
            x = act(layers.Conv2D(4 * channels, name=f"conv_{i}")(x))
            x = layers.depth_to_space(x)
        depth, rows, columns = config.grid
        size = 4 * depth * self.outputs
        x = layers.Conv2D(size, scale=layers.QUIET, name="last")(x)
        x = layers.depth_to_space(x)[..., :rows, :columns, :]
        x = x.reshape(*x.shape[:-1], depth, self.outputs)
        return jnp.moveaxis(x, -2, -4).reshape(*x.shape[:-4], *shape) + own


class Profile(nn.Module):
    """Smooth functions of the place of a cell relative to the middle of the shower.

    A shower whose particle enters half a cell further on is the same function of the
    places of cells, while all cells of it differ. The functions are Gaussians of the
    logarithm of the distance, times 1, x, y, x^2 - y^2 and 2 x y of the direction.

    Attributes:
        config: the sizes.
        outputs: numbers of a cell.
    """

    config: Config
    outputs: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Hidden numbers ``[..., H]`` to ``[..., C, outputs]``."""
        config, lead = self.config, x.shape[:-1]
        depth, rows, columns = config.grid
        middle = layers.Dense(2 * depth, scale=layers.QUIET, name="middle")(x)
        middle = middle.reshape(*lead, depth, 2, 1, 1)
        away_y = jnp.arange(rows)[:, None] - (rows - 1) / 2 - middle[..., 0, :, :]
        away_x = jnp.arange(columns) - (columns - 1) / 2 - middle[..., 1, :, :]
        away_y, away_x = jnp.broadcast_arrays(away_y, away_x)
        square = jnp.square(away_y) + jnp.square(away_x) + 0.25
        log, radius = 0.5 * jnp.log(square), jnp.sqrt(square)
        places = jnp.linspace(jnp.log(0.5), jnp.log(max(rows, columns)), config.profile)
        step = places[1] - places[0]
        radial = jnp.exp(-0.5 * jnp.square((log[..., None] - places) / step))
        u, v = away_x / radius, away_y / radius
        turned = jnp.stack([jnp.ones_like(u), u, v, u * u - v * v, 2 * u * v], axis=-1)
        size = turned.shape[-1] * config.profile
        found = (turned[..., None] * radial[..., None, :]).reshape(
            *lead, depth, rows * columns, size
        )
        shape = (depth, size, self.outputs)
        weights = layers.Dense(math.prod(shape), scale=layers.QUIET, name="weights")(x)
        cells = jnp.matmul(found, weights.reshape(*lead, *shape))
        return cells.reshape(*lead, -1, self.outputs)


def _image(config: Config, cells: Array) -> Array:
    """``[..., C, F]`` as ``[..., rows, columns, layers F]``, filled up with zeros."""
    lead = cells.shape[:-2]
    x = cells.reshape(*lead, *config.grid, cells.shape[-1])
    x = jnp.moveaxis(x, -4, -2).reshape(*lead, *config.grid[1:], -1)
    pairs = zip(config.sides, config.grid[1:], strict=True)
    more = [(0, full - side) for full, side in pairs]
    return jnp.pad(x, [*[(0, 0)] * len(lead), *more, (0, 0)])
