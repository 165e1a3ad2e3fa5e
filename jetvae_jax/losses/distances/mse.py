"""Squared error between points of the same rank: the order of the set matters."""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp

from jetvae_jax.core import configs, dtypes
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array

Reduction = Literal["sum", "mean"]


def squared_error(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
    reduction: Reduction = "sum",
) -> Array:
    """``sum_i |x_i - y_i|^2`` over the points that exist in both sets.

    Args:
        x: ``[..., N, D]`` points.
        y: ``[..., N, D]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., N]`` bool, or None.
        reduction: ``"sum"`` over points and features, or their ``"mean"``.

    Returns:
        ``[...]``, in the unit of x squared; zero if no point exists.

    Raises:
        ValueError: the shapes differ, or reduction is neither.
    """
    x, y = floats(jnp, x, y)
    if x.shape != y.shape:
        raise ValueError(
            f"x and y must have one shape, they have {x.shape} and {y.shape}"
        )
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction must be 'sum' or 'mean', not {reduction!r}")
    exists = jnp.ones(x.shape[:-1], bool)
    for mask in (dtypes.mask(jnp, x_mask), dtypes.mask(jnp, y_mask)):
        exists = exists if mask is None else exists & mask
    # Points are replaced, not products zeroed: NaN in the padding must not spread.
    difference = jnp.where(exists[..., None], x - y, 0.0)
    total = jnp.sum(jnp.square(difference), axis=(-2, -1))
    if reduction == "sum":
        return total
    return total / (x.shape[-1] * jnp.maximum(jnp.sum(exists, axis=-1), 1))


@configs.config
class Config:
    """Convention of the squared error.

    Attributes:
        reduction: 'sum' over particles and features, or their 'mean'.
    """

    reduction: Reduction = "sum"


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``."""

    def loss(x, y, *, x_mask=None, y_mask=None):
        return squared_error(
            x, y, x_mask=x_mask, y_mask=y_mask, reduction=config.reduction
        )

    return loss
