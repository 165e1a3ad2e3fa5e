"""Logs of a training beside its JSON lines, one file each: TensorBoard, W&B.

A new one is a new file here, or in the folder ``logs/`` of the plug-in path, with a
frozen dataclass ``Config`` and ``opened(config, about)``, a context manager of a
function that is called with the history after each epoch. The history of a training
that continues begins with the epochs before: what it is called with, a log then holds,
every epoch once. A file may also define ``LIBRARIES``, a dict of the modules that it
imports to the commands that install them.
"""

import contextlib
import importlib.util
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.registry import Registry

_registry = Registry("log", __name__, needs=("Config", "opened"))
names, get = _registry.names, _registry.get

Logs = Mapping[str, Any]
"""Name of a log to its Config: the logs that are asked for."""
NO_LOGS: Logs = types.MappingProxyType({})
Write = Callable[[list[dict]], None]
"""Brings a log up to a history: a dict for each epoch, as of a ``FitResult``."""


class About(NamedTuple):
    """The training that is logged.

    Attributes:
        folder: its workdir.
        name: of what is trained there: 'vae', 'flow' or 'copula'.
        settings: nested, for JSON.
    """

    folder: Workdir
    name: str
    settings: dict


def check(logs: Logs) -> None:
    """Check that the libraries of logs are there, before any work.

    Raises:
        InputError: one is not installed; the message says how to install it.
    """
    for name in logs:
        for library, install in getattr(get(name), "LIBRARIES", {}).items():
            if importlib.util.find_spec(library) is None:
                raise InputError(
                    f"--log={name}: needs {library}, which is not installed: {install}"
                )


@contextlib.contextmanager
def opened(logs: Logs, about: About) -> Iterator[Write]:
    """Open a training's logs; the function writes its JSON lines and each of them.

    Raises:
        InputError: one of them cannot be opened.
    """
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(get(name).opened(config, about))
            for name, config in logs.items()
        ]

        def write(history: list[dict]) -> None:
            if not history:
                return
            about.folder.write_lines(f"{about.name}.metrics.jsonl", history)
            for writer in writers:
                writer(history)

        yield write


def numbers(row: dict) -> dict[str, float]:
    """The values of an epoch by their names in the history, without its number."""
    return {name: value for name, value in row.items() if name != "epoch"}


def flat(settings: dict, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names, such as ``training.batch_size``."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
