"""Normalizing flows, one file each: ``get("realnvp").build(config, dim=30) -> Flow``.

A new flow is a new file here; ``tests/test_flows_protocol.py`` says what it needs.
"""

from types import ModuleType

from jetvae_jax import plugins


def names() -> tuple[str, ...]:
    """The flows in this folder."""
    return plugins.names(__path__)


def get(name: str) -> ModuleType:
    """The module of that name, with its ``Config`` and ``build``.

    Raises:
        InputError: there is none.
    """
    return plugins.get(__name__, __path__, "flow", name)
