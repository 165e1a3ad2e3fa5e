"""Normal distributions cut at zero: densities of positive numbers.

    p(x) = N(x; r s, s^2) / Phi(r),  x >= 0

with the deviation s before the cut and the mean in units of it, r. A small r gives
nearly an exponential, a large one a normal distribution.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr, ndtri

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array, Key
from jetvae_jax.densities.mixtures import LOG_2PI

_LEAST = 2.0**-24  # the smallest uniform number that is drawn: 5.3 deviations


def log_prob(x: Array, ratio: Array, log_std: Array) -> Array:
    """Log-density of ``x [...]``, not negative, ``[...]`` in nats.

    Args:
        x: ``[...]``.
        ratio: ``[...]`` r.
        log_std: ``[...]`` log s.
    """
    x, ratio, log_std = floats(jnp, x, ratio, log_std)
    away = x * jnp.exp(-log_std) - ratio
    return -0.5 * (jnp.square(away) + LOG_2PI) - log_std - log_ndtr(ratio)


def sample(key: Key, ratio: Array, log_std: Array) -> Array:
    """One draw of each, ``[...]``.

    By the inverse of the upper tail, whose numbers near zero keep their digits.
    """
    ratio, log_std = floats(jnp, ratio, log_std)
    tail = jax.random.uniform(key, ratio.shape, ratio.dtype, minval=_LEAST)
    x = jnp.exp(log_std) * (ratio - ndtri(tail * ndtr(ratio)))
    return jnp.maximum(x, 0.0)
