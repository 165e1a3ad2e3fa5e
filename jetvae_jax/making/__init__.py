"""Jets made by Pythia and FastJet: the recipe of JetNet, or any other.

Nothing heavy is imported here: every worker imports this package.
"""

from jetvae_jax.making.settings import Config

__all__ = ["Config"]
