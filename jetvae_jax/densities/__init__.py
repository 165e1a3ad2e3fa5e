"""Densities of latents, one file each: flows and copulas.

``get("realnvp").build(Config(), dim=30)`` is a
:class:`~jetvae_jax.core.types.Density`. A new density is a new file here, or in the
folder ``densities/`` of the plug-in path, with a frozen dataclass ``Config`` and
``build(config, *, dim, num_conditions=0)``;
``tests/test_densities_protocol.py`` tests each of them. The standard normal is in
``normal``; ``copula`` combines marginals and a copula into a density.
"""

from jetvae_jax.core import lazy
from jetvae_jax.core.registry import Registry

_HELPERS = (
    "bijectors",
    "contexts",
    "copula",
    "coupling",
    "marginals",
    "mixtures",
    "normal",
    "positive",
    "splines",
)
_registry = Registry("density", __name__, helpers=_HELPERS, needs=("Config", "build"))
names, get = _registry.names, _registry.get

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, lazy.submodules(__name__), others=("get", "names")
)
