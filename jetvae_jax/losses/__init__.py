"""Losses as pure functions of arrays: per-jet values, which the caller averages.

Importing them costs little more than importing JAX; optimal transport is imported
when it is first called.
"""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "chamfer_distance": "distances.chamfer",
        "classic_objective": "objective",
        "adversarial": "",
        "distances": "",
        "energy_distance": "adversarial",
        "gaussian_kl": "objective",
        "gaussian_log_prob": "objective",
        "jet_mass_error": "objective",
        "jet_pt_error": "objective",
        "objective": "",
        "observable_distance": "observables",
        "observable_error": "observables",
        "observable_spread": "observables",
        "observables": "",
        "mass_weight": "objective",
        "nearest_neighbours": "distances.chamfer",
        "pairwise_sq_distance": "distances.chamfer",
        "pixel_matched_distance": "distances.pixel_matched",
        "pixel_position_distance": "distances.pixel_positions",
        "pixel_third_axis_distance": "distances.pixel_third_axis",
        "published_objective": "objective",
        "reparameterize": "objective",
        "repulsion": "separation",
        "sinkhorn_divergence": "distances.sinkhorn",
        "squared_error": "distances.mse",
    },
)
