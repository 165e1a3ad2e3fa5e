"""Readers: what good files give."""

import h5py
import numpy as np
import pytest

from jetvae_jax.core import types
from jetvae_jax.core.errors import InputError
from jetvae_jax.data import embedded, load


def two_jets(path, columns=4, extra=True):
    particles = np.zeros((2, 3, 4), np.float32)
    particles[0, :2] = [[0.1, -0.2, 0.75, 1], [-0.3, 0.4, 0.25, 1]]
    particles[1, :3] = [[0, 0, 0.5, 1], [0.5, 3.0, 0.375, 1], [0, 0, 0.125, 1]]
    with h5py.File(path, "w") as file:
        file["particle_features"] = particles[..., :columns]
        file["jet_features"] = np.array(
            [[1000, 0.5, 90, 2], [800, -1, 60, 3]], np.float32
        )
        if extra:
            file["jet_extra"] = np.array([[2.0, 0, 2, 21], [3.0, 0, 3, 21]], np.float32)
    return path


# Computed from the table above: pt_i = ptrel pt, eta_i = etarel + eta, phi_i = phirel
# + phi; px = pt cos phi, py = pt sin phi, pz = pt sinh eta. The second particle of
# the second jet crosses the seam at pi: 3 + 3 = 6 rad = -0.283 rad.
EXPECTED = [
    [
        (750 * np.cos(1.8), 750 * np.sin(1.8), 750 * np.sinh(0.6)),
        (250 * np.cos(2.4), 250 * np.sin(2.4), 250 * np.sinh(0.2)),
        (0, 0, 0),
    ],
    [
        (400 * np.cos(3.0), 400 * np.sin(3.0), 400 * np.sinh(-1.0)),
        (300 * np.cos(6.0), 300 * np.sin(6.0), 300 * np.sinh(-0.5)),
        (100 * np.cos(3.0), 100 * np.sin(3.0), 100 * np.sinh(-1.0)),
    ],
]


