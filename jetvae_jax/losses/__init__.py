"""Losses: pure functions of arrays that give one value a jet; the caller averages.

Importing this costs little more than importing jax: use single functions in your
own code.
"""

from jetvae_jax.losses.elbo import combine
from jetvae_jax.losses.jet_terms import jet_mass_error, jet_pt_error
from jetvae_jax.losses.kl import gaussian_kl, reparameterize
from jetvae_jax.losses.reconstruction.chamfer import (
    chamfer_distance,
    pairwise_sq_distance,
)

__all__ = [
    "chamfer_distance",
    "combine",
    "gaussian_kl",
    "jet_mass_error",
    "jet_pt_error",
    "pairwise_sq_distance",
    "reparameterize",
]
