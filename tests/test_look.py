"""A look at files: right counts, every defect named, damage survived."""

import re

import fuzzing
import h5py
import numpy as np
import pytest

from jetvae_jax import training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data import embedded, load, split, writing
from jetvae_jax.data.inspection import FIT, look
from jetvae_jax.data.validation import hashes as _hashes
from jetvae_jax.report import inspection as plots

ENOUGH = 1200


def test_the_embedded_sample_is_fit():
    seen = look(embedded.path(), max_jets=3000)
    assert seen.verdict == FIT
    assert seen.summary["layout"] == "jetnet"
    assert seen.summary["jets"] == "3,000 read, 3,000 good"
    assert str(seen).endswith(f"\n{FIT}")
    with h5py.File(embedded.path()) as file:
        p = file["particle_features"][:3000].astype(np.float64)
        jets = file["jet_features"][:3000].astype(np.float64)
    mask = p[..., 3] > 0
    pt = p[..., 2] * jets[:, :1]
    np.testing.assert_allclose(
        seen.ranges["particle pt [GeV]"],
        (pt[mask].min(), pt[mask].mean(), pt[mask].max()),
        rtol=1e-5,
    )
    counts = mask.sum(1)
    assert seen.ranges["particles"] == (counts.min(), counts.mean(), counts.max())
    assert seen.summary["padding"].startswith(f"{1 - mask.mean():.1%} ")
    inside = np.histogram(np.log10(pt[mask]), 90, (-4, 5))[0]
    np.testing.assert_allclose(
        seen.particles["log10(pt / GeV)"][0], inside, atol=3
    )  # rounding across an edge


def test_rows_with_problems_are_counted(make_jetnet):
    def spoil(arrays):
        arrays["particle_features"][2, 0, 0] = np.nan
        arrays["particle_features"][3:5, 0, 2] = 9
        arrays["jet_features"][7, 0] = -1

    seen = look(make_jetnet(num_jets=ENOUGH, spoil=spoil))
    assert seen.reasons == (
        "particle_features: NaN or infinite value: 1 row",
        "particle_features: sum of ptrel above 1.5, it should be 1: 2 rows",
        "jet_features: pt is zero or negative: 1 row",
        f"{ENOUGH - 4:,} of {ENOUGH:,} jets are good: --data.repair drops or reorders "
        "the others",
    )
    assert seen.summary["jets"] == "1,200 read, 1,196 good"
    assert "not fit to train as it is:\n  - particle_features" in str(seen)


def test_repair_judges_what_is_left(make_jetnet):
    def spoil(arrays):
        arrays["particle_features"][2, 0, 0] = np.nan
        for values in arrays.values():
            values[-30:] = values[10:40]

    path = make_jetnet(num_jets=ENOUGH, spoil=spoil)
    assert len(look(path).reasons) == 2
    seen = look(path, repair=True)
    assert seen.verdict == FIT
    assert "particle_features: NaN or infinite value: 1 row" in seen.remarks
    assert "1,169 of 1,200 jets are left by --data.repair" in seen.remarks
    few = make_jetnet(num_jets=1020, spoil=spoil)
    seen = look(few, repair=True)
    assert seen.verdict == FIT
    assert "989 good jets are few: 1,000 or more are better" in seen.remarks


def test_order_is_a_remark(make_jetnet):
    def spoil(arrays):
        p = arrays["particle_features"]
        full = p[..., 3].all(1)
        p[full] = p[full, ::-1]
        spoil.number = int(full.sum())

    seen = look(make_jetnet(num_jets=ENOUGH, spoil=spoil))
    assert seen.verdict == FIT
    assert f"{spoil.number} jets not in falling pt: readers sort them" in seen.remarks
    # Said once, not once a block.
    assert not any("sorted by" in remark for remark in seen.remarks)


def test_holes_are_to_be_repaired(make_jetnet):
    def spoil(arrays):
        arrays["particle_features"][5, 0] = 0

    seen = look(make_jetnet(num_jets=ENOUGH, spoil=spoil))
    assert seen.reasons[0] == "particle_features: padding before particles: 1 row"


