"""Models, flows and losses found by the name of their file: no list to edit."""

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

from jetvae_jax.errors import InputError


def names(folder: Iterable[str]) -> tuple[str, ...]:
    """The public modules of a package.

    Args:
        folder: the package's ``__path__``.
    """
    found = (module.name for module in pkgutil.iter_modules(folder))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def get(package: str, folder: Iterable[str], kind: str, name: str) -> ModuleType:
    """The module of that name, imported now.

    Args:
        package: dotted name of the package.
        folder: its ``__path__``.
        kind: what its modules are, for the message.
        name: of the module.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    known = names(folder)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(
            f"{kind}: {name!r} is unknown{hint}; choose one of {', '.join(known)}"
        )
    return importlib.import_module(f"{package}.{name}")
