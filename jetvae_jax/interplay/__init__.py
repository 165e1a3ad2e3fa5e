"""Jets to and from the arrays of other libraries, in memory.

A library is one module of this folder, here named ``x``, with

- ``to_x(jets)``: a batch of :class:`~jetvae_jax.core.types.Jets`, particles
  ``[J, N, 3]``, as the library has them;
- ``from_x(...)``: the reverse.

``jv.interplay.to_x`` and ``from_x`` follow from the file. A library is imported when
its function is called; if it is missing, an ``InputError`` says how to install it.

All of them keep the conventions of files (:mod:`jetvae_jax.data`): momenta in GeV,
angles in radians, massless particles in descending pt, padding after them. What is
given to ``to_x`` may be in any order; what ``from_x`` returns is float32 and checked as
files are, so that from a jet and back is the same jet to the bit where the library
holds Cartesian momenta. The functions compute on the host, in NumPy.
"""

from jetvae_jax.core import lazy

_modules = lazy.submodules(__name__)
__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    {
        **_modules,
        **{f"{way}_{name}": name for name in _modules for way in ("to", "from")},
    },
)
