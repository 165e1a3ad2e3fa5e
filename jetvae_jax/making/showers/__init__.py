"""Showers by the parametrisation of Grindhammer and Peters, and a hadronic cascade.

No large package is imported here, because every worker imports this one.
"""

from jetvae_jax.making.showers.settings import Config

__all__ = ["Config"]
