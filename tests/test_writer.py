"""The writer: what is written is read back, byte for byte the same, or nothing."""

import json

import h5py
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data import JetNetWriter, load


def write(path, jets, *, num_particles=6, cuts=(), attrs=None):
    parts = np.split(np.arange(len(jets.mask)), cuts)
    with JetNetWriter(path, num_particles=num_particles, attrs=attrs) as writer:
        for rows in parts:
            writer.append(Jets(jets.particles[rows], jets.mask[rows]))
    return path


def test_round_trip(make_jets, tmp_path):
    jets = make_jets(3000)
    loaded = load(str(write(tmp_path / "jets.hdf5", jets)), num_particles=6)
    np.testing.assert_array_equal(loaded.jets.mask, jets.mask)
    scale = np.linalg.norm(jets.particles, axis=-1, keepdims=True)
    error = np.abs(loaded.jets.particles - jets.particles)
    assert np.all(error <= 2e-6 * scale)
    assert loaded.notes == ()


def test_columns_of_two_particles(tmp_path):
    # Two particles of 300 and 100 GeV at right angles, eta = 0: pt = sqrt(10) 100,
    # E = 400, m^2 = 400^2 - 100000 = 60000. The softer one comes first.
    p = np.array([[[0, 100, 0], [300, 0, 0], [7, 7, 7]]], np.float32)
    mask = np.array([[True, True, False]])
    path = write(tmp_path / "two.hdf5", Jets(p, mask), num_particles=4)
    phi = np.arctan2(100, 300)
    pt = np.sqrt(1e5)
    with h5py.File(path) as file:
        np.testing.assert_allclose(
            file["particle_features"][0],
            [
                [0, -phi, 300 / pt, 1],
                [0, np.pi / 2 - phi, 100 / pt, 1],
                [0, 0, 0, 0],
                [0, 0, 0, 0],
            ],
            rtol=1e-6,
        )
        np.testing.assert_allclose(
            file["jet_features"][0], [pt, 0, np.sqrt(6e4), 2], rtol=1e-6
        )
        np.testing.assert_allclose(file["jet_extra"][0], [phi, 400, 2, 0], rtol=1e-6)


def test_phirel_is_wrapped(tmp_path):
    angles = np.array([3.1, -3.1])
    p = np.stack([500 * np.cos(angles), 500 * np.sin(angles), 0 * angles], -1)
    path = write(tmp_path / "seam.hdf5", Jets(p[None], np.ones((1, 2), bool)))
    with h5py.File(path) as file:
        phirel = file["particle_features"][0, :2, 1]
    np.testing.assert_allclose(np.sort(phirel), [3.1 - np.pi, np.pi - 3.1], atol=1e-6)


def test_bytes_depend_on_jets_and_attributes_alone(make_jets, tmp_path):
    jets = make_jets(2500)
    attrs = {"model": "conv_vae", "seed": 3, "beta": 0.5, "config": {"b": [1], "a": 2}}
    first = write(tmp_path / "a.hdf5", jets, attrs=attrs)
    second = write(
        tmp_path / "b.hdf5",
        jets,
        cuts=(1, 1000, 1024, 2400),
        attrs=dict(reversed(attrs.items())),
    )
    assert first.read_bytes() == second.read_bytes()
    other = write(tmp_path / "c.hdf5", make_jets(2500, seed=1), attrs=attrs)
    assert first.read_bytes() != other.read_bytes()
    with h5py.File(first) as file:
        assert file.attrs["model"] == "conv_vae" and file.attrs["seed"] == 3
        assert json.loads(file.attrs["config"]) == attrs["config"]
        assert file["particle_features"].shape == (2500, 6, 4)


def test_empty_jets_are_rows_of_zeros_and_stay(make_jets, tmp_path):
    jets = make_jets()
    jets.mask[[2, 5]] = False
    jets.particles[5] = np.nan
    path = write(tmp_path / "jets.hdf5", jets)
    with h5py.File(path) as file:
        assert file.attrs["empty_jets"] == 2
        for key in ("particle_features", "jet_features", "jet_extra"):
            assert not file[key][2].any() and not file[key][5].any()
    loaded = load(str(path), num_particles=6).jets
    np.testing.assert_array_equal(loaded.mask, jets.mask)
    assert not loaded.particles[[2, 5]].any()


def test_jets_unlike_jets_are_read_back(tmp_path):
    # An untrained model: soft particles in all directions.
    rng = np.random.default_rng(0)
    p = rng.normal(size=(50, 6, 3)).astype(np.float32)
    path = write(tmp_path / "noise.hdf5", Jets(p, np.ones((50, 6), bool)))
    loaded = load(str(path), num_particles=6).jets
    order = np.argsort(-np.hypot(p[..., 0], p[..., 1]), axis=1)
    expected = np.take_along_axis(p, order[..., None], axis=1)
    np.testing.assert_allclose(loaded.particles, expected, rtol=1e-3, atol=1e-4)


def test_exception_leaves_the_old_file(make_jets, tmp_path):
    path = write(tmp_path / "jets.hdf5", make_jets())
    before = path.read_bytes()
    with (
        pytest.raises(KeyboardInterrupt),
        JetNetWriter(path, num_particles=6) as writer,
    ):
        writer.append(make_jets(5000))
        assert len(list(tmp_path.glob("jets.hdf5.*.part"))) == 1
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["jets.hdf5"]


def test_nothing_at_the_path_before_the_end(make_jets, tmp_path):
    path = tmp_path / "jets.hdf5"
    with JetNetWriter(path, num_particles=6) as writer:
        writer.append(make_jets(3000))
        assert not path.exists()
    assert path.exists() and not list(tmp_path.glob("*.part"))


def test_attributes_that_are_no_json_leave_nothing(make_jets, tmp_path):
    with pytest.raises(TypeError, match="JSON"):
        write(tmp_path / "jets.hdf5", make_jets(), attrs={"bad": object()})
    assert not list(tmp_path.iterdir())


def test_unwritable_path(tmp_path):
    writer = JetNetWriter(tmp_path / "gone" / "jets.hdf5", num_particles=6)
    with pytest.raises(InputError, match=r"gone/jets\.hdf5: cannot be written"):
        writer.__enter__()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p, m: (p[0], m), "expected particles"),
        (lambda p, m: (p, m[:, :2]), "expected particles"),
        (lambda p, m: (np.tile(p, (1, 2, 1)), np.tile(m, (1, 2))), "do not fit"),
        (lambda p, m: (p * np.nan, m), "jet 0, particle 0"),
        (lambda p, m: (p * [0, 0, 1], m), "jet 0, particle 0"),
    ],
)
def test_wrong_arrays(make_jets, tmp_path, change, words):
    jets = Jets(*change(*make_jets()[:2]))
    writer = JetNetWriter(tmp_path / "jets.hdf5", num_particles=6)
    with pytest.raises(ValueError, match=words), writer:
        writer.append(jets)
    assert not list(tmp_path.iterdir())


def test_append_needs_a_with_block(make_jets, tmp_path):
    writer = JetNetWriter(tmp_path / "jets.hdf5", num_particles=6)
    with pytest.raises(ValueError, match="with block"):
        writer.append(make_jets(2000))
