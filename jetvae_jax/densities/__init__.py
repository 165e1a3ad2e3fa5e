"""Normalizing flows, one file each: ``get("realnvp").build(config, dim=30) -> Flow``.

A new flow is a new file here; ``tests/test_flows_protocol.py`` says what it needs.
"""

from jetvae_jax.core.registry import Registry

_HELPERS = ("copula", "coupling", "gaussian_copula", "marginals", "normal", "splines")
_registry = Registry("flow", __name__, helpers=_HELPERS)
names, get = _registry.names, _registry.get
