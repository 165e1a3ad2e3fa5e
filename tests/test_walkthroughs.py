"""The pages about plug-ins: their files, with the commands that they show."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import jets
from scipy import stats
from walkthroughs import DOCS, commands, save

from jetvae_jax import data, densities, metrics, runs
from jetvae_jax.core.kinematics import jet_mass
from jetvae_jax.losses import distances

FIGURES = "none"

PAGES = ("model", "density", "loss", "metric")


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The files of all pages in a folder of the user."""
    folder = tmp_path / "plugins"
    for page in (*PAGES, "format"):
        save(f"extend/{page}.md", folder)
    monkeypatch.setenv("JETVAE_PLUGINS", str(folder))
    return folder


def test_the_density_is_that_of_logistic_variables(plugins):
    module = densities.get("logistic")
    density = module.build(module.Config(), dim=2)
    params = {
        "place": jnp.array([1.0, -2.0]),
        "log_scale": jnp.log(jnp.array([2, 0.5])),
    }
    z = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    wanted = stats.logistic.logpdf(z, [1, -2], [2.001, 0.501]).sum(-1)
    np.testing.assert_allclose(density.log_prob(params, z), wanted, rtol=1e-5)
    drawn = np.asarray(density.sample(params, jax.random.key(0), (4000,)))
    assert stats.kstest((drawn[:, 1] + 2) / 0.501, "logistic").pvalue > 1e-3


def test_the_loss_ignores_masked_points(plugins):
    module = distances.get("apart")
    distance = module.build(module.Config(weight=2.0, length=1.0))
    x = jnp.array([[0.0, 0.0], [3.0, 4.0]])
    assert distance(x, x) == pytest.approx(2 * 2 * np.exp(-5))
    padded = jnp.concatenate([x, jnp.full((1, 2), jnp.nan)])
    mask = jnp.array([True, True, False])
    assert distance(padded, padded, x_mask=mask, y_mask=mask) == distance(x, x)


def test_the_format_is_read_in_gev(plugins, tmp_path, make_jets):
    made = make_jets(20, 5)
    path = tmp_path / "mine.npz"
    np.savez(path, momenta=made.particles * 1e3, exists=made.mask)
    loaded = data.load(path, jet_type="g", num_particles=5)
    np.testing.assert_allclose(loaded.jets.particles, made.particles, rtol=1e-5)
    np.testing.assert_array_equal(loaded.jets.mask, made.mask)


@pytest.mark.slow
def test_density_and_loss_in_one_run(plugins, tmp_path, run_script):
    """With the flags of two pages, at the smallest size."""
    flags = []
    for page in ("density", "loss"):
        ((_, found),) = commands((DOCS / f"extend/{page}.md").read_text())
        flags += [f for f in found if not f.startswith(("--flagfile", "--workdir"))]
    assert flags == ["--flow=logistic", "--loss=apart", "--apart.weight=1"]
    for script in ("train", "fit_flow"):
        done = run_script(
            script, "--flagfile=experiments/flagfiles/smoke.txt",
            f"--workdir={tmp_path}", "--train.num_epochs=1", *flags,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    trained = runs.load_model(tmp_path)
    assert (trained.run.loss, trained.run.loss_config.weight) == ("apart", 1.0)
    assert trained.density("flow").run.flow == "logistic"


def test_the_metric_is_the_difference_of_medians(plugins):
    real, other = jets(0), jets(1, spread=0.4)
    protocol = metrics.Protocol("none")
    found = metrics.evaluate(
        jax.random.key(0), real, {"wide": other}, truth=jets(2), protocol=protocol
    )
    result = found["candidates"]["wide"]["protocols"]["none"]["median_mass"]
    mass = [
        np.median(jet_mass(sample.particles, sample.mask)) for sample in (real, other)
    ]
    assert result["value"] == pytest.approx(abs(mass[0] - mass[1]), abs=result["error"])
    assert 0 < result["error"] < result["value"]
    assert "median mass" in metrics.table(found)


@pytest.mark.slow
@pytest.mark.parametrize("page", [*PAGES, "format"])
def test_the_commands_of_a_page(page, plugins, tmp_path, run_script, make_jets):
    """As they are printed, but for the folders and the size."""
    made = make_jets(600, 30)
    np.savez(tmp_path / "mine.npz", momenta=made.particles * 1e3, exists=made.mask)
    smoke = "--flagfile=experiments/flagfiles/smoke.txt"
    if page == "metric":
        workdir = f"--workdir={tmp_path}/runs/quickstart"
        assert run_script("pipeline", smoke, workdir).returncode == 0
    for script, flags in commands((DOCS / f"extend/{page}.md").read_text()):
        flags = [
            flag.replace("quickstart.txt", "smoke.txt")
            .replace("=runs/", f"={tmp_path}/runs/")
            .replace("=mine.npz", f"={tmp_path}/mine.npz")
            for flag in flags
        ]
        if script == "evaluate":  # by default it draws 50,000 jets many times
            flags.append("--evaluate.protocols=epic_5k")
        done = run_script(script, *flags)
        assert done.returncode == 0, done.stderr + done.stdout
