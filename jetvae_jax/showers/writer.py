"""Writes showers to HDF5 files that the tools of the CaloChallenge read, too."""

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Part, reported
from jetvae_jax.core.types import Array, Showers
from jetvae_jax.data.containers import hdf5
from jetvae_jax.showers.files import ENERGIES, EXTRA, SHOWERS
from jetvae_jax.showers.geometry import MEV, Geometry

_CHUNK_BYTES = 2**22


class Writer:
    """An HDF5 file of showers that appears at ``path`` when it is complete.

        with Writer("showers.hdf5", geometry, {"seed": 1}) as writer:
            writer.append(showers)

    Showers go to a temporary file beside it, which replaces ``path`` at the end; an
    exception removes it and leaves an older ``path`` untouched. The bytes depend on the
    showers and attributes alone, not on how the showers were cut into appends.

    Args:
        path: ends in .hdf5, .h5 or .hdf.
        geometry: of the cells; its name is the attribute ``geometry``.
        attrs: JSON-able attributes of the file: numbers and texts as they are,
            everything else as JSON text.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        geometry: Geometry,
        attrs: Mapping[str, Any] | None = None,
    ):
        self._path = os.fspath(path)
        if pathlib.Path(path).suffix.lower() not in hdf5.SUFFIXES:
            known = ", ".join(hdf5.SUFFIXES)
            raise InputError(f"{self._path}: unknown suffix: give one of {known}")
        self._geometry = geometry
        self._attrs = {**(attrs or {}), "geometry": geometry.name}

    def __enter__(self) -> "Writer":
        self._part = Part(self._path)
        try:
            with reported(self._path):
                chunk = np.clip(_CHUNK_BYTES // (4 * self._geometry.num_cells), 1, 1000)
                self._file = hdf5.RowWriter(self._part.temporary, int(chunk))
        except BaseException:
            self._part.discard()
            raise
        return self

    def append(self, showers: Showers) -> None:
        """Adds showers.

        Args:
            showers: energies ``[J, C]`` in GeV; kind, point and direction as far as the
                first ones have them.

        Raises:
            ValueError: other shapes or fields than before, or energies that are
                negative or not finite.
            InputError: the disk is full.
        """
        rows = _rows(self._geometry, showers)
        with reported(self._path):
            self._file.append(rows)

    def __exit__(self, kind, error, trace) -> None:
        """Completes the file, or removes it after an exception."""
        try:
            if kind is None:
                with reported(self._path):
                    self._file.finish(self._attrs)
                self._part.complete()
        finally:
            with contextlib.suppress(Exception):
                self._file.close()
            self._part.discard()


def _rows(geometry: Geometry, showers: Showers) -> dict[str, np.ndarray]:
    """The data sets of an HDF5 file.

    Raises:
        ValueError: the shapes do not belong together, or energies cannot be.
    """
    energies = np.asarray(showers.energies, np.float64)
    number = len(energies)
    if energies.shape != (number, geometry.num_cells):
        raise ValueError(f"energies {energies.shape}: not of {geometry.name}")
    if not ((energies >= 0) & (energies < np.inf)).all():
        raise ValueError("energies that are negative, infinite or NaN")
    rows: dict[str, np.ndarray] = {
        SHOWERS: (energies / MEV).astype(np.float32),
        ENERGIES: (_column(showers.energy, 1) / MEV).astype(np.float32),
    }
    for name, size in EXTRA.items():
        if (values := getattr(showers, name)) is not None:
            kind = np.int32 if name == "kind" else np.float32
            rows[name] = _column(values, size).astype(kind)
    for name, values in rows.items():
        if len(values) != number:
            raise ValueError(f"{name}: {len(values)} for {number} showers")
    return rows


def _column(values: Array, size: int) -> np.ndarray:
    return np.asarray(values, np.float64).reshape(-1, size)
