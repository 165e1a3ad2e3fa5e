"""Common code of coupling flows: fixed permutations, conditions, one scan."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jetvae_jax.core import layers
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Density, Key, Params

PERMUTATION_SEED = 0


def orders(num_couplings: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """The fixed permutation of the coordinates before each coupling.

    Odd couplings exchange the two halves, so that two couplings transform every
    coordinate of an even L. Even couplings shuffle, as the published flow does after
    each coupling, so that other coordinates are transformed together. The permutation
    of coupling k does not depend on K.

    Returns:
        ``[K, L]`` the permutations, and ``[L]`` the inverse of their product: a flow
        whose couplings are identities is the identity.
    """
    halves = np.roll(np.arange(dim), dim // 2)
    random = np.random.default_rng(PERMUTATION_SEED)
    rows = [halves if k % 2 else random.permutation(dim) for k in range(num_couplings)]
    total = functools.reduce(lambda done, row: done[row], rows)
    return np.asarray(rows, np.int32), np.argsort(total).astype(np.int32)


def check(x: Array, condition: Array | None, dim: int, num_conditions: int) -> None:
    """Check the shapes of events and conditions.

    Raises:
        ValueError: they are not ``[..., dim]`` and ``[..., num_conditions]``.
    """
    if np.shape(x)[-1:] != (dim,):
        raise ValueError(f"input of shape {np.shape(x)}, flow of dim {dim}")
    found = () if condition is None else np.shape(condition)[-1:]
    if found != ((num_conditions,) if num_conditions else ()):
        shape = None if condition is None else np.shape(condition)
        raise ValueError(
            f"condition of shape {shape}, flow of {num_conditions} conditions"
        )


def scan(
    layer: Callable[[Any, Params, Array], Any],
    carry: Any,
    params: Params,
    rows: Array,
    *,
    reverse: bool = False,
) -> Any:
    """``carry = layer(carry, params of coupling k, rows[k])`` for every coupling.

    Vectors among the parameters, such as biases, are picked by a product with a row of
    the identity, which is exact: where a bias is sliced from the stack in the operation
    that uses it, XLA on a CPU does not vectorise ``exp(tanh(x + bias))``, and it takes
    five times as long.

    Args:
        layer: one coupling.
        carry: its first input.
        params: each leaf with a leading axis K.
        rows: ``[K, L]``.
        reverse: from the last coupling to the first.

    Returns:
        The last carry.
    """

    def body(carry, item):
        pick, sliced, row = item

        def chosen(stacked, one):
            if one.ndim != 1:
                return one
            return jnp.matmul(pick.astype(one.dtype), stacked, precision="highest")

        return layer(carry, jax.tree.map(chosen, params, sliced), row), None

    items = (jnp.eye(len(rows)), params, rows)
    return lax.scan(body, carry, items, reverse=reverse)[0]


def build(
    conditioner: layers.MLP,
    forward_map: Callable[[Array, Array], tuple[Array, Array]],
    inverse_map: Callable[[Array, Array], tuple[Array, Array]],
    *,
    num_couplings: int,
    dim: int,
    num_conditions: int = 0,
) -> Density:
    """A flow whose couplings keep ``ceil(L/2)`` coordinates and transform the rest.

    The parameters of the K couplings are stacked along a leading axis and the flow is
    one ``lax.scan`` over it: program size and compile time do not depend on K.

    Args:
        conditioner: ``[..., ceil(L/2) + G]`` to the raw numbers of a coupling.
        forward_map: ``(raw [..., R], moved [..., M]) -> (moved, log_det [...])``.
        inverse_map: its inverse, with the log-determinant of the inverse.
        num_couplings: K.
        dim: L.
        num_conditions: G.

    Raises:
        InputError: fewer than two coordinates: one half would be empty.
    """
    if dim < 2:
        raise InputError(f"latent_dim: a coupling flow needs at least 2, got {dim}")
    kept_size = dim - dim // 2
    order, undo = orders(num_couplings, dim)
    back = np.argsort(order, axis=-1).astype(np.int32)

    def init(key: Key) -> Params:
        keys = jax.random.split(key, num_couplings)
        kept = jnp.zeros(kept_size + num_conditions)
        return jax.vmap(lambda key: layers.init(conditioner, key, kept))(keys)

    def couple(mapping, x, params, condition):
        kept, moved = x[..., :kept_size], x[..., kept_size:]
        raw = layers.apply(conditioner, params, layers.with_condition(kept, condition))
        moved, log_det = mapping(raw, moved)
        return jnp.concatenate([kept, moved], axis=-1), log_det

    def forward(
        params: Params, u: Array, condition: Array | None = None
    ) -> tuple[Array, Array]:
        check(u, condition, dim, num_conditions)

        def layer(carry, params, row):
            x, log_det = carry
            x, more = couple(forward_map, x[..., row], params, condition)
            return x, log_det + more

        start = (u, jnp.zeros_like(u[..., 0]))
        x, log_det = scan(layer, start, params, order)
        return x[..., undo], log_det

    def inverse(
        params: Params, z: Array, condition: Array | None = None
    ) -> tuple[Array, Array]:
        check(z, condition, dim, num_conditions)

        def layer(carry, params, row):
            x, log_det = carry
            x, more = couple(inverse_map, x, params, condition)
            return x[..., row], log_det + more

        start = (z[..., np.argsort(undo)], jnp.zeros_like(z[..., 0]))
        return scan(layer, start, params, back, reverse=True)

    return from_maps(init, forward, inverse, dim)


def from_maps(
    init: Callable, forward: Callable, inverse: Callable, dim: int
) -> Density:
    """A Density from the two maps between it and the standard normal.

    Args:
        init: ``(key) -> params``.
        forward: ``(params, u, condition) -> (z, log_det)``, in the floating type that
            holds them and the parameters.
        inverse: ``(params, z, condition) -> (u, log_det)``, likewise.
        dim: L.
    """
    forward, inverse = map(_of_one_type, (forward, inverse))

    def log_prob(params: Params, z: Array, condition: Array | None = None) -> Array:
        u, log_det = inverse(params, z, condition)
        return jnp.sum(jax.scipy.stats.norm.logpdf(u), axis=-1) + log_det

    def sample(
        params: Params,
        key: Key,
        shape: tuple[int, ...] = (),
        condition: Array | None = None,
    ) -> Array:
        return forward(params, jax.random.normal(key, (*shape, dim)), condition)[0]

    return Density(init, log_prob, sample, dim, forward, inverse)


def _of_one_type(mapping: Callable) -> Callable:
    """The map of numbers of any type, promoted together with its parameters."""

    def mapped(params: Params, x: Array, condition: Array | None = None):
        x, condition, *_ = floats(jnp, x, condition, *jax.tree.leaves(params))
        return mapping(params, x, condition)

    return mapped
