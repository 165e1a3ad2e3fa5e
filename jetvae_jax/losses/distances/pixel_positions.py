"""Distance between sets of pixels by their positions alone (Orzari, Eq. 1)."""

from collections.abc import Callable

import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array
from jetvae_jax.losses.distances import _pixels


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
    x, y = (points[..., _pixels.POSITION] for points in floats(jnp, x, y))
    return _pixels.nearest_distance(
        x, y, x_mask=x_mask, y_mask=y_mask, squared=squared, direction=direction
    )


@configs.config
class Config(_pixels.Config):
    """Settings of the distance between positions."""


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``, y decoded."""
    return _pixels.as_loss(pixel_position_distance, config)
