"""NaN in weights is found before anything is made of it."""

import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging

from jetvae_jax import models, runs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Points
from jetvae_jax.events import domain as events
from jetvae_jax.losses.distances import mse
from jetvae_jax.metrics.frechet import particlenet_distance
from jetvae_jax.runs.generation import samples_of
from jetvae_jax.training import Config, restore, save

RESULTS = pathlib.Path(__file__).parent.parent / "results"


def spoil(path, array, value):
    """One number of an array of a checkpoint."""
    with np.load(path) as file:
        arrays = dict(file)
    arrays[array].reshape(-1)[0] = value
    np.savez(path, **arrays)


@pytest.fixture
def workdir(tmp_path):
    return pathlib.Path(shutil.copytree(RESULTS / "convae_gluon30", tmp_path / "run"))


def arrays_of(path, prefix):
    with np.load(path) as file:
        return next(n for n in file.files if n.startswith(prefix))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("prefix", ["params/encoder", "params/decoder", "scaler"])
def test_a_model_with_nan_is_refused(workdir, prefix, value):
    array = arrays_of(workdir / "vae.npz", prefix)
    spoil(workdir / "vae.npz", array, value)
    with pytest.raises(InputError, match=rf"vae\.npz: {array}: NaN or infinite in 1 "):
        runs.load_model(workdir)


def test_nothing_is_generated_with_it(workdir, run_script):
    spoil(workdir / "vae.npz", arrays_of(workdir / "vae.npz", "params/decoder"), np.nan)
    output = workdir / "jets.hdf5"
    done = run_script(
        "generate", f"--workdir={workdir}", f"--generate.output={output}",
        "--generate.num_jets=10",
    )  # fmt: skip
    assert done.returncode == 2
    assert "vae.npz: params/decoder" in done.stderr
    assert not output.exists()


def test_a_flow_with_nan_is_refused(workdir):
    array = arrays_of(workdir / "flow.npz", "params")
    spoil(workdir / "flow.npz", array, np.nan)
    with pytest.raises(InputError, match=rf"flow\.npz: {array}: NaN or infinite"):
        runs.load_model(workdir).density("flow")


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, jnp.bfloat16])
def test_checkpoints_are_finite(tmp_path, dtype):
    path = tmp_path / "state.npz"
    tree = {"weights": np.ones(3, dtype), "steps": np.arange(2)}
    bad = tree | {"weights": np.array([1, np.inf, 2], dtype)}
    with pytest.raises(InputError, match="not written: weights: NaN or infinite in 1"):
        save(path, bad)
    assert not path.exists()
    if dtype is not jnp.bfloat16:  # which NumPy's files do not keep
        save(path, tree)
        np.testing.assert_array_equal(restore(path, tree)["weights"], 1)


def test_moments_of_fpnd_with_nan_are_refused(tmp_path):
    (tmp_path / "g_mu.txt").write_text("1 nan 2")
    with pytest.raises(InputError, match=r"g_mu\.txt: NaN or infinite numbers"):
        particlenet_distance._numbers(tmp_path, "g_mu.txt", (3,))


@pytest.fixture(scope="module")
def trained():
    return runs.load_model(RESULTS / "convae_gluon30")


def with_points(trained, change):
    """The model, its generated points changed."""

    def decode(*arguments):
        points = trained.model.decode(*arguments)
        return Points(change(points.x), points.mask)

    return trained._replace(model=trained.model._replace(decode=decode))


CONFIG = runs.GenerateConfig(latents="flow", num_jets=20)


def test_a_model_that_generates_nan_is_stopped(trained):
    broken = with_points(trained, lambda x: x * jnp.nan)
    with pytest.raises(InputError, match=r"samples 0 to 19 are all NaN or infinite"):
        list(samples_of(broken, CONFIG)[1])


def test_a_few_that_are_not_finite_are_counted(trained, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: said.append(text % a))
    broken = with_points(trained, lambda x: x.at[3, 5].set(jnp.inf))
    jets = next(iter(chunks := samples_of(broken, CONFIG)[1]))
    assert list(chunks) == []
    assert said == [
        "1 of 20 generated samples had NaN or infinity in a point, which is left out"
    ]
    assert np.isfinite(jets.particles).all()
    said.clear()
    plain = list(samples_of(trained, CONFIG)[1])
    assert said == []
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(a[:3], b[:3]), plain[0], jets
    )


def test_momenta_that_overflow_are_counted(trained, monkeypatch):
    """The network gave numbers; in GeV they are too large for float32."""
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *a: said.append(text % a))
    large = with_points(trained, lambda x: x.at[7, 5].set(1e37))
    jets = next(iter(chunks := samples_of(large, CONFIG)[1]))
    assert list(chunks) == []
    assert len(said) == 1 and said[0].startswith("1 of 20 generated samples had NaN")
    assert np.isfinite(jets.particles).all()


def test_bins_of_whole_numbers_may_have_infinite_ends(tmp_path):
    path, tree = tmp_path / "a.npz", {"scaler": {"edges": np.array([0.5, np.inf])}}
    ends = {"unbounded": ["scaler/edges"]}
    save(path, tree, **ends)
    found = restore(path, tree, **ends)
    np.testing.assert_array_equal(found["scaler"]["edges"], [0.5, np.inf])
    with pytest.raises(InputError, match="scaler/edges: NaN or infinite in 1 of 2"):
        save(path, {"scaler": {"edges": np.array([np.nan, np.inf])}}, **ends)
    with pytest.raises(InputError, match="scaler/edges: NaN or infinite in 1 of 2"):
        save(path, tree)


@pytest.mark.slow
def test_events_of_different_counts_are_trained_on_and_loaded(tmp_path):
    """Their whole numbers have bins with infinite ends."""
    run = runs.ModelRun(
        domain="events",
        data=events.Data(path="embedded", max_events=200),
        scaling=events.Scaling(),
        model="mlp_vae",
        model_config=models.get("mlp_vae").Config(num_layers=1, nodes=4, latent_dim=2),
        loss="mse",
        loss_config=mse.Config(),
        objective=events.Objective(),
        training=Config(num_epochs=1, batch_size=50),
    )
    runs.train(tmp_path, run)
    assert np.isinf(runs.load_model(tmp_path).scaler.edges).any()
