"""ROOT files, one entry a jet, particles as ragged branches. Needs uproot, awkward."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.reading import guarded
from jetvae_jax.data.containers.tables import Ragged

TREE, PROVENANCE = "tree", "provenance"
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
                    f"{path}: trees are {listed}; name one by 'tree=...' in the columns"
                )
            name = tree or found[0]
            facts = None
            if kinds.get(PROVENANCE) == "TObjString":
                facts = str(file[PROVENANCE])
            table = RootTable(path, file[name], facts)
        yield table


class RootTable:
    """See :class:`~jetvae_jax.data.containers.tables.Table`."""

    def __init__(self, path: str, tree, provenance: str | None):
        self.path, self._tree, self.provenance = path, tree, provenance
        self.names = tuple(tree.keys(recursive=True, full_paths=False))

    def num_rows(self, names: list[str]) -> int:
        """Entries of the tree."""
        return int(self._tree.num_entries)

    def blocks(self, names, size, stop):
        """Rows ``0:stop`` of these columns, ``size`` at a time."""
        for start in range(0, stop, size):
            last = min(start + size, stop)
            with guarded(self.path, f"rows {start} to {last - 1}"):
                arrays = {
                    name: self._tree[name].array(
                        entry_start=start, entry_stop=last, library="ak"
                    )
                    for name in names
                }
                block = {n: self._column(array, n) for n, array in arrays.items()}
            yield block

    def _column(self, array, name):
        import awkward as ak

        if array.ndim == 1 and not array.fields:
            return _numbers(ak.to_numpy(array), self.path, name)
        if array.ndim != 2 or array.fields:
            raise InputError(
                f"{self.path}: {name}: type is {array.type}, expected numbers or lists "
                "of numbers"
            )
        values = _numbers(ak.to_numpy(ak.flatten(array)), self.path, name)
        return tables.ragged(values, np.asarray(ak.num(array), np.int64))


def _numbers(values: np.ndarray, path: str, name: str) -> np.ndarray:
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path}: {name}: dtype is {values.dtype}, expected numbers")
    return values


class RootSink:
    """Writes groups of rows; see :mod:`jetvae_jax.data.writing.tables`."""

    def __init__(self, path: str, units: dict[str, str]):
        with tables.needing("uproot and awkward", path):
            import awkward  # noqa: F401
            import uproot
        self._file = uproot.recreate(path)
        inner = ", ".join(
            f"{name.removeprefix('part_')}: float32"
            for name in units
            if name.startswith("part_")
        )
        branches = {"part": f"var * {{{inner}}}"} | {
            name: "int32" if name == "jet_nparticles" else "float32"
            for name in units
            if name.startswith("jet_")
        }
        # Branches part_px, ... share one counter, npart.
        self._tree = self._file.mktree(TREE, branches, title="one entry a jet")

    def write(self, columns: dict[str, tables.Column]) -> None:
        """Adds one basket to every branch."""
        import awkward as ak

        particles, jets = {}, {}
        for name, column in columns.items():
            if isinstance(column, Ragged):
                lists = ak.unflatten(column.values, column.counts)
                particles[name.removeprefix("part_")] = lists
            else:
                jets[name] = column
        self._tree.extend({"part": ak.zip(particles), **jets})

    def finish(self, facts: dict) -> None:
        """Writes the provenance, a TObjString of JSON, and the end of the file."""
        self._file[PROVENANCE] = json.dumps(facts, sort_keys=True)
        self._file.close()

    def close(self) -> None:
        """Lets go of an incomplete file."""
        self._file.close()
