"""Writes jets, streaming, and only complete files.

HDF5 files have the JetNet format (:class:`JetNetWriter`). The others hold Cartesian
momenta in GeV under the names of JetClass (arXiv:2202.03772): part_px, part_py,
part_pz, part_energy of the particles in descending pt, and jet_pt, jet_eta, jet_phi,
jet_mass, jet_nparticles. Particles are massless. Units and metadata are inside. Where
jets are of several classes, ``jet_type`` is that of each: its place in the list
``jet_types`` of the metadata.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

import jetvae_jax
from jetvae_jax.core import momenta
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Part, reported
from jetvae_jax.core.types import Jets
from jetvae_jax.data import containers, formats
from jetvae_jax.data.containers import hdf5, npz
from jetvae_jax.data.containers.tables import Column, Field, Ragged, Writer

CHUNK = 1024  # jets of a chunk of HDF5
GROUP = 10_000  # jets of a row group of Parquet or a basket of ROOT
JETNET = {
    "particle_features": ("etarel", "phirel", "ptrel", "mask"),
    "jet_features": ("pt", "eta", "mass", "num_particles"),
    "jet_extra": ("phi", "energy", "multiplicity", "parton_id"),
}
FIELDS = (
    Field("part_px", "GeV", lists=True),
    Field("part_py", "GeV", lists=True),
    Field("part_pz", "GeV", lists=True),
    Field("part_energy", "GeV", lists=True),
    Field("jet_pt", "GeV"),
    Field("jet_eta", "1"),
    Field("jet_phi", "rad"),
    Field("jet_mass", "GeV"),
    Field("jet_nparticles", "1", dtype="int32"),
)
TYPE = Field(formats.TYPE, "1", dtype="int32")


def writer(
    path: str | os.PathLike[str],
    *,
    num_particles: int,
    attrs: Mapping[str, Any] | None = None,
    types: Sequence[str] = (),
) -> "JetWriter":
    """A writer for the container that the suffix of ``path`` names.

    Args:
        path: ends in .hdf5, .h5, .hdf (JetNet format), .parquet, .pq, .root or .npz, or
            in the suffix of a container on the plug-in path.
        num_particles: N; jets of fewer are padded, where the file pads.
        attrs: JSON-able metadata of the jets.
        types: names of the classes to which the labels of the jets refer; none where
            the classes are not to be written.

    Raises:
        InputError: another suffix.
    """
    containers.creator(path, jets=True)
    return JetWriter(path, num_particles=num_particles, attrs=attrs, types=types)


class JetWriter:
    """A file of jets that appears at ``path`` when it is complete, or not at all.

        with JetWriter("jets.parquet", num_particles=30, attrs={"seed": 1}) as writer:
            writer.append(jets)

    Rows go to a temporary file beside it, which replaces ``path`` at the end; an
    exception removes it and leaves an older ``path`` untouched.

    The metadata are JSON text with the units of all columns: in Parquet the file's
    metadata ``jetvae_jax`` (and ``unit`` of each field), in ROOT a TObjString
    ``provenance``, in npz the array of text ``provenance``. Parquet and ROOT hold lists
    of the existing particles. npz holds ``particles [J, N, 3]``, ``mask [J, N]`` and
    ``jets [J, 5]`` instead, and is kept in memory until the end. For HDF5 see
    :class:`JetNetWriter`.

    Args:
        path: of the file; its suffix names the container.
        num_particles: N; jets of fewer are padded, in HDF5 and npz.
        attrs: JSON-able metadata of the jets.
        types: names of the classes of labelled jets.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        num_particles: int,
        attrs: Mapping[str, Any] | None = None,
        types: Sequence[str] = (),
    ):
        self._path = os.fspath(path)
        self._part: Part | None = None
        self._width = num_particles
        self._attrs = dict(attrs or {})
        self._types = list(types)
        if types:
            self._attrs[formats.TYPES] = self._types
        self._empty = 0
        self._file: _File | None = None

    def _create(self, part: pathlib.Path) -> "_File":
        suffix = os.path.splitext(self._path)[1].lower()
        if suffix in hdf5.SUFFIXES:
            return _JetNetFile(part, self._width, bool(self._types))
        if suffix in npz.SUFFIXES:
            return _NpzFile(part, self._width)
        create = containers.creator(self._path, jets=True)
        fields = [*FIELDS, *([TYPE] if self._types else [])]
        return _ColumnFile(create(part, fields, "tree"))

    def __enter__(self):
        """Opens the temporary file.

        Raises:
            InputError: it cannot be written, or a package is missing.
        """
        self._part = Part(self._path)
        try:
            with reported(self._path):
                self._file = self._create(self._part.temporary)
        except BaseException:
            self._discard()
            raise
        return self

    def append(self, jets: Jets) -> None:
        """Adds jets.

        Args:
            jets: particles ``[J, M, 3]`` in GeV with ``M <= num_particles``, mask
                ``[J, M]``, and labels ``[J]`` where classes are written.

        Raises:
            ValueError: wrong shapes, an existing particle without finite momentum and
                positive pt, or no labels where there are classes.
            InputError: the disk is full.
        """
        if self._file is None:
            raise ValueError(f"{type(self).__name__}: use it in a with block")
        p, mask = ordered(jets, self._width)
        axis = None
        if jets.axis is not None:
            axis = np.asarray(jets.axis, np.float64)
            self._attrs["axis"] = "jet"
        labels = None
        if self._types:
            if jets.labels is None:
                raise ValueError(f"jets of the classes {self._types} need labels")
            labels = np.asarray(jets.labels, np.int32)
        with reported(self._path):
            self._empty += self._file.append(p, mask, axis, labels)

    def __exit__(self, kind, error, trace) -> None:
        """Completes the file, or removes it after an exception."""
        try:
            if kind is None and self._file is not None and self._part is not None:
                with reported(self._path):
                    self._file.finish(self._attrs, self._empty)
                self._part.complete()
        finally:
            self._discard()

    def _discard(self) -> None:
        """Closes and removes an incomplete file; does nothing after a complete one."""
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
        if self._part is not None:
            self._part.discard()


