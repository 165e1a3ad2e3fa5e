"""Densities of latents: what a KL is taken to and what is drawn to generate.

Copulas are priors too; they are in ``copulas``.
"""

import jax
import jax.numpy as jnp

from jetvae_jax.core.types import Array, Flow, Key, Params, Prior


def normal(dim: int) -> Prior:
    """The standard normal of ``dim`` coordinates, without parameters."""

    def init(key: Key) -> Params:
        del key
        return {}

    def log_prob(params: Params, z: Array, condition: Array | None = None) -> Array:
        del params, condition
        return jnp.sum(jax.scipy.stats.norm.logpdf(z), axis=-1)

    def sample(
        params: Params,
        key: Key,
        shape: tuple[int, ...] = (),
        condition: Array | None = None,
    ) -> Array:
        del params, condition
        return jax.random.normal(key, (*shape, dim))

    return Prior(init, log_prob, sample, dim)


def from_flow(flow: Flow) -> Prior:
    """The density that a flow gives to latents; at first about the standard normal."""
    return Prior(flow.init, flow.log_prob, flow.sample, flow.dim)
