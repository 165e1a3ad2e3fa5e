"""What the losses between sets of pixels share."""

from collections.abc import Callable
from typing import Annotated, Literal

import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.numerics import safe_sqrt
from jetvae_jax.core.types import Array
from jetvae_jax.losses.nearest import Neighbours
from jetvae_jax.losses.repulsion import repulsion

Direction = Literal["both", "sym", "ieo", "oei"]
POSITION = slice(0, 2)
INTENSITY = 2

# Of the sum over x, each to its nearest y, and of the sum over y.
_WEIGHTS = {"both": (1.0, 1.0), "sym": (0.5, 0.5), "ieo": (1.0, 0.0), "oei": (0.0, 1.0)}


def both_ways(from_x: Array, from_y: Array, direction: Direction) -> Array:
    """The sums over ``[..., N]`` and ``[..., M]`` in the weights of a direction.

    Raises:
        ValueError: the direction is unknown.
    """
    if direction not in _WEIGHTS:
        raise ValueError(
            f"direction must be one of {list(_WEIGHTS)}, not {direction!r}"
        )
    terms = zip(_WEIGHTS[direction], (from_x, from_y), strict=True)
    parts = [weight * jnp.sum(term, axis=-1) for weight, term in terms if weight]
    return sum(parts[1:], start=parts[0])


def distances(near: Neighbours, squared: bool) -> tuple[Array, Array]:
    """Distances of x and y to their nearest neighbours, squared or plain."""
    if squared:
        return near.xy_sq, near.yx_sq
    return safe_sqrt(near.xy_sq), safe_sqrt(near.yx_sq)


def check_features(x: Array, y: Array, least: int) -> None:
    """Raises ValueError unless both sets have that many features."""
    sizes = [jnp.shape(points)[-1:] for points in (x, y)]
    if any(not size or size[0] < least for size in sizes):
        what = "(x, y, I)" if least > INTENSITY else "(x, y)"
        raise ValueError(
            f"points need the features {what} first; they are {jnp.shape(x)} and "
            f"{jnp.shape(y)}"
        )


@configs.config
class Config:
    """Fields that all losses of pixels have; see each for its documentation."""

    squared: bool = True
    direction: Direction = "both"
    repulsion: Annotated[float, configs.not_negative, configs.finite] = 0.0
    repulsion_length: Annotated[float, configs.positive, configs.finite] = 0.5


def as_loss(
    distance: Callable[..., Array], config: Config, **weights: float
) -> Callable[..., Array]:
    """The distance under a config, and the repulsion of the decoded positions y."""

    def loss(x, y, *, x_mask=None, y_mask=None):
        total = distance(
            x,
            y,
            x_mask=x_mask,
            y_mask=y_mask,
            squared=config.squared,
            direction=config.direction,
            **weights,
        )
        if config.repulsion:
            positions = jnp.asarray(y)[..., POSITION]
            length = config.repulsion_length
            apart = repulsion(positions, mask=y_mask, length=length)
            total = total + config.repulsion * apart
        return total

    return loss
