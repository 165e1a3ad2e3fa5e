"""Jets that come again are found, within a file, across blocks and across files."""

import h5py
import numpy as np
import pytest

from jetvae_jax.data import load, validation


def jets(num, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(num, 5, 3)).astype(np.float32)
    mask = np.arange(5) < rng.integers(1, 6, num)[:, None]
    return np.where(mask[..., None], p, 0), mask


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_as_a_set_of_bytes(size):
    p, mask = jets(300)
    rows = np.random.default_rng(1).integers(0, 300, 1000)
    p, mask = p[rows], mask[rows]
    seen, known, found = validation.Seen(), set(), []
    wanted = []
    for i, row in enumerate(p):
        key = row.tobytes()
        wanted.append(key in known)
        known.add(key)
        if i % size == 0:
            found.append(seen.repeated(p[i : i + size], mask[i : i + size]))
    np.testing.assert_array_equal(np.concatenate(found), wanted)


def test_no_jets():
    p, mask = jets(3)
    assert validation.Seen().repeated(p[:0], mask[:0]).shape == (0,)


def test_one_number_makes_another_jet():
    p, mask = jets(1)
    many = np.repeat(p, 15, axis=0)
    many.reshape(15, 15)[np.arange(15), np.arange(15)] += np.float32(1e-3)
    mask = np.ones((15, 5), bool)
    assert len(np.unique(validation.hashes(many, mask))) == 15
    swapped = p[:, ::-1]
    all_there = np.ones((1, 5), bool)
    assert validation.hashes(swapped, all_there) != validation.hashes(p, all_there)


def test_the_same_file_twice_is_noted_and_repaired(make_jetnet, tmp_path):
    make_jetnet("shard0.hdf5")
    make_jetnet("shard1.hdf5")
    loaded = load(str(tmp_path))
    assert len(loaded.jets.mask) == 16
    assert any("8 duplicate jets: kept" in n for n in loaded.notes)
    repaired = load(str(tmp_path), repair=True)
    assert any("8 duplicate jets: dropped" in n for n in repaired.notes)
    np.testing.assert_array_equal(repaired.jets.particles, loaded.jets.particles[:8])
    assert repaired.axis is not None and len(repaired.axis) == 8


def test_jets_that_this_package_generated_may_be_alike(make_jetnet):
    path = make_jetnet()
    with h5py.File(path, "a") as file:
        for key in file:
            values = file[key][:]
            del file[key]
            file[key] = np.concatenate([values, values])
        file.attrs["empty_jets"] = 0
    assert len(load(str(path), repair=True).jets.mask) == 16


def test_the_same_jets_in_files_without_phi(make_jetnet, tmp_path):
    """Their phi is drawn: the same for the same jet, another for another seed."""
    for name in ("shard0.hdf5", "shard1.hdf5"):
        make_jetnet(name, spoil=lambda arrays: arrays.pop("jet_extra"))
    repaired = load(str(tmp_path), repair=True)
    assert any("8 duplicate jets: dropped" in n for n in repaired.notes)


def test_draws_are_uniform_independent_of_seed_and_of_other_jets():
    p, mask = jets(20_000)
    x, y = (validation.draws(p, mask, seed) for seed in (0, 1))
    np.testing.assert_array_equal(validation.draws(p[7:9], mask[7:9], 1), y[7:9])
    counts, _, _ = np.histogram2d(x, y, bins=8, range=[(0, 1), (0, 1)])
    # Chi-square with 63 degrees of freedom: 103.4 is the 99.9 % point.
    assert np.sum((counts - 312.5) ** 2 / 312.5) < 103.4
    nudged = validation.draws(p + np.float32(1e-6), mask, 0)
    assert abs(np.corrcoef(x, nudged)[0, 1]) < 4 / np.sqrt(len(x))
