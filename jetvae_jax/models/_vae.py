"""What every model shares: the posterior's last layer, and modules made a VAE."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import layers
from jetvae_jax.core.types import VAE, Array, GaussianPosterior, Key, Params

LOGVAR_RANGE = (-20.0, 10.0)
"""Of a posterior: standard deviations from 5e-5 to 150."""


def smooth_clip(x: Array, low: float, high: float) -> Array:
    """``x`` held inside ``(low, high)``, the identity to 5e-5 ten units inside.

    Its gradient fades beyond the bounds but does not vanish at once, as a hard
    clip's would: what went over the edge can come back.
    """
    return low + jax.nn.softplus(high - low - jax.nn.softplus(high - x))


def posterior(outputs: Array) -> GaussianPosterior:
    """The last layer of an encoder, ``[..., 2 L]``, as mean and log-variance.

    The log-variance is clipped smoothly to :data:`LOGVAR_RANGE`, here and nowhere
    else: ``exp`` cannot overflow and no loss needs a guard of its own.
    """
    mean, logvar = jnp.split(outputs, 2, axis=-1)
    return GaussianPosterior(mean, smooth_clip(logvar, *LOGVAR_RANGE))


def jet_features(x: Array, size: int) -> Array:
    """What a decoder adds to the jet's features: a linear map of ``x``, zero at first.

    Called inside a decoder's ``__call__``; without features, without parameters.
    """
    if not size:
        return jnp.zeros((*x.shape[:-1], 0), x.dtype)
    return layers.Dense(size, scale=0.0, name="jet")(x)


def as_vae(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    num_particles: int,
    num_features: int,
    latent_dim: int,
    jet_rows: int = 0,
    any_length: bool = False,
    num_conditions: int = 0,
) -> VAE:
    """Two linen modules as a VAE of pure functions with checked shapes.

    Rows before those of the particles, if any, describe the jet. They reach the
    encoder as one vector of G features, and skip the networks: the first G latents
    are those features plus what the encoder adds, and the decoded features are those
    latents plus what the decoder adds.

    Conditions reach the encoder behind those features and the decoder behind the
    latents; the modules only see a longer vector.

    Args:
        encoder: ``(x [..., N, F], mask [..., N], jet [..., G]) -> GaussianPosterior``.
        decoder: ``(z [..., L]) -> (x [..., N, F], jet [..., G])``.
        num_particles: N.
        num_features: F.
        latent_dim: L.
        jet_rows: R; the VAE's x is ``[..., R + N, F]``, and ``G = R F``.
        any_length: the encoder takes any number of particles.
        num_conditions: length of the ``condition`` that encode and decode then take.

    Returns:
        The VAE; its parameters are ``{"encoder": ..., "decoder": ...}``.
    """
    rows, width = jet_rows + num_particles, jet_rows * num_features
    skip = min(width, latent_dim)

    def draw(key: Key) -> Params:
        encoder_key, decoder_key = jax.random.split(key)
        x, mask = (
            jnp.zeros((num_particles, num_features)),
            jnp.ones(num_particles, bool),
        )
        return {
            "encoder": layers.init(
                encoder, encoder_key, x, mask, jnp.zeros(width + num_conditions)
            ),
            "decoder": layers.init(
                decoder, decoder_key, jnp.zeros(latent_dim + num_conditions)
            ),
        }

    def encode(
        params: Params, x: Array, mask: Array, condition: Array | None = None
    ) -> GaussianPosterior:
        expected = (x.shape[-2] if any_length else rows, num_features)
        if x.shape[-2:] != expected:
            raise ValueError(f"x has shape {x.shape}, expected [..., *{expected}]")
        if mask.shape != x.shape[:-1]:
            raise ValueError(f"mask has shape {mask.shape}, x has {x.shape}")
        jet = x[..., :jet_rows, :].reshape(*x.shape[:-2], width)
        x, mask = x[..., jet_rows:, :], mask[..., jet_rows:]
        inputs = (x, mask, layers.told(jet, condition, num_conditions))
        mean, logvar = layers.apply(encoder, params["encoder"], *inputs)
        return GaussianPosterior(mean.at[..., :skip].add(jet[..., :skip]), logvar)

    def decode(params: Params, z: Array, condition: Array | None = None) -> Array:
        if z.shape[-1] != latent_dim:
            raise ValueError(f"z has shape {z.shape}, expected [..., {latent_dim}]")
        inputs = layers.told(z, condition, num_conditions)
        x, jet = layers.apply(decoder, params["decoder"], inputs)
        jet = jet.at[..., :skip].add(z[..., :skip])
        jet = jet.reshape(*z.shape[:-1], jet_rows, num_features)
        return jnp.concatenate([jet, x], axis=-2)

    return VAE(draw, encode, decode, latent_dim)
