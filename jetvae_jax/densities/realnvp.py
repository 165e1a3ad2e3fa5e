"""RealNVP (arXiv:1605.08803) on latent vectors, as one scan.

A coupling permutes the L coordinates, keeps the first ``ceil(L/2)``, ``a``, and maps
the rest, ``b``, by an affine map whose scale and shift are an MLP of ``a``::

    forward   b' = b exp(s(a)) + t(a)      log|det| = sum s
    inverse   b  = (b' - t(a)) exp(-s(a))

``densities.bijectors`` makes it a distrax bijector.
"""

import jax.numpy as jnp

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import PositiveFloat, PositiveInt
from jetvae_jax.core.types import Array, Density
from jetvae_jax.densities import coupling


@configs.config
class Config:
    """Sizes of the flow.

    Attributes:
        num_couplings: coupling layers.
        hidden: sizes of the hidden layers of each coupling's network.
        log_scale_bound: largest absolute log-scale of one coupling.
        activation: function between the layers of a coupling's network.
    """

    num_couplings: PositiveInt = 8
    hidden: tuple[PositiveInt, ...] = (128, 128)
    log_scale_bound: PositiveFloat = 2.0
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
    bound = config.log_scale_bound

    def parts(raw: Array) -> tuple[Array, Array]:
        raw, shift = jnp.split(raw, 2, axis=-1)
        return bound * jnp.tanh(raw / bound), shift

    def forward(raw: Array, x: Array) -> tuple[Array, Array]:
        log_scale, shift = parts(raw)
        return x * jnp.exp(log_scale) + shift, jnp.sum(log_scale, axis=-1)

    def inverse(raw: Array, x: Array) -> tuple[Array, Array]:
        log_scale, shift = parts(raw)
        return (x - shift) * jnp.exp(-log_scale), -jnp.sum(log_scale, axis=-1)

    return coupling.build(
        layers.MLP(config.hidden, 2 * (dim // 2), config.activation, last_scale=0.0),
        forward,
        inverse,
        num_couplings=config.num_couplings,
        dim=dim,
        num_conditions=num_conditions,
    )
