"""Mixtures of Gaussians of one or two variables, as the output of a network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.types import Array, Key

LOG_2PI = 1.8378770664093453


class Mixture(NamedTuple):
    """A mixture of K Gaussians of D = 1 or 2 variables.

    In two variables the covariance of a component is full: the mean of the second
    variable depends linearly on the first.

    Attributes:
        logits: ``[..., K]`` of the weights.
        mean: ``[..., D, K]``.
        log_std: ``[..., D, K]``; of the second variable, given the first.
        slope: ``[..., K]`` of the second variable with the first; None for D = 1.
    """

    logits: Array
    mean: Array
    log_std: Array
    slope: Array | None = None


def log_prob(mixture: Mixture, x: Array) -> Array:
    """Log-density of ``x [..., D]``, ``[...]`` in nats."""
    mixture, (x,) = record(jnp, mixture), floats(jnp, x)
    away = x[..., None] - mixture.mean
    if mixture.slope is not None:
        first, second = away[..., 0, :], away[..., 1, :]
        away = jnp.stack([first, second - mixture.slope * first], axis=-2)
    terms = jnp.square(away * jnp.exp(-mixture.log_std)) + LOG_2PI
    each = -jnp.sum(0.5 * terms + mixture.log_std, axis=-2)
    return jax.nn.logsumexp(jax.nn.log_softmax(mixture.logits) + each, axis=-1)


def sample(mixture: Mixture, key: Key) -> Array:
    """One draw of each mixture, ``[..., D]``."""
    mixture = record(jnp, mixture)
    component_key, noise_key = jax.random.split(key)
    component = jax.random.categorical(component_key, mixture.logits)[..., None]

    def chosen(values: Array) -> Array:
        one = component if values.ndim == component.ndim else component[..., None]
        return jnp.take_along_axis(values, one, axis=-1)[..., 0]

    mean = chosen(mixture.mean)
    away = jnp.exp(chosen(mixture.log_std)) * jax.random.normal(noise_key, mean.shape)
    if mixture.slope is not None:
        second = away[..., 1] + chosen(mixture.slope) * away[..., 0]
        away = jnp.stack([away[..., 0], second], axis=-1)
    return mean + away


def joined(first: Mixture, second: Mixture) -> Mixture:
    """All Gaussians of two mixtures of as many variables."""
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=-1), first, second)