class JetNetWriter(JetWriter):
    """An HDF5 file in the JetNet format (arXiv:2106.11535), whatever its suffix.

        with JetNetWriter("jets.hdf5", num_particles=30, attrs={"seed": 1}) as writer:
            writer.append(jets)

    The bytes depend on the jets and attributes alone, not on the time or on how the
    jets were cut into appends.

    ``particle_features [J, N, 4]`` etarel, phirel, ptrel, mask, in descending pt,
    zeros on padding; ``jet_features [J, 4]`` pt, eta, mass, num_particles;
    ``jet_extra [J, 4]`` phi, energy, multiplicity, 0. The jet is the sum of its
    massless particles; where jets have an axis of their own, this is their pt, eta and
    phi, their energy is that of this pt and eta at the mass of the particles, and the
    file has the attribute ``axis = "jet"``. Jets of several classes have
    ``jet_type [J, 1]``, places in the list of the attribute ``jet_types``. Jets without
    particles (or whose pt cancels exactly, which leaves them no axis) are rows of
    zeros, counted in the attribute ``empty_jets``.
    ``attrs`` are attributes of the file: numbers and texts as they are, everything else
    as JSON text. For arguments and errors see :class:`JetWriter`.
    """

    def _create(self, part: pathlib.Path) -> "_File":
        return _JetNetFile(part, self._width, bool(self._types))


class _File(Protocol):
    """An open file of jets."""

    def append(
        self,
        p: np.ndarray,
        mask: np.ndarray,
        axis: np.ndarray | None,
        labels: np.ndarray | None,
    ) -> int:
        """Adds jets, ordered by pt; returns how many of them are empty."""
        ...

    def finish(self, attrs: dict[str, Any], empty: int) -> None:
        """Writes the metadata and completes the file."""
        ...

    def close(self) -> None:
        """Closes an incomplete file."""
        ...


