"""Any two files compared, as a user of another generator does."""

import csv
import dataclasses
import fcntl
import json
import os
import pathlib
import types

import h5py
import numpy as np
import pytest

from jetvae_jax import data, runs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.data import JetNetWriter
from jetvae_jax.jets import evaluation as contest
from jetvae_jax.jets.domain import Data, Scaling
from jetvae_jax.metrics import inputs, relative
from jetvae_jax.metrics.suite import protocols

FIGURES = "none"
SMALL = {"protocols": ("mpgan_10k",), "fpnd": ""}


def jetnet_file(path, rows, *, stretch=1.0):
    """Some embedded jets as a JetNet file of their leading particles, 5 % lost."""
    jets = data.load("embedded", max_jets=1200).jets
    p = jets.particles[rows].astype(np.float64)
    mask = jets.mask[rows]
    total = p.sum(1)
    pt = np.hypot(p[..., 0], p[..., 1])
    jet_pt = np.hypot(total[:, 0], total[:, 1])[:, None] / 0.95
    eta = np.arcsinh(total[:, 2] / np.hypot(total[:, 0], total[:, 1]))[:, None]
    phi = np.arctan2(total[:, 1], total[:, 0])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        etarel = np.arcsinh(p[..., 2] / pt) - eta
    angle = np.arctan2(p[..., 1], p[..., 0]) - phi
    phirel = np.angle(np.exp(1j * angle))
    features = np.stack([stretch * etarel, stretch * phirel, pt / jet_pt, mask], -1)
    features = np.where(mask[..., None], features, 0)
    jet = np.column_stack([jet_pt[:, 0], eta[:, 0], 0 * eta[:, 0], mask.sum(1)])
    with h5py.File(path, "w") as file:
        file["particle_features"] = features.astype(np.float32)
        file["jet_features"] = jet.astype(np.float32)
    return str(path), features, mask


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    real, *_ = jetnet_file(folder / "g.hdf5", slice(0, 800))
    wide, *_ = jetnet_file(folder / "wide.hdf5", slice(800, 1200), stretch=1.4)
    fine, *_ = jetnet_file(folder / "fine.hdf5", slice(800, 1200))
    return folder, real, wide, fine


