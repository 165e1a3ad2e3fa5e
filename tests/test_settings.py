"""Runs from settings by the names of the flags, as in notebooks."""

import json
import pathlib

import pytest
from absl.testing import flagsaver

import jetvae_jax as jv

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
    ("settings", "message"),
    [
        ({"train.num_epoch": 3}, "train.num_epoch: is not a setting of this run "
         r"\(did you mean 'train.num_epochs'"),
        ({"mlp_vae.nodes": 8}, "mlp_vae.nodes: is not a setting of this run"),
        ({"conv_vae.num_particles": 8}, "is not a setting of this run"),
        ({"model": "conv_va"}, "did you mean 'conv_vae'"),
        ({"domain": "jet"}, "did you mean 'jets'"),
        ({"train.batch_size": 0}, "train.batch_size: must be positive, got 0"),
        ({"seed": -1}, "seed: must be between"),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_line(settings, message):
    with pytest.raises(jv.InputError, match=message) as caught:
        jv.runs.model_run(settings)
    assert "\n" not in str(caught.value)


def typed(value):
    """Flags of several numbers have their texts."""
    if not isinstance(value, list):
        return value
    return [json.loads(v) if v[0].isdigit() else v for v in value]


@pytest.mark.parametrize(
    "name", ["quickstart", "digits_conditional", "zgamma_vae_nf_d"]
)
def test_a_flagfile_and_its_settings_are_the_same_run(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    monkeypatch.chdir(ROOT)
    import _cli

    with flagsaver.flagsaver():
        _cli.define_flags()
        path = f"experiments/flagfiles/{name}.txt"
        _cli.parse(["train.py", f"--flagfile={path}", "--workdir=x", "--seed=3"])
        run, flow = _cli.model_run(), _cli.flow_run()
        given = {f.name: typed(f.value) for f in _cli.own_flags() if f.present}
    of_flow = ("fit.", "realnvp.", "seed")
    fit = {n: value for n, value in given.items() if n.startswith(of_flow)}
    other = (*of_flow[:2], "generate.", "workdir", "pixel_matched.")
    given = {n: value for n, value in given.items() if not n.startswith(other)}
    assert run.seed == flow.seed == 3 and len(given) > 10
    assert jv.runs.model_run(given) == run
    assert jv.runs.flow_run(fit) == flow
