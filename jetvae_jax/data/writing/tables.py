"""Writes jets as Parquet, ROOT or npz, beside the JetNet HDF5 of ``writer``.

All hold Cartesian momenta in GeV under the names of JetClass (arXiv:2202.03772):
part_px, part_py, part_pz, part_energy of the particles in descending pt, and jet_pt,
jet_eta, jet_phi, jet_mass, jet_nparticles; particles are massless. Units and
provenance are inside: see :class:`JetWriter`.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

import jetvae_jax
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data.containers import hdf5, parquet, root, tables
from jetvae_jax.data.containers.tables import Column, Ragged
from jetvae_jax.data.writing import common
from jetvae_jax.data.writing.jetnet import JetNetWriter

GROUP = 10_000  # jets of a row group or basket
UNITS = {
    "part_px": "GeV",
    "part_py": "GeV",
    "part_pz": "GeV",
    "part_energy": "GeV",
    "jet_pt": "GeV",
    "jet_eta": "1",
    "jet_phi": "rad",
    "jet_mass": "GeV",
    "jet_nparticles": "1",
}


class Sink(Protocol):
    """What writes the groups of one file."""

    def write(self, columns: dict[str, Column]) -> None:
        """Adds jets."""
        ...

    def finish(self, facts: dict) -> None:
        """Completes the file."""
        ...

    def close(self) -> None:
        """Lets go of an incomplete file."""
        ...


def writer(
    path: str | os.PathLike[str],
    *,
    num_particles: int,
    attrs: Mapping[str, Any] | None = None,
) -> "JetNetWriter | JetWriter":
    """A writer for the format that the suffix of ``path`` names.

    Args:
        path: ends in .hdf5, .h5, .hdf (JetNet layout), .parquet, .root or .npz.
        num_particles: N; jets of fewer are padded, where the format pads.
        attrs: JSON-able facts about the jets.

    Raises:
        InputError: another suffix.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix in hdf5.SUFFIXES:
        return JetNetWriter(path, num_particles=num_particles, attrs=attrs)
    if suffix not in tables.SUFFIXES:
        raise InputError(
            f"{os.fspath(path)}: unknown kind of file; choose one of "
            f"{', '.join(tables.SUFFIXES)}"
        )
    return JetWriter(path, num_particles=num_particles, attrs=attrs)


class JetWriter:
    """A file of jets that appears at ``path`` when it is complete, or not at all.

        with JetWriter("jets.parquet", num_particles=30, attrs={"seed": 1}) as writer:
            writer.append(jets)

    Rows go to a file ``<path>.part`` beside it, which replaces ``path`` at the end; an
    exception removes it and leaves an older ``path`` untouched.

    The facts are JSON text with the units of all columns: in Parquet the file's
    metadata ``jetvae_jax`` (and ``unit`` of each field), in ROOT a TObjString
    ``provenance``, in npz the array of text ``provenance``. Parquet and ROOT hold lists
    of the particles that exist. npz holds ``particles [J, N, 3]``, ``mask [J, N]`` and
    ``jets [J, 5]`` instead, and is kept in memory until the end.

    Args:
        path: of the file; its suffix says the format.
        num_particles: N; jets of fewer are padded, in npz.
        attrs: JSON-able facts about the jets.
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
        self._facts = dict(attrs or {})
        self._empty = 0
        self._sink: Sink | None = None

    def __enter__(self) -> "JetWriter":
        """Opens ``<path>.part``.

        Raises:
            InputError: it cannot be written, or a package is missing.
        """
        suffix = pathlib.Path(self._path).suffix.lower()
        try:
            with common.reported(self._path, OSError):
                open(self._part, "wb").close()  # uproot would make folders
                if suffix in tables.PARQUET:
                    self._sink = parquet.ParquetSink(self._part, UNITS)
                elif suffix in tables.ROOT:
                    self._sink = root.RootSink(self._part, UNITS)
                else:
                    self._sink = _NpzSink(self._part, self._width)
        except BaseException:
            self._discard()
            raise
        return self

    def append(self, jets: Jets) -> None:
        """Adds jets ``[J, M, 3]`` with ``M <= num_particles``.

        Raises:
            ValueError: wrong shapes, or an existing particle without finite momentum
                and positive pt.
            InputError: the disk is full.
        """
        if self._sink is None:
            raise ValueError("JetWriter: use it in a with block")
        p, mask = common.ordered(jets, self._width)
        self._empty += int((~mask.any(axis=1)).sum())
        for start in range(0, len(mask), GROUP):
            rows = slice(start, start + GROUP)
            with common.reported(self._path, OSError):
                self._sink.write(_columns(p[rows], mask[rows]))

    def __exit__(self, kind, error, trace) -> None:
        """Completes the file, or removes it after an exception."""
        try:
            if kind is None and self._sink is not None:
                facts = {
                    **self._facts,
                    "writer": f"jetvae_jax {jetvae_jax.__version__}",
                    "units": UNITS,
                    "empty_jets": self._empty,
                }
                with common.reported(self._path, OSError):
                    self._sink.finish(facts)
                    os.replace(self._part, self._path)
        finally:
            self._discard()

    def _discard(self) -> None:
        if self._sink is not None:
            with contextlib.suppress(Exception):
                self._sink.close()
        with contextlib.suppress(OSError):
            os.remove(self._part)


class _NpzSink:
    def __init__(self, path: str, width: int):
        self._path, self._width = path, width
        self._parts: list[dict[str, Any]] = []
        # Fail now rather than at the end.
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()

    def write(self, columns):
        self._parts.append(columns)

    def finish(self, facts):
        def momenta(part):
            lists = (part[f"part_{axis}"] for axis in ("px", "py", "pz"))
            return np.stack([x.padded(self._width)[0] for x in lists], axis=-1)

        names = [name for name in UNITS if name.startswith("jet_")]
        counts = [part["part_px"].counts for part in self._parts]
        jets = [np.stack([part[n] for n in names], axis=-1) for part in self._parts]
        count = np.concatenate([*counts, np.zeros(0, int)])
        empty = np.zeros((0, self._width, 3), np.float32)
        np.savez_compressed(
            self._file,
            particles=np.concatenate([*map(momenta, self._parts), empty]),
            mask=np.arange(self._width) < count[:, None],
            jets=np.concatenate([*jets, np.zeros((0, len(names)))]).astype(np.float32),
            columns=np.array(["px", "py", "pz"]),
            jet_columns=np.array(names),
            units=np.array("GeV"),
            provenance=np.array(json.dumps(facts, sort_keys=True)),
        )
        self._file.close()

    def close(self):
        self._file.close()


def _columns(p: np.ndarray, mask: np.ndarray) -> dict[str, Column]:
    """The columns of ``UNITS``, float32 from float64 sums."""
    energy = np.linalg.norm(p, axis=-1)
    counts = mask.sum(axis=1)
    lists = dict(zip(("px", "py", "pz"), np.moveaxis(p, -1, 0), strict=True))
    total, e = p.sum(axis=1), energy.sum(axis=1)
    pt, eta, phi = common.pt_eta_phi(total)
    jets = {
        "jet_pt": pt,
        "jet_eta": eta,
        "jet_phi": phi,
        "jet_mass": common.mass(e, total),
    }
    return {
        **{
            f"part_{name}": Ragged(values[mask].astype(np.float32), counts)
            for name, values in {**lists, "energy": energy}.items()
        },
        **{name: values.astype(np.float32) for name, values in jets.items()},
        "jet_nparticles": counts.astype(np.int32),
    }