@pytest.fixture(scope="module")
def compared(files):
    folder, real, wide, fine = files
    config = runs.EvaluateConfig(real=real, generated=(wide, fine), **SMALL)
    # The time goes into transport between 100 jets each, ten times; fewer do here.
    quick = dataclasses.replace(protocols.MPGAN_10K, cov_mmd=protocols.Draws(20, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(protocols.KNOWN, quick.name, quick)
        report = runs.evaluate(folder / "out", config)
    return report, json.loads((report.parent / "evaluation.json").read_text())


def test_two_files_are_compared_and_told_apart(compared):
    _, result = compared
    assert result["jets"] == 400 and set(result["candidates"]) == {"wide", "fine"}
    wide, fine = (result["candidates"][n] for n in ("wide", "fine"))
    for name in ("w1m", "w1p", "w1efp"):
        good = fine["protocols"]["mpgan_10k"][name]["value"]
        assert good < 0.5 * wide["protocols"]["mpgan_10k"][name]["value"], name
    assert wide["jet"]["width"]["ks"] > 1.5 * fine["jet"]["width"]["ks"]
    assert any("one half" in note for note in result["notes"])
    assert result["trained_on"] == [] and result["run"] is None


def test_relative_features_are_those_of_the_files(files, tmp_path):
    # 5 % of the pt is outside of the leading particles, and must stay so.
    path, features, mask = jetnet_file(tmp_path / "g.hdf5", slice(0, 200))
    loaded = data.load(path)
    found = relative(loaded.jets, loaded.axis)
    np.testing.assert_allclose(
        found.particles, features[..., [2, 0, 1]], rtol=1e-4, atol=2e-6
    )
    np.testing.assert_array_equal(found.mask, mask)


def test_everything_is_written(compared):
    report, result = compared
    folder = report.parent
    html = report.read_text()
    assert "wide" in html and "fine" in html and "arXiv" in html
    lines = (folder / "evaluation.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert {row["sample"] for row in rows} == {"wide", "fine", "floor"}
    w1m = next(row for row in rows if (row["sample"], row["metric"]) == ("wide", "w1m"))
    stored = result["candidates"]["wide"]["protocols"]["mpgan_10k"]["w1m"]
    assert float(w1m["value"]) == stored["value"]
    assert "wide & mpgan" in (folder / "evaluation.tex").read_text()
    text = (folder / "evaluation.txt").read_text()
    assert "W1M" in text
    assert all(f"note: {note}\n" in text for note in result["notes"])


def test_boundary_conditions_of_real_and_generated_jets(compared):
    report, result = compared
    rows = result["conditions"]
    assert list(rows["edge"]["values"]) == ["real", "wide", "fine"]
    # Stretched jets have more hard particles outside than others; the mass that the
    # files state, zero, is not that of their particles.
    edge = rows["edge"]["values"]
    assert edge["wide"] > 5 * max(edge["fine"], edge["real"])
    assert rows["ptrel_sum"]["values"]["fine"] == pytest.approx(0.95, abs=0.01)
    assert rows["stated_mass"]["values"]["real"] > 0.05
    assert rows["stated_count"]["values"] == dict.fromkeys(("real", "wide", "fine"), 0)
    assert "mass_shell" not in rows  # no energy in these files
    text = (report.parent / "evaluation.txt").read_text()
    for written in (text, report.read_text()):
        assert "Boundary conditions" in written and rows["edge"]["label"] in (
            written.replace("&gt;", ">")
        )


def test_generated_jets_of_this_package_have_their_own_axis(files, tmp_path):
    _, real, _, _ = files
    jets = data.load("embedded", max_jets=300).jets
    with JetNetWriter(tmp_path / "ours.hdf5", num_particles=30) as writer:
        writer.append(jets._replace(axis=None))
    ours = str(tmp_path / "ours.hdf5")
    assert data.load(ours).axis is None
    config = runs.EvaluateConfig(real=real, generated=(ours,), **SMALL)
    found = contest.gather(Workdir(tmp_path), None, config, Data())
    assert found.axes is None and set(found.candidates) == {"ours"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generated": ()}, "evaluate.generated"),
        ({"generated": ("/no/such.hdf5",)}, "/no/such.hdf5"),
        ({"truth": "/no/truth.hdf5"}, "/no/truth.hdf5"),
        ({"generated": ("fine", "fine")}, "twice"),
        ({"fpnd": "/no/wheel.whl"}, "/no/wheel.whl"),
    ],
)
def test_what_is_missing_is_named(files, tmp_path, change, message):
    _, real, wide, fine = files
    known = {"fine": fine, "wide": wide}
    if "generated" in change:
        change = {"generated": tuple(known.get(n, n) for n in change["generated"])}
    settings = {"real": real, "generated": (wide,), **SMALL} | change
    with pytest.raises(InputError, match=message) as caught:
        runs.evaluate(tmp_path, runs.EvaluateConfig(**settings))
    assert "\n" not in str(caught.value)


def test_a_second_evaluation_of_one_folder_hears_of_the_first(files, tmp_path):
    _, real, wide, _ = files
    config = runs.EvaluateConfig(real=real, generated=(wide,), **SMALL)
    with open(tmp_path / ".evaluation.lock", "a+") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="is in use by another process"):
            runs.evaluate(tmp_path, config)
    assert os.listdir(tmp_path) == [".evaluation.lock"]


def test_a_mistyped_protocol_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="jetnet_50k"):
        runs.EvaluateConfig(protocols=("jetnet_50",))


