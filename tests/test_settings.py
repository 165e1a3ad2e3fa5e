"""Runs from settings by the names of the flags, as in notebooks."""

import dataclasses
import pathlib

import pytest
from absl.testing import flagsaver

import jetvae_jax as jv
from jetvae_jax.runs import settings

ROOT = pathlib.Path(__file__).parent.parent


def test_settings_are_those_of_the_flags():
    run = jv.runs.model_run(
        {
            "data.max_jets": 500,
            "scaling.conditions": ["pt", "mass"],
            "model": "deepsets_vae",
            "deepsets_vae.latent_dim": 7,
            "train.num_epochs": 3,
            "prior": "spline",
            "seed": 5,
        }
    )
    assert run.data.max_jets == 500
    assert run.scaling.conditions == ("pt", "mass")
    assert run.model == "deepsets_vae"
    assert run.model_config.latent_dim == 7
    assert run.model_config.num_conditions == 2
    assert run.training == jv.training.Config(num_epochs=3)
    assert run.components.prior_config == jv.densities.spline.Config()
    assert run.seed == 5
    flow = jv.runs.flow_run({"flow": "spline", "fit.batch_size": 50})
    assert flow.flow_config == jv.densities.spline.Config()
    assert flow.training == jv.training.Config(
        batch_size=50, num_epochs=100, patience=15
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train.num_epoch": 3}, "train.num_epoch: is not a setting of this run "
         r"\(did you mean 'train.num_epochs'"),
        ({"mlp_vae.nodes": 8}, "mlp_vae.nodes: is not a setting of this run"),
        ({"conv_vae.num_particles": 8}, "is not a setting of this run"),
        ({"model": "conv_va"}, "did you mean 'conv_vae'"),
        ({"domain": "jet"}, "did you mean 'jets'"),
        ({"train.batch_size": 0}, "train.batch_size: must be positive, got 0"),
        ({"seed": -1}, "--seed=-1: "),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_line(given, message):
    with pytest.raises(jv.InputError, match=message) as caught:
        jv.runs.model_run(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["quickstart", "digits_conditional", "zgamma_vae_nf_d"]
)
def test_a_flagfile_is_the_run_of_the_scripts(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    monkeypatch.chdir(ROOT)
    import _cli

    with flagsaver.flagsaver():
        _cli.define_flags()
        path = f"experiments/flagfiles/{name}.txt"
        flags = [f"--flagfile={path}", "--workdir=x", "--seed=3", "--fit.num_epochs=4"]
        settings.parse(["train.py", *flags], _cli.FLAGS)
        run, flow = _cli.model_run(), _cli.flow_run()
    assert jv.runs.model_run({"seed": 3}, flagfile=name) == run
    changes = {"seed": 3, "fit.num_epochs": 4}
    assert jv.runs.flow_run(changes, flagfile=path) == flow


def test_settings_replace_those_of_a_flagfile():
    recipe = jv.runs.model_run(flagfile="quickstart")
    run = jv.runs.model_run({"train.num_epochs": 3, "seed": 7}, flagfile="quickstart")
    training = dataclasses.replace(recipe.training, num_epochs=3)
    assert run == dataclasses.replace(recipe, training=training, seed=7)


def test_a_wrong_flagfile_is_one_line(tmp_path):
    with pytest.raises(jv.InputError, match=r"quickstar: no such file.*'quickstart'"):
        jv.runs.model_run(flagfile="quickstar")
    path = tmp_path / "recipe.txt"
    path.write_text("--train.num_epoch=3")
    with pytest.raises(jv.InputError, match=r"--train\.num_epoch: unknown flag"):
        jv.runs.model_run(flagfile=str(path))
