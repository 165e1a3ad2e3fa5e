"""The library method, by the size of the library and the number of neighbours."""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, lazy.submodules(__name__))
