"""The objectives of the ConVAE papers: reconstruction, jet terms and divergence."""

import dataclasses
from collections.abc import Callable
from typing import Literal

from jetvae_jax.errors import InputError
from jetvae_jax.losses.jet_terms import jet_mass_error, jet_pt_error
from jetvae_jax.losses.kl import gaussian_kl, reparameterize
from jetvae_jax.types import VAE, Array, Batch, Key, LossFn, Params, Terms


@dataclasses.dataclass(frozen=True)
class Config:
    """How the terms of the loss are weighted.

    Attributes:
        form: 'published' (1 - beta) [alpha R + gamma (gamma_pt dpT^2 + gamma_mass
            dm^2)] + beta KL, or 'classic' alpha R + gamma (...) + beta KL.
        beta: weight of the divergence from N(0, 1).
        alpha: weight of the reconstruction distance R.
        gamma: weight of both jet terms; 0 leaves them out.
        gamma_pt: weight of the squared error of the jet pt, in 1/GeV^2.
        gamma_mass: weight of the squared error of the jet mass, in 1/GeV^2.
        space: where R is taken: 'momenta' in GeV as published, or 'scaled' features
            as the network sees them.
        mask_ghosts: leave padding out of R; by default it is points like any other,
            as published, and teaches the decoder to pad.
    """

    form: Literal["published", "classic"] = "published"
    beta: float = 0.9998
    alpha: float = 1.0
    gamma: float = 1.0
    gamma_pt: float = 1.0
    gamma_mass: float = 10.0
    space: Literal["momenta", "scaled"] = "momenta"
    mask_ghosts: bool = False

    def __post_init__(self):
        if not self.beta >= 0 or (self.form == "published" and self.beta > 1):
            raise InputError(
                f"beta = {self.beta}: must be in [0, 1], or form = classic"
            )


def combine(config: Config, terms: Terms) -> Array:
    """The weighted sum ``[...]`` of the terms of :func:`objective`."""
    jet = config.gamma_pt * terms["jet_pt"] + config.gamma_mass * terms["jet_mass"]
    rest = config.alpha * terms["reconstruction"] + config.gamma * jet
    keep = 1 - config.beta if config.form == "published" else 1.0
    return keep * rest + config.beta * terms["kl"]


def build(
    config: Config,
    vae: VAE,
    reconstruction: Callable[..., Array],
    momenta: Callable[[Array, Array], Array],
) -> LossFn:
    """The loss of a VAE.

    Args:
        config: weights.
        vae: encodes and decodes.
        reconstruction: distance of two sets, from ``losses.reconstruction``.
        momenta: ``(x [..., R, F], axis [..., 3]) -> [..., N, 3]`` in GeV.

    Returns:
        ``(params, key, batch: Batch) -> (loss [...], terms)`` with the unweighted
        terms ``reconstruction``, ``jet_pt``, ``jet_mass`` [GeV^2] and ``kl`` [nats].
    """

    def loss_fn(params: Params, key: Key, batch: Batch) -> tuple[Array, Terms]:
        posterior = vae.encode(params, batch.x, batch.mask)
        x_hat = vae.decode(params, reparameterize(key, posterior))
        p, p_hat = momenta(batch.x, batch.axis), momenta(x_hat, batch.axis)
        # Rows before those of the particles describe the jet itself.
        mask = batch.mask[..., -p.shape[-2] :]
        x, y, x_mask = batch.x, x_hat, batch.mask
        if config.space == "momenta":
            x, y, x_mask = p, p_hat, mask
        if not config.mask_ghosts:
            x_mask = None
        terms = {
            "reconstruction": reconstruction(x, y, x_mask=x_mask),
            "jet_pt": jet_pt_error(p, p_hat, x_mask=mask),
            "jet_mass": jet_mass_error(p, p_hat, x_mask=mask),
            "kl": gaussian_kl(posterior),
        }
        return combine(config, terms), terms

    return loss_fn
