"""VAEs whose latent is a point of the unit cube: copula-VAEs.

All that deals with latents goes on seeing scores z in R^L. The decoder is given
``sqrt(12) (Phi(z) - 1/2)``: the uniform ``u = Phi(z)``, centred and of variance one.
"""

import math

import jax
import jax.numpy as jnp

from jetvae_jax.core.types import VAE, Array, GaussianPosterior, Key, Params
from jetvae_jax.densities.marginals import Marginals

LOGVAR = -20.0
"""Of the posterior of an encoder that is exact: a standard deviation of 5e-5."""


def squashed(vae: VAE) -> VAE:
    """The VAE with a decoder of uniform latents; encoder and parameters as before.

    As the KL does not change under ``u = Phi(z)``, that to the standard normal of z
    is the KL of u to the uniform, and that to a Gaussian copula of z the KL to the
    copula.
    """

    def decode(params: Params, z: Array, *condition: Array | None) -> Array:
        u = math.sqrt(12) * (jax.scipy.special.ndtr(z) - 0.5)
        return vae.decode(params, u, *condition)

    return vae._replace(decode=decode)


def cdf_encoder(vae: VAE, marginals: Marginals, knots: Params | None = None) -> VAE:
    """The VAE with its encoder replaced by the CDFs of the events' own features.

    The latent of an event is its features' scores, its uniforms their CDFs: known
    before any training. The decoder learns by itself to map uniforms to events;
    train it with the part ``"encoder"`` frozen.

    Args:
        vae: of one point a set, and as many latents as features.
        marginals: of the scaled features.
        knots: fitted to the scaled training events ``[J, F]``, with which the
            parameters start; None if a checkpoint will bring them.

    Returns:
        A squashed VAE; ``params["encoder"]`` are the marginals' parameters.

    Raises:
        ValueError: the numbers of latents and features differ.
    """
    if vae.latent_dim != marginals.dim:
        raise ValueError(
            f"a CDF encoder of {marginals.dim} features needs as many latents, got "
            f"{vae.latent_dim}"
        )

    def init(key: Key) -> Params:
        start = marginals.init(key) if knots is None else jax.tree.map(jnp.array, knots)
        return dict(vae.init(key)) | {"encoder": start}

    def encode(
        params: Params, x: Array, mask: Array, condition: Array | None = None
    ) -> GaussianPosterior:
        del mask, condition
        if x.shape[-2:] != (1, marginals.dim):
            raise ValueError(f"x has shape {x.shape}, expected [..., 1, {vae[3]}]")
        known = jax.lax.stop_gradient(params["encoder"])
        y, _ = marginals.scores(known, x[..., 0, :])
        return GaussianPosterior(y, jnp.full_like(y, LOGVAR))

    return squashed(vae)._replace(init=init, encode=encode)
