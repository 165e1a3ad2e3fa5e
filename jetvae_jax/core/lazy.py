"""Public names that are imported when they are first used (PEP 562).

``import jetvae_jax as jv; jv.losses.chamfer_distance`` imports only the modules that
the distance needs: ``import jetvae_jax`` itself stays fast.
"""

import importlib
import pkgutil
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from jetvae_jax.core import moved


def submodules(package: str) -> dict[str, str]:
    """The public modules of a package, as :func:`attach` takes them."""
    path = sys.modules[package].__path__
    found = (module.name for module in pkgutil.iter_modules(path))
    return {name: "" for name in found if not name.startswith("_")}


def attach(
    package: str, members: Mapping[str, str], others: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Args:
        package: its ``__name__``.
        members: public name to the module that defines it, relative to the package:
            ``{"w1m": "suite.jetnet_w1"}``, or ``"suite.jetnet_w1:other_name"``; from
            elsewhere by its full name. A name that maps to an empty string is a
            submodule.
        others: further public names, which the package defines itself.
    """

    def __getattr__(name: str) -> Any:
        if new := moved.new_public_name(f"{package}.{name}"):
            warnings.warn(
                f"{package}.{name} is now {new}; the old name goes away in version 1.0",
                DeprecationWarning,
                stacklevel=2,
            )
            module, _, attribute = new.rpartition(".")
            return getattr(importlib.import_module(module), attribute)
        if name not in members:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        where, _, attribute = members[name].partition(":")
        if not where:
            return importlib.import_module(f"{package}.{name}")
        if not where.startswith(f"{package.partition('.')[0]}."):
            where = f"{package}.{where}"
        module = importlib.import_module(where)
        attribute = attribute or name
        if not hasattr(module, attribute):  # a submodule, not imported yet
            importlib.import_module(f"{where}.{attribute}")
        value = getattr(module, attribute)
        setattr(sys.modules[package], name, value)
        return value

    names = sorted({*members, *others})
    return __getattr__, lambda: names, names
