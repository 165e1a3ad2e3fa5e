"""RealNVP (arXiv:1605.08803) on latent vectors, as one scanned distrax bijector.

A coupling permutes the L coordinates, keeps the first ``ceil(L/2)``, ``a``, and maps
the rest, ``b``, by an affine map whose scale and shift are an MLP of ``a``::

    forward   b' = b exp(s(a)) + t(a)      log|det| = sum s
    inverse   b  = (b' - t(a)) exp(-s(a))

The parameters of the K couplings are stacked along a leading axis and the flow is
one ``lax.scan`` over it: program size and compile time do not depend on K.
"""

import distrax
import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import PositiveFloat, PositiveInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Density, Key, Params
from jetvae_jax.densities import coupling
from jetvae_jax.densities.coupling import orders


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


def _conditioner(config: Config, dim: int) -> layers.MLP:
    return layers.MLP(config.hidden, 2 * (dim // 2), config.activation, last_scale=0.0)


class RealNVP(distrax.Bijector):
    """The couplings as one distrax bijector of events ``[L]``, base to latents.

    Under ``jax.vmap`` return arrays, never a distribution made from it: distrax then
    gives wrong shapes without an error.

    Attributes:
        params: of the conditioners, each leaf with a leading axis K.
        condition: ``[..., G]`` on which the conditioners depend, or None.
    """

    def __init__(
        self,
        config: Config,
        params: Params,
        *,
        dim: int,
        condition: Array | None = None,
        num_conditions: int = 0,
    ):
        super().__init__(event_ndims_in=1)
        self.params = params
        self.condition = condition
        self._config = config
        self._dim = dim
        self._num_conditions = num_conditions

    def _scale_and_shift(self, params: Params, kept: Array) -> tuple[Array, Array]:
        mlp, bound = _conditioner(self._config, self._dim), self._config.log_scale_bound
        kept = layers.with_condition(kept, self.condition)
        raw, shift = jnp.split(layers.apply(mlp, params, kept), 2, axis=-1)
        return bound * jnp.tanh(raw / bound), shift

    def _split(self, x: Array) -> tuple[Array, Array]:
        kept = self._dim - self._dim // 2
        return x[..., :kept], x[..., kept:]

    def _check(self, x: Array) -> None:
        coupling.check(x, self.condition, self._dim, self._num_conditions)

    def forward_and_log_det(self, x: Array) -> tuple[Array, Array]:
        """``u [..., L] -> (z [..., L], log|det dz/du| [...])``."""
        self._check(x)

        def couple(carry, params, order):
            x, log_det = carry
            kept, moved = self._split(x[..., order])
            log_scale, shift = self._scale_and_shift(params, kept)
            x = jnp.concatenate([kept, moved * jnp.exp(log_scale) + shift], axis=-1)
            return x, log_det + jnp.sum(log_scale, axis=-1)

        order, undo = orders(self._config.num_couplings, self._dim)
        start = (x, jnp.zeros_like(x[..., 0]))
        x, log_det = coupling.scan(couple, start, self.params, order)
        return x[..., undo], log_det

    def inverse_and_log_det(self, y: Array) -> tuple[Array, Array]:
        """``z [..., L] -> (u [..., L], log|det du/dz| [...])``."""
        self._check(y)

        def uncouple(carry, params, back):
            y, log_det = carry
            kept, moved = self._split(y)
            log_scale, shift = self._scale_and_shift(params, kept)
            y = jnp.concatenate([kept, (moved - shift) * jnp.exp(-log_scale)], axis=-1)
            return y[..., back], log_det - jnp.sum(log_scale, axis=-1)

        order, undo = orders(self._config.num_couplings, self._dim)
        back = np.argsort(order, axis=-1).astype(np.int32)
        start = (y[..., np.argsort(undo)], jnp.zeros_like(y[..., 0]))
        return coupling.scan(uncouple, start, self.params, back, reverse=True)


def build(config: Config, *, dim: int, num_conditions: int = 0) -> Density:
    """The flow on ``dim`` coordinates as pure functions; the identity at first.

    Args:
        config: its sizes.
        dim: L.
        num_conditions: G; if not zero, each function takes ``condition [..., G]``.

    Raises:
        InputError: fewer than two coordinates: one half would be empty.
    """
    if dim < 2:
        raise InputError(f"latent_dim: a RealNVP needs at least 2, got {dim}")
    conditioner = _conditioner(config, dim)

    def init(key: Key) -> Params:
        keys = jax.random.split(key, config.num_couplings)
        inputs = jnp.zeros(dim - dim // 2 + num_conditions)
        return jax.vmap(lambda key: layers.init(conditioner, key, inputs))(keys)

    def flow(params: Params, condition: Array | None) -> RealNVP:
        return RealNVP(
            config,
            params,
            dim=dim,
            condition=condition,
            num_conditions=num_conditions,
        )

    def forward(params: Params, u: Array, condition: Array | None = None):
        return flow(params, condition).forward_and_log_det(u)

    def inverse(params: Params, z: Array, condition: Array | None = None):
        return flow(params, condition).inverse_and_log_det(z)

    return coupling.from_maps(init, forward, inverse, dim)
