"""Showers through the whole pipeline: train, fit, generate, evaluate."""

import json

import numpy as np
import pytest
from showers import GRID, blobs, write

from jetvae_jax import densities, models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.losses import distances
from jetvae_jax.runs import dataset
from jetvae_jax.showers import domain, files

FIGURES = "made"
QUICK = training.Config(num_epochs=1, batch_size=20)
SIZES = {
    "cell_vae": {"filters": (2,), "hidden": (8,), "latent_dim": 3, "components": 2},
    "cell_gan": {"filters": (2,), "hidden": (8,), "noise": 3},
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
    report = runs.evaluate(tmp_path, runs.EvaluateConfig())
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(result["candidates"]) == ["reconstruction", "prior", "flow"]
    flow_row = result["candidates"]["flow"]
    assert flow_row["observables"]["log10_cell"]["w1"]["value"] > 0
    assert {"fpd", "fpd_exact", "kpd", "ks_mean"} <= set(flow_row)
    assert set(result["response"]) == {"input", "reconstruction", "prior", "flow"}
    bounds = result["conditions"]
    assert set(bounds["negative"]["values"].values()) == {0}
    assert set(bounds["soft"]["values"].values()) == {0}
    names = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert names == {
        "observables", "cell_energies", "sparsity", "response", "mean_showers",
        "single_showers", "layers", "curves_cell_vae", "curves_flow",
    }  # fmt: skip
    for text in (report.read_text(), (tmp_path / "evaluation.txt").read_text()):
        assert "Boundary conditions" in text and "asymmetry along" in text
    assert "KS, mean" in runs.summary.of_evaluation(report, tmp_path)[1]
