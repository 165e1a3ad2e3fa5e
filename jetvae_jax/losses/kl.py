"""The Gaussian posterior: drawing from it, and its divergence from the prior."""

import jax
import jax.numpy as jnp

from jetvae_jax.types import Array, GaussianPosterior, Key


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