def test_duplicates(make_jetnet):
    def spoil(arrays):
        for values in arrays.values():
            values[-30:] = values[:30]

    seen = look(make_jetnet(num_jets=ENOUGH, spoil=spoil))
    assert seen.summary["duplicates"] == "30"
    assert seen.verdict == FIT  # training takes them, and says so too
    assert any("30 jets are in it twice" in remark for remark in seen.remarks)


@pytest.mark.parametrize("number", [100, 143, 300])
def test_the_verdict_is_that_of_training(make_jetnet, number):
    """With the defaults of the training, whatever else is better."""

    def spoil(arrays):
        for values in arrays.values():
            values[-5:] = values[:5]

    path = str(make_jetnet(num_jets=number, spoil=spoil))
    seen = look(path)
    config = training.Config()
    rows = split(0, len(load(path).jets.mask)).train
    assert (seen.verdict == FIT) == (len(rows) >= config.batch_size)


def test_jets_without_pt_are_not_fit(make_jetnet):
    path = make_jetnet(num_jets=ENOUGH, spoil=lambda a: a.pop("jet_features"))
    seen = look(path)
    assert "no pt of the jets" in seen.reasons[0]
    with pytest.raises(InputError, match="no pt of the jets"):
        load(str(path))


def test_hashes_tell_jets_apart(make_jets):
    jets = make_jets(4000, 6)
    mask = np.asarray(jets.mask)
    hashes = _hashes(np.asarray(jets.particles), mask)
    assert len(np.unique(hashes)) == 4000
    wider = np.pad(jets.particles, ((0, 0), (0, 3), (0, 0)))
    np.testing.assert_array_equal(
        _hashes(wider, np.pad(mask, ((0, 0), (0, 3)))), hashes
    )
    # The order of the particles and of their components counts.
    assert not np.isin(_hashes(jets.particles[..., ::-1], mask), hashes).any()


@pytest.mark.parametrize(("factor", "unit"), [(1e3, "MeV"), (1e-3, "TeV")])
def test_units_are_guessed(make_jetnet, factor, unit):
    def spoil(arrays):
        arrays["jet_features"][:, 0] *= factor

    seen = look(make_jetnet(num_jets=ENOUGH, spoil=spoil))
    assert seen.summary["guessed unit"].startswith(unit)
    assert any(f"look like {unit}" in reason for reason in seen.reasons)


def test_too_few(make_jetnet):
    assert look(make_jetnet(num_jets=12)).reasons == (
        "12 good jets are too few: 1,000 or more",
    )


def test_classes_are_counted(make_hls4ml):
    seen = look(make_hls4ml(classes="gqwzt" * 300 + "g" * 500), jet_type="q")
    assert seen.summary["classes"] == (
        "g 800 (40%), q 300 (15%), t 300 (15%), w 300 (15%), z 300 (15%)"
    )
    assert seen.summary["jets"] == "300 read, 300 good"


def test_another_class_is_named(make_hls4ml):
    seen = look(make_hls4ml(classes="tttwtt"))
    assert len(seen.reasons) == 1 and "look at t or w by" in seen.reasons[0]


@pytest.mark.parametrize("jet_type", ["g", "q"])
def test_jets_of_a_class_that_shares_its_name(tmp_path, jet_type):
    """In top tagging files the classes g and q are one, 'QCD'."""
    path = tmp_path / "train.h5"
    fuzzing.write(path, "toptagging", np.random.default_rng(3))
    seen = look(path, jet_type=jet_type)
    assert seen.summary["jets"] == "6 read, 6 good"
    assert seen.reasons == ("6 good jets are too few: 1,000 or more",)


