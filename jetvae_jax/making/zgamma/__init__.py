"""Z gamma events by Pythia, a parametrised detector and FastJet, as a table.

Nothing heavy is imported here: every worker imports this package.
"""

from jetvae_jax.making.zgamma.settings import Config

__all__ = ["Config"]
