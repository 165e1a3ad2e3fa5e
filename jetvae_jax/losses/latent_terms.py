"""The Gaussian posterior: drawing from it, and its divergence from the prior.
How far numbers are from a uniform distribution, column by column.

The Cramér distance of a sample of J numbers from U(0, 1) is (von Mises)::

    int (F(u) - u)^2 du = 1/J sum_i (u_i - (2 r_i - 1) / 2J)^2 + 1 / 12 J^2

with the rank ``r_i`` of ``u_i``. It is half the energy distance
``2E|U-V| - E|U-U'| - E|V-V'|`` of arXiv:1705.10743, without a second sample. A truly
uniform sample of J has ``1 / 6J`` on average, which is the floor of a batch.
"""

import jax
import jax.numpy as jnp

from jetvae_jax.core.types import Array, GaussianPosterior, Key


def reparameterize(key: Key, posterior: GaussianPosterior) -> Array:
    """One draw ``z = mean + exp(logvar / 2) * noise`` of each posterior.

    Gradients reach mean and logvar (arXiv:1312.6114, section 2.4).

    Args:
        key: a random key.
        posterior: mean and logvar ``[..., L]``.

    Returns:
        ``[..., L]``.
    """
    mean, logvar = posterior
    noise = jax.random.normal(key, jnp.shape(mean), jnp.result_type(mean))
    return mean + jnp.exp(logvar / 2) * noise


def gaussian_kl(posterior: GaussianPosterior, *, free_bits: float = 0.0) -> Array:
    """KL divergence of a diagonal Gaussian from the standard normal.

    ``1/2 sum_l mean_l^2 + exp(logvar_l) - logvar_l - 1`` (arXiv:1312.6114,
    appendix B). ``logvar`` is taken as it is: bounding it is the network's affair.

    Args:
        posterior: mean and logvar ``[..., L]``.
        free_bits: nats that each latent dimension of each jet may use for free; it
            counts as that much below, with zero gradient (arXiv:1606.04934, with
            groups of one dimension and no minibatch average).

    Returns:
        ``[...]`` in nats, summed over L.
    """
    mean, logvar = posterior
    # expm1(v) - v keeps its digits near the prior, where exp(v) - v - 1 cancels.
    nats = 0.5 * (jnp.square(mean) + (jnp.expm1(logvar) - logvar))
    if free_bits > 0:
        nats = jnp.maximum(nats, free_bits)
    return jnp.sum(nats, axis=-1)


def cramer(u: Array) -> Array:
    """Each sample's share of the Cramér distance to U(0, 1), summed over columns.

    The mean over J is the distance. The ranks carry no gradient: the rest is its
    exact gradient wherever no two numbers are equal.

    Args:
        u: ``[J, L]`` in [0, 1].

    Returns:
        ``[J]``.
    """
    count = u.shape[0]
    ranks = jnp.argsort(jnp.argsort(u, axis=0), axis=0)
    target = (ranks.astype(u.dtype) + 0.5) / count
    return jnp.sum(jnp.square(u - target) + 1 / (12 * count**2), axis=-1)


def normal_marginals(z: Array) -> Array:
    """:func:`cramer` of ``Phi(z)``: zero when each column of z is standard normal.

    What the columns have to do with each other is left free: that is a copula's
    affair.

    Args:
        z: ``[J, L]``.

    Returns:
        ``[J]``.
    """
    return cramer(jax.scipy.special.ndtr(z))