def test_damage_ends_the_look_and_is_a_reason(make_jetnet, monkeypatch):
    path = make_jetnet(num_jets=4000)
    with h5py.File(path) as file:
        arrays = {key: data[:] for key, data in file.items()}
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            file.create_dataset(
                key, data=values, chunks=(500, *values.shape[1:]), compression="gzip"
            )
        place = file["particle_features"].id.get_chunk_info(5).byte_offset
    whole = bytearray(path.read_bytes())
    whole[place : place + 200] = bytes(200)
    path.write_bytes(whole)
    monkeypatch.setattr(
        "jetvae_jax.data.containers.tables.BLOCK_BYTES", 500 * 6 * 4 * 4
    )
    seen = look(path)
    assert seen.summary["damaged"] == "after 2,500 jets; what follows is of those"
    assert seen.summary["jets"] == "2,500 read, 2,500 good"
    assert "truncated or damaged" in seen.reasons[0]
    assert len(seen.jets["eta"]) == 2500
    repaired = look(path, repair=True)
    assert repaired.verdict == FIT
    assert any("kept: 2500 rows before the damage" in r for r in repaired.remarks)
    with pytest.raises(InputError, match="to keep 2500 rows"):
        load(str(path))
    loaded = load(str(path), repair=True)
    assert len(loaded.jets.mask) == 2500
    assert any("2500 rows before the damage" in note for note in loaded.notes)


@pytest.mark.parametrize("content", [b"", b"not a file of jets", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_file_of_jets(tmp_path, content):
    path = tmp_path / "a.hdf5"
    path.write_bytes(content)
    seen = look(path)
    assert len(seen.reasons) == 2
    assert seen.reasons[1] == "no good jet in it"
    assert "a.hdf5" in str(seen)


def test_requests_that_make_no_sense(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        look(tmp_path / "a.hdf5")
    with pytest.raises(InputError, match="jet_type"):
        look(embedded.path(), jet_type="x")
    with pytest.raises(InputError, match="missing: py, pz"):
        look(embedded.path(), columns=("px=a",))


@pytest.mark.parametrize("suffix", ["parquet", "root", "npz"])
def test_other_formats(make_jets, tmp_path, suffix):
    pytest.importorskip(
        {"parquet": "pyarrow", "root": "uproot", "npz": "numpy"}[suffix]
    )
    jets = make_jets(ENOUGH, 6)
    path = tmp_path / f"jets.{suffix}"
    with writing.writer(path, num_particles=6) as writer:
        writer.append(jets)
    seen = look(path)
    assert seen.verdict == FIT
    assert seen.ranges["particles"][1] == pytest.approx(np.mean(jets.mask.sum(1)))


def test_single_and_distant_particles_are_remarks(make_jets, tmp_path):
    jets = make_jets(ENOUGH, 6)
    mask = np.array(jets.mask)
    particles = np.array(jets.particles)
    mask[:3, 1:] = False
    particles[10, 1] = -0.01 * particles[10, 0]  # soft, at the other side
    with writing.writer(tmp_path / "a.npz", num_particles=6) as writer:
        writer.append(Jets(particles, mask))
    seen = look(tmp_path / "a.npz")
    assert "3 jets with a single particle" in seen.remarks
    assert "1 jet with a particle 1.5 or more from the axis" in seen.remarks


def test_plots(make_jetnet, tmp_path):
    pytest.importorskip("matplotlib")
    plots.write(tmp_path / "good.png", look(make_jetnet(num_jets=50)))
    assert (tmp_path / "good.png").read_bytes()[:4] == b"\x89PNG"
    (tmp_path / "bad.hdf5").write_bytes(b"")
    plots.write(tmp_path / "bad.png", look(tmp_path / "bad.hdf5"))
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(InputError, match="cannot be written"):
        plots.write(tmp_path / "no" / "a.png", look(tmp_path / "bad.hdf5"))
    drawn = plots.figure(look(make_jetnet(num_jets=50)))
    names = [a.get_xlabel() for a in drawn.axes if re.match("jet|part", a.get_xlabel())]
    assert len(names) == 9
    assert {a.get_ylabel() for a in drawn.axes if a.get_xlabel()} == {
        "jets", "particles"
    }  # fmt: skip
