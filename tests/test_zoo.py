"""The trained models of the package: cards, loading, and what is refused."""

import hashlib
import re

import numpy as np
import pytest

import jetvae_jax as jv
from jetvae_jax import runs, zoo
from jetvae_jax.core import files
from jetvae_jax.core.errors import InputError

NAMES = zoo.names()
ROWS = ("generates", "trained on", "recipe", "evaluated", "figures", "not for")
MEGABYTE = 1024**2


def test_there_are_models_of_a_size_that_a_package_may_have():
    classes = [f"{kind}30" for kind in ("gluon", "quark", "top", "w", "z")]
    names = {f"autoregressive_{each}" for each in (*classes, "gluon150")}
    assert {*names, "convae_gluon30"} <= set(NAMES)
    sizes = [
        sum(file.stat().st_size for file in (files.ZOO / name).iterdir())
        for name in NAMES
    ]
    assert max(sizes) < 5 * MEGABYTE and sum(sizes) < 25 * MEGABYTE


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_complete_and_of_these_weights(name):
    card = zoo.card(name)
    for row in (*ROWS, "licence"):
        assert re.search(rf"^\| {row} \| \S", card, re.MULTILINE), row
    for file in ("vae.npz", "flow.npz"):
        found = hashlib.sha256((files.ZOO / name / file).read_bytes()).hexdigest()
        assert f"| SHA-256 of `{file}` | `{found}` |" in card
    figures = re.search(r"^\| figures \| (.*) \|", card, re.MULTILINE)
    assert figures and "(floor)" in figures[1] and "AUC" in figures[1]


def test_jets_of_a_model_by_name_and_by_script(tmp_path, run_script):
    trained = jv.zoo.load("convae_gluon30")
    config = runs.GenerateConfig(latents="flow", num_jets=20, seed=3)
    jets = runs.generated_samples(trained, config)
    assert jets.particles.shape == (20, 30, 3)
    output = tmp_path / "jets.hdf5"
    done = run_script(
        "generate", "--workdir=zoo:convae_gluon30", "--generate.latents=flow",
        "--generate.num_jets=20", "--generate.seed=3", f"--generate.output={output}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = jv.data.load(output).jets.particles
    # The file orders particles by pt, in single precision relative to the jet.
    pt = [np.sort(np.hypot(p[..., 0], p[..., 1])) for p in (jets.particles, written)]
    np.testing.assert_allclose(*pt, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("script", "flags", "message"),
    [
        ("generate", ["--workdir=zoo:convae_gluon"],
         "zoo:convae_gluon: is unknown (did you mean 'convae_gluon30'?); there are"),
        ("generate", ["--workdir=zoo:convae_gluon30"],
         "is a model of the package, where nothing is written: give the file of"),
        ("fit_flow", ["--workdir=zoo:convae_gluon30"],
         "is a model of the package, where nothing is written"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(run_script, script, flags, message):
    done = run_script(script, *flags)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_model_is_an_error_with_the_names():
    with pytest.raises(InputError, match="there are autoregressive_gluon150, "):
        zoo.load("nothing")
