"""Objectives of GANs on a ring of Gaussians: mode collapse and vanishing gradients."""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, lazy.submodules(__name__))
