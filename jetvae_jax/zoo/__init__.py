"""Trained models that come with the package, each with a card.

``zoo.load("autoregressive_gluon30")`` is the trained model; ``zoo:NAME`` takes the
place of a folder wherever a script or a function reads a run, such as
``--workdir=zoo:autoregressive_gluon30``. A model is a folder beside this file: a
checkpoint, a flow of its latents, and its card, ``README.md``.
"""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, {"card": "models", "load": "models", "names": "models"}
)
