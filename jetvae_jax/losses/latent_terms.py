"""Loss terms of latents: posterior draws, KL divergence, marginals.

The Cramér distance of a sample of J numbers from U(0, 1) is (von Mises)::

    int (F(u) - u)^2 du = 1/J sum_i (u_i - (2 r_i - 1) / 2J)^2 + 1 / 12 J^2

with the rank ``r_i`` of ``u_i``. It is half the energy distance
``2E|U-V| - E|U-U'| - E|V-V'|`` of arXiv:1705.10743, without a second sample. A truly
uniform sample of J has ``1 / 6J`` on average, which is the floor of a batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.core.types import (
    Array,
    Batch,
    Density,
    GaussianPosterior,
    Key,
    Params,
    Terms,
    given,
)


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


def gaussian_log_prob(posterior: GaussianPosterior, z: Array) -> Array:
    """``log q(z|x)`` of a diagonal Gaussian, ``[..., L] -> [...]``, in nats."""
    mean, logvar = posterior
    squares = jnp.square((z - mean) * jnp.exp(-logvar / 2))
    return -0.5 * jnp.sum(squares + logvar + jnp.log(2 * jnp.pi), axis=-1)


def gaussian_kl(posterior: GaussianPosterior) -> Array:
    """KL divergence of a diagonal Gaussian from the standard normal.

    ``1/2 sum_l mean_l^2 + exp(logvar_l) - logvar_l - 1`` (arXiv:1312.6114,
    appendix B). ``logvar`` is not clipped here: the network bounds it.

    Args:
        posterior: mean and logvar ``[..., L]``.

    Returns:
        ``[...]`` in nats, summed over L.
    """
    mean, logvar = posterior
    # Near the prior, exp(v) - v - 1 cancels; expm1(v) - v does not.
    nats = 0.5 * (jnp.square(mean) + (jnp.expm1(logvar) - logvar))
    return jnp.sum(nats, axis=-1)


def cramer(u: Array) -> Array:
    """Contribution of each sample to the Cramér distance to U(0, 1).

    It is summed over columns; its mean over J is the distance. The ranks are
    constants for the gradient, which is exact wherever no two numbers are equal.

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

    It does not depend on the copula of the columns.

    Args:
        z: ``[J, L]``.

    Returns:
        ``[J]``.
    """
    return cramer(jax.scipy.special.ndtr(z))


class ForwardPass(NamedTuple):
    """Latents and their loss terms.

    Attributes:
        z: ``[J, L]`` drawn from the posterior.
        terms: ``kl`` and, if it has a weight, ``uniform``.
    """

    z: Array
    terms: Terms


def forward(
    params: Params,
    key: Key,
    batch: Batch,
    *,
    encode: Callable[..., GaussianPosterior],
    prior: Density | None = None,
    uniform: bool = False,
) -> ForwardPass:
    """Encode a batch, draw latents and measure how far they are from the prior.

    Args:
        params: of the model, ``"prior"`` among them if there is one.
        key: of the draw.
        batch: of J sets.
        encode: ``(params, batch) -> GaussianPosterior``.
        prior: of the latents; None for the standard normal.
        uniform: measure the marginals' distance from the standard normal, too.
    """
    posterior = encode(params, batch)
    z = reparameterize(key, posterior)
    if prior is None:
        kl = gaussian_kl(posterior)
    else:
        log_p = prior.log_prob(params["prior"], z, *given(batch.context.condition))
        kl = gaussian_log_prob(posterior, z) - log_p
    terms = {"kl": kl}
    if uniform:
        terms["uniform"] = normal_marginals(z)
    return ForwardPass(z, terms)
