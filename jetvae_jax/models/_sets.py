"""Layers on sets of points: nothing depends on order or padding."""

import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax import networks
from jetvae_jax.types import Array


def max_over_points(x: Array) -> Array:
    """Maximum over the points of ``[..., N, C] -> [..., C]``, by halves.

    ``jnp.max`` differentiates by comparing with its result for equality, which
    goes wrong when XLA recomputes ``x`` with another rounding; pairwise maxima
    compare the two candidates themselves.
    """
    while (n := x.shape[-2]) > 1:
        half = (n + 1) // 2
        x = jnp.maximum(x[..., :half, :], x[..., n - half :, :])
    return x[..., 0, :]


def pool(x: Array, mask: Array | None, capacity: int) -> Array:
    """A summary of a set that its order and its padding do not change.

    Mean, sum over ``capacity`` (so that the number of points is seen) and maximum;
    all zero for an empty set.

    Args:
        x: ``[..., N, C]``.
        mask: ``[..., N]`` bool, or None when all exist.
        capacity: the largest number of points; keeps the sum of order one.

    Returns:
        ``[..., 3 C]``.
    """
    if mask is None:
        mean = jnp.mean(x, axis=-2)
        total = mean * (x.shape[-2] / capacity)
        return jnp.concatenate([mean, total, max_over_points(x)], axis=-1)
    lowest = jnp.finfo(x.dtype).min
    largest = max_over_points(jnp.where(mask[..., None], x, lowest))
    largest = jnp.where(jnp.any(mask, axis=-1, keepdims=True), largest, 0.0)
    return jnp.concatenate(
        [*networks.mean_and_sum(x, mask, capacity), largest], axis=-1
    )


class EpicLayer(nn.Module):
    """Equivariant layer of EPiC-GAN (arXiv:2301.08128): points talk by a summary.

    First the summary of the set renews the context, then the context renews every
    point; both are residual. Cost and memory are linear in the number of points.

    Attributes:
        width: C, channels of a point.
        context: G, size of the context.
        capacity: the largest number of points, for :func:`pool`.
        activation: a name in :data:`ACTIVATIONS`.
    """

    width: int
    context: int
    capacity: int
    activation: str = "leaky_relu"

    @nn.compact
    def __call__(
        self, x: Array, context: Array, mask: Array | None = None
    ) -> tuple[Array, Array]:
        """``x [..., N, C]`` and ``context [..., G]``, both renewed."""
        act = networks.activation(self.activation)
        summary = jnp.concatenate([pool(x, mask, self.capacity), context], axis=-1)
        hidden = act(networks.Dense(self.width, name="context_0")(summary))
        context = act(
            context
            + networks.Dense(self.context, scale=networks.QUIET, name="context_1")(
                hidden
            )
        )
        # Dense([x, context]) without copying the context to every point
        shared = networks.Dense(self.width, use_bias=False, name="point_context")(
            context
        )
        hidden = act(
            networks.Dense(self.width, name="point_0")(x) + shared[..., None, :]
        )
        return act(
            x + networks.Dense(self.width, scale=networks.QUIET, name="point_1")(hidden)
        ), context
