"""StableHLO, which JAX runs without this package.

``jax.export.deserialize(path.read_bytes()).call(*inputs)`` runs it.
"""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.export

from jetvae_jax.core.errors import InputError
from jetvae_jax.runs.export.generator import Exported


def require() -> None:
    """Raises an InputError without flatbuffers."""
    try:
        import flatbuffers  # noqa: F401
    except ImportError as error:
        raise InputError(
            "export: needs flatbuffers: pip install 'jetvae_jax[export]'"
        ) from error


def write(exported: Exported, config: Any, path: pathlib.Path) -> dict[str, Any]:
    """Write the function for any number of jets, on ``config.platforms``."""
    function = jax.jit(exported.function)
    with _without_places():
        program = jax.export.export(function, platforms=config.platforms)(
            *exported.shapes().values()
        )
    path.write_bytes(program.serialize())
    return {
        "platforms": list(program.platforms),
        "calling_convention": program.calling_convention_version,
    }


@contextlib.contextmanager
def _without_places() -> Iterator[None]:
    """Keeps files and lines of this machine out of the program."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)
