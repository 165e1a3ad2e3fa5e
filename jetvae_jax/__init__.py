"""Variational autoencoders for LHC jets in JAX.

``import jetvae_jax as jv`` gives every public name, such as
``jv.losses.chamfer_distance``, ``jv.models.ConvVAEConfig`` or ``jv.metrics.w1m``, and
imports each module when it is first used.
"""

from jetvae_jax.core import lazy, moved

__version__ = "0.1.0"

moved.install()

_ROOMS = (
    "core", "data", "densities", "discriminators", "events", "images", "interplay",
    "jets", "losses", "making", "metrics", "models", "observables", "report", "runs",
    "showers", "studies", "training", "zoo",
)  # fmt: skip
__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        **dict.fromkeys(_ROOMS, ""),
        "InputError": "core.errors",
        "Jets": "core.types",
        "Model": "core.types",
        "kinematics": "core:kinematics",
        "types": "core:types",
    },
)
