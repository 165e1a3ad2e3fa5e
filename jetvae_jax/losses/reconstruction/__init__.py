"""Distances between a set and its reconstruction, one file each.

``get("chamfer").build(config)`` is a function ``(x [..., N, F], y [..., M, F], *,
x_mask=None, y_mask=None) -> [...]``. A new loss is a new file here;
``tests/test_losses_protocol.py`` says what it needs.
"""

from types import ModuleType

from jetvae_jax import plugins


def names() -> tuple[str, ...]:
    """The losses in this folder."""
    return plugins.names(__path__)


def get(name: str) -> ModuleType:
    """The module of that name, with its ``Config`` and ``build``.

    Raises:
        InputError: there is none.
    """
    return plugins.get(__name__, __path__, "loss", name)
