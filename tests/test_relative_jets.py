"""Jets without pt, as MPGAN and EPiC-GAN write them, judged by what needs none."""

import dataclasses
import json

import h5py
import jax
import numpy as np
import pytest
from test_evaluate_files import jetnet_file

from jetvae_jax import data, metrics, runs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Jets, RelativeJets
from jetvae_jax.data.loading import LoadedRelative, load_judged
from jetvae_jax.jets import evaluation as contest
from jetvae_jax.jets.domain import Data
from jetvae_jax.metrics import inputs
from jetvae_jax.metrics.suite import protocols
from jetvae_jax.metrics.suite.sample import PtUnknown, Sample


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """etarel, phirel, ptrel, mask [J, N, 4] of 400 jets, and their file with pt."""
    path = tmp_path_factory.mktemp("files") / "wide.hdf5"
    path, x, _ = jetnet_file(path, slice(800, 1200), stretch=1.4)
    return path, x.astype(np.float32)


def write(path, x):
    if path.suffix == ".npy":
        np.save(path, x)
    elif path.suffix == ".npz":
        np.savez(path, gen_jets=x)
    else:
        with h5py.File(path, "w") as file:
            file["particle_features"] = x
    return str(path)


def hide(x, value):
    return np.where(x[..., 3:] > 0, x[..., :3], value)


FORMS = {
    "mpgan.npy": lambda x: x[..., :3],
    "mask.npy": lambda x: x,
    "epic.npy": lambda x: x[..., [2, 0, 1]],
    "double.npz": lambda x: x[..., :3].astype(np.float64),
    "jetnet.hdf5": lambda x: x,
    "first.npy": lambda x: np.swapaxes(x[..., :3], 1, 2),
    "nan.npy": lambda x: hide(x, np.nan),
    "code.npz": lambda x: hide(x, -999.0),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_jets(features, tmp_path, name):
    _, x = features
    path = write(tmp_path / name, FORMS[name](x))
    found = load_judged(path)
    assert isinstance(found, LoadedRelative)
    np.testing.assert_array_equal(found.jets.mask, x[..., 3] > 0)
    np.testing.assert_array_equal(found.jets.particles, x[..., [2, 0, 1]])
    assert any("columns taken as" in note for note in found.notes)
    with pytest.raises(InputError, match="can be evaluated, not trained on") as error:
        data.load(path)
    assert "\n" not in str(error.value)


def test_named_columns_and_a_mask_beside(features, tmp_path):
    _, x = features
    mask = x[..., 3] > 0
    columns = dict(zip(("etarel", "phirel", "ptrel"), x.T, strict=False))
    np.savez(tmp_path / "a.npz", **{f"part_{k}": v.T for k, v in columns.items()})
    np.savez(tmp_path / "b.npz", x=x[..., :3], mask=mask)
    np.savez(tmp_path / "c.npz", **{k[1:]: v.T for k, v in columns.items()})
    mapping = ("ptrel=trel", "etarel=tarel", "phirel=hirel")
    for name, how in (("a", ()), ("b", ()), ("c", mapping)):
        found = load_judged(str(tmp_path / f"{name}.npz"), columns=how)
        np.testing.assert_array_equal(found.jets.particles, x[..., [2, 0, 1]])
        np.testing.assert_array_equal(found.jets.mask, mask)


def test_an_order_that_is_stated(features, tmp_path):
    """It is not doubted: phirel first, ptrel in the middle, of any sum."""
    _, x = features
    odd = x[..., [1, 2, 0]] * np.float32([1, 0.1, 1])
    path = write(tmp_path / "odd.npy", odd)
    with pytest.raises(InputError, match="name the columns in their order"):
        load_judged(path)
    found = load_judged(path, columns=("phirel", "ptrel", "etarel"))
    np.testing.assert_array_equal(found.jets.particles, odd[..., [1, 2, 0]])


STATED = ("etarel", "phirel", "ptrel")


def test_phirel_of_a_whole_turn_is_within_pi(features, tmp_path):
    """0 to 2 pi, and -3 pi: the same angles, whose differences make the mass."""
    _, x = features
    x = x[..., :3].astype(np.float64)
    turned = x.copy()
    turned[::2, :, 1] %= 2 * np.pi
    turned[1::2, :, 1] -= np.where(x[1::2, :, 2] > 0, 2 * np.pi, 0)
    found = load_judged(write(tmp_path / "a.npy", turned), columns=STATED)
    wanted = load_judged(write(tmp_path / "b.npy", x), columns=STATED)
    np.testing.assert_allclose(
        found.jets.particles, wanted.jets.particles, rtol=0, atol=1e-6
    )
    assert any("phirel beyond pi" in note for note in found.notes)
    assert not any("phirel beyond pi" in note for note in wanted.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x * np.float32([1, 1, 900]), "400 jets whose ptrel do not sum to"),
        (lambda x: x + (x[..., 2:] > 0) * np.float32([1, 0, 0]), "400 jets that are"),
    ],
)
def test_stated_features_that_are_not_relative_are_doubted_aloud(
    features, tmp_path, change, words
):
    path = write(tmp_path / "a.npy", change(features[1][..., :3]))
    assert any(words in note for note in load_judged(path, columns=STATED).notes)
    path = write(tmp_path / "b.npy", features[1][..., :3])
    assert not any("jets " in note for note in load_judged(path, columns=STATED).notes)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 1000 * x[..., :3],  # momenta
        lambda x: np.log(np.abs(x[..., :3]) + 1e-3),
        lambda x: x[..., [1, 2, 0]],
        lambda x: np.concatenate([x[..., :3], x[..., 2:3]], -1),  # no mask
    ],
)
def test_what_does_not_look_like_relative_features_is_refused(
    features, tmp_path, change
):
    path = write(tmp_path / "a.npy", change(features[1]))
    with pytest.raises(InputError, match="name the columns in their order") as error:
        load_judged(path)
    assert "\n" not in str(error.value)


