"""Columns of any type of number: the jets of float64, or one clear line."""

import numpy as np
import pytest
from samples import save

from jetvae_jax import data, events, images
from jetvae_jax.core.errors import InputError

KINDS = ("int8", "uint8", "int16", "int64", "uint64", "float16", ">f4", ">f8", ">i2")
COLUMNS = ("px=px", "py=py", "pz=pz")


def momenta():
    """Whole numbers that all types represent, in falling pt; the last are padding."""
    rng = np.random.default_rng(0)
    px = -np.sort(-rng.integers(60, 120, (9, 4)), axis=1)
    px[:, 3] *= np.arange(9) % 2
    exists = px > 0
    return {"px": px, "py": px // 2, "pz": exists * 30, "mask": exists}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet", ".root"])
def test_columns(tmp_path, suffix, kind):
    if suffix == ".root" and kind == "float16":
        pytest.skip("ROOT has no such type")
    arrays = {k: v.astype(kind) for k, v in momenta().items()}
    path = save(tmp_path / f"jets{suffix}", arrays)
    for columns in (COLUMNS, (*COLUMNS, "mask=mask")):
        jets = data.load(path, columns=columns, num_particles=4).jets
        wanted = np.stack([momenta()[k] for k in ("px", "py", "pz")], axis=-1)
        np.testing.assert_array_equal(jets.particles, wanted)
        np.testing.assert_array_equal(jets.mask, momenta()["mask"])
        assert jets.particles.dtype == np.float32


@pytest.mark.parametrize("kind", ["float16", "float64", ">f4", ">f8"])
def test_jetnet(make_jetnet, kind):
    """Float16 rounds the file's own numbers: compared are those."""

    def rounded(arrays):
        for name, values in arrays.items():
            arrays[name] = values.astype(kind)

    def again(arrays):
        for name, values in arrays.items():
            arrays[name] = values.astype(kind).astype(np.float32)

    jets = data.load(str(make_jetnet("a.hdf5", spoil=rounded))).jets
    wanted = data.load(str(make_jetnet("b.hdf5", spoil=again))).jets
    np.testing.assert_array_equal(jets.particles, wanted.particles)
    np.testing.assert_array_equal(jets.axis, wanted.axis)


@pytest.mark.parametrize("kind", ["int16", "uint64", "float32", ">f8", "bool"])
def test_energyflow(tmp_path, kind):
    """Whole numbers, even as rapidity and azimuth."""
    x = np.zeros((6, 3, 4))
    x[..., 0] = [120, 60, 0]
    x[:, :2, 1:3] = 1
    labels = np.arange(6) % 2
    found = {}
    for name in (kind, "float64"):
        np.savez(tmp_path / "q.npz", X=x.astype(name), y=labels.astype(name))
        path = str(tmp_path / "q.npz")
        if name == "bool":  # a pt of 1
            with pytest.raises(InputError, match="median jet pt"):
                data.load(path, jet_type="q", num_particles=3)
            return
        found[name] = data.load(path, jet_type="q", num_particles=3).jets
    np.testing.assert_array_equal(found[kind].particles, found["float64"].particles)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet", ".root"])
def test_events(tmp_path, suffix, kind):
    if suffix == ".root" and kind == "float16":
        pytest.skip("ROOT has no such type")
    table = {"a": np.arange(9), "b": np.arange(9) % 4}
    arrays = {k: v.astype(kind) for k, v in table.items()}
    found = events.load(save(tmp_path / f"events{suffix}", arrays))
    np.testing.assert_array_equal(found.values, np.stack([*table.values()], axis=1))
    assert found.values.dtype == np.float32


@pytest.mark.parametrize("kind", ["uint8", "int64", "float16", ">f8", ">i2"])
def test_pixel_sets(tmp_path, kind):
    points = np.array([[[3, 4, 1], [20, 2, 1], [0, 0, 0]]] * 2).astype(kind)
    mask = np.array([[1, 1, 0]] * 2).astype(kind)
    path = tmp_path / "digits.npz"
    np.savez(path, points=points, mask=mask, labels=np.array([7, 2]).astype(kind))
    found = images.files.read(path)
    np.testing.assert_array_equal(found.points, points[:, : found.points.shape[1]])
    np.testing.assert_array_equal(found.labels, [7, 2])
