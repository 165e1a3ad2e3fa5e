"""What is measured on a jet, as pure functions with gradients.

Losses and metrics have them in common. Modules are imported when one of their names is
first used.
"""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, lazy.submodules(__name__))
