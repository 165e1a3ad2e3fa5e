"""Variational autoencoders, one file each: ``get("conv_vae").build(config) -> VAE``.

A new model is a new file here; ``tests/test_models_protocol.py`` says what it needs.
"""

import difflib
import importlib
import pkgutil
from types import ModuleType

from jetvae_jax.errors import InputError


def names() -> tuple[str, ...]:
    """The models in this folder."""
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
            f"model: {name!r} is unknown{hint}; choose one of {', '.join(names())}"
        )
    return importlib.import_module(f"{__name__}.{name}")