def test_one_jet_and_damaged_files(files, tmp_path):
    _, real, wide, _ = files
    one, *_ = jetnet_file(tmp_path / "one.hdf5", slice(0, 1))
    cut = tmp_path / "cut.hdf5"
    with open(wide, "rb") as file:
        cut.write_bytes(file.read()[:20_000])
    for path, message in ((one, "single jet"), (str(cut), "cut.hdf5")):
        config = runs.EvaluateConfig(real=real, generated=(path,), **SMALL)
        with pytest.raises(InputError, match=message):
            runs.evaluate(tmp_path, config)


def test_what_is_wrong_with_judged_jets_is_noted(files, tmp_path):
    """They are judged as they are; jets that are no numbers cannot be."""
    _, real, wide, _ = files
    faulty = tmp_path / "faulty.hdf5"
    faulty.write_bytes(pathlib.Path(wide).read_bytes())
    with h5py.File(faulty, "a") as file:
        particles = file["particle_features"]
        particles[7, 0, 0] = np.nan
        particles[8, 0, 2] = np.inf
        for name in ("particle_features", "jet_features"):
            file[name][10:110] = file[name][10:11]
    config = runs.EvaluateConfig(real=real, generated=(str(faulty),), **SMALL)
    found = contest.gather(Workdir(tmp_path), None, config, Data())
    assert len(found.candidates["faulty"].mask) == 398
    notes = [note for note in found.notes if note.startswith("faulty:")]
    assert any("NaN or infinite value: 2 rows dropped" in note for note in notes)
    assert "faulty: 99 of 398 jets are the same as an earlier one" in notes


@pytest.mark.parametrize(
    "paths, names",
    [
        ("a/mpgan.hdf5 b/epic.root", "mpgan epic"),
        ("gen.parquet gen.root", "gen.parquet gen.root"),
        ("a/gen.hdf5 b/gen.hdf5 real.npz", "a_gen b_gen real_file"),
        ("1/a/gen.hdf5 2/a/gen.hdf5", "1_a_gen.hdf5 2_a_gen.hdf5"),
        ("x/gen.npz y/gen.npz x_gen.npz", "x/gen.npz y_gen x_gen"),
    ],
)
def test_short_names_of_files(paths, names):
    paths = tuple(paths.split())
    assert inputs.named(paths) == dict(zip(names.split(), paths, strict=True))


@pytest.mark.parametrize("number", [1, 3])
def test_too_few_real_jets_for_two_halves(number):
    with pytest.raises(InputError, match=rf"g\.hdf5: too few .*, {number} in all"):
        inputs.halves("g.hdf5", number, 0, [])


def test_the_size_of_the_training_limits_no_evaluation(files, tmp_path):
    """Nor is it asked of generated files, with a note that there are fewer."""
    _, real, wide, _ = files
    run = types.SimpleNamespace(
        data=Data(path=real, num_particles=30, max_jets=50),
        scaling=Scaling(),
        model="conv_vae",
    )
    parts = types.SimpleNamespace(test=data.load(real).jets, train=data.load(real).jets)
    trained = types.SimpleNamespace(
        run=run, meta={"notes": [], "source": {}}, data=lambda: parts
    )
    config = runs.EvaluateConfig(generated=(wide,), **SMALL)
    jets = contest.gather(Workdir(tmp_path), trained, config, Data())
    assert len(jets.candidates["wide"].mask) == 400
    assert not any("asked for" in note for note in jets.notes)


def test_a_file_named_twice():
    with pytest.raises(InputError, match="is listed twice"):
        inputs.named(("a/gen.npz", "a/./gen.npz"))


def test_real_jets_of_another_class_are_noted():
    def notes(value, num_jets):
        found = {"value": value, "num_jets": num_jets}
        floor = {"protocols": {"a": {"w1m": found}, "b": {"fpnd": found}}}
        return contest._other_class(floor, "g")

    (note,) = notes(62.7, 50_000)
    assert "62.7" in note and "--data.jet_type" in note
    assert notes(0.4, 50_000) == []
    assert notes(62.7, 500) == []  # the bias of so few jets is large
