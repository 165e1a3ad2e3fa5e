"""Distance by positions, with the intensity gap of matched pixels (Orzari, Eq. 2)."""

from collections.abc import Callable
from typing import Annotated

import jax.numpy as jnp

from jetvae_jax.core import configs, dtypes
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array
from jetvae_jax.losses.distances import _pixels
from jetvae_jax.losses.distances.chamfer import nearest_neighbours


def pixel_matched_distance(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
    squared: bool = True,
    direction: _pixels.Direction = "both",
    intensity_weight: float = 1.0,
) -> Array:
    """Chamfer distance in the plane, and the intensity gap of the matched pixels.

        sum_i d(x_i, y_k(i))^2 + w (I_i - I_k(i))^2   +   the same from y to x

    with k(i) the pixel nearest to pixel i in the plane, whatever its intensity.

    Args:
        x: ``[..., N, 3]`` points (x, y, I).
        y: ``[..., M, 3]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.
        squared: d is squared as above; else it is the plain distance. The gap of the
            intensities is always squared.
        direction: of both the distance and the gap, as in ``pixel_position_distance``.
        intensity_weight: w.

    Returns:
        ``[...]``; zero if a set is empty.

    Raises:
        ValueError: the shapes do not fit together, or the direction is unknown.
    """
    _pixels.check_features(x, y, 3)
    x, y = floats(jnp, x, y)
    x_mask, y_mask = (dtypes.mask(jnp, mask) for mask in (x_mask, y_mask))
    x_place, y_place = x[..., _pixels.POSITION], y[..., _pixels.POSITION]
    near = nearest_neighbours(x_place, y_place, x_mask=x_mask, y_mask=y_mask)
    from_x, from_y = _pixels.distances(near, squared)
    gap_x = _gap(x, y, near.xy_index, x_mask, y_mask)
    gap_y = _gap(y, x, near.yx_index, y_mask, x_mask)
    return _pixels.sum_directions(
        from_x + intensity_weight * gap_x, from_y + intensity_weight * gap_y, direction
    )


@configs.config
class Config(_pixels.Config):
    """Settings of the distance with matched intensities.

    Attributes:
        intensity_weight: of the squared intensity gaps beside the distances, in the
            scaled units of both.
    """

    intensity_weight: Annotated[float, configs.not_negative, configs.finite] = 1.0


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``, y decoded."""
    return _pixels.as_loss(pixel_matched_distance, config)


def _gap(points, others, index, mask, others_mask):
    """Squared difference ``[..., N]`` of intensities, zero where nothing is matched."""
    mine, theirs = (p[..., _pixels.INTENSITY] for p in (points, others))
    counts = jnp.ones(mine.shape, bool) if mask is None else mask
    if others_mask is not None:
        theirs = jnp.where(others_mask, theirs, 0.0)
        counts = counts & jnp.any(others_mask, axis=-1, keepdims=True)
    gap = mine - jnp.take_along_axis(theirs, index, axis=-1)
    return jnp.square(jnp.where(counts, gap, 0.0))
