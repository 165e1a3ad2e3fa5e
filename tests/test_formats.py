"""Every written format is read back by the tool of its own ecosystem."""

import json
import sys

import h5py
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data import load, writing
from jetvae_jax.data.writing import JetWriter

NAMES = ["jets.parquet", "jets.root", "jets.npz"]
ATTRS = {"seed": 7, "flow": {"layers": [1, 2]}, "generator": "made up"}


@pytest.fixture
def jets(make_jets):
    """50 jets, particles out of order, one of them empty, NaN on the padding."""
    jets = make_jets(50, 6)
    mask = np.array(jets.mask)
    mask[3] = False
    order = np.random.default_rng(1).permutation(6)
    particles = np.where(mask[..., None], jets.particles, np.nan)
    return Jets(particles[:, order], mask[:, order])


def write(path, *parts, num_particles=6):
    with writing.writer(path, num_particles=num_particles, attrs=ATTRS) as writer:
        for part in parts:
            writer.append(part)
    return path


def sorted_lists(jets):
    """px, py, pz of each jet in falling pt, by a plain loop."""
    for particles, mask in zip(jets.particles, jets.mask, strict=True):
        found = particles[mask].astype(np.float64)
        yield found[np.argsort([-np.hypot(x, y) for x, y, _ in found], kind="stable")]


def check_jets(jets, lists, columns):
    """Lists of particles and columns of jets against float64 sums."""
    for i, wanted in enumerate(sorted_lists(jets)):
        np.testing.assert_allclose(lists[i], wanted, rtol=1e-6)
        assert columns["jet_nparticles"][i] == len(wanted)
        px, py, pz = wanted.sum(0) if len(wanted) else (0, 0, 0)
        energy = sum(np.sqrt((p**2).sum()) for p in wanted)
        mass = np.sqrt(max(energy**2 - px**2 - py**2 - pz**2, 0))
        np.testing.assert_allclose(columns["jet_pt"][i], np.hypot(px, py), rtol=1e-6)
        np.testing.assert_allclose(columns["jet_mass"][i], mass, rtol=1e-4)
        if len(wanted):
            theta = np.arccos(pz / np.sqrt(px**2 + py**2 + pz**2))
            np.testing.assert_allclose(
                columns["jet_eta"][i], -np.log(np.tan(theta / 2)), atol=1e-5
            )
            np.testing.assert_allclose(
                columns["jet_phi"][i], np.arctan2(py, px), atol=1e-6
            )


def check_facts(text):
    facts = json.loads(text)
    assert {k: facts[k] for k in ATTRS} == ATTRS
    assert facts["units"]["part_px"] == "GeV"
    assert facts["units"]["jet_phi"] == "rad"
    assert facts["empty_jets"] == 1
    assert facts["writer"].startswith("jetvae_jax ")


