"""Plug-ins: models, losses, metrics, formats found by the name of their file.

A plug-in is one Python file. It is in the package's own folder, or in a folder of the
same name on the plug-in path::

    JETVAE_PLUGINS=/home/me/plugins        # several folders are separated by ":"
    /home/me/plugins/models/my_model.py    # --model=my_model
    /home/me/plugins/metrics/my_metric.py

No list has to be edited: flags, checkpoints and reports follow from the file.
"""

import importlib
import importlib.util
import os
import pathlib
import pkgutil
import sys
from types import ModuleType

from jetvae_jax.core.errors import InputError, did_you_mean

VARIABLE = "JETVAE_PLUGINS"


class Registry:
    """The plug-ins of one kind.

    Args:
        kind: what a plug-in is, for messages: "model".
        package: dotted name of the package that holds those of this library; the last
            part is the name of the folder on the plug-in path, unless ``folder`` is.
        helpers: modules of that package that are not plug-ins. Names that begin with
            an underscore never are.
        folder: name of the folder on the plug-in path.
        needs: names that each file must define, such as "Config" and "build".
    """

    def __init__(
        self,
        kind: str,
        package: str,
        helpers: tuple[str, ...] = (),
        folder: str = "",
        needs: tuple[str, ...] = (),
    ):
        self.kind, self.package, self.helpers = kind, package, helpers
        self.needs = needs
        self.folder = folder or package.rpartition(".")[2]

    def names(self) -> tuple[str, ...]:
        """All names, sorted. A plug-in cannot replace a file of the library."""
        path = sys.modules[self.package].__path__
        found = {module.name for module in pkgutil.iter_modules(path)}
        found = found.difference(self.helpers) | set(self._files())
        return tuple(sorted(name for name in found if not name.startswith("_")))

    def get(self, name: str) -> ModuleType:
        """The module of that name, imported now.

        Raises:
            InputError: there is none; the message names the nearest. Or a file on the
                plug-in path cannot be imported, or does not define what it needs.
        """
        known = self.names()
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(
                f"{self.kind}: {name!r} is unknown{hint}; choose one of "
                f"{', '.join(known)}"
            )
        if file := self._files().get(name):
            module = _imported(f"jetvae_plugins_{self.folder}_{name}", file)
            missing = [need for need in self.needs if not hasattr(module, need)]
            if missing:
                raise InputError(
                    f"{file}: a {self.kind} needs {', '.join(missing)}: define what "
                    f"the docstring of {self.package} lists"
                )
            return module
        return importlib.import_module(f"{self.package}.{name}")

    def _files(self) -> dict[str, pathlib.Path]:
        """Name to file of the plug-ins on the plug-in path; the first folder wins."""
        found: dict[str, pathlib.Path] = {}
        own = {m.name for m in pkgutil.iter_modules(sys.modules[self.package].__path__)}
        for folder in os.environ.get(VARIABLE, "").split(os.pathsep):
            for file in sorted(pathlib.Path(folder, self.folder).glob("*.py")):
                if folder and file.stem not in own and not file.stem.startswith("_"):
                    found.setdefault(file.stem, file)
        return found


def _imported(module_name: str, file: pathlib.Path) -> ModuleType:
    """A module from a file, imported once."""
    known = sys.modules.get(module_name)
    if known is not None and known.__file__ == str(file):
        return known
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise InputError(
            f"{file}: cannot be imported as a plug-in "
            f"({type(error).__name__}: {error}): correct the file, or take its folder "
            f"out of {VARIABLE}"
        ) from error
    return module
