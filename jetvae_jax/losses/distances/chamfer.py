"""Nearest-neighbour (Chamfer) distance between two sets of points."""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.numerics import masked_mean, safe_sqrt
from jetvae_jax.core.types import Array
from jetvae_jax.losses.nearest import nearest_neighbours

Reduction = Literal["sum", "mean"]


def pairwise_sq_distance(x: Array, y: Array) -> Array:
    """All squared Euclidean distances, by direct differences.

    The expanded form ``x^2 + y^2 - 2 x.y`` is faster and wrong: among momenta near
    1 TeV it gives negative distances in float32.

    Args:
        x: ``[..., N, D]``.
        y: ``[..., M, D]``.

    Returns:
        ``[..., N, M]``.
    """
    x, y = floats(jnp, x, y)
    difference = x[..., :, None, :] - y[..., None, :, :]
    return jnp.sum(jnp.square(difference), axis=-1)


def chamfer_distance(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
    squared: bool = True,
    reduction: Reduction = "sum",
) -> Array:
    """``sum_i min_j d(x_i, y_j) + sum_j min_i d(x_i, y_j)``, never halved.

    Many conventions share the name. The defaults, squared distances and sums, are
    the NND loss of ConVAE (arXiv:2109.15197) and L_reco of arXiv:1906.02795.

    Args:
        x: ``[..., N, D]`` points.
        y: ``[..., M, D]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.
        squared: d is the squared distance; else the distance, whose gradient is
            taken as zero between coincident points.
        reduction: ``"sum"`` as above, or ``"mean"``: each of the two sums is
            divided by its number of existing points.

    Returns:
        ``[...]``, in the unit of x squared (or of x). Zero if a set is empty: its
        own sum has no terms, and the other set has no neighbours.

    Raises:
        ValueError: the shapes do not fit together, or reduction is neither.
    """
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction must be 'sum' or 'mean', not {reduction!r}")
    near = nearest_neighbours(x, y, x_mask=x_mask, y_mask=y_mask)
    total = jnp.zeros((), near.xy_sq.dtype)
    for distance, mask in ((near.xy_sq, x_mask), (near.yx_sq, y_mask)):
        if not squared:
            distance = safe_sqrt(distance)
        if reduction == "sum":
            total = total + jnp.sum(distance, axis=-1)
        elif mask is None:
            total = total + jnp.mean(distance, axis=-1)
        else:
            total = total + masked_mean(distance, mask)
    return total


@configs.config
class Config:
    """Convention of the distance.

    Attributes:
        squared: squared distances to the nearest neighbours, else plain ones.
        reduction: 'sum' over the particles of each set, or their 'mean'.
    """

    squared: bool = True
    reduction: Reduction = "sum"


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``."""

    def loss(x, y, *, x_mask=None, y_mask=None):
        return chamfer_distance(
            x,
            y,
            x_mask=x_mask,
            y_mask=y_mask,
            squared=config.squared,
            reduction=config.reduction,
        )

    return loss
