"""Variational autoencoders, one file each: ``get("conv_vae").build(config) -> VAE``.

A new model is a new file here; ``tests/test_models_protocol.py`` says what it needs.
"""

from jetvae_jax.core.registry import Registry

_registry = Registry("model", __name__, helpers=("copula_latents",))
names, get = _registry.names, _registry.get
