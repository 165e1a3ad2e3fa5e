"""Files of showers: written and read again, those of others, and damaged ones."""

import re

import h5py
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Showers
from jetvae_jax.showers import files, geometry, load
from jetvae_jax.showers.writer import Writer

GRID = geometry.grid(2, 3, 4, 4.5)


def sample(number=10, cells=GRID.num_cells, seed=0):
    rng = np.random.default_rng(seed)
    energies = rng.exponential(size=(number, cells)) * (rng.uniform(size=cells) < 0.7)
    direction = rng.normal(size=(number, 3)) * [0.1, 0.1, 0] + [0, 0, 1]
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return Showers(
        energies.astype("f4"),
        rng.uniform(1, 100, number).astype("f4"),
        rng.choice([11, 22], number).astype("i4"),
        rng.normal(size=(number, 2)).astype("f4"),
        direction.astype("f4"),
    )


def write(path, *parts, calorimeter=GRID, **attrs):
    with Writer(path, calorimeter, attrs) as writer:
        for part in parts:
            writer.append(part)
    return path


def rows(showers, *where):
    return Showers(*(None if a is None else a[slice(*where)] for a in showers))


def same(found, expected):
    for name, a, b in zip(found._fields, found, expected, strict=True):
        assert (a is None) == (b is None), name
        if b is not None:
            assert a.dtype == b.dtype, name
            np.testing.assert_allclose(a, b, 2e-7, err_msg=name)


def test_round_trip(tmp_path):
    showers = sample()
    path = write(
        tmp_path / "a.hdf5", showers, seed=3, settings={"noise": 0.5}, note="x"
    )
    loaded = files.read(path)
    same(loaded.showers, showers)
    assert loaded.geometry.name == "2x3x4x4.5"
    assert loaded.metadata["settings"] == {"noise": 0.5}
    few = files.read(path, max_showers=3)
    same(few.showers, rows(showers, 3))
    same(files.read(path, max_showers=99).showers, showers)


def test_what_is_not_known_is_not_written(tmp_path):
    showers = sample()._replace(kind=None, point=None, direction=None)
    path = write(tmp_path / "a.h5", showers)
    same(files.read(path).showers, showers)
    with h5py.File(path) as file:
        assert set(file) == {"showers", "incident_energies"}


def test_bytes_do_not_depend_on_the_appends(tmp_path):
    showers = sample(2500)
    whole = write(tmp_path / "a.hdf5", showers)
    parts = [rows(showers, a, b) for a, b in ((0, 1), (1, 1800), (1800, 2500))]
    other = write(tmp_path / "b.hdf5", *parts)
    assert whole.read_bytes() == other.read_bytes()
    same(files.read(other).showers, showers)


def test_an_interrupted_writer_leaves_the_older_file(tmp_path):
    path = write(tmp_path / "a.hdf5", sample())
    before = path.read_bytes()
    with pytest.raises(RuntimeError), Writer(path, GRID) as writer:
        writer.append(sample(20))
        raise RuntimeError
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energies": np.ones((10, 5))}, "not of 2x3x4x4.5"),
        ({"energies": -np.ones((10, 24))}, "negative"),
        ({"energies": np.full((10, 24), np.nan)}, "NaN"),
        ({"energy": np.ones(9)}, "9 for 10 showers"),
    ],
)
def test_wrong_showers_are_not_written(tmp_path, change, words):
    with pytest.raises(ValueError, match=words), Writer(tmp_path / "a.h5", GRID) as w:
        w.append(sample()._replace(**change))
    assert not list(tmp_path.iterdir())


def test_fields_are_those_of_the_first_showers(tmp_path):
    with pytest.raises(ValueError, match="kind"), Writer(tmp_path / "a.h5", GRID) as w:
        w.append(sample())
        w.append(sample()._replace(kind=None))


@pytest.mark.parametrize("name", ["a.npz", "a", "a.csv"])
def test_other_suffixes_are_not_written(tmp_path, name):
    with pytest.raises(InputError, match="unknown suffix: give one of"):
        Writer(tmp_path / name, GRID)


