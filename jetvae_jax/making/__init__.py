"""Production of jets with Pythia and FastJet: the recipe of JetNet, or any other.

No large package is imported here, because every worker imports this one.
"""

from jetvae_jax.making.settings import Config

__all__ = ["Config"]