class _JetNetFile:
    """The JetNet format in HDF5."""

    def __init__(self, path: pathlib.Path, width: int, typed: bool):
        self._width = width
        self._file = hdf5.RowWriter(path, CHUNK)
        tables = JETNET | ({TYPE.name: ("type",)} if typed else {})
        for name, columns in tables.items():
            inner = (width,) if name == "particle_features" else ()
            dtype = "<i4" if name == TYPE.name else "<f4"
            data = self._file.create(name, (*inner, len(columns)), dtype)
            data.attrs["names"] = np.array(columns, "S")

    def append(
        self,
        p: np.ndarray,
        mask: np.ndarray,
        axis: np.ndarray | None,
        labels: np.ndarray | None,
    ) -> int:
        rows, empty = jetnet_features(p, mask, self._width, axis)
        if labels is not None:
            rows[TYPE.name] = labels[:, None]
        self._file.append(rows)
        return empty

    def finish(self, attrs: dict[str, Any], empty: int) -> None:
        self._file.finish(attrs, {"empty_jets": empty})

    def close(self) -> None:
        self._file.close()


class _ColumnFile:
    """The columns ``FIELDS`` in any container."""

    def __init__(self, file: Writer):
        self._file = file

    def append(
        self,
        p: np.ndarray,
        mask: np.ndarray,
        axis: np.ndarray | None,
        labels: np.ndarray | None,
    ) -> int:
        del axis  # jets in these columns are sums of their particles
        for start in range(0, len(mask), GROUP):
            rows = slice(start, start + GROUP)
            columns = _columns(p[rows], mask[rows])
            if labels is not None:
                columns[TYPE.name] = labels[rows]
            self._file.write(columns)
        return int((~mask.any(axis=1)).sum())

    def finish(self, attrs: dict[str, Any], empty: int) -> None:
        self._file.finish(_metadata(attrs, empty))

    def close(self) -> None:
        self._file.close()


class _NpzFile:
    """The columns ``FIELDS`` as padded arrays in npz."""

    def __init__(self, path: pathlib.Path, width: int):
        self._width = width
        self._parts: list[dict[str, Any]] = []
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()

    def append(
        self,
        p: np.ndarray,
        mask: np.ndarray,
        axis: np.ndarray | None,
        labels: np.ndarray | None,
    ) -> int:
        del axis
        columns = _columns(p, mask)
        self._parts.append(columns)
        if labels is not None:
            columns[TYPE.name] = labels
        return int((~mask.any(axis=1)).sum())

    def finish(self, attrs: dict[str, Any], empty: int) -> None:
        def xyz(part):
            lists = (part[f"part_{axis}"] for axis in ("px", "py", "pz"))
            return np.stack([x.padded(self._width)[0] for x in lists], axis=-1)

        names = [field.name for field in FIELDS if not field.lists]
        counts = [part["part_px"].counts for part in self._parts]
        jets = [np.stack([part[n] for n in names], axis=-1) for part in self._parts]
        count = np.concatenate([*counts, np.zeros(0, int)])
        none = np.zeros((0, self._width, 3), np.float32)
        metadata = json.dumps(_metadata(attrs, empty), sort_keys=True)
        typed = {}
        if formats.TYPES in attrs:
            labels = [part[TYPE.name] for part in self._parts]
            typed[TYPE.name] = np.concatenate([*labels, np.zeros(0, np.int32)])
        np.savez_compressed(
            self._file,
            particles=np.concatenate([*map(xyz, self._parts), none]),
            mask=np.arange(self._width) < count[:, None],
            jets=np.concatenate([*jets, np.zeros((0, len(names)))]).astype(np.float32),
            columns=np.array(["px", "py", "pz"]),
            jet_columns=np.array(names),
            units=np.array("GeV"),
            provenance=np.array(metadata),
            **typed,
        )
        self._file.close()

    def close(self) -> None:
        self._file.close()


def _metadata(attrs: dict[str, Any], empty: int) -> dict[str, Any]:
    return {
        **attrs,
        "writer": f"jetvae_jax {jetvae_jax.__version__}",
        "units": {
            field.name: field.unit
            for field in (*FIELDS, *([TYPE] if formats.TYPES in attrs else []))
        },
        "empty_jets": empty,
    }


