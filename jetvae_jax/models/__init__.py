"""Variational autoencoders, one file each: ``get("conv_vae").build(config) -> VAE``.

A new model is a new file here; ``tests/test_models_protocol.py`` says what it needs.
"""

from types import ModuleType

from jetvae_jax import plugins


def names() -> tuple[str, ...]:
    """The models in this folder."""
    return plugins.names(__path__)


def get(name: str) -> ModuleType:
    """The module of that name, with its ``Config`` and ``build``.

    Raises:
        InputError: there is none.
    """
    return plugins.get(__name__, __path__, "model", name)
