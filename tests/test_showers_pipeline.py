"""Showers through the whole pipeline: train, fit, generate, evaluate."""

import json
import re

import numpy as np
import pytest
from showers import GRID, blobs, write

from jetvae_jax import densities, models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.jets import domain as jets
from jetvae_jax.losses import distances
from jetvae_jax.runs import dataset
from jetvae_jax.showers import domain, files

FIGURES = "made"
QUICK = training.Config(num_epochs=1, batch_size=20)
SIZES = {
    "cell_vae": {"filters": (2,), "hidden": (8,), "latent_dim": 3, "components": 2},
    "cell_gan": {"filters": (2,), "hidden": (8,), "noise": 3},
    "mlp_gan": {"num_layers": 1, "nodes": 8, "noise": 3},
    "mlp_vae": {"num_layers": 1, "nodes": 8, "latent_dim": 3},
}
ALL = ("energy", "type", "point", "direction")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("showers") / "showers.hdf5", blobs())


def run_of(path, model="cell_vae", *, conditions=ALL, train=QUICK, sizes=None, **data):
    return runs.ModelRun(
        domain="showers",
        data=domain.Data(path=path, **data),
        scaling=domain.Scaling(conditions=conditions),
        model=model,
        model_config=models.get(model).Config(**SIZES[model] | (sizes or {})),
        loss="mse",
        loss_config=distances.get("mse").Config(),
        objective=domain.Objective(),
        training=train,
    )


@pytest.mark.slow
def test_the_whole_pipeline_of_a_vae(path, tmp_path):
    run = run_of(path)
    assert run.sizes == {
        "num_particles": 60, "num_features": 1, "jet_rows": 1, "num_conditions": 7,
        "grid": (2, 5, 6),
    }  # fmt: skip
    assert run.scaling.kinds == (11, 22)  # so that no file is needed later
    assert runs.ModelRun.from_json(run.to_json()) == run
    runs.train(tmp_path, run)
    flow = densities.get("realnvp").Config(2, (8,))
    runs.fit_flow(tmp_path, runs.FlowRun("realnvp", flow, "samples", QUICK))
    for latents in ("reconstruction", "prior", "flow"):
        runs.generate(tmp_path, runs.GenerateConfig(latents=latents, num_jets=18))
    made = files.read(tmp_path / "generated_flow.hdf5")
    assert made.geometry.name == GRID and made.metadata["latents"] == "flow"
    assert set(made.showers.kind) <= {11, 22} and made.showers.energies.any()
    test = dataset.load("showers", run.data).test
    again = files.read(tmp_path / "generated_reconstruction.hdf5").showers
    np.testing.assert_array_equal(again.kind, test.kind)
    np.testing.assert_allclose(again.energy, test.energy, rtol=1e-6)
    np.testing.assert_allclose(again.direction, test.direction, atol=1e-6)
    # As evaluate.py without --domain, whose files are jets: the run knows better.
    report = runs.evaluate(tmp_path, runs.EvaluateConfig(), jets.Data())
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(result["candidates"]) == ["reconstruction", "prior", "flow"]
    flow_row = result["candidates"]["flow"]
    assert flow_row["observables"]["log10_cell"]["w1"]["value"] > 0
    assert {"fpd", "fpd_exact", "kpd", "ks_mean"} <= set(flow_row)
    assert set(result["response"]) == {"input", "reconstruction", "prior", "flow"}
    by_kind = result["response_of"]
    assert list(by_kind) == ["electron", "photon"]
    for name, found in result["response"].items():
        counts = [own[name]["count"] for own in by_kind.values()]
        np.testing.assert_array_equal(np.sum(counts, axis=0), found["count"])
    chosen = test.kind == 22
    share = np.sum(test.energies[chosen], axis=-1) / test.energy[chosen]
    real = by_kind["photon"]["input"]
    mean = np.dot(real["count"], np.nan_to_num(real["mean"])) / np.sum(real["count"])
    np.testing.assert_allclose(mean, share.mean(), rtol=1e-5)
    bounds = result["conditions"]
    assert set(bounds["negative"]["values"].values()) == {0}
    assert set(bounds["soft"]["values"].values()) == {0}
    (few,) = [note for note in result["notes"] if note.startswith("FPD")]
    assert few.startswith("FPD: of 50,000 showers asked for there are 18: too large")
    assert few in report.read_text()
    names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert names == {
        "observables", "cell_energies", "sparsity", "response", "mean_showers",
        "single_showers", "layers", "curves_cell_vae", "curves_flow",
    }  # fmt: skip
    for text in (report.read_text(), (tmp_path / "evaluation.txt").read_text()):
        assert "Boundary conditions" in text and "asymmetry along" in text
    assert "KS, mean" in runs.summary.of_evaluation(report, tmp_path)[1]


