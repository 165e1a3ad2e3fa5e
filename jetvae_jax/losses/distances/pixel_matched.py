"""Eq. 2 of the ConVAE study of sparse MNIST: positions, and intensity where matched."""

from collections.abc import Callable
from typing import Annotated

import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.types import Array
from jetvae_jax.losses.distances import _pixels
from jetvae_jax.losses.nearest import nearest_neighbours


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

    with k(i) the pixel nearest to pixel i in the plane: intensities do not decide who
    is matched.

    Args:
        x: ``[..., N, 3]`` points (x, y, I).
        y: ``[..., M, 3]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.
        squared: d is squared as above; else it is the plain distance. The gap of the
            intensities is squared always.
        direction: as in Eq. 1, of both the distance and the gap.
        intensity_weight: w.

    Returns:
        ``[...]``; zero if a set is empty.

    Raises:
        ValueError: the shapes do not fit together, or the direction is unknown.
    """
    _pixels.check_features(x, y, 3)
    x, y = jnp.asarray(x), jnp.asarray(y)
    near = nearest_neighbours(
        x[..., _pixels.POSITION],
        y[..., _pixels.POSITION],
        x_mask=x_mask,
        y_mask=y_mask,
    )
    from_x, from_y = _pixels.distances(near, squared)
    gap_x = _gap(x, y, near.xy_index, x_mask, y_mask)
    gap_y = _gap(y, x, near.yx_index, y_mask, x_mask)
    return _pixels.both_ways(
        from_x + intensity_weight * gap_x, from_y + intensity_weight * gap_y, direction
    )


def _gap(points, others, index, mask, others_mask):
    """Squared difference ``[..., N]`` of intensities, zero where nothing is matched."""
    mine, theirs = (p[..., _pixels.INTENSITY] for p in (points, others))
    counts = jnp.ones(mine.shape, bool) if mask is None else jnp.asarray(mask)
    if others_mask is not None:
        theirs = jnp.where(others_mask, theirs, 0.0)
        counts = counts & jnp.any(others_mask, axis=-1, keepdims=True)
    gap = mine - jnp.take_along_axis(theirs, index, axis=-1)
    return jnp.square(jnp.where(counts, gap, 0.0))


@configs.config
class Config(_pixels.Config):
    """Convention of the distance with matched intensities.

    Attributes:
        squared: squared distances to the nearest neighbours, else plain ones.
        direction: 'both' directions summed, 'sym' for half of that, 'ieo' from each
            input pixel to the nearest output, 'oei' from each output to the nearest
            input.
        repulsion: weight of the repulsion between decoded positions; 0 for none.
        repulsion_length: distance over which it falls by e, in the unit of the scaled
            positions; published: 0.5 pixels.
        intensity_weight: of the squared intensity gaps beside the distances, in the
            scaled units of both.
    """

    intensity_weight: Annotated[float, configs.not_negative, configs.finite] = 1.0


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``, y decoded."""
    weight = config.intensity_weight
    return _pixels.as_loss(pixel_matched_distance, config, intensity_weight=weight)
