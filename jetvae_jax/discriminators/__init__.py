"""Discriminators, one file each: ``get("mlp").build(config) -> Discriminator``.

A new one is a new file here; ``tests/test_discriminators.py`` says what it needs.
"""

from types import ModuleType

from jetvae_jax import plugins


def names() -> tuple[str, ...]:
    """The discriminators in this folder."""
    return plugins.names(__path__)


def get(name: str) -> ModuleType:
    """The module of that name, with its ``Config`` and ``build``.

    Raises:
        InputError: there is none.
    """
    return plugins.get(__name__, __path__, "discriminator", name)