def test_a_network_may_give_negative_ptrel(features, tmp_path):
    x = features[1][..., :3].copy()
    x[:7, 0, 2] *= -1
    found = load_judged(write(tmp_path / "a.npy", x), repair=True)
    assert len(found.jets.mask) == len(x)
    assert found.jets.mask.sum() == (x[..., 2] > 0).sum()
    assert (found.jets.particles[..., 0] >= 0).all()
    assert any("7 jets with particles of negative ptrel" in n for n in found.notes)


QUICK = dataclasses.replace(
    protocols.JETNET_50K, cov_mmd=protocols.Draws(20, 2), kpd=protocols.Draws(100, 3),
    w1=protocols.Draws(300, 3), fpd=protocols.Extrapolation(100, 300, 3, 3), fpnd=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def samples():
    loaded = data.load("embedded", max_jets=600)
    half = [jax.tree.map(lambda a, i=i: a[i::2], loaded.jets) for i in range(2)]
    return half, [loaded.axis[i::2] for i in range(2)]


@pytest.fixture(scope="module")
def whole(samples):
    """The same jets judged with their pt."""
    (real, other), axes = samples
    axes = dict(zip(("real", "jets"), axes, strict=True))
    return metrics.evaluate(jax.random.key(0), real, other, protocol=QUICK, axes=axes)


@pytest.mark.parametrize(
    "pair", ["relative beside GeV", pytest.param("both", marks=pytest.mark.slow)]
)
def test_what_needs_no_pt_is_that_of_the_jets_with_pt(samples, whole, pair):
    (real, other), axes = samples
    relative = [
        metrics.relative(Jets(j.particles, j.mask), a)
        for j, a in zip((real, other), axes, strict=True)
    ]
    key = jax.random.key(0)
    if pair == "both":
        found = metrics.evaluate(key, *relative, protocol=QUICK)
    else:
        axis = {"real": axes[0]}
        found = metrics.evaluate(key, real, relative[1], protocol=QUICK, axes=axis)
    wanted = whole["candidates"]["jets"]
    assert found["relative"] and not whole["relative"]
    got = found["candidates"]["jets"]
    assert got["protocols"][QUICK.name].keys() == wanted["protocols"][
        QUICK.name
    ].keys() >= {"w1m", "w1p", "w1efp", "fpd", "kpd", "cov", "mmd"}  # fmt: skip
    for name, value in wanted["protocols"][QUICK.name].items():
        assert got["protocols"][QUICK.name][name]["value"] == pytest.approx(
            value["value"], rel=1e-4, abs=1e-9
        ), name
    assert set(got["particle"]) == {"ptrel", "etarel", "phirel"}
    for name, row in got["particle"].items():
        assert row["ks"] == pytest.approx(wanted["particle"][name]["ks"], abs=1e-6)
    assert "mass" not in got["jet"] and "bin_height_w1_sum" not in got
    assert got["jet"]["tau21"]["w1"] == pytest.approx(
        wanted["jet"]["tau21"]["w1"], rel=1e-3
    )
    text = metrics.table(found)
    assert "jet mass / jet pT" in text and " GeV" not in text
    assert "[GeV]" not in text


def test_relative_mass_of_two_particles():
    """m^2 = 2 p1 p2 (cosh(eta1 - eta2) - cos(phi1 - phi2)), a closed form."""
    x = np.array([[[0.6, 0.1, 0.2], [0.3, -0.2, -0.1]]])
    sample = Sample("x", RelativeJets(x, np.ones((1, 2), bool)))
    mass = np.sqrt(2 * 0.6 * 0.3 * (np.cosh(0.3) - np.cos(0.3)))
    np.testing.assert_allclose(sample.jet["relative_mass"], mass, rtol=1e-5)
    np.testing.assert_allclose(sample.jet["sum_ptrel"], 0.9, rtol=1e-6)
    for name in ("mass", "pt", "energy", "eta", "phi"):
        with pytest.raises(PtUnknown):
            sample.jet[name]
    with pytest.raises(PtUnknown):
        _ = sample.jets
    with pytest.raises(KeyError):
        sample.particle["px"]


def test_a_metric_of_a_plug_in_that_needs_pt_is_left_out(
    samples, tmp_path, monkeypatch
):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "median_mass.py").write_text("""
import numpy as np
from jetvae_jax.metrics import Draws, Measurement, Metric

FIGURES = "none"

def measure(key, real, other, draws):
    gap = abs(np.median(real.jet["mass"]) - np.median(other.jet["mass"]))
    return {"median_mass": {"value": float(gap)}}

MEASUREMENT = Measurement(
    measure, {"median_mass": Metric("median mass")}, draws=Draws(10, 2)
)
""")
    monkeypatch.setenv("JETVAE_PLUGINS", str(tmp_path))
    (real, other), _ = samples
    few = protocols.Protocol("few", w1=protocols.Draws(50, 2))
    other = metrics.relative(Jets(other.particles, other.mask))
    found = metrics.evaluate(jax.random.key(0), real, other, protocol=few)
    assert list(found["candidates"]["jets"]["protocols"]["few"]) == [
        "w1m", "w1p", "w1efp"
    ]  # fmt: skip


