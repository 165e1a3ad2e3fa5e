"""The Gaussian Kullback-Leibler divergence and the draw that goes with it."""

import jax
import jax.numpy as jnp

from jetvae_jax.types import Array, GaussianPosterior, Key


def gaussian_kl(posterior: GaussianPosterior, *, free_bits: float = 0.0) -> Array:
    """``KL(N(mean, exp(logvar)) || N(0, 1))``, summed over latent dimensions.

    ``1/2 sum_l (mean^2 + exp(logvar) - logvar - 1)`` (arXiv:1312.6114, appendix B).

    Args:
        posterior: mean and logvar ``[..., L]``.
        free_bits: each dimension counts at least this many nats (arXiv:1606.04934).

    Returns:
        ``[...]`` in nats; zero at the prior.
    """
    mean, logvar = posterior
    # expm1: exp(v) - 1 loses all digits of a small v.
    each = 0.5 * (jnp.square(mean) + jnp.expm1(logvar) - logvar)
    return jnp.sum(jnp.maximum(each, free_bits) if free_bits else each, axis=-1)


def reparameterize(key: Key, posterior: GaussianPosterior) -> Array:
    """A draw ``mean + exp(logvar / 2) * noise``, ``[..., L]``, differentiable."""
    noise = jax.random.normal(key, posterior.mean.shape, posterior.mean.dtype)
    return posterior.mean + jnp.exp(0.5 * posterior.logvar) * noise
