"""Pure maps of jets and their exact inverses, and symmetries to augment with.

All act on trailing axes and work plain, under ``jit``, ``vmap`` and ``grad``;
padding never contributes, whatever it holds. Coordinates relative to the jet's axis
are in :mod:`jetvae_jax.kinematics`.
"""
