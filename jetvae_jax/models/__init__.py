"""Generative models, one file each.

A model is a file here, or in the folder ``models/`` of the plug-in path, with

- ``Config``: a frozen dataclass; each field becomes a flag, ``--my_model.width``.
  Fields named ``num_particles``, ``num_features``, ``jet_rows`` and
  ``num_conditions`` follow from the data;
- ``model(config, task) -> Model``: a few pure functions, see
  :class:`~jetvae_jax.core.types.Model`; the task says what is to be generated;
- ``REQUIRES``: a dict of flags and the values that they must have, such as
  ``{"scaling.coordinates": "relative"}``; optional;
- ``USES_MASK``: True if padding and the order of the particles have no influence;
  False if there is none;
- ``USES_DISTANCE``: False if the loss does not compare a jet with its reconstruction,
  so that ``--loss`` has no effect; optional;
- ``USES_OBSERVABLES``: whether the loss has the observables that the objective
  enforces; optional, as ``USES_DISTANCE`` if it is not there.

The VAEs here also have ``build(config) -> VAE``, the bare networks.
``tests/test_models_protocol.py`` tests each of them. ``vae`` builds generative models
from networks, ``adversarial`` adds a discriminator, ``gan`` builds GANs from networks,
``bounds`` has lower bounds of the log-likelihood.
"""

from typing import Any

from jetvae_jax.core import lazy
from jetvae_jax.core.registry import Registry

_registry = Registry(
    "model",
    __name__,
    helpers=("vae", "adversarial", "bounds", "gan"),
    needs=("Config", "model"),
)
names, get = _registry.names, _registry.get


def uses_observables(module: Any) -> bool:
    """Whether the loss of a model has the observables that the objective enforces.

    Args:
        module: of the model, as ``get`` returns it.
    """
    uses_distance = getattr(module, "USES_DISTANCE", True)
    return getattr(module, "USES_OBSERVABLES", uses_distance)


__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        "ConvVAEConfig": "conv_vae:Config",
        "DeepSetsVAEConfig": "deepsets_vae:Config",
        "MLPVAEConfig": "mlp_vae:Config",
        **lazy.submodules(__name__),
    },
    others=("get", "names"),
)
