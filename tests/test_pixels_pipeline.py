"""Sparse images from data to report, and what is refused."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from jetvae_jax import models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context
from jetvae_jax.densities import copula as copulas
from jetvae_jax.densities import realnvp
from jetvae_jax.images import digit_classifier, domain, files, mnist, sets
from jetvae_jax.images import objective as objectives
from jetvae_jax.losses import distances
from jetvae_jax.runs import dataset
from jetvae_jax.studies import trainings
from jetvae_jax.studies.digit_losses import comparison
from jetvae_jax.training import checkpoint

FIGURES = "made"  # test_images_report draws them
DATA = {"num_pixels": 12, "max_images": 150, "order": "raster"}
SMALL = training.Config(num_epochs=2, batch_size=50)


def vae_run(loss="pixel_third_axis", model="conv_vae", *, scaling=None, **data):
    package = models.get(model)
    sizes = {"conv_vae": {"filters": (4,), "kernel": 3, "hidden": (16,),
                          "latent_dim": 3, "output": "linear"},
             "deepsets_vae": {"width": 8, "context": 4, "encoder_layers": 1,
                              "decoder_layers": 1, "hidden": (8,), "latent_dim": 3},
             }[model]  # fmt: skip
    return runs.ModelRun(
        domain="pixels",
        data=domain.Data(**DATA | data),
        scaling=scaling or domain.Scaling("standard"),
        model=model,
        model_config=package.Config(**sizes),
        loss=loss,
        loss_config=distances.get(loss).Config(),
        objective=domain.Objective(),
        training=SMALL,
    )


FLOW = runs.FlowRun(
    "realnvp", realnvp.Config(num_couplings=2, hidden=(8,)), "samples", SMALL
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A conditional run, with everything that the pipeline leaves."""
    folder = tmp_path_factory.mktemp("digits")
    run = vae_run(scaling=domain.Scaling("standard", condition_on_digit=True))
    runs.train(folder, run)
    runs.fit_flow(folder, FLOW)
    copula = runs.CopulaRun(copulas.Config(), FLOW.flow, FLOW.flow_config, SMALL)
    runs.fit_copula(folder, copula)
    for latents in ("reconstruction", "prior", "flow", "copula"):
        runs.generate(folder, runs.GenerateConfig(latents=latents))
    runs.evaluate(folder, runs.EvaluateConfig())
    return folder


@pytest.mark.slow
def test_generated_digits_are_those_asked_for(workdir):
    for latents in ("prior", "flow", "copula"):
        made = files.read(workdir / f"generated_{latents}.npz", blank=True)
        assert made.points.shape[0] == 150 and made.points.shape[1] <= 12
        assert set(np.unique(made.labels)) <= set(range(10))
        assert len(np.unique(made.labels)) > 5  # as often as in the data
    test = dataset.load("pixels", domain.Data(**DATA)).test
    again = files.read(workdir / "generated_reconstruction.npz", blank=True)
    np.testing.assert_array_equal(again.labels, test.labels)


@pytest.mark.slow
def test_a_fitted_density_is_read_once(workdir, tmp_path, monkeypatch):
    read, restore = [], checkpoint.restore
    monkeypatch.setattr(
        checkpoint,
        "restore",
        lambda path, *rest, **how: read.append(path) or restore(path, *rest, **how),
    )
    config = runs.GenerateConfig("flow", num_jets=3, output=str(tmp_path / "few.npz"))
    runs.generate(workdir, config)
    assert [path.name for path in read] == ["vae.npz", "flow.npz"]


@pytest.mark.slow
@pytest.mark.slow
def test_same_seed_same_bytes_and_more_only_append(workdir, tmp_path):
    few, many = tmp_path / "few.npz", tmp_path / "many.npz"
    for path, number in ((few, 20), (many, 60)):
        runs.generate(
            workdir,
            runs.GenerateConfig(latents="flow", num_jets=number, output=str(path)),
        )
    a, b = (files.read(path, num_pixels=12, blank=True) for path in (few, many))
    np.testing.assert_array_equal(a.points, b.points[:20])
    again = tmp_path / "again.npz"
    runs.generate(
        workdir, runs.GenerateConfig(latents="flow", num_jets=20, output=str(again))
    )
    assert again.read_bytes() == few.read_bytes()


