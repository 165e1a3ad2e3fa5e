"""Calorimeter showers: cells with energies, the calorimeters, files and observables.

A shower is a :class:`jetvae_jax.core.types.Showers`; where its cells are says a
:class:`~jetvae_jax.showers.geometry.Geometry`. Energies are in GeV, lengths in mm.
"""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, lazy.submodules(__name__))
