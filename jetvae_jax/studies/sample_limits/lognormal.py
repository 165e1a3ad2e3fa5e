"""The toy of a sum of two log-normal variables, and of what can be learned of it.

Ratnikov, "Generative models for natural science", IML workshop 2019: 1,000 events of
two independent variables give 1,000,000 by all combinations of the first variable of
one event and the second of another, or by a fit. What is asked is the distribution of
the sum. The talk does not state the parameters: here both logarithms are N(0, 1).

Functions take one training sample ``[n, 2]`` and are pure, for ``vmap`` over samples.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.types import Array, Key

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)
_LOWEST = -8.0  # deviations: the probability below is 6e-16


def draw(key: Key, num: int, *, cut: float | None = None, correlation: float = 0.0):
    """A training sample.

    Args:
        key: of the draw.
        num: n.
        cut: both variables are below; None for no limit.
        correlation: of the logarithms, or of what they are without the cut.

    Returns:
        ``[n, 2]``.
    """
    first, other = jax.random.normal(key, (2, num))
    second = correlation * first + (1 - correlation**2) ** 0.5 * other
    z = jnp.stack([first, second], axis=-1)
    if cut is not None:
        below = jax.scipy.special.ndtr(jnp.log(cut))
        z = jax.scipy.special.ndtri(below * jax.scipy.special.ndtr(z))
    return jnp.exp(z)


def cdf(s: Array, mean: Array, std: Array, *, correlation: float = 0.0) -> Array:
    """The distribution function of the sum of two log-normal variables.

    Args:
        s: ``[K]``, positive.
        mean: ``[2]`` of the logarithms.
        std: ``[2]``.
        correlation: of the logarithms.

    Returns:
        ``[K]``, by Gauss-Legendre quadrature over the first variable.
    """
    s, mean, std = jnp.asarray(s), jnp.asarray(mean), jnp.asarray(std)
    end = jnp.maximum((jnp.log(s) - mean[0]) / std[0], _LOWEST)[:, None]
    half = (end - _LOWEST) / 2
    z = _LOWEST + half * (1 + _NODES)
    rest = jnp.maximum(s[:, None] - jnp.exp(mean[0] + std[0] * z), 1e-30)
    other = (jnp.log(rest) - mean[1]) / std[1]
    below = (other - correlation * z) / (1 - correlation**2) ** 0.5
    density = jax.scipy.stats.norm.pdf(z) * jax.scipy.special.ndtr(below)
    return jnp.sum(half * _WEIGHTS * density, axis=-1)


def of_events(x: Array, s: Array) -> Array:
    """The distribution function at s ``[K]`` of the sums of the events themselves."""
    return jnp.searchsorted(jnp.sort(x.sum(-1)), s, side="right") / len(x)


def of_permutations(x: Array, s: Array) -> Array:
    """That of all n^2 sums of a first and a second variable."""
    ordered = jnp.sort(x[:, 1])
    below = jnp.searchsorted(ordered, s[:, None] - x[:, 0], side="right")
    return jnp.mean(below / len(x), axis=-1)


def of_fit(x: Array, s: Array) -> Array:
    """That of log-normal distributions of most likelihood, independent."""
    logs = jnp.log(x)
    return cdf(s, logs.mean(0), logs.std(0))


GENERATORS: dict[str, Callable[[Array, Array], Array]] = {
    "events": of_events,
    "permutations": of_permutations,
    "fit": of_fit,
}


def quantiles(probabilities: Array, *, correlation: float = 0.0) -> np.ndarray:
    """The sums below which these fractions of true events are, ``[K] -> [K]``.

    They are interpolated in a table between 0.005 and 5,000.
    """
    table = np.exp(np.linspace(np.log(5e-3), np.log(5e3), 4001))
    below = cdf(table, np.zeros(2), np.ones(2), correlation=correlation)
    # Strictly rising: float32 resolves no more of the tail.
    values, first = np.unique(np.asarray(below, np.float64), return_index=True)
    return np.interp(probabilities, values, table[first])