def test_parquet_by_pyarrow(jets, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(write(tmp_path / "jets.parquet", jets))
    columns = {name: table[name].to_pylist() for name in table.column_names}
    xyz = zip(columns["part_px"], columns["part_py"], columns["part_pz"], strict=True)
    check_jets(jets, [np.reshape(p, (3, -1)).T for p in xyz], columns)
    assert table.schema.field("jet_mass").metadata == {b"unit": b"GeV"}
    metadata = pq.read_metadata(tmp_path / "jets.parquet").metadata
    check_facts(metadata[b"jetvae_jax"])


def test_root_by_uproot(jets, tmp_path):
    uproot = pytest.importorskip("uproot")
    with uproot.open(write(tmp_path / "jets.root", jets)) as file:
        columns = file["tree"].arrays(library="np")
        check_facts(str(file["provenance"]))
    xyz = zip(columns["part_px"], columns["part_py"], columns["part_pz"], strict=True)
    check_jets(jets, [np.stack(p, -1) for p in xyz], columns)
    assert list(columns["npart"]) == list(columns["jet_nparticles"])


def test_npz_by_numpy(jets, tmp_path):
    with np.load(write(tmp_path / "jets.npz", jets, num_particles=8)) as file:
        arrays = dict(file)
    assert arrays["particles"].shape == (50, 8, 3)
    assert arrays["mask"].shape == (50, 8)
    assert not arrays["particles"][~arrays["mask"]].any()
    columns = dict(zip(arrays["jet_columns"].tolist(), arrays["jets"].T, strict=True))
    pairs = zip(arrays["particles"], arrays["mask"], strict=True)
    check_jets(jets, [p[m] for p, m in pairs], columns)
    assert str(arrays["units"]) == "GeV"
    assert arrays["columns"].tolist() == ["px", "py", "pz"]
    check_facts(str(arrays["provenance"]))


def test_hdf5_by_h5py(jets, tmp_path):
    with h5py.File(write(tmp_path / "jets.hdf5", jets)) as file:
        assert file["particle_features"].shape == (50, 6, 4)
        assert file.attrs["seed"] == 7


@pytest.mark.parametrize("name", NAMES)
def test_read_again_by_load(jets, tmp_path, name):
    loaded = load(str(write(tmp_path / name, jets)), num_particles=8)
    assert loaded.jets.particles.shape == (50, 8, 3)
    assert loaded.source["generator"] == "made up"
    for i, wanted in enumerate(sorted_lists(jets)):
        found = loaded.jets.particles[i][loaded.jets.mask[i]]
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_many_appends_are_one_file(jets, tmp_path, name):
    parts = [Jets(jets.particles[i::3], jets.mask[i::3]) for i in range(3)]
    order = np.concatenate([np.arange(50)[i::3] for i in range(3)])
    once = load(str(write(tmp_path / f"once_{name}", jets)))
    thrice = load(str(write(tmp_path / f"thrice_{name}", *parts)))
    np.testing.assert_array_equal(once.jets.particles[order], thrice.jets.particles)


@pytest.mark.parametrize("name", NAMES)
def test_groups_are_one_file(make_jets, tmp_path, name, monkeypatch):
    jets = make_jets(50, 6)
    whole = load(str(write(tmp_path / f"whole_{name}", jets)))
    monkeypatch.setattr(writing, "GROUP", 7)
    grouped = load(str(write(tmp_path / f"groups_{name}", jets)))
    np.testing.assert_array_equal(whole.jets.particles, grouped.jets.particles)


@pytest.mark.parametrize("name", NAMES)
def test_no_jets_is_a_file_without_jets(make_jets, tmp_path, name):
    jets = make_jets(3, 6)
    write(tmp_path / name, Jets(jets.particles[:0], jets.mask[:0]))
    write(tmp_path / name)
    with pytest.raises(InputError, match="no jets in it"):
        load(str(tmp_path / name))


@pytest.mark.parametrize("name", [*NAMES, "jets.hdf5"])
def test_a_failure_leaves_the_old_file(jets, tmp_path, name):
    path = write(tmp_path / name, jets)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), writing.writer(path, num_particles=6) as writer:
        writer.append(jets)
        raise RuntimeError
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_not_there(jets, tmp_path, name):
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "no" / name, jets)


def test_an_unknown_suffix(tmp_path):
    with pytest.raises(InputError, match=r"\.csv: unknown suffix: give one of \.hdf5"):
        writing.writer(tmp_path / "jets.csv", num_particles=3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda j: Jets(j.particles[0], j.mask[0]), "expected particles"),
        (lambda j: Jets(np.tile(j.particles, (1, 2, 1)), np.tile(j.mask, 2)), "fit in"),
        (lambda j: Jets(j.particles * np.nan, j.mask), "no finite positive pt"),
        (lambda j: Jets(j.particles * 0, j.mask), "no finite positive pt"),
    ],
)
def test_programming_errors(make_jets, tmp_path, name, spoil, error):
    with (
        pytest.raises(ValueError, match=error),
        JetWriter(tmp_path / name, num_particles=6) as writer,
    ):
        writer.append(spoil(make_jets()))
    assert not list(tmp_path.iterdir())


def test_outside_a_with_block(make_jets, tmp_path):
    with pytest.raises(ValueError, match="with block"):
        JetWriter(tmp_path / "a.npz", num_particles=6).append(make_jets())


@pytest.mark.parametrize("name", ["jets.parquet", "jets.root"])
def test_a_missing_package_is_named(jets, tmp_path, name, monkeypatch):
    path = write(tmp_path / name, jets)
    for module in ("pyarrow", "pyarrow.parquet", "uproot", "awkward"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"pip install 'jetvae_jax\[formats\]'"):
        load(str(path))
    with pytest.raises(InputError, match=r"pip install 'jetvae_jax\[formats\]'"):
        write(tmp_path / f"other_{name}", jets)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_one_line(jets, tmp_path, name, kept):
    path = write(tmp_path / name, jets)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    with pytest.raises(InputError, match=name) as error:
        load(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_flipped_bits_never_escape(jets, tmp_path, name):
    """Whatever is changed: jets, or one line that names the file."""
    path = write(tmp_path / name, jets)
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _ in range(60):
        spoiled = bytearray(whole)
        for place in rng.integers(len(whole), size=3):
            spoiled[place] ^= 1 << rng.integers(8)
        path.write_bytes(spoiled)
        try:
            assert load(str(path)).jets.particles.shape[1:] == (30, 3)
        except InputError as error:
            assert name in str(error)
