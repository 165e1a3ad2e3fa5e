"""Distance between sets of pixels, the intensity a third axis (Orzari, Eq. 3)."""

from collections.abc import Callable
from typing import Annotated

import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array
from jetvae_jax.losses.distances import _pixels


def pixel_third_axis_distance(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
    squared: bool = True,
    direction: _pixels.Direction = "both",
    intensity_weight: float = 1.0,
) -> Array:
    """Chamfer distance of points (x, y, I) in space.

        sum_i min_j d(p_i, q_j)^2 + sum_j min_i d(p_i, q_j)^2,
        d^2 = dx^2 + dy^2 + w dI^2

    With the defaults it is ``chamfer_distance``. A pixel may be matched to one
    farther away that is as bright.

    Args:
        x: ``[..., N, 3]`` points (x, y, I).
        y: ``[..., M, 3]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.
        squared: d is squared as above; else it is the plain distance.
        direction: as in ``pixel_position_distance``.
        intensity_weight: w.

    Returns:
        ``[...]``; zero if a set is empty.

    Raises:
        ValueError: the shapes do not fit together, or the direction is unknown.
    """
    _pixels.check_features(x, y, 3)
    x, y = floats(jnp, x, y)
    if intensity_weight != 1.0:
        x, y = (_stretched(points, intensity_weight) for points in (x, y))
    return _pixels.nearest_distance(
        x, y, x_mask=x_mask, y_mask=y_mask, squared=squared, direction=direction
    )


@configs.config
class Config(_pixels.Config):
    """Settings of the distance in space.

    Attributes:
        intensity_weight: of the squared difference of intensities beside that of the
            positions, in the scaled units of both.
    """

    intensity_weight: Annotated[float, configs.not_negative, configs.finite] = 1.0


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``, y decoded."""
    return _pixels.as_loss(pixel_third_axis_distance, config)


def _stretched(points, weight):
    axes = jnp.ones(points.shape[-1], points.dtype)
    return points * axes.at[_pixels.INTENSITY].set(weight**0.5)