def challenge(path, number=5, cells=368, seed=0, flat=False, **more):
    """A file of the CaloChallenge; ``more`` replaces data sets, or leaves them out."""
    rng = np.random.default_rng(seed)
    energies = rng.uniform(1e3, 1e6, number)
    arrays = {
        "incident_energies": energies if flat else energies[:, None],
        "showers": rng.exponential(1e3, (number, cells)),
        **more,
    }
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if array is not None:
                file.create_dataset(name, data=array, compression="gzip")
    return arrays


@pytest.mark.parametrize("name", geometry.names()[1:])
def test_files_of_the_challenge(tmp_path, name, monkeypatch):
    path = tmp_path / "dataset.hdf5"
    cells = geometry.get(name).num_cells
    arrays = challenge(path, cells=cells)
    monkeypatch.setattr(files, "BLOCK_BYTES", 3 * 4 * cells)  # three at once
    loaded = files.read(path)
    assert loaded.geometry.name == name
    np.testing.assert_allclose(loaded.showers.energies, arrays["showers"] / 1e3, 2e-7)
    energy = arrays["incident_energies"][:, 0]
    np.testing.assert_allclose(loaded.showers.energy, energy / 1e3, 2e-7)
    assert loaded.showers.direction is None and loaded.showers.kind is None
    with files.opened(path) as file:
        blocks = list(file.blocks(file.num_showers, 2))
    assert [len(b.energies) for b in blocks][:2] == [2, 2]
    whole = np.concatenate([block.energies for block in blocks])
    np.testing.assert_array_equal(whole, loaded.showers.energies)


def test_incident_energies_without_second_axis(tmp_path):
    arrays = challenge(tmp_path / "a.hdf5", flat=True)
    found = files.read(tmp_path / "a.hdf5").showers.energy
    np.testing.assert_allclose(found, arrays["incident_energies"] / 1e3, 2e-7)


def lhcb(path, number=6, rows=30, **more):
    rng = np.random.default_rng(1)
    arrays = {
        "EnergyDeposit": rng.exponential(5.0, (number, rows, 30, 1)),
        "ParticlePoint": rng.normal(size=(number, 3)),
        "ParticleMomentum": rng.normal(size=(number, 3)) * [1, 1, 0] + [0, 0, 30.0],
        "ParticlePDG": np.full(number, 22.0),
        **more,
    }
    arrays = {name: array for name, array in arrays.items() if array is not None}
    np.savez(path, **arrays)
    return arrays


def test_archives_of_the_lhcb_calorimeter(tmp_path):
    path = tmp_path / "caloGAN_case11_5D_120K.npz"
    arrays = lhcb(path)
    loaded = files.read(path)
    assert loaded.geometry.name == "lhcb_ecal"
    found, momentum = loaded.showers, arrays["ParticleMomentum"]
    deposit = arrays["EnergyDeposit"].reshape(6, 900)
    np.testing.assert_allclose(found.energies, deposit / 1e3, 2e-7)
    energy = np.sqrt((momentum**2).sum(axis=1))
    np.testing.assert_allclose(found.energy, energy, 1e-6)
    np.testing.assert_allclose(found.direction, momentum / energy[:, None], 1e-6)
    np.testing.assert_allclose(found.point, arrays["ParticlePoint"][:, :2] * 10, 1e-6)
    np.testing.assert_array_equal(found.kind, 22)
    units = files.Units(deposit=1.0, momentum=1e-3, length=1.0)
    other = files.read(path, units=units, max_showers=2).showers
    np.testing.assert_allclose(other.energies, deposit[:2], 1e-6)
    np.testing.assert_allclose(other.energy, energy[:2] / 1e3, 1e-6)
    lhcb(path, ParticlePDG=None, ParticlePoint=None)
    least = files.read(path).showers
    assert least.kind is None and least.point is None
    note = load.load(load.Data(path=str(path), deposit_unit=2.0)).notes[0]
    assert "cells are taken as 2 GeV, momenta as 1 GeV, lengths as 10 mm" in note


