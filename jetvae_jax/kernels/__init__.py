"""Heavy inner loops, each behind one function that chooses its implementation."""

from jetvae_jax.kernels.nearest import Neighbours, nearest_neighbours

__all__ = ["Neighbours", "nearest_neighbours"]
