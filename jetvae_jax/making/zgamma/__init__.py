"""Z gamma events by Pythia, a parametrised detector and FastJet, as a table.

No large package is imported here, because every worker imports this one.
"""

from jetvae_jax.making.zgamma.settings import Config

__all__ = ["Config"]
