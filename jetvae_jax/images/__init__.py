"""Sparse images: readers of MNIST, and images as sets of points with a mask.

The way of the data: :mod:`mnist` reads images, :mod:`sets` or :mod:`segments` makes
``types.PixelSets`` of them, :mod:`scaling` what a network sees, and :mod:`pictures` an
image again. :mod:`files` reads and writes sets; :mod:`load` is the whole way from a
file to training, validation and test part.
"""

from jetvae_jax.core import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, lazy.submodules(__name__))
