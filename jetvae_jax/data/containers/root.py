"""ROOT files, one entry a row, lists as ragged branches. Needs uproot, awkward."""

import collections
import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.tables import Column, Field, Ragged, guarded

SUFFIXES, JETS = (".root",), True
METADATA = True
PROVENANCE = "provenance"
_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")


@contextlib.contextmanager
def opened(path: str | os.PathLike, tree: str = "") -> Iterator["RootTable"]:
    """Opens one tree of a file for reading.

    Args:
        path: of the file.
        tree: its name; empty for the only one.

    Raises:
        InputError: uproot is not installed, the file cannot be read, or it has not
            one such tree.
    """
    path = os.fspath(path)
    with tables.needing("uproot and awkward", path):
        import awkward  # noqa: F401
        import uproot
    with contextlib.ExitStack() as stack:
        with guarded(path, "the file"):
            file: Any = uproot.open(pathlib.Path(path))
            stack.enter_context(file)
            if os.path.getsize(path) < file.file.fEND:
                raise EOFError("it ends early")
            kinds = file.classnames(recursive=True, cycle=False)
            found = [name for name, kind in kinds.items() if kind in _TREES]
            if tree not in found and (tree or len(found) != 1):
                listed = ", ".join(found[:10]) or "none"
                raise InputError(
                    f"{path}: trees are {listed}; name one by 'tree=...' in the "
                    "columns of jets, or by --events.key"
                )
            name = tree or found[0]
            stored = kinds.get(PROVENANCE) == "TObjString"
            metadata = tables.metadata(str(file[PROVENANCE]) if stored else None)
            table = RootTable(path, file[name], metadata)
        yield table


class RootTable:
    """The branches of a tree; see ``tables.Table``.

    A branch has its short name, or the full path where two have the same. Either can
    be asked for.
    """

    def __init__(self, path: str, tree, metadata: dict[str, Any]):
        self.path, self._tree, self.metadata = path, tree, metadata
        paths = tree.keys(recursive=True)
        short = tree.keys(recursive=True, full_paths=False)
        times = collections.Counter(short)
        self._paths = {
            name if times[name] == 1 else path: path
            for name, path in zip(short, paths, strict=True)
        }
        self.names = tuple(self._paths)
        self.nested = tuple(path for path in paths if path not in self._paths)

    def num_rows(self, names: list[str]) -> int:
        """Entries of the tree, which those of each of its branches must be."""
        entries = int(self._tree.num_entries)
        with guarded(self.path, "the tree"):
            for name in names:
                held = int(self._tree[self._paths.get(name, name)].num_entries)
                if held != entries:
                    raise EOFError(f"{entries} entries, {name} has {held}")
        return entries

    def blocks(self, names, size, stop):
        """Rows ``0:stop`` of these columns, ``size`` at a time."""
        for start in range(0, stop, size):
            last = min(start + size, stop)
            with guarded(self.path, f"rows {start} to {last - 1}"):
                arrays = {
                    name: self._tree[self._paths.get(name, name)].array(
                        entry_start=start, entry_stop=last, library="ak"
                    )
                    for name in names
                }
                block = {n: self._column(array, n) for n, array in arrays.items()}
            yield block

    def _column(self, array, name):
        import awkward as ak

        if array.ndim > 3 or array.fields:
            raise InputError(
                f"{self.path}: {name}: type is {array.type}, expected numbers or lists "
                "of numbers"
            )
        counts = []
        while array.ndim > 1:
            counts.append(np.asarray(ak.num(array), np.int64))
            array = ak.flatten(array)
        return tables.column(_numbers(ak.to_numpy(array), self.path, name), *counts)


def _numbers(values: np.ndarray, path: str, name: str) -> np.ndarray:
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path}: {name}: dtype is {values.dtype}, expected numbers")
    return values


class RootWriter:
    """Writes one basket a branch and call.

    Args:
        path: of the file.
        fields: the columns; those of lists share a counter, ``npart`` of ``part_px``.
        name: of the tree.

    Raises:
        InputError: uproot or awkward is not installed.
    """

    def __init__(self, path: str | os.PathLike, fields: list[Field], name: str):
        with tables.needing("uproot and awkward", path):
            import awkward  # noqa: F401
            import uproot
        self._file = uproot.recreate(os.fspath(path))
        lists: dict[str, list[str]] = {}
        branches: dict[str, str] = {}
        for field in fields:
            if field.lists:
                prefix, _, inner = field.name.partition("_")
                lists.setdefault(prefix, []).append(f"{inner}: {field.dtype}")
            else:
                branches[field.name] = field.dtype
        records = {k: f"var * {{{', '.join(inner)}}}" for k, inner in lists.items()}
        self._tree = self._file.mktree(name, records | branches)

    def write(self, columns: dict[str, Column]) -> None:
        """Adds one basket to every branch."""
        import awkward as ak

        lists: dict[str, dict[str, Any]] = {}
        numbers: dict[str, Any] = {}
        for name, column in columns.items():
            if isinstance(column, Ragged):
                prefix, _, inner = name.partition("_")
                found = lists.setdefault(prefix, {})
                found[inner] = ak.unflatten(column.values, column.counts)
            else:
                numbers[name] = column
        self._tree.extend({k: ak.zip(v) for k, v in lists.items()} | numbers)

    def finish(self, metadata: dict[str, Any]) -> None:
        """Writes the metadata, a TObjString of JSON text, and the end of the file."""
        self._file[PROVENANCE] = json.dumps(metadata, sort_keys=True)
        self._file.close()

    def close(self) -> None:
        """Closes an incomplete file."""
        self._file.close()


create = RootWriter
