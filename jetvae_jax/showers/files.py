"""Reads showers: HDF5 as in the CaloChallenge, npz archives of the LHCb ECAL.

HDF5 (arXiv:2410.21611): ``showers [J, C]`` and ``incident_energies [J, 1]`` in MeV, the
cells in the order of :mod:`~jetvae_jax.showers.geometry`. Files that
:class:`~jetvae_jax.showers.writer.Writer` writes have as far as it is known
``kind [J, 1]`` (PDG code), ``point [J, 2]`` (mm) and ``direction [J, 3]`` of the
incident particle beside these, and the attribute ``geometry``.

npz (Machine Learning in High Energy Physics school 2019, caloGAN_case11_5D_120K.npz):
``EnergyDeposit [J, rows, columns]``, ``ParticleMomentum [J, 3]``, and perhaps
``ParticlePoint [J, 2 or 3]`` and ``ParticlePDG [J]``. The archives do not say their
units: see :class:`Units`.
"""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import absent
from jetvae_jax.core.types import Showers
from jetvae_jax.data.containers import hdf5, npz
from jetvae_jax.data.containers.tables import BLOCK_BYTES, guarded, listing
from jetvae_jax.showers import geometry as geometries
from jetvae_jax.showers.geometry import MEV, Geometry

SHOWERS, ENERGIES = "showers", "incident_energies"
EXTRA = {"kind": 1, "point": 2, "direction": 3}
"""Data sets of HDF5 files beside the two, and their numbers a shower."""
DEPOSIT, MOMENTUM, POINT, KIND = (
    *("EnergyDeposit", "ParticleMomentum"),
    *("ParticlePoint", "ParticlePDG"),
)
_UNIT = 1e-3  # of the length of a direction from 1


class Units(NamedTuple):
    """What one unit of an npz archive is.

    Attributes:
        deposit: of the energy in a cell, in GeV.
        momentum: in GeV.
        length: in mm.
    """

    deposit: float = MEV
    momentum: float = 1.0
    length: float = 10.0


class Loaded(NamedTuple):
    """Showers and where their cells are.

    Attributes:
        geometry: of C cells.
        showers: ``[J, C]`` float32.
        metadata: what the file says of itself.
    """

    geometry: Geometry
    showers: Showers
    metadata: dict[str, Any]


class ShowerFile(Protocol):
    """An open file of showers.

    Attributes:
        geometry: of C cells.
        num_showers: in the file.
        metadata: what the file says of itself, by name.
    """

    geometry: Geometry
    num_showers: int
    metadata: dict[str, Any]

    def blocks(self, stop: int, size: int) -> Iterator[Showers]:
        """Showers ``0:stop``, checked, ``size`` at a time."""
        ...


