"""Distances between a set and its reconstruction, one file each.

``get("chamfer").build(config)`` is a function ``(x [..., N, F], y [..., M, F], *,
x_mask=None, y_mask=None) -> [...]``. A new loss is a new file here;
``tests/test_losses_protocol.py`` says what it needs.
"""

from jetvae_jax.core.registry import Registry

_registry = Registry("loss", __name__)
names, get = _registry.names, _registry.get