@pytest.mark.slow
def test_evaluation_and_report(workdir, monkeypatch):
    result = json.loads((workdir / "evaluation.json").read_text())
    assert set(result["candidates"]) == {"reconstruction", "prior", "flow", "copula"}
    for figures in result["candidates"].values():
        assert 0 <= figures["accuracy"] <= 1 and figures["frechet"] > 0
    conditions = result["conditions"]
    assert list(conditions["intensity"]["values"]) == ["real", *result["candidates"]]
    for name in ("intensity", "position", "padding"):
        assert set(conditions[name]["values"].values()) == {0}, name
    assert conditions["repeated"]["values"]["real"] == 0
    assert conditions["repeated"]["values"]["prior"] > 0  # hardly trained
    assert "images with a pixel twice" in (workdir / "evaluation.txt").read_text()
    assert result["floor"]["frechet"] > 0 and result["floor"]["distance"] > 0
    names = {path.stem for path in (workdir / "figures").glob("*.png")}
    assert names == {
        "reconstructions_test", "reconstructions_training", "images_input",
        "images_prior", "images_flow", "images_copula", "digits_input", "digits_prior",
        "digits_flow", "digits_copula", "intensities", "interpolation", "latents",
        "curves_vae", "curves_flow",
    }  # fmt: skip
    report = (workdir / "report.html").read_text()
    assert "Boundary conditions" in report
    assert "each row is the requested digit" in report and "Fréchet" in report
    # The classifier is kept: the same figures come without training it again.
    monkeypatch.setattr(digit_classifier, "train_classifier", None)
    monkeypatch.setattr("jetvae_jax.images.report.write", lambda path, **_: path)
    runs.evaluate(workdir, runs.EvaluateConfig())
    assert json.loads((workdir / "evaluation.json").read_text()) == result


@pytest.mark.slow
def test_any_two_files(workdir, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "jetvae_jax.images.evaluation.trained_classifier",
        lambda *_, **__: (None, ["no"]),
    )
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(workdir / "generated_flow.npz", other)
    generated = tuple(str(f / "generated_flow.npz") for f in (workdir, other))
    config = runs.EvaluateConfig(real="embedded", generated=generated)
    given = domain.Data(num_pixels=12, max_images=50)
    runs.evaluate(tmp_path, config, given, domain="pixels")
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(result["candidates"]) == {
        f"{workdir.name}_generated_flow", "other_generated_flow"
    }  # fmt: skip
    assert result["images"] == 50
    assert result["notes"] == ["no"]


@pytest.mark.slow
def test_positions_only_are_judged_without_intensity(tmp_path, monkeypatch):
    monkeypatch.setattr("jetvae_jax.images.report.write", lambda path, **_: path)
    seen = []

    def classifier(folder, data, *, intensity):
        seen.append(intensity)
        return None, []

    monkeypatch.setattr("jetvae_jax.images.evaluation.trained_classifier", classifier)
    scaling = domain.Scaling("unit", intensity=False)
    run = vae_run("pixel_positions", "deepsets_vae", scaling=scaling)
    assert run.model_config.num_features == 2
    runs.train(tmp_path, run)
    runs.generate(tmp_path, runs.GenerateConfig(latents="reconstruction"))
    runs.evaluate(tmp_path, runs.EvaluateConfig())
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert seen == [False] and result["intensity"] is False
    assert result["candidates"]["reconstruction"]["intensity"] == 0
    made = files.read(tmp_path / "generated_reconstruction.npz")
    assert np.all(made.points[..., 2][made.mask] == 1) and np.all(made.labels == -1)


def rows_of(part):
    return {points.tobytes() for points in part.points}


def test_no_test_image_of_some_digits_is_a_training_image_of_all():
    config = domain.Data(num_pixels=40)
    whole = domain.load(config)
    eights = domain.load(dataclasses.replace(config, digits=(8,)))
    assert set(np.unique(eights.test.labels)) == {8}
    assert rows_of(eights.test) <= rows_of(whole.test)
    assert not rows_of(eights.test) & (rows_of(whole.train) | rows_of(whole.valid))
    sizes = [len(part.labels) for part in eights[:3]]
    assert sum(sizes) == 200 and [len(p.labels) for p in whole[:3]] == [1400, 200, 400]


def test_the_test_part_of_mnist_is_the_test_part(tmp_path):
    given = mnist.load("embedded")
    np.savez(
        tmp_path / "mnist.npz",
        x_train=given.pixels[:100], y_train=given.labels[:100],
        x_test=given.pixels[100:130], y_test=given.labels[100:130],
    )  # fmt: skip
    config = domain.Data(str(tmp_path / "mnist.npz"), num_pixels=30)
    found = domain.load(config)
    expected = sets.of_images(
        sets.Config(30), mnist.Images(*(a[100:130] for a in given))
    )
    np.testing.assert_array_equal(found.test.points, expected.points)
    assert [len(part.labels) for part in found[:2]] == [88, 12]  # 0.7 to 0.1
    assert "own test part" in found.notes[0]


