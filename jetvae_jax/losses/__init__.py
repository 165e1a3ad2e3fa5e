"""Losses as pure functions of arrays: per-jet values, which the caller averages.

Importing them costs little more than importing JAX; optimal transport is imported
when it is first called.
"""

from jetvae_jax.losses import elbo, nll, reconstruction
from jetvae_jax.losses.elbo import classic_objective, published_objective
from jetvae_jax.losses.jet_terms import jet_mass_error, jet_pt_error, mass_weight
from jetvae_jax.losses.kl import gaussian_kl, reparameterize
from jetvae_jax.losses.reconstruction.chamfer import (
    chamfer_distance,
    pairwise_sq_distance,
)
from jetvae_jax.losses.reconstruction.mse import squared_error
from jetvae_jax.losses.reconstruction.pixel_matched import pixel_matched_distance
from jetvae_jax.losses.reconstruction.pixel_positions import pixel_position_distance
from jetvae_jax.losses.reconstruction.pixel_third_axis import (
    pixel_third_axis_distance,
)
from jetvae_jax.losses.reconstruction.sinkhorn import sinkhorn_divergence
from jetvae_jax.losses.repulsion import repulsion

__all__ = [
    "chamfer_distance",
    "classic_objective",
    "elbo",
    "gaussian_kl",
    "jet_mass_error",
    "jet_pt_error",
    "mass_weight",
    "nll",
    "pairwise_sq_distance",
    "pixel_matched_distance",
    "pixel_position_distance",
    "pixel_third_axis_distance",
    "published_objective",
    "reconstruction",
    "reparameterize",
    "repulsion",
    "sinkhorn_divergence",
    "squared_error",
]