SPOILED = {
    "missing key": ({"showers": None}, "showers: missing key; the file has: incident"),
    "no energies": ({"incident_energies": None}, "incident_energies: missing key"),
    "400 voxels": (
        {"cells": 400},
        "showers: 400 cells a shower are those of no calorimeter here (lhcb_ecal 900, "
        "calochallenge_1_photons 368",
    ),
    "two axes": ({"showers": np.ones((5, 4, 92))}, "showers: shape is (5, 4, 92)"),
    "other length": ({"incident_energies": np.ones((4, 1))}, "shape is (4, 1)"),
    "text": ({"showers": np.full((5, 368), b"x")}, "expected real numbers"),
    "none": ({"number": 0}, "showers"),
    "zero energy": (
        {"incident_energies": np.array([[1.0], [0], [2], [0], [1]])},
        "2 of the showers 0 to 4 (first: 1) have an incident particle without positive",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_wrong_files_of_the_challenge(tmp_path, name):
    arguments, words = SPOILED[name]
    path = tmp_path / "dataset.hdf5"
    if arguments.get("number") == 0:
        with h5py.File(path, "w") as file:
            file["showers"] = np.ones((0, 368))
            file["incident_energies"] = np.ones((0, 1))
    else:
        challenge(path, **arguments)
    refused(path, words)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_energies_that_cannot_be(tmp_path, value):
    showers = np.ones((5, 368))
    showers[3, 17] = value
    challenge(tmp_path / "a.hdf5", showers=showers)
    refused(tmp_path / "a.hdf5", "1 of the showers 0 to 4 (first: 3) have negative")


def test_a_row_of_a_later_block_is_named(tmp_path):
    showers = np.ones((5, 368))
    showers[4, 0] = -1
    challenge(tmp_path / "a.hdf5", showers=showers)
    with (
        files.opened(tmp_path / "a.hdf5") as file,
        pytest.raises(InputError, match=r"showers 3 to 4 \(first: 4\)"),
    ):
        list(file.blocks(5, 3))


def refused(path, words, **more):
    with pytest.raises(InputError, match=re.escape(words)) as error:
        files.read(path, **more)
    text = str(error.value)
    assert "\n" not in text and str(path) in text


def test_other_calorimeters_are_refused(tmp_path):
    path = tmp_path / "a.hdf5"
    challenge(path)
    refused(
        path,
        "368 cells a shower, but calochallenge_2 has 6,480",
        geometry="calochallenge_2",
    )
    assert files.read(path, geometry="1x8x46x2").geometry.shape == (1, 8, 46)


def test_damaged_files(tmp_path):
    path = tmp_path / "a.hdf5"
    refused(path, "no such file")
    path.write_bytes(b"")
    refused(path, "is empty")
    path.write_bytes(b"no file of showers" * 99)
    refused(path, "not an HDF5 file")
    write(path, sample(500))
    whole = path.read_bytes()
    for share in (0.3, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        refused(path, "truncated or damaged")
    archive = tmp_path / "a.npz"
    lhcb(archive)
    archive.write_bytes(archive.read_bytes()[:-2000])
    refused(archive, "truncated or damaged")


def test_damaged_bytes_are_one_line(tmp_path):
    rng = np.random.default_rng(0)
    path = write(tmp_path / "a.hdf5", sample(40), settings={"noise": 1})
    whole, refused = path.read_bytes(), 0
    for _ in range(150):
        spoiled = bytearray(whole)
        for place in rng.integers(4000, size=4):
            spoiled[place] = rng.integers(256)
        path.write_bytes(spoiled)
        try:
            files.read(path)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error) and str(path) in str(error)
    assert refused > 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"EnergyDeposit": None}, "give EnergyDeposit and ParticleMomentum"),
        ({"ParticleMomentum": np.ones((6, 2))}, "ParticleMomentum: shape of a shower"),
        ({"ParticleMomentum": np.ones((5, 3))}, "columns of different lengths"),
        ({"ParticleMomentum": np.zeros((6, 3))}, "without positive energy"),
        ({"ParticleMomentum": -np.ones((6, 3))}, "no direction into the calorimeter"),
        ({"ParticlePoint": np.full((6, 2), np.nan)}, "no finite point"),
        ({"rows": 31}, "930 cells a shower are those of no calorimeter"),
        ({"EnergyDeposit": np.full((6, 900), "x")}, "expected numbers"),
    ],
)
def test_wrong_archives(tmp_path, change, words):
    lhcb(tmp_path / "a.npz", **change)
    refused(tmp_path / "a.npz", words)
