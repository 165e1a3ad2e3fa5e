"""Data: readers, writer, scaling and splits. Outside are GeV and radians."""

from jetvae_jax.data.load import Loaded, load
from jetvae_jax.data.splits import Split, split
from jetvae_jax.data.writing.jetnet import JetNetWriter

__all__ = ["JetNetWriter", "Loaded", "Split", "load", "split"]