@pytest.mark.slow
def test_a_gan_is_asked_for_particles(path, tmp_path, caplog):
    config = training.Config(num_epochs=1, batch_size=20, monitor="separation")
    run = run_of(path, "cell_gan", conditions=("energy", "type"), train=config)
    runs.train(tmp_path, run)
    epoch = json.loads((tmp_path / "vae.metrics.jsonl").read_text().splitlines()[0])
    assert 0 < epoch["valid/separation"] <= 1 and 0 < epoch["valid/ks"] <= 1
    asked = ("energy=50", "type=photon")
    config = runs.GenerateConfig("prior", num_jets=12, condition=asked)
    made = files.read(runs.generate(tmp_path, config)).showers
    np.testing.assert_allclose(made.energy, 50, rtol=1e-6)
    assert set(made.kind) == {22} and len(np.unique(made.point[:, 0])) > 5
    assert not caplog.records
    beyond = runs.GenerateConfig("prior", num_jets=2, condition=("energy=5000",))
    runs.generate(tmp_path, beyond)
    assert re.search("energy=5000 is beyond .* range of the training", caplog.text)
    # Any files, without a run: real showers against themselves have no distance.
    config = runs.EvaluateConfig(real=path, generated=(path,), truth=path)
    runs.evaluate(tmp_path / "files", config, domain="showers")
    result = json.loads((tmp_path / "files/evaluation.json").read_text())
    same = result["candidates"]["showers"]
    assert same["ks_mean"]["value"] == same["separation_mean"]["value"] == 0
    wrong = {
        "energy=-1": "must be positive, in GeV",
        "type=proton": "trained on the classes electron, photon",
        "x=3": "'x' is not a condition of this model; it has energy, type",
    }
    for text, message in wrong.items():
        with pytest.raises(InputError, match=message):
            runs.generate(tmp_path, runs.GenerateConfig("prior", condition=(text,)))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp_vae", "cell_vae", "mlp_gan"])
def test_dense_networks_and_other_calorimeters(model, tmp_path):
    """Rings of different sizes, and showers of which little is known."""
    name = "calochallenge_1_photons"
    showers = blobs(name=name)._replace(kind=None, point=None, direction=None)
    path = write(tmp_path / "rings.hdf5", showers, name)
    run = run_of(path, model, conditions=("energy",))
    assert run.sizes["grid"] == () and run.sizes["num_conditions"] == 1
    runs.train(tmp_path, run)
    config = runs.GenerateConfig("prior", num_jets=20, context="density")
    made = files.read(runs.generate(tmp_path, config)).showers
    assert made.kind is None and made.point is None and (made.energies >= 0).all()
    runs.evaluate(tmp_path, runs.EvaluateConfig(classify=True))
    found = json.loads((tmp_path / "evaluation.json").read_text())["candidates"]
    assert {"auc_cells", "auc_features"} <= set(found["prior"])


@pytest.mark.slow
def test_response_follows_the_energy(tmp_path):
    """A trained VAE deposits what is asked for, on average."""
    path = write(tmp_path / "many.hdf5", blobs(3000))
    config = training.Config(num_epochs=30, batch_size=50, learning_rate=3e-3)
    sizes = {"hidden": (32,), "filters": (4,)}
    runs.train(tmp_path, run_of(path, train=config, sizes=sizes))
    for energy, kind, expected in ((5, "electron", 0.9), (60, "photon", 0.7)):
        asked = (f"energy={energy}", f"type={kind}")
        generate = runs.GenerateConfig("prior", num_jets=400, condition=asked)
        made = files.read(runs.generate(tmp_path, generate)).showers
        assert abs(made.energies.sum(1).mean() / energy - expected) < 0.06


@pytest.mark.slow
def test_same_seed_same_bytes(path, tmp_path):
    run = run_of(path, conditions=("energy",))
    runs.train(tmp_path, run)
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        config = runs.GenerateConfig(
            "prior", num_jets=9, seed=seed, output=str(tmp_path / f"{name}.hdf5")
        )
        found.append(runs.generate(tmp_path, config).read_bytes())
    assert found[0] == found[1] != found[2]


def test_mistakes_are_one_line(path, tmp_path):
    one_kind = write(tmp_path / "one.hdf5", blobs(20, kinds=(22,)))
    no_point = write(tmp_path / "none.hdf5", blobs(20)._replace(point=None))
    few = write(tmp_path / "few.hdf5", blobs(1))
    empty = blobs(20)
    dark = write(tmp_path / "dark.hdf5", empty._replace(energies=0 * empty.energies))
    wrong = [
        (lambda: run_of(""), "--showers.path: is missing"),
        (lambda: run_of("nowhere.hdf5"), "nowhere.hdf5: no such file"),
        (lambda: run_of(one_kind), "conditions=type: all are of one"),
        (lambda: run_of(no_point), "conditions=point: the file does not say it"),
        (lambda: run_of(few, conditions=()), "1 showers: there must be at least 2"),
        (lambda: run_of(path, geometry="lhcb_ecal"), "60 cells a shower"),
        (lambda: run_of(path, conditions=("mass",)), "must be one of energy, type"),
        (lambda: run_of(path, conditions=("type", "type")), "names type twice"),
        (
            lambda: run_of(path, "mlp_vae", sizes={"output": "sigmoid"}),
            "output=linear",
        ),
        (lambda: runs.train(tmp_path, run_of(dark)), "no cell is above threshold"),
        (
            lambda: runs.evaluate(
                tmp_path,
                runs.EvaluateConfig(real=path, generated=(path,), condition=("a=b",)),
                domain="showers",
            ),
            "--evaluate.condition",
        ),
    ]
    for make, message in wrong:
        with pytest.raises(InputError, match=message) as caught:
            make()
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="which this domain does not have"):
        runs.ModelRun.from_json(
            run_of(path, conditions=()).to_json()
            | {"model": {"name": "autoregressive_vae"}}
        )