@pytest.mark.slow
def test_files_with_and_without_pt(features, tmp_path):
    """The whole script: tables, report, classifier, floor."""
    pytest.importorskip("matplotlib")
    wide, x = features
    real, *_ = jetnet_file(tmp_path / "g.hdf5", slice(0, 400))
    truth = write(tmp_path / "truth.npy", jetnet_file(
        tmp_path / "t.hdf5", slice(400, 800))[1][..., :3])  # fmt: skip
    paths = (wide, write(tmp_path / "mpgan.npy", x[..., :3]))
    few = protocols.Protocol("epic_5k", w1=protocols.Draws(300, 2))
    config = runs.EvaluateConfig(
        real=real, generated=paths, truth=truth, protocols=("epic_5k",), fpnd="",
        classify=True,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(protocols.KNOWN, "epic_5k", few)
        report = runs.evaluate(tmp_path / "out", config)
    result = json.loads((report.parent / "evaluation.json").read_text())
    first, second = result["candidates"]["wide"], result["candidates"]["mpgan"]
    for name, value in first["protocols"]["epic_5k"].items():
        got = second["protocols"]["epic_5k"][name]["value"]
        assert got == pytest.approx(value["value"], rel=1e-3), name
    assert second["c2st"]["auc"] > result["floor"]["c2st"]["auc"]
    assert result["axis"] == "given"  # those of the files
    assert any("mpgan" in note and "left out" in note for note in result["notes"])
    conditions = {name: row["values"] for name, row in result["conditions"].items()}
    assert "pt_range" not in conditions and conditions["stated_count"]["mpgan"] is None
    for name in ("edge", "mass_range", "centroid", "ptrel_sum"):
        first, second = (conditions[name][n] for n in ("wide", "mpgan"))
        assert first == pytest.approx(second, rel=1e-3), name
    html = report.read_text()
    assert "EMD relative mass" in html and "EMD mass [GeV]" not in html
    for name in ("evaluation.csv", "evaluation.tex", "evaluation.txt"):
        assert (report.parent / name).stat().st_size > 0


# A mapping for each file.


def test_a_mapping_for_each_file(features, tmp_path):
    wide, _ = features
    loaded = data.load(wide)
    px, py, pz = np.moveaxis(np.asarray(loaded.jets.particles), -1, 0)
    np.savez(tmp_path / "r.npz", a=px, b=py, c=pz)
    np.savez(tmp_path / "g.npz", u=1000 * px, v=1000 * py, w=1000 * pz)
    np.save(tmp_path / "t.npy", np.stack([py, px, pz], -1))
    paths = {name: str(tmp_path / name) for name in ("r.npz", "g.npz", "t.npy")}
    columns = (
        *("real:px=a", "real:py=b", "real:pz=c"),
        *("g:px=u", "g:py=v", "g:pz=w", "g:unit=MeV"),
        *("truth:py", "truth:px", "truth:pz"),
    )
    config = runs.EvaluateConfig(
        real=paths["r.npz"], generated=(paths["g.npz"], wide), truth=paths["t.npy"],
        columns=columns,
    )  # fmt: skip
    found = contest.gather(Workdir(tmp_path), None, config, Data())
    for jets in (found.real, found.truth, *found.candidates.values()):
        np.testing.assert_allclose(
            jets.particles, loaded.jets.particles, rtol=1e-5, atol=1e-4
        )
    # One mapping for all; what describes the data does for real files, and for others
    # that are not recognised.
    np.savez(tmp_path / "h.npz", a=px, b=py, c=pz)
    mapping = ("px=a", "py=b", "pz=c")
    for config, files in (
        ({"columns": mapping, "generated": (str(tmp_path / "h.npz"),)}, Data()),
        ({"generated": (str(tmp_path / "h.npz"), wide)}, Data(columns=mapping)),
    ):
        config = runs.EvaluateConfig(real=paths["r.npz"], **config)
        found = contest.gather(Workdir(tmp_path), None, config, files)
        assert all(len(jets.mask) == 400 for jets in found.candidates.values())


def test_a_mapping_of_no_file(features, tmp_path):
    wide, _ = features
    config = runs.EvaluateConfig(
        real=wide, generated=(wide,), columns=("wid:px=a", "wid:py=b")
    )
    with pytest.raises(InputError, match=r"called 'wid' \(did you mean 'wide'\?\)"):
        contest.gather(Workdir(tmp_path), None, config, Data())


def test_the_items_of_one_file():
    items = ("px=a", "g:px=u", "g:select=label:1", "real:ptrel", "real:etarel")
    assert inputs.columns_of("g", items) == ("px=u", "select=label:1")
    assert inputs.columns_of("real", items) == ("ptrel", "etarel")
    assert inputs.columns_of("other", items) == ("px=a",)
