"""Calibration: the smallest change of a density by which observables agree."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jetvae_jax import runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.densities import realnvp
from jetvae_jax.jets import domain
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.models import autoregressive_vae, mlp_vae
from jetvae_jax.runs import calibration
from jetvae_jax.training import checkpoint
from jetvae_jax.training.linear_response import (
    LEAST,
    LONGEST,
    SHARE,
    Sums,
    smallest_step,
)


def test_the_step_of_a_gaussian_is_known():
    """Of N(t, 1) in three dimensions, f = x_0: only t_0 moves, and KL is s^2 / 2."""
    x = np.random.default_rng(0).normal(size=(200_000, 3))
    for weight in (1e-6, 0.5):
        sums = Sums(1, 3)
        for part in np.split(x, 4):
            sums.add(part[:, :1], part)  # the score at t = 0 is x
        step = smallest_step(sums, np.array([0.3]), weight=weight)
        # s (1 + R) = (D - s) / w
        ridge = 1 + SHARE + LEAST
        expected = (0.3 - x[:, 0].mean()) / (1 + weight * ridge)
        np.testing.assert_allclose(step.change, [expected, 0, 0], atol=0.004)
        assert step.divergence == pytest.approx(expected**2 / 2, rel=0.03)
        assert step.effect[0] == pytest.approx(step.change[0], rel=0.02)


def test_the_least_divergence_is_that_of_the_tilted_density():
    """For N(0, 1) and f = x^2 + 1e-2 x the family N(t, e^2u) moves its width."""
    x = np.random.default_rng(1).normal(size=400_000)
    sums = Sums(1, 2)
    scores = np.stack([x, x**2 - 1], axis=1)  # of t and u
    sums.add((x**2 + 1e-2 * x)[:, None], scores)
    step = smallest_step(sums, sums.mean + 0.02, weight=1e-6)
    # E[x^2] = e^2u: half of log 1.02, and the mean by its share of the covariance.
    np.testing.assert_allclose(step.change, [1e-4, 0.01], atol=3e-4)
    # A long step is shortened: its effect would not be linear.
    far = smallest_step(sums, sums.mean + 9.0, weight=1e-6)
    assert far.divergence == LONGEST
    assert far.change[1] == pytest.approx(LONGEST**0.5, rel=0.02)  # KL is u^2


SIZES = {"width": 16, "num_layers": 1, "encoder_width": 16, "encoder_layers": 1}
QUICK = training.Config(num_epochs=2, batch_size=50, learning_rate=3e-3)


def run_of(model="autoregressive_vae", config=None, **scaling):
    config = config or autoregressive_vae.Config(
        latent_dim=2, heads=2, near_in="angles", **SIZES
    )
    return runs.ModelRun(
        data=domain.Data(max_jets=3000, num_particles=8),
        scaling=domain.Scaling(
            coordinates="relative", method="none", axis="jet", **scaling
        ),
        model=model,
        model_config=config,
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=domain.Objective(form="classic", beta=1.0),
        training=QUICK,
    )


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A model whose particles are too far from each other, its flow, and right jets."""
    folder = tmp_path_factory.mktemp("trained")
    runs.train(folder, run_of(conditions=("pt",)))
    flow = runs.FlowRun(
        "realnvp", realnvp.Config(num_couplings=2, hidden=(8,)), "samples", QUICK
    )
    runs.fit_flow(folder, flow)
    right = runs.GenerateConfig(num_jets=10_000, output=str(folder / "right.hdf5"))
    runs.generate(folder, right)
    trained = runs.load_model(folder)
    params = jax.tree.map(jnp.array, trained.params)
    width = params["decoder"]["query"]["bias"]
    params["decoder"]["query"]["bias"] = width.at[-3:].add(0.2)
    tree = {"params": params, "scaler": trained.scaler}
    checkpoint.save(folder / "vae.npz", tree, meta=trained.meta)
    return folder