@contextlib.contextmanager
def opened(
    path: str | os.PathLike, *, geometry: str = "", units: Units | None = None
) -> Iterator[ShowerFile]:
    """Opens a file of showers, to be read in blocks.

    Args:
        path: ends in .npz; else it is an HDF5 file.
        geometry: name of the calorimeter; empty for what the file says, or for the
            named one with so many cells.
        units: of an npz archive; None for MeV, GeV and cm.

    Raises:
        InputError: unreadable, arrays missing or of shapes that do not fit, or a
            number of cells that is not that of the calorimeter.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: {absent(path)}")
    if pathlib.Path(path).suffix.lower() in npz.SUFFIXES:
        with npz.opened(path) as archive:
            yield _Archive(archive, geometry, units or Units())
    else:
        with hdf5.open_file(pathlib.Path(path)) as file:
            yield _HDF5(file, geometry)


def read(
    path: str | os.PathLike,
    *,
    geometry: str = "",
    units: Units | None = None,
    max_showers: int = 0,
) -> Loaded:
    """Showers of a file.

    Args:
        path: as for :func:`opened`.
        geometry: as for :func:`opened`.
        units: as for :func:`opened`.
        max_showers: the first so many; 0 for all.

    Raises:
        InputError: as :func:`opened`; energies that are negative, infinite or NaN, or
            incident particles without energy or direction; damaged rows.
    """
    with opened(path, geometry=geometry, units=units) as file:
        stop = min(file.num_showers, max_showers or file.num_showers)
        found = file.geometry
        size = max(1, BLOCK_BYTES // (4 * found.num_cells))
        whole, start = {}, 0
        for block in file.blocks(stop, size):
            for name, rows in block._asdict().items():
                if rows is None:
                    continue
                if name not in whole:
                    whole[name] = np.empty((stop, *rows.shape[1:]), rows.dtype)
                whole[name][start : start + len(rows)] = rows
            start += len(block.energies)
    return Loaded(found, Showers(**whole), file.metadata)


class _HDF5:
    """An open file of the CaloChallenge, or of :class:`Writer`."""

    def __init__(self, file: h5py.File, geometry: str):
        self.path = file.filename
        self._data = hdf5.dataset(file, SHOWERS, (None, None))
        self.num_showers, cells = self._data.shape
        energies = hdf5.plain(file, ENERGIES)
        shape = (self.num_showers, 1)[: max(len(energies.shape or ()), 1)]
        self._energies = hdf5.dataset(file, ENERGIES, shape)
        keys = hdf5.keys(file)
        self._extra = {
            name: hdf5.dataset(file, name, (self.num_showers, size))
            for name, size in EXTRA.items()
            if name in keys
        }
        self.metadata = _metadata(file)
        named = geometry or hdf5.text(file, "geometry") or ""
        self.geometry = _calorimeter(f"{self.path}: {SHOWERS}", cells, named)

    def blocks(self, stop: int, size: int) -> Iterator[Showers]:
        """Showers ``0:stop``."""

        def rows(data):
            return hdf5.read(data, start, last, slice(None)).astype(np.float64)

        for start in range(0, stop, size):
            last = min(start + size, stop)
            extra = {name: rows(data) for name, data in self._extra.items()}
            if "kind" in extra:
                extra["kind"] = extra["kind"][:, 0]
            if self._energies.ndim == 1:
                energy = self._energies[start:last].astype(np.float64)
            else:
                energy = rows(self._energies)[:, 0]
            found = Showers(rows(self._data) * MEV, energy * MEV, **extra)
            yield _checked(self.path, start, found)


class _Archive:
    """An open npz archive of the LHCb ECAL."""

    def __init__(self, archive: npz.Archive, geometry: str, units: Units):
        self.path, self._archive, self._units = archive.path, archive, units
        if DEPOSIT not in archive.names or MOMENTUM not in archive.names:
            raise InputError(
                f"{self.path}: holds no showers: give {DEPOSIT} and {MOMENTUM}, or a "
                "file of the CaloChallenge; the file has: "
                f"{listing(archive.names)}"
            )
        self._names = [
            name for name in (DEPOSIT, MOMENTUM, POINT, KIND) if name in archive.names
        ]
        self.num_showers = archive.num_rows(self._names)
        shapes = {name: archive.member(name).shape[1:] for name in self._names}
        allowed = {MOMENTUM: [(3,)], POINT: [(2,), (3,)], KIND: [(), (1,)]}
        for name, inner in shapes.items():
            if inner not in allowed.get(name, [inner]):
                raise InputError(
                    f"{self.path}: {name}: shape of a shower is {inner}, expected "
                    f"{' or '.join(map(str, allowed[name]))}"
                )
        if not self.num_showers:
            raise InputError(f"{self.path}: {DEPOSIT}: there are no showers in it")
        self.metadata = archive.metadata
        cells = int(np.prod(shapes[DEPOSIT]))
        self.geometry = _calorimeter(f"{self.path}: {DEPOSIT}", cells, geometry)

    def blocks(self, stop: int, size: int) -> Iterator[Showers]:
        """Showers ``0:stop``."""
        units, start = self._units, 0
        for block in self._archive.blocks(self._names, size, stop):
            rows = {name: np.asarray(block[name], np.float64) for name in self._names}
            count = len(rows[MOMENTUM])
            energy = np.linalg.norm(rows[MOMENTUM], axis=-1)
            flies = rows[MOMENTUM] / np.where(energy > 0, energy, 1.0)[:, None]
            found = Showers(
                rows[DEPOSIT].reshape(count, -1) * units.deposit,
                energy * units.momentum,
                rows[KIND].reshape(count) if KIND in rows else None,
                rows[POINT][:, :2] * units.length if POINT in rows else None,
                flies,
            )
            yield _checked(self.path, start, found)
            start += count


def _metadata(file: h5py.File) -> dict[str, Any]:
    """Texts among the attributes; those that are JSON as their values."""
    found: dict[str, Any] = {}
    with guarded(file.filename, "its attributes"):
        names = list(file.attrs)[:100]
    for name in names:
        if (text := hdf5.text(file, name)) is not None:
            try:
                found[name] = json.loads(text)
            except ValueError:
                found[name] = text
    return found


def _calorimeter(what: str, cells: int, name: str) -> Geometry:
    """The calorimeter of so many cells.

    Raises:
        InputError: it has another number of them, or there is none.
    """
    if name:
        found = geometries.get(name)
        if found.num_cells != cells:
            raise InputError(
                f"{what}: {cells:,} cells a shower, but {name} has "
                f"{found.num_cells:,}: name another geometry"
            )
        return found
    if not (names := geometries.of_cells(cells)):
        sizes = (f"{n} {geometries.get(n).num_cells:,}" for n in geometries.names())
        raise InputError(
            f"{what}: {cells:,} cells a shower are those of no calorimeter here "
            f"({', '.join(sizes)}): give the geometry of a grid, such as 12x12x12x4.5"
        )
    return geometries.get(names[0])


def _checked(path: str, first: int, showers: Showers) -> Showers:
    """Float32 showers without a number that cannot be.

    Raises:
        InputError: it names the first bad shower.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        fields = {
            name: np.asarray(field).astype(np.int32 if name == "kind" else np.float32)
            for name, field in showers._asdict().items()
            if field is not None
        }
    found = Showers(**fields)
    cells = found.energies
    bad = {
        "negative, infinite or NaN energies": ~((cells >= 0) & (cells < np.inf)).all(1),
        "an incident particle without positive energy": ~(
            (found.energy > 0) & np.isfinite(found.energy)
        ),
    }
    if found.point is not None:
        bad["no finite point"] = ~np.isfinite(found.point).all(axis=1)
    if found.direction is not None:
        length = np.linalg.norm(found.direction, axis=1)
        bad["no direction into the calorimeter, of length 1"] = ~(
            (np.abs(length - 1) < _UNIT) & (found.direction[:, 2] > 0)
        )
    for what, rows in bad.items():
        if rows.any():
            raise InputError(
                f"{path}: {rows.sum():,} of the showers {first:,} to "
                f"{first + len(rows) - 1:,} (first: {first + int(np.argmax(rows)):,}) "
                f"have {what}: correct or remove them"
            )
    return found
