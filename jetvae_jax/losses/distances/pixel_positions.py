"""Eq. 1 of the ConVAE study of sparse MNIST: positions only."""

from collections.abc import Callable

import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.types import Array
from jetvae_jax.losses.distances import _pixels
from jetvae_jax.losses.nearest import nearest_neighbours


def pixel_position_distance(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
    squared: bool = True,
    direction: _pixels.Direction = "both",
) -> Array:
    """``sum_i min_j d(x_i, y_j)^2 + sum_j min_i d(x_i, y_j)^2`` in the plane.

    Args:
        x: ``[..., N, D]`` points, D at least 2; features after the second, such as
            the intensity, are not read.
        y: ``[..., M, D]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.
        squared: d is squared as above; else it is the plain distance.
        direction: ``both`` sums as above; ``sym`` is half of them; ``ieo`` (each
            input to the nearest output) the first alone, ``oei`` the second.

    Returns:
        ``[...]``, in the unit of x squared (or of x). Zero if a set is empty.

    Raises:
        ValueError: the shapes do not fit together, or the direction is unknown.
    """
    _pixels.check_features(x, y, 2)
    x, y = (jnp.asarray(points)[..., _pixels.POSITION] for points in (x, y))
    near = nearest_neighbours(x, y, x_mask=x_mask, y_mask=y_mask)
    return _pixels.both_ways(*_pixels.distances(near, squared), direction)


@configs.config
class Config(_pixels.Config):
    """Convention of the distance between positions.

    Attributes:
        squared: squared distances to the nearest neighbours, else plain ones.
        direction: 'both' directions summed, 'sym' for half of that, 'ieo' from each
            input pixel to the nearest output, 'oei' from each output to the nearest
            input.
        repulsion: weight of the repulsion between decoded positions; 0 for none.
        repulsion_length: distance over which it falls by e, in the unit of the scaled
            positions; published: 0.5 pixels.
    """


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``, y decoded."""
    return _pixels.as_loss(pixel_position_distance, config)
