"""Mixtures of normal distributions cut at zero: densities of positive numbers.

    p(x) = sum_k w_k N(x; r_k s_k, s_k^2) / Phi(r_k),  x >= 0

with the deviations s_k before the cut and the means in units of them, r_k. A small r
gives nearly an exponential, a large one a normal distribution.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr, ndtri

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array, Key
from jetvae_jax.densities.mixtures import LOG_2PI

_LEAST = 2.0**-24  # the smallest uniform number that is drawn: 5.3 deviations


def log_prob(x: Array, logits: Array, ratio: Array, log_std: Array) -> Array:
    """Log-density of ``x [...]``, not negative, ``[...]`` in nats.

    Args:
        x: ``[...]``.
        logits: ``[..., K]`` of the weights.
        ratio: ``[..., K]`` r.
        log_std: ``[..., K]`` log s.
    """
    x, logits, ratio, log_std = floats(jnp, x, logits, ratio, log_std)
    away = x[..., None] * jnp.exp(-log_std) - ratio
    each = -0.5 * (jnp.square(away) + LOG_2PI) - log_std - log_ndtr(ratio)
    return jax.nn.logsumexp(jax.nn.log_softmax(logits, axis=-1) + each, axis=-1)


def sample(key: Key, logits: Array, ratio: Array, log_std: Array) -> Array:
    """One draw of each mixture, ``[...]``.

    By the inverse of the upper tail, whose numbers near zero keep their digits.
    """
    logits, ratio, log_std = floats(jnp, logits, ratio, log_std)
    component_key, tail_key = jax.random.split(key)
    component = jax.random.categorical(component_key, logits)[..., None]
    ratio, log_std = (
        jnp.take_along_axis(a, component, axis=-1)[..., 0] for a in (ratio, log_std)
    )
    tail = jax.random.uniform(tail_key, ratio.shape, ratio.dtype, minval=_LEAST)
    x = jnp.exp(log_std) * (ratio - ndtri(tail * ndtr(ratio)))
    return jnp.maximum(x, 0.0)
