"""Discriminators, one file each: ``get("mlp").build(config) -> Discriminator``.

A new one is a new file here; ``tests/test_discriminators.py`` says what it needs.
"""

from jetvae_jax.core.registry import Registry

_registry = Registry("discriminator", __name__)
names, get = _registry.names, _registry.get
