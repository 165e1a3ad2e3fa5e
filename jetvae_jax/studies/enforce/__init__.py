"""What it costs to enforce a statistic: trainings with and without it in the loss."""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, lazy.submodules(__name__))
