"""Writes jets in the JetNet layout, streaming, and only complete files."""

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from jetvae_jax.core.types import Jets
from jetvae_jax.data.writing import common

CHUNK = 1024
COLUMNS = {
    "particle_features": ("etarel", "phirel", "ptrel", "mask"),
    "jet_features": ("pt", "eta", "mass", "num_particles"),
    "jet_extra": ("phi", "energy", "multiplicity", "parton_id"),
}


class JetNetWriter:
    """A file of jets that appears at ``path`` when it is complete, or not at all.

        with JetNetWriter("jets.hdf5", num_particles=30, attrs={"seed": 1}) as writer:
            writer.append(jets)

    Rows go to ``<path>.part``, which replaces ``path`` at the end; an exception
    removes it and leaves an older ``path`` untouched. The bytes depend on the jets
    and attributes alone, not on the time or on how the jets were cut into appends.

    ``particle_features [J, N, 4]`` etarel, phirel, ptrel, mask, in descending pt,
    zeros on padding; ``jet_features [J, 4]`` pt, eta, mass, num_particles;
    ``jet_extra [J, 4]`` phi, energy, multiplicity, 0. The jet is the sum of its
    massless particles. Jets without particles (or whose pt cancels exactly, which
    leaves them no axis) are rows of zeros, counted in the attribute ``empty_jets``.

    Args:
        path: of the file.
        num_particles: N; jets of fewer are padded.
        attrs: JSON-able facts about the jets, attributes of the file: numbers and
            texts as they are, everything else as JSON text.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        num_particles: int,
        attrs: Mapping[str, Any] | None = None,
    ):
        self._path = os.fspath(path)
        self._part = f"{self._path}.part"
        self._width = num_particles
        self._attrs = dict(attrs or {})
        self._waiting: dict[str, list[np.ndarray]] = {name: [] for name in COLUMNS}
        self._num_waiting = 0
        self._empty = 0
        self._file: h5py.File | None = None

    def __enter__(self) -> "JetNetWriter":
        """Opens ``<path>.part``.

        Raises:
            InputError: it cannot be written.
        """
        try:
            self._create()
        except BaseException:
            self._discard()
            raise
        return self

    def _create(self) -> None:
        with common.reported(self._path, OSError, RuntimeError):
            # The oldest format stores no times anywhere.
            self._file = h5py.File(self._part, "w", libver="earliest")
            for name, columns in COLUMNS.items():
                inner = (self._width,) if name == "particle_features" else ()
                data = self._file.create_dataset(
                    name,
                    shape=(0, *inner, len(columns)),
                    maxshape=(None, *inner, len(columns)),
                    chunks=(CHUNK, *inner, len(columns)),
                    dtype="<f4",
                    compression="gzip",
                    shuffle=True,
                    track_times=False,
                )
                data.attrs["names"] = np.array(columns, "S")

    def append(self, jets: Jets) -> None:
        """Adds jets ``[J, M, 3]`` with ``M <= num_particles``.

        Raises:
            ValueError: wrong shapes, or an existing particle without finite momentum
                and positive pt.
            InputError: the disk is full.
        """
        rows, empty = _features(jets, self._width)
        self._empty += empty
        for name, values in rows.items():
            self._waiting[name].append(values)
        self._num_waiting += len(rows["jet_features"])
        # One whole chunk at a time, so that the layout of the file does not depend on
        # the sizes of the appends.
        while self._num_waiting >= CHUNK:
            self._write(CHUNK)

    def __exit__(self, kind, error, trace) -> None:
        """Completes the file, or removes it after an exception."""
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def _discard(self) -> None:
        """Closes and removes an incomplete file; does nothing after a complete one."""
        if self._file is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._file.close()
        with contextlib.suppress(OSError):
            os.remove(self._part)

    def _finish(self) -> None:
        self._write(self._num_waiting)
        assert self._file is not None
        with common.reported(self._path, OSError, RuntimeError):
            for name, value in sorted(self._attrs.items()):
                plain = isinstance(value, str | int | float | np.generic)
                self._file.attrs[name] = (
                    value if plain else json.dumps(value, sort_keys=True)
                )
            self._file.attrs["empty_jets"] = self._empty
            self._file.close()
            os.replace(self._part, self._path)

    def _write(self, num_rows: int) -> None:
        """Moves the first waiting rows to the file."""
        if self._file is None:
            raise ValueError("JetNetWriter: use it in a with block")
        if not num_rows:
            return
        with common.reported(self._path, OSError, RuntimeError):
            for name, parts in self._waiting.items():
                values = parts[0] if len(parts) == 1 else np.concatenate(parts)
                data = self._file[name]
                assert isinstance(data, h5py.Dataset)
                start = data.shape[0]
                data.resize(start + num_rows, axis=0)
                data[start:] = values[:num_rows]
                self._waiting[name] = [values[num_rows:]]
        self._num_waiting -= num_rows


def _features(jets: Jets, width: int) -> tuple[dict[str, np.ndarray], int]:
    """Rows of the three data sets, computed in float64, and how many are empty."""
    p, mask = common.ordered(jets, width)
    spare = width - p.shape[1]
    p = np.pad(p, ((0, 0), (0, spare), (0, 0)))
    mask = np.pad(mask, ((0, 0), (0, spare)))

    total = p.sum(axis=1)
    jet_pt, jet_eta, jet_phi = common.pt_eta_phi(total)
    filled = mask.any(axis=1) & (jet_pt > 0)
    mask = mask & filled[:, None]
    pt, eta, phi = common.pt_eta_phi(p)
    phirel = np.mod(phi - jet_phi[:, None] + np.pi, 2 * np.pi) - np.pi
    ptrel = pt / np.where(filled, jet_pt, 1.0)[:, None]
    particles = np.stack([eta - jet_eta[:, None], phirel, ptrel, mask], axis=-1)
    energy = np.linalg.norm(p, axis=-1).sum(axis=1)
    mass = common.mass(energy, total)
    count = mask.sum(axis=1)
    rows = {
        "particle_features": np.where(mask[..., None], particles, 0.0),
        "jet_features": np.stack([jet_pt, jet_eta, mass, count], axis=-1),
        "jet_extra": np.stack([jet_phi, energy, count, np.zeros_like(mass)], axis=-1),
    }
    for name in ("jet_features", "jet_extra"):
        rows[name] = np.where(filled[:, None], rows[name], 0.0)
    rows = {name: values.astype(np.float32) for name, values in rows.items()}
    return rows, int(np.sum(~filled))