def flat(params):
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }


def test_observables_come_nearer_to_those_of_real_jets(workdir, tmp_path):
    config = runs.CalibrateConfig(
        output=str(tmp_path / "new"), num_jets=10_000, observables=("tau1", "mass"),
        real=str(workdir / "right.hdf5"),
    )  # fmt: skip
    before = (workdir / "vae.npz").read_bytes()
    found = runs.calibrate(workdir, config)
    assert (workdir / "vae.npz").read_bytes() == before
    assert list(found.distances) == ["tau1", "mass"]
    for first, last in found.distances.values():
        assert last < 0.6 * first, found
    assert 0 < found.divergence < LONGEST

    old, new = (runs.load_model(folder) for folder in (workdir, tmp_path / "new"))
    assert found.path == tmp_path / "new" / "vae.npz"
    for path, leaf in flat(new.params).items():
        moved = not np.array_equal(leaf, flat(old.params)[path])
        assert moved == ("['decoder']" in path and path.endswith("['bias']")), path
    assert new.meta["calibrated"]["observables"] == ["tau1", "mass"]
    json.dumps(new.meta["calibrated"])
    # The flow goes on to be that of the model; jets of generate agree, too.
    jets = runs.generated_samples(new, runs.GenerateConfig(num_jets=6000, seed=5))
    sample = calibration._Sample(new, config)
    right = calibration._real(new, config)
    made, real = (sample.of_real(j)["tau1"][:, 0] for j in (jets, right))
    assert stats.ks_2samp(made, real).statistic < 0.6 * found.distances["tau1"][0]
    # The same seed, the same model.
    again = dataclasses.replace(config, output=str(tmp_path / "again"))
    runs.calibrate(workdir, again)
    written = (tmp_path / "again" / "vae.npz").read_bytes()
    assert written == found.path.read_bytes()
    # What an earlier calibration made agree checks the model no more than the last.
    second = dataclasses.replace(
        config, output=str(tmp_path / "second"), num_jets=2000, observables=("tau2",)
    )
    runs.calibrate(tmp_path / "new", second)
    meta = runs.load_model(tmp_path / "second").meta["calibrated"]
    assert meta["observables"] == ["tau1", "mass", "tau2"]
    assert meta["earlier"] == new.meta["calibrated"]


def test_what_cannot_be_calibrated_is_one_line(workdir, tmp_path):
    def wrong(message, folder=workdir, **changes):
        config = {"output": str(tmp_path / "new"), "num_jets": 100} | changes
        with pytest.raises(InputError, match=message):
            runs.calibrate(folder, runs.CalibrateConfig(**config))

    wrong("^--calibrate.output: name a folder", output="")
    wrong("there is a model already", output=str(workdir))
    wrong("^--calibrate.observables: name one", observables=())
    wrong("no such checkpoint", folder=tmp_path)
    wrong("^--calibrate.real: a model of the p", folder="zoo:autoregressive_gluon30")
    wrong("nothing.hdf5", real=str(tmp_path / "nothing.hdf5"))
    wrong("has 600 jets, distributions are known of 1,000", real=_few(tmp_path))
    with pytest.raises(InputError, match="observables"):
        runs.CalibrateConfig(observables=("tau21", "tau9"))
    plain = mlp_vae.Config(num_layers=1, nodes=8, latent_dim=2)
    other = dataclasses.replace(QUICK, num_epochs=1)
    run = dataclasses.replace(run_of("mlp_vae", plain), training=other)
    runs.train(tmp_path / "plain", run)
    wrong("--model=mlp_vae is no density of jets", folder=tmp_path / "plain")
    assert not (tmp_path / "new").exists()


def _few(tmp_path):
    from jetvae_jax import data

    loaded = data.load("embedded", max_jets=600)
    path = tmp_path / "few.npz"
    with data.writer(path, num_particles=30) as writer:
        writer.append(loaded.jets)
    return str(path)