def test_raster_is_the_order_of_reading():
    few = sets.of_images(
        sets.Config(200), mnist.Images(*(a[:20] for a in mnist.load("embedded")))
    )
    found = sets.raster(few)
    for points, mask, label, given in zip(*found, few.points, strict=True):
        place = points[mask][:, 1] * 28 + points[mask][:, 0]
        assert np.all(np.diff(place) > 0) and label in range(10)
        assert not mask[mask.sum() :].any() and not points[~mask].any()
        assert sorted(map(tuple, points)) == sorted(map(tuple, given))


@pytest.mark.parametrize("form", ["published", "classic"])
@pytest.mark.parametrize("mask_padding", [True, False])
def test_objective_by_hand(form, mask_padding):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 3, 5, 3)).astype(np.float32)
    mask = np.arange(5) < np.array([[5], [3], [1]])
    batch = Batch(x, mask, Context(np.zeros((3, 3), np.float32)))
    config = objectives.Config(form, alpha=2.0, beta=0.25, mask_padding=mask_padding)
    loss = distances.get("pixel_positions").build(
        distances.get("pixel_positions").Config()
    )
    objective = objectives.objective(config, loss)
    distance, terms = objective.distance(batch, y)
    expected = []
    for i in range(3):
        mine = x[i, mask[i], :2] if mask_padding else x[i, :, :2]
        d = ((mine[:, None] - y[i, None, :, :2]) ** 2).sum(-1)
        expected.append(d.min(0).sum() + d.min(1).sum())
    np.testing.assert_allclose(terms["reconstruction"], expected, rtol=1e-5)
    kl = np.array([1.0, 2, 3])
    total = objective.total(distance, {"kl": kl})
    share = 0.75 if form == "published" else 1.0
    np.testing.assert_allclose(
        total, share * 2 * np.array(expected) + 0.25 * kl, rtol=1e-5
    )


@pytest.mark.parametrize(
    "model", ["conv_vae", pytest.param("deepsets_vae", marks=pytest.mark.slow)]
)
def test_models_depend_on_the_digit(model):
    scaling = domain.Scaling("standard", condition_on_digit=True)
    run = vae_run(model=model, scaling=scaling)
    assert run.model_config.num_conditions == 10
    vae = models.get(model).build(run.model_config)
    params = vae.init(jax.random.key(0))
    condition = np.eye(10, dtype=np.float32)[[3, 5]]
    z, x = np.ones((2, 3), np.float32), np.ones((2, 12, 3), np.float32)
    made = vae.decode(params, z, condition)
    assert np.abs(made[0] - made[1]).max() > 1e-6
    posterior = vae.encode(params, x, np.ones((2, 12), bool), condition)
    assert np.abs(posterior.mean[0] - posterior.mean[1]).max() > 1e-6
    with pytest.raises(ValueError, match="condition"):
        vae.decode(params, z)


def test_settings_that_do_not_go_together(tmp_path):
    plain = domain.Scaling("standard", intensity=False)
    with pytest.raises(InputError, match=r"pixel_matched.*intensit"):
        runs.train(tmp_path, vae_run("pixel_matched", scaling=plain))
    run = vae_run()
    sigmoid = dataclasses.replace(run.model_config, output="sigmoid")
    with pytest.raises(InputError, match=r"pixel_scaling\.method=unit"):
        dataclasses.replace(run, model_config=sigmoid)
    unlabelled = domain.load(run.data).train
    unlabelled = unlabelled._replace(labels=np.full(len(unlabelled.labels), -1))
    conditioned = domain.Scaling("standard", condition_on_digit=True)
    with pytest.raises(InputError, match=r"condition_on_digit: 150 of 150"):
        domain.fit(conditioned, unlabelled)


def test_an_interrupted_training_gets_no_flow(tmp_path, monkeypatch):
    class Stopped:
        signal_number = 2

    monkeypatch.setattr(trainings, "train", lambda *_, **log: Stopped)
    monkeypatch.setattr(trainings, "fit_density", None)
    assert comparison.compare(tmp_path, {"a": vae_run()}, FLOW, seeds=(0,)) == 2


@pytest.mark.slow
def test_losses_are_compared_and_the_work_is_not_done_twice(tmp_path, monkeypatch):
    compared = {"third": vae_run(), "matched": vae_run("pixel_matched")}
    assert comparison.compare(tmp_path, compared, FLOW, seeds=(0, 1)) == 0
    result = json.loads((tmp_path / "compare.json").read_text())
    assert [len(f) for f in result["metrics"].values()] == [2, 2]
    assert (tmp_path / "compare.html").stat().st_size > 10_000
    monkeypatch.setattr(comparison.metrics, "digit_table", None)
    before = (tmp_path / "compare.txt").read_text()
    assert comparison.compare(tmp_path, compared, FLOW, seeds=(0, 1)) == 0
    assert (tmp_path / "compare.txt").read_text() == before
