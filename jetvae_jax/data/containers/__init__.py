"""Kinds of files that hold tables, one file each, found by their content or suffix.

A container is a module in this folder, or in a folder ``containers`` on the plug-in
path (see :mod:`~jetvae_jax.core.registry`), with

- ``SUFFIXES``: of its files, in lower case: ``(".parquet", ".pq")``;
- ``JETS``: whether its columns can hold the particles of jets, as lists or padded
  arrays;
- ``opened(path, tree="")``: a context manager that yields a
  :class:`~jetvae_jax.data.containers.tables.Table`;
- ``create(path, fields, name)``, where it can be written: a
  :class:`~jetvae_jax.data.containers.tables.Writer`;
- ``METADATA = True``, where a file stores the metadata that its writer is given.
"""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from types import ModuleType

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.registry import Registry
from jetvae_jax.data.containers import content
from jetvae_jax.data.containers.tables import Field, Table, Writer

_registry = Registry(
    "container",
    __name__,
    helpers=("tables", "hdf5_lists", "content"),
    needs=("SUFFIXES", "JETS", "opened"),
)
names, get = _registry.names, _registry.get


def suffixes(*, jets: bool = False, written: bool = False) -> tuple[str, ...]:
    """Suffixes of all containers.

    Args:
        jets: only of those that can hold jets.
        written: only of those that can be written.
    """
    return tuple(
        suffix
        for module in map(get, names())
        if (module.JETS or not jets) and (_create(module) or not written)
        for suffix in module.SUFFIXES
    )


@contextlib.contextmanager
def opened(path: str | os.PathLike, tree: str = "") -> Iterator[Table]:
    """Opens a file as a table.

    Args:
        path: of the file, whose content names the container, else its suffix; HDF5 may
            have any other.
        tree: name of the tree in a ROOT file of several.

    Raises:
        InputError: unreadable, or its reader is not installed.
    """
    with _found(path).opened(path, tree) as table:
        yield table


def creator(
    path: str | os.PathLike, *, jets: bool = False
) -> Callable[[str | os.PathLike, list[Field], str], Writer]:
    """The function ``create(path, fields, name)`` for files of this suffix.

    Args:
        path: of the file.
        jets: whether the columns will hold lists of particles.

    Raises:
        InputError: unknown suffix, or one of files that are only read.
    """
    module = _of(path)
    create = _create(module) if module else None
    if module is None or create is None or (jets and not module.JETS):
        known = ", ".join(suffixes(jets=jets, written=True))
        raise InputError(f"{os.fspath(path)}: unknown suffix: give one of {known}")
    return create


def check_replaceable(path: str | os.PathLike, what: str, made_by: str) -> None:
    """Check, before any work, that writing a file will destroy nothing of worth.

    Args:
        path: of the file, which need not exist.
        what: the flag or the path, for the message.
        made_by: in what the metadata of a file that may be replaced say of its
            generator. Where files have no metadata, a table of numbers may be replaced.

    Raises:
        InputError: there is a file of another origin.
    """
    if not os.path.lexists(path):
        return
    own = False
    # To open a pipe would wait for ever.
    known = opened(path) if os.path.isfile(path) else contextlib.nullcontext()
    with contextlib.suppress(InputError), known as table:
        if table is None:
            pass
        elif getattr(_found(path), "METADATA", False):
            found = f"{table.metadata.get('generator')}".split(", ")
            own = any(part.startswith(made_by) for part in found)
        else:
            own = all(table.num_rows([name]) >= 0 for name in table.names)
    if not own:
        raise InputError(
            f"{what}: there is a file that this command has not written: give another "
            "name, or move that file away"
        )


def _of(path: str | os.PathLike) -> ModuleType | None:
    """The container of that suffix."""
    suffix = pathlib.Path(path).suffix.lower()
    modules = map(get, names())
    return next((module for module in modules if suffix in module.SUFFIXES), None)


def _found(path: str | os.PathLike) -> ModuleType:
    """The container of a file that is there; of a plug-in by its suffix alone.

    Raises:
        InputError: it is of a kind that is not read.
    """
    module = _of(path) or get("hdf5")
    if not module.__name__.startswith(f"{__name__}."):
        return module
    name = content.container(path)
    found = get(name) if name else module
    # HDF5 says so itself: a file that is being written may be empty.
    if found is not get("hdf5") and os.path.isfile(path) and not os.path.getsize(path):
        raise InputError(
            f"{os.fspath(path)}: the file is empty; fetch or make it again"
        )
    return found


def _create(module: ModuleType):
    return getattr(module, "create", None)
