"""Trainings that start from the parameters of another model."""

import jax
import numpy as np
import pytest

import jetvae_jax as jv
from jetvae_jax.core import seeds
from jetvae_jax.runs.config import ModelRun
from jetvae_jax.runs.training import prepare

SMALL = {
    "data.max_jets": 300,
    "data.num_particles": 6,
    "scaling.coordinates": "relative",
    "scaling.method": "standard",
    "model": "mlp_vae",
    "mlp_vae.latent_dim": 2,
    "mlp_vae.nodes": 4,
    "mlp_vae.num_layers": 1,
    "loss": "mse",
    "train.num_epochs": 1,
    "train.batch_size": 50,
}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Workdir of a small trained model."""
    folder = tmp_path_factory.mktemp("first")
    jv.runs.train(folder, jv.runs.model_run(SMALL | {"train.num_epochs": 30}))
    return folder


def started(run):
    return jax.jit(prepare(run).step.init)(seeds.key(run.seed)).params


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_it_starts_from_these_parameters_and_goes_on(first, tmp_path):
    source = jv.runs.load_model(first)
    changes = {"data.split_seed": 1, "pretrained": str(first), "train.num_epochs": 3}
    run = jv.runs.model_run(SMALL | changes)
    assert_equal(started(run), source.params)
    history = jv.runs.train(tmp_path, run).history
    assert history[0]["train/loss"] < 0.8 * source.history()["vae"][0]["train/loss"]
    assert len(history) == 3 and jv.runs.load_model(tmp_path).run == run


def test_new_components_are_random_and_constants_are_of_the_new_sample(first):
    changes = {"discriminator": "mlp", "pretrained": str(first)}
    params = started(jv.runs.model_run(SMALL | changes))
    assert "discriminator" in params
    of_vae = {name: params[name] for name in ("encoder", "decoder")}
    assert_equal(of_vae, jv.runs.load_model(first).params)


def test_constants_are_measured_on_the_new_sample():
    name = "zoo:autoregressive_gluon30"
    source = jv.runs.load_model(name).params
    settings = {"data.path": "embedded", "data.max_jets": 400, "pretrained": name}
    run = jv.runs.model_run(settings, flagfile="autoregressive_gluon30")
    params = prepare(run).model.init(seeds.key(0))
    assert_equal(params["decoder"], source["decoder"])
    radius = params["coordinates"]["radius"]
    assert radius.shape == source["coordinates"]["radius"].shape
    assert np.any(radius != source["coordinates"]["radius"])


def test_it_is_stored_only_where_there_is_one(first):
    plain = jv.runs.model_run(SMALL)
    assert "pretrained" not in plain.to_json()
    run = jv.runs.model_run(SMALL | {"pretrained": "zoo:convae_gluon30"})
    assert ModelRun.from_json(run.to_json()) == run != plain


def test_a_model_of_more_particles_continues_from_one_of_fewer(tmp_path):
    small = SMALL | {
        "scaling.method": "none", "scaling.axis": "jet", "loss": "chamfer",
        "objective.form": "classic", "objective.beta": 1,
        "model": "autoregressive_vae", "autoregressive_vae.width": 8,
        "autoregressive_vae.num_layers": 1, "autoregressive_vae.encoder_width": 8,
        "autoregressive_vae.encoder_layers": 1, "autoregressive_vae.latent_dim": 1,
    }  # fmt: skip
    small = {k: v for k, v in small.items() if not k.startswith("mlp_vae")}
    jv.runs.train(tmp_path / "few", jv.runs.model_run(small))
    few = jv.runs.load_model(tmp_path / "few").params
    more = small | {"data.num_particles": 8, "pretrained": str(tmp_path / "few")}
    more = started(jv.runs.model_run(more))
    place = few["decoder"].pop("place")
    assert_equal(more["decoder"].pop("place"), place[[0, 1, 2, 3, 4, 5, 5, 5]])
    assert_equal(*({k: p[k] for k in ("decoder", "encoder")} for p in (more, few)))
    fewer = small | {"data.num_particles": 5, "pretrained": str(tmp_path / "few")}
    with pytest.raises(jv.InputError, match=r"decoder/place: expected \(\(5, 8\)"):
        prepare(jv.runs.model_run(fewer))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mlp_vae.nodes": 5}, r"does not fit this run: decoder/.*: expected "),
        ({"data.num_particles": 7}, "does not fit this run: "),
        ({"model": "deepsets_vae"}, "a model of --domain=jets --model=mlp_vae, this"),
        ({"pretrained": "zoo:gluons"}, "--pretrained=zoo:gluons: "),
        ({"pretrained": "runs/none"}, "no such checkpoint"),
    ],
)
def test_a_model_of_other_settings_is_one_line(first, changes, message):
    settings = SMALL | {"pretrained": str(first)} | changes
    if "model" in changes:
        settings = {k: v for k, v in settings.items() if not k.startswith("mlp_vae")}
    with pytest.raises(jv.InputError, match=message) as caught:
        prepare(jv.runs.model_run(settings))
    assert str(caught.value).startswith("--pretrained=")
    assert "\n" not in str(caught.value)
