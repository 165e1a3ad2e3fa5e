"""Showers of a file, with what a run needs to know of it."""

import hashlib
import pathlib
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import LargeSeed, NonNegativeInt, PositiveFloat
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Showers
from jetvae_jax.data.containers import npz
from jetvae_jax.data.splits import Fractions
from jetvae_jax.showers import files
from jetvae_jax.showers.files import Units
from jetvae_jax.showers.geometry import Geometry


@configs.config
class Data:
    """Which showers.

    Attributes:
        path: a file of make_showers.py or of the CaloChallenge (HDF5), or an npz
            archive of the LHCb ECAL.
        geometry: of the cells: a name such as lhcb_ecal or calochallenge_2, or layers,
            rows, columns and the side of a cell in mm, such as 12x12x12x4.5; empty for
            that of the file, or the named one with so many cells.
        max_showers: showers taken from the start of the file; 0 takes all.
        deposit_unit: of an npz archive, one unit of deposited energy in GeV.
        momentum_unit: of an npz archive, one unit of momentum in GeV.
        length_unit: of an npz archive, one unit of length in mm.
        split_seed: seed of the split into training, validation and test parts.
        fractions: of the training, validation and test parts.
    """

    path: configs.Path = ""
    geometry: str = ""
    max_showers: NonNegativeInt = 0
    deposit_unit: PositiveFloat = Units().deposit
    momentum_unit: PositiveFloat = Units().momentum
    length_unit: PositiveFloat = Units().length
    split_seed: LargeSeed = 0
    fractions: Fractions = (0.7, 0.15, 0.15)


class Loaded(NamedTuple):
    """Showers and where they come from.

    Attributes:
        showers: ``[J, C]``, as they are in the file.
        geometry: of the cells.
        notes: what was changed, in words with counts.
        source: JSON-able metadata: path, geometry, showers, provenance (what the file
            says about itself) and fingerprint, the sha256 of the arrays.
    """

    showers: Showers
    geometry: Geometry
    notes: tuple[str, ...]
    source: dict[str, Any]


def load(config: Data, path: str = "", geometry: str = "") -> Loaded:
    """Showers of the file of the config, or of another one read in the same way.

    Args:
        config: how to read.
        path: empty for that of the config.
        geometry: the same.

    Raises:
        InputError: whatever is wrong with the file; fewer than two showers.
    """
    path = path or config.path
    if not path:
        raise InputError(
            "--showers.path: is missing: give a file of experiments/make_showers.py, "
            "of the CaloChallenge, or of the LHCb ECAL"
        )
    found = files.read(
        path,
        geometry=geometry or config.geometry,
        units=Units(config.deposit_unit, config.momentum_unit, config.length_unit),
        max_showers=config.max_showers,
    )
    number = len(found.showers.energy)
    if number < 2:
        raise InputError(f"{path}: {number} showers: there must be at least 2")
    _, soft = above_threshold(found.geometry, found.showers)
    notes = []
    if pathlib.Path(path).suffix.lower() in npz.SUFFIXES:
        notes.append(
            f"{path}: does not say its units: energies of cells are taken as "
            f"{config.deposit_unit:g} GeV, momenta as {config.momentum_unit:g} GeV, "
            f"lengths as {config.length_unit:g} mm (--showers.deposit_unit, "
            ".momentum_unit, .length_unit)"
        )
    if soft:
        notes.append(
            f"{path}: {soft:,} cells at or below the threshold of "
            f"{found.geometry.threshold:g} GeV count as empty"
        )
    if config.max_showers > number:
        notes.append(f"{path}: {config.max_showers} showers asked for, {number} found")
    source = {
        "path": path,
        "geometry": found.geometry.name,
        "showers": number,
        "provenance": found.metadata or None,
        "fingerprint": fingerprint(found.showers),
    }
    return Loaded(found.showers, found.geometry, tuple(notes), source)


def above_threshold(geometry: Geometry, showers: Showers) -> tuple[Showers, int]:
    """Showers without the energies of cells that count as empty, and how many were not.

    On the host.
    """
    energies = np.asarray(showers.energies)
    soft = (energies > 0) & (energies <= geometry.threshold)
    if not soft.any():
        return showers, 0
    energies = np.where(soft, np.zeros_like(energies), energies)
    return showers._replace(energies=energies), int(soft.sum())


def fingerprint(showers: Showers) -> str:
    """sha256 of the arrays: the same showers, whatever file held them."""
    digest = hashlib.sha256(repr(np.shape(showers.energies)).encode())
    for name, array in showers._asdict().items():
        if array is not None:
            kind = "<i4" if name == "kind" else "<f4"
            digest.update(np.ascontiguousarray(array, kind).data)
    return digest.hexdigest()
