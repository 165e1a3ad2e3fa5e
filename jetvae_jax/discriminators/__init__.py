"""Discriminators, one file each: ``get("mlp").build(config) -> Discriminator``.

A new discriminator is a new file here, or in the folder ``discriminators/`` of the
plug-in path; ``tests/test_discriminators.py`` says what it must define.
"""

from jetvae_jax.core import lazy
from jetvae_jax.core.registry import Registry

_registry = Registry("discriminator", __name__, needs=("Config", "build"))
names, get = _registry.names, _registry.get

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, lazy.submodules(__name__), others=("get", "names")
)