def ordered(jets: Jets, width: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Momenta (float64, zero on padding) and mask, particles in descending pt.

    Args:
        jets: particles ``[J, M, 3]`` in GeV, mask ``[J, M]``.
        width: particles that fit in a row of the file; None for any number.

    Raises:
        InputError: wrong shapes, more particles than fit, or an existing particle
            without finite momentum and positive pt.
    """
    p = np.asarray(jets.particles, np.float64)
    mask = np.asarray(jets.mask, bool)
    if p.ndim != 3 or p.shape[2] != 3 or mask.shape != p.shape[:2]:
        raise InputError(
            f"expected particles [J, N, 3] and mask [J, N], got {p.shape} and "
            f"{mask.shape}"
        )
    if width is not None and p.shape[1] > width:
        raise InputError(
            f"jets of {p.shape[1]} particles do not fit in a file of {width}"
        )
    p = np.where(mask[..., None], p, 0.0)
    pt = np.hypot(p[..., 0], p[..., 1])
    bad = mask & ~((pt > 0) & np.isfinite(p).all(axis=-1))
    if bad.any():
        jet, particle = np.argwhere(bad)[0]
        raise InputError(
            f"jet {jet}, particle {particle}: momentum {p[jet, particle].tolist()} has "
            "no finite positive pt"
        )
    order = np.argsort(-pt, axis=1, kind="stable")
    return (
        np.take_along_axis(p, order[..., None], axis=1),
        np.take_along_axis(mask, order, axis=1),
    )


def jetnet_features(
    p: np.ndarray, mask: np.ndarray, width: int, axis: np.ndarray | None
) -> tuple[dict[str, np.ndarray], int]:
    """Rows of the data sets ``JETNET``, in float32, and how many are empty.

    Args:
        p: ``[J, M, 3]`` momenta in GeV, as from :func:`ordered`.
        mask: ``[J, M]`` bool.
        width: particles of a row.
        axis: ``[J, 3]`` of the jets; None for the sums of their particles.
    """
    spare = width - p.shape[1]
    p = np.pad(p, ((0, 0), (0, spare), (0, 0)))
    mask = np.pad(mask, ((0, 0), (0, spare)))

    total = p.sum(axis=1)
    jet_pt, jet_eta, jet_phi = momenta.pt_eta_phi(total) if axis is None else axis.T
    filled = mask.any(axis=1) & (jet_pt > 0)
    mask = mask & filled[:, None]
    pt, eta, phi = momenta.pt_eta_phi(p)
    phirel = momenta.wrap_phi(phi - jet_phi[:, None])
    ptrel = pt / np.where(filled, jet_pt, 1.0)[:, None]
    particles = np.stack([eta - jet_eta[:, None], phirel, ptrel, mask], axis=-1)
    energy = np.linalg.norm(p, axis=-1).sum(axis=1)
    mass = momenta.mass(energy, total)
    if axis is not None:  # of the whole jet, as pt and eta are: on their mass shell
        energy = np.hypot(mass, jet_pt * np.cosh(jet_eta))
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


def _columns(p: np.ndarray, mask: np.ndarray) -> dict[str, Column]:
    """The columns ``FIELDS``, float32 from float64 sums."""
    energy = np.linalg.norm(p, axis=-1)
    counts = mask.sum(axis=1)
    lists = dict(zip(("px", "py", "pz"), np.moveaxis(p, -1, 0), strict=True))
    total = p.sum(axis=1)
    pt, eta, phi = momenta.pt_eta_phi(total)
    mass = momenta.mass(energy.sum(axis=1), total)
    jets = {"jet_pt": pt, "jet_eta": eta, "jet_phi": phi, "jet_mass": mass}
    return {
        **{
            f"part_{name}": Ragged(values[mask].astype(np.float32), counts)
            for name, values in {**lists, "energy": energy}.items()
        },
        **{name: values.astype(np.float32) for name, values in jets.items()},
        "jet_nparticles": counts.astype(np.int32),
    }
