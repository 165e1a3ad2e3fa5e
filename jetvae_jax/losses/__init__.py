"""Losses as pure functions of arrays: per-jet values, which the caller averages.

Importing them costs little more than importing JAX; optimal transport is imported
when it is first called.
"""

from jetvae_jax.losses import distances, jet_objective, nll
from jetvae_jax.losses.distances.chamfer import chamfer_distance, pairwise_sq_distance
from jetvae_jax.losses.distances.mse import squared_error
from jetvae_jax.losses.distances.pixel_matched import pixel_matched_distance
from jetvae_jax.losses.distances.pixel_positions import pixel_position_distance
from jetvae_jax.losses.distances.pixel_third_axis import pixel_third_axis_distance
from jetvae_jax.losses.distances.sinkhorn import sinkhorn_divergence
from jetvae_jax.losses.jet_objective import (
    classic_objective,
    jet_mass_error,
    jet_pt_error,
    mass_weight,
    published_objective,
)
from jetvae_jax.losses.latent_terms import gaussian_kl, reparameterize
from jetvae_jax.losses.repulsion import repulsion

__all__ = [
    "chamfer_distance",
    "classic_objective",
    "distances",
    "jet_objective",
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
    "reparameterize",
    "repulsion",
    "sinkhorn_divergence",
    "squared_error",
]
