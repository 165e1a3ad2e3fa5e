"""Variational autoencoders for LHC jets in JAX."""

__version__ = "0.1.0"
