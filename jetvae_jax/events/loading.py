"""Loads tables of events: a user's own file or the embedded sample."""

import hashlib
import importlib.resources
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.core.files import absent
from jetvae_jax.data import containers
from jetvae_jax.data.validation import Audit
from jetvae_jax.events import tables

EMBEDDED = {
    "embedded": "background.hdf5",
    "embedded:background": "background.hdf5",
    "embedded:signal": "signal200.hdf5",
}


class Events(NamedTuple):
    """A table of events and where it comes from.

    Attributes:
        values: ``[J, C]`` NumPy float32, finite, no column constant; in the units of
            the file.
        names: of the C columns.
        notes: what was repaired or cut, in words with counts.
        source: JSON-able metadata: path, file, columns, events, repaired, provenance
            (what the file says about itself, or None) and fingerprint, the sha256 of
            names and values as loaded.
    """

    values: np.ndarray
    names: tuple[str, ...]
    notes: tuple[str, ...]
    source: dict[str, Any]


def load(
    spec: str = "embedded",
    *,
    columns: Sequence[str] = (),
    max_events: int | None = None,
    repair: bool = False,
    key: str = "",
    constant: bool = False,
) -> Events:
    """Loads a table of events.

    Args:
        spec: an HDF5, Parquet, ROOT, npz or text file; "embedded" or
            "embedded:signal" for the samples in the package.
        columns: names of the columns, in this order; empty for all.
        max_events: events to read, from the first; None for all.
        repair: drop events with a NaN or infinite value and count them in the notes,
            instead of stopping at them.
        key: see :func:`~jetvae_jax.events.tables.opened`.
        constant: accept columns that are the same in all events, as a bad model may
            generate them.

    Returns:
        Events.

    Raises:
        InputError: one line that names file, column and what to do.
    """
    if max_events is not None and max_events < 2:
        raise InputError(f"max_events is {max_events}: give 2 or more")
    path = find(spec)
    with tables.opened(path, key) as table:
        names = list(columns or table.names)
        _check_names(table, names)
        stop = table.rows if max_events is None else min(max_events, table.rows)
        found = table.read(names, stop)
        provenance = table.metadata or None
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.stack([found[name].astype(np.float32) for name in names], axis=1)
    audit = Audit(str(path), repair, flag="--events.repair")
    rows, keep = np.arange(len(values)), np.ones(len(values), bool)
    for name, column in zip(names, values.T, strict=True):
        keep = audit.flag(name, "not finite", ~np.isfinite(column), rows, keep)
    notes = list(audit.finish())
    values = values[keep]
    _check_values(str(path), names, values, constant)
    if max_events is not None and stop < max_events:
        notes.append(f"{spec}: {max_events} events asked for, {stop} found")
    source = {
        "path": spec,
        "file": path.name,
        "columns": names,
        "events": len(values),
        "repaired": repair,
        "provenance": provenance,
        "fingerprint": fingerprint(values, names),
    }
    return Events(values, tuple(names), tuple(notes), source)


def find(spec: str) -> pathlib.Path:
    """The file of ``spec``.

    Raises:
        InputError: there is none.
    """
    if spec in EMBEDDED:
        folder = importlib.resources.files("jetvae_jax.events") / "sample"
        return pathlib.Path(str(folder / EMBEDDED[spec]))
    path = pathlib.Path(spec).expanduser()
    if not spec or not path.is_file():
        raise InputError(
            f"{spec or 'data'}: {absent(spec)}; give a table of events "
            f"({', '.join(containers.suffixes())}) or one of {', '.join(EMBEDDED)}"
        )
    return path


def fingerprint(values: np.ndarray, names: Sequence[str]) -> str:
    """sha256 of names and values: the same events, whatever file held them."""
    digest = hashlib.sha256(repr((values.shape, tuple(names))).encode())
    digest.update(np.ascontiguousarray(values, "<f4").data)
    return digest.hexdigest()


def _check_names(table: tables.EventTable, names: list[str]) -> None:
    if not table.names:
        raise InputError(f"{table.path}: holds no columns")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise InputError(f"{table.path}: {twice[0]}: column is listed twice")
    for name in names:
        known = (*table.names, *table.nested)
        if name not in known:
            hint = did_you_mean(name, known)
            listed = ", ".join(known[:30])
            raise InputError(
                f"{table.path}: {name}: missing column{hint}; the file has: {listed}"
            )


def _check_values(
    path: str, names: list[str], values: np.ndarray, constant: bool
) -> None:
    if len(values) < 2:
        raise InputError(
            f"{path}: {names[0]}: {len(values)} good events: there must be at least 2"
        )
    for name, column in zip(names, values.T, strict=True):
        if not constant and (column == column[0]).all():
            raise InputError(
                f"{path}: {name}: constant ({column[0]:g}) in all {len(values)} "
                "events: leave it out of the columns"
            )
