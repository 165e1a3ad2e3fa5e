"""Common code of the losses between sets of pixels (x, y, I).

The losses are Eq. 1 to 3 of B. Orzari, "ConVAE results" (sparse MNIST).
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Literal

import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.numerics import safe_sqrt
from jetvae_jax.core.types import Array
from jetvae_jax.losses.distances.chamfer import Neighbours, nearest_neighbours
from jetvae_jax.losses.separation import repulsion

Direction = Literal["both", "sym", "ieo", "oei"]
POSITION = slice(0, 2)
INTENSITY = 2

# Weights of the sum over x, each to its nearest y, and of the sum over y.
_WEIGHTS = {"both": (1.0, 1.0), "sym": (0.5, 0.5), "ieo": (1.0, 0.0), "oei": (0.0, 1.0)}


def nearest_distance(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None,
    y_mask: Array | None,
    squared: bool,
    direction: Direction,
) -> Array:
    """Sum of the distances ``[...]`` to the nearest point of the other set.

    Args:
        x: ``[..., N, D]`` points.
        y: ``[..., M, D]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.
        squared: sum squared distances, else plain ones.
        direction: ``both`` sums over x and y; ``sym`` is half of that; ``ieo`` (each
            input to the nearest output) sums over x alone, ``oei`` over y.

    Raises:
        ValueError: the shapes do not fit together, or the direction is unknown.
    """
    near = nearest_neighbours(x, y, x_mask=x_mask, y_mask=y_mask)
    return sum_directions(*distances(near, squared), direction)


def distances(near: Neighbours, squared: bool) -> tuple[Array, Array]:
    """Distances of x and y to their nearest neighbours, squared or plain."""
    if squared:
        return near.xy_sq, near.yx_sq
    return safe_sqrt(near.xy_sq), safe_sqrt(near.yx_sq)


def sum_directions(from_x: Array, from_y: Array, direction: Direction) -> Array:
    """The sums over ``[..., N]`` and ``[..., M]``, weighted by the direction.

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


def check_features(x: Array, y: Array, least: int) -> None:
    """Raises ValueError unless both sets have at least that many features."""
    sizes = [jnp.shape(points)[-1:] for points in (x, y)]
    if any(not size or size[0] < least for size in sizes):
        what = "(x, y, I)" if least > INTENSITY else "(x, y)"
        raise ValueError(
            f"points need the features {what} first; they are {jnp.shape(x)} and "
            f"{jnp.shape(y)}"
        )


@configs.config
class Config:
    """Settings that all losses between sets of pixels have.

    Attributes:
        squared: squared distances to the nearest neighbours, else plain ones.
        direction: 'both' directions summed, 'sym' for half of that, 'ieo' from each
            input pixel to the nearest output, 'oei' from each output to the nearest
            input.
        repulsion: weight of the repulsion between decoded positions; 0 for none.
        repulsion_length: distance over which it falls by e, in the unit of the scaled
            positions; published: 0.5 pixels.
    """

    squared: bool = True
    direction: Direction = "both"
    repulsion: Annotated[float, configs.not_negative, configs.finite] = 0.0
    repulsion_length: Annotated[float, configs.positive, configs.finite] = 0.5


def as_loss(distance: Callable[..., Array], config: Config) -> Callable[..., Array]:
    """The distance with the settings of a config, and the repulsion of decoded pixels.

    Args:
        distance: ``(x, y, *, x_mask, y_mask, squared, direction, ...) -> [...]``, with
            an argument for each field of the config that is not of the repulsion.
        config: settings.

    Returns:
        ``(x, y, *, x_mask=None, y_mask=None) -> [...]``, y decoded.
    """
    settings = dataclasses.asdict(config)
    weight, length = settings.pop("repulsion"), settings.pop("repulsion_length")

    def loss(x, y, *, x_mask=None, y_mask=None):
        total = distance(x, y, x_mask=x_mask, y_mask=y_mask, **settings)
        if weight:
            positions = floats(jnp, y)[0][..., POSITION]
            total = total + weight * repulsion(positions, mask=y_mask, length=length)
        return total

    return loss
