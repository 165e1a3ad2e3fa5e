"""Neural spline couplings (arXiv:1906.04032) on latent vectors, as one scan.

A coupling permutes the L coordinates, keeps the first ``ceil(L/2)``, and maps each of
the rest by a monotone rational-quadratic spline whose shape is an MLP of those kept.
Unlike an affine map it can split or merge peaks. Beyond ``bound`` the splines are the
identity: standardise the latents first.
"""

from typing import Annotated

import jax.numpy as jnp

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import PositiveFloat, PositiveInt
from jetvae_jax.core.types import Array, Density
from jetvae_jax.densities import coupling, splines


@configs.config
class Config:
    """Sizes of the flow.

    Attributes:
        num_couplings: coupling layers.
        num_bins: bins of each spline.
        bound: coordinates beyond it, in standard deviations, are not changed.
        hidden: sizes of the hidden layers of each coupling's network.
        activation: function between the layers of a coupling's network.
    """

    num_couplings: PositiveInt = 6
    num_bins: Annotated[int, configs.between(1, 100)] = 8
    bound: PositiveFloat = 5.0
    hidden: tuple[PositiveInt, ...] = (64, 64)
    activation: layers.Activation = "relu"


def build(config: Config, *, dim: int, num_conditions: int = 0) -> Density:
    """The flow on ``dim`` coordinates as pure functions; the identity at first.

    Args:
        config: its sizes.
        dim: L.
        num_conditions: G; if not zero, each function takes ``condition [..., G]``.

    Raises:
        InputError: fewer than two coordinates: one half would be empty.
    """
    moved, size = dim // 2, splines.num_parameters(config.num_bins)

    def mapped(function):
        def apply(raw: Array, x: Array) -> tuple[Array, Array]:
            raw = raw.reshape(*raw.shape[:-1], moved, size)
            y, log_slope = function(raw, x, bound=config.bound)
            return y, jnp.sum(log_slope, axis=-1)

        return apply

    return coupling.build(
        layers.MLP(config.hidden, moved * size, config.activation, last_scale=0.0),
        mapped(splines.forward),
        mapped(splines.inverse),
        num_couplings=config.num_couplings,
        dim=dim,
        num_conditions=num_conditions,
    )