@pytest.mark.parametrize("columns", [3, 4])
def test_jetnet_momenta_of_a_hand_made_file(tmp_path, columns):
    loaded = load(str(two_jets(tmp_path / "g.hdf5", columns)), num_particles=3)
    jets = loaded.jets
    assert isinstance(jets, types.Jets)
    assert jets.particles.dtype == np.float32 and jets.mask.dtype == bool
    np.testing.assert_allclose(jets.particles, EXPECTED, rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(jets.mask, [[1, 1, 0], [1, 1, 1]])
    assert loaded.notes == ()


def test_phi_is_drawn_uniformly_where_the_file_has_none(make_jetnet, tmp_path):
    path = two_jets(tmp_path / "g.hdf5", extra=False)
    first, again = load(str(path), seed=1), load(str(path), seed=1)
    other = load(str(path), seed=2)
    np.testing.assert_array_equal(first.jets.particles, again.jets.particles)
    assert not np.array_equal(first.jets.particles, other.jets.particles)
    assert "phi of the jets drawn" in first.notes[0]
    pt = np.hypot(*np.moveaxis(first.jets.particles[:, :3, :2], -1, 0))
    np.testing.assert_allclose(pt, [[750, 250, 0], [400, 300, 100]], rtol=1e-6)

    many = make_jetnet(
        "many.hdf5", num_jets=4000, spoil=lambda arrays: arrays.pop("jet_extra")
    )
    particles = load(str(many)).jets.particles
    phi = np.arctan2(particles[:, 0, 1], particles[:, 0, 0])
    counts, _ = np.histogram(phi, bins=8, range=(-np.pi, np.pi))
    # Chi-square with 7 degrees of freedom: 24.3 is the 99.9 % point.
    assert np.sum((counts - 500) ** 2 / 500) < 24.3


def test_phi_of_a_row_does_not_depend_on_the_rows_read_after_it(make_jetnet):
    path = str(make_jetnet(spoil=lambda arrays: arrays.pop("jet_extra")))
    few, all_jets = load(path, max_jets=3).jets, load(path).jets
    np.testing.assert_array_equal(few.particles, all_jets.particles[:3])


def test_particles_are_sorted_and_counted(make_jetnet, make_jets):
    def shuffle(arrays):
        rows = arrays["particle_features"]
        for row in (1, 4):
            count = int(rows[row, :, 3].sum())
            rows[row, :count] = rows[row, :count][::-1].copy()

    loaded = load(str(make_jetnet(spoil=shuffle)), num_particles=6)
    expected = make_jets()
    np.testing.assert_array_equal(loaded.jets.particles, expected.particles)
    np.testing.assert_array_equal(loaded.jets.mask, expected.mask)
    assert any("2 jets sorted" in note for note in loaded.notes)


def test_leading_particles_are_kept(make_jetnet, make_jets):
    loaded = load(str(make_jetnet()), num_particles=2)
    np.testing.assert_array_equal(loaded.jets.particles, make_jets().particles[:, :2])
    cut = int(np.sum(make_jets().mask.sum(1) > 2))
    assert cut and any(f"{cut} jets cut to their 2" in n for n in loaded.notes)


def test_short_files_are_padded(make_jetnet, make_jets):
    loaded = load(str(make_jetnet()), num_particles=9)
    assert loaded.jets.particles.shape == (8, 9, 3)
    np.testing.assert_array_equal(loaded.jets.particles[:, :6], make_jets().particles)
    assert not loaded.jets.particles[:, 6:].any() and not loaded.jets.mask[:, 6:].any()
    assert any("padded from 6 to 9" in note for note in loaded.notes)


def test_max_jets_takes_the_first_and_says_when_there_are_fewer(make_jetnet):
    path = str(make_jetnet())
    few = load(path, max_jets=3)
    np.testing.assert_array_equal(
        few.jets.particles, load(path).jets.particles[:3], strict=True
    )
    assert few.source["jets"] == 3
    assert any("20 jets asked for, 8 found" in n for n in load(path, max_jets=20).notes)


def test_small_blocks_give_the_same_jets(make_jetnet, make_hls4ml, monkeypatch):
    paths = str(make_jetnet(num_jets=50)), str(make_hls4ml(classes="gq" * 20))
    whole = [load(path, max_jets=15) for path in paths]
    monkeypatch.setattr("jetvae_jax.data.containers.tables.BLOCK_BYTES", 1000)
    for path, expected in zip(paths, whole, strict=True):
        blocks = load(path, max_jets=15)
        np.testing.assert_array_equal(blocks.jets.particles, expected.jets.particles)
        assert len(blocks.jets.mask) == 15
        assert blocks.notes == expected.notes and blocks.source == expected.source


def test_fingerprint_is_that_of_the_jets(make_jetnet):
    first = load(str(make_jetnet("a.hdf5"))).source
    same = load(str(make_jetnet("b.hdf5"))).source
    other = load(str(make_jetnet("c.hdf5", seed=1))).source
    assert first["fingerprint"] == same["fingerprint"] != other["fingerprint"]
    assert first["layout"] == "jetnet" and first["units"] == "GeV"


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("jet_type", ["g", "t"])
def test_hls4ml_class_is_selected_by_name(make_hls4ml, make_jets, jet_type, shuffle):
    classes = "gqwztgqwzt"
    path = make_hls4ml(classes=classes, shuffle=shuffle)
    loaded = load(str(path), jet_type=jet_type, num_particles=6)
    rows = [i for i, c in enumerate(classes) if c == jet_type]
    expected = make_jets(len(classes))
    np.testing.assert_array_equal(loaded.jets.particles, expected.particles[rows])
    np.testing.assert_array_equal(loaded.jets.mask, expected.mask[rows])
    assert loaded.source["layout"] == "hls4ml"


def test_hls4ml_undefined_class_is_skipped(make_hls4ml):
    path = make_hls4ml(classes="gg", spoil=lambda a: a["jets"][0, -6:].fill(0))
    assert load(str(path)).source["jets"] == 1


def test_hls4ml_folder(make_hls4ml, tmp_path):
    make_hls4ml("b.h5", classes="gqg", seed=1)
    make_hls4ml("a.h5", classes="qgq", seed=2)
    (tmp_path / "notes.txt").write_text("not data")
    folder = load(str(tmp_path), num_particles=6)
    parts = [load(str(tmp_path / n), num_particles=6) for n in ("a.h5", "b.h5")]
    expected = np.concatenate([p.jets.particles for p in parts])
    np.testing.assert_array_equal(folder.jets.particles, expected)
    assert folder.source["files"] == ["a.h5", "b.h5"]
    two = load(str(tmp_path), num_particles=6, max_jets=2)
    np.testing.assert_array_equal(two.jets.particles, expected[:2])


def test_jetnet_folder_selects_files_by_class(make_jetnet, tmp_path):
    make_jetnet("g.hdf5", seed=1)
    make_jetnet("t.hdf5", seed=2)
    for jet_type in "gt":
        folder = load(str(tmp_path), jet_type=jet_type)
        file = load(str(tmp_path / f"{jet_type}.hdf5"))
        np.testing.assert_array_equal(folder.jets.particles, file.jets.particles)
    with pytest.raises(InputError, match=r"no file of class 'w'.*g\.hdf5, t\.hdf5"):
        load(str(tmp_path), jet_type="w")


def test_jetnet_folder_of_shards(make_jetnet, tmp_path):
    make_jetnet("shard0.hdf5", seed=1)
    make_jetnet("shard1.hdf5", seed=2)
    assert load(str(tmp_path)).source["jets"] == 16


def test_embedded_sample_is_plausible():
    loaded = load("embedded")
    particles, mask = loaded.jets.particles.astype(np.float64), loaded.jets.mask
    assert particles.shape == (20_000, 30, 3) and loaded.notes == ()
    assert "Pythia 8 replica of JetNet" in loaded.source["generator"]
    assert np.all(particles[~mask] == 0)
    pt = np.hypot(particles[..., 0], particles[..., 1])
    assert np.all(np.diff(pt, axis=1) <= 1e-4)

    total = particles.sum(axis=1)
    jet_pt = np.hypot(total[:, 0], total[:, 1])
    energy = np.linalg.norm(particles, axis=-1).sum(axis=1)
    mass = np.sqrt(energy**2 - np.square(total).sum(-1))
    phi = np.arctan2(total[:, 1], total[:, 0])
    # JetNet's gluons: jet pt 1133 +- 197 GeV, 29.9 particles of 30; the 30 leading
    # ones carry about 92 % of pt, and less of the mass of 96 GeV.
    assert 950 < np.median(jet_pt) < 1150
    assert 29.5 < mask.sum(1).mean() < 30
    assert 55 < np.mean(mass) < 90
    # No preferred azimuth: the mean cosine is 0 +- 1/sqrt(2J) = 0.005.
    assert abs(np.cos(phi).mean()) < 0.02 and abs(np.sin(phi).mean()) < 0.02


def test_embedded_file_says_what_it_is():
    assert embedded.path().stat().st_size < 8_000_000
    with h5py.File(embedded.path()) as file:
        assert 1000 < np.median(file["jet_features"][:, 0]) < 1300
        assert file.attrs["title"].startswith("Pythia 8 replica of JetNet")
        for name in ("generator", "settings", "seeds", "note", "selection"):
            assert name in file.attrs
    assert (embedded.path().parent / "README.md").is_file()
    with pytest.raises(InputError, match="gluon jets"):
        load("embedded", jet_type="t")
