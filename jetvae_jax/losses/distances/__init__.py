"""Distances between a set and its reconstruction, one file each.

``get("chamfer").build(config)`` is a function ``(x [..., N, F], y [..., M, F], *,
x_mask=None, y_mask=None) -> [...]``. A new distance is a new file here, or in the
folder ``distances/`` of the plug-in path; ``tests/test_losses_protocol.py`` says what
it must define.
"""

from jetvae_jax.core import lazy
from jetvae_jax.core.registry import Registry

_registry = Registry("loss", __name__, needs=("Config", "build"))
names, get = _registry.names, _registry.get

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, lazy.submodules(__name__), others=("get", "names")
)
