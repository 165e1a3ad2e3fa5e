"""Distances between a set and its reconstruction, one file each.

``get("chamfer").build(config)`` is a function ``(x [..., N, F], y [..., M, F], *,
x_mask=None, y_mask=None) -> [...]``. A new loss is a new file here;
``tests/test_losses_protocol.py`` says what it needs.
"""

import difflib
import importlib
import pkgutil
from types import ModuleType

from jetvae_jax.errors import InputError


def names() -> tuple[str, ...]:
    """The losses in this folder."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def get(name: str) -> ModuleType:
    """The module of that name, with its ``Config`` and ``build``.

    Raises:
        InputError: there is none.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(
            f"loss: {name!r} is unknown{hint}; choose one of {', '.join(names())}"
        )
    return importlib.import_module(f"{__name__}.{name}")
