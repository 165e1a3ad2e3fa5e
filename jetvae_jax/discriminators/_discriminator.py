"""Common code of the discriminators: pure functions from a linen module."""

import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import dtypes, layers
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array, Discriminator, Key, Params


def as_discriminator(
    module: nn.Module,
    *,
    num_particles: int,
    num_features: int,
    jet_rows: int = 0,
    any_length: bool = False,
    num_conditions: int = 0,
) -> Discriminator:
    """A discriminator with checked shapes from a linen module.

    Args:
        module: ``(x [..., N, F], mask [..., N], whole [..., G]) -> (logit, features)``;
            ``whole`` holds the rows of the jet, flattened, and the conditions.
        num_particles: N.
        num_features: F.
        jet_rows: R; x is ``[..., R + N, F]``.
        any_length: the module takes any number of particles.
        num_conditions: length of ``condition``.
    """
    width = jet_rows * num_features

    def init(key: Key) -> Params:
        x, mask = jnp.zeros((num_particles, num_features)), jnp.ones(num_particles)
        whole = jnp.zeros(width + num_conditions)
        return layers.init(module, key, x, mask.astype(bool), whole)

    def both(params, x, mask, condition):
        (x, condition), mask = floats(jnp, x, condition), dtypes.mask(jnp, mask)
        rows = x.shape[-2] if any_length else jet_rows + num_particles
        if x.shape[-2:] != (rows, num_features):
            expected = f"[..., {rows}, {num_features}]"
            raise ValueError(f"x has shape {x.shape}, expected {expected}")
        if mask.shape != x.shape[:-1]:
            raise ValueError(f"mask has shape {mask.shape}, x has {x.shape}")
        whole = x[..., :jet_rows, :].reshape(*x.shape[:-2], width)
        whole = layers.with_condition(whole, condition, num_conditions)
        return layers.apply(
            module, params, x[..., jet_rows:, :], mask[..., jet_rows:], whole
        )

    def apply(
        params: Params, x: Array, mask: Array, condition: Array | None = None
    ) -> Array:
        return both(params, x, mask, condition)[0]

    def features(
        params: Params, x: Array, mask: Array, condition: Array | None = None
    ) -> Array:
        return both(params, x, mask, condition)[1]

    return Discriminator(init, apply, features)
