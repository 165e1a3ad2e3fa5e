"""The study of GANs' objectives: what it counts, the gradients, and the whole of it."""

import json
import re

import jax
import numpy as np
import pytest
from scipy import special

from jetvae_jax.studies.gan_toys import study
from jetvae_jax.studies.gan_toys.study import GanToysConfig

pytestmark = pytest.mark.slow  # a study: its wrong flags are tested with the others

FIGURES = "made"
TINY = ("--gan_toys.objectives=wgan", "--gan_toys.num_steps=10",
        "--gan_toys.num_seeds=2", "--gan_toys.nodes=4")  # fmt: skip


def test_modes_are_counted():
    config = GanToysConfig(modes=4, radius=1.0, deviation=0.1)
    real = study.ring(jax.random.key(0), config, 2000)
    again = study.ring(jax.random.key(1), config, 2000)
    np.testing.assert_allclose(np.mean(real, axis=0), 0, atol=0.08)
    modes, near, energy = study.counted(real, config, again)
    # In two dimensions 1 - exp(-9/2) of a Gaussian lies within three deviations.
    assert int(modes) == 4
    assert float(near) == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    assert abs(float(energy)) < 0.01
    one = np.asarray(real)[np.linalg.norm(real - config.centres[0], axis=1) < 0.5]
    modes, near, energy = study.counted(one, config, again)
    assert int(modes) == 1 and float(energy) > 0.3
    modes, near, _ = study.counted(np.zeros((100, 2), np.float32), config, again)
    assert int(modes) == float(near) == 0


def test_gradients_at_the_best_critic_are_those_of_their_closed_forms():
    found = study.pulls(jax.random.key(2))
    d, x = np.array(found["distance"]), np.linspace(-12, 22, 200_001)

    def integral(values):  # over N(d, 1)
        density = np.exp(-((x - d[:, None]) ** 2) / 2) / np.sqrt(2 * np.pi)
        return (density * values).sum(1) * (x[1] - x[0])

    # log p/q = d (d/2 - x), of slope -d; D is its sigmoid.
    true = special.expit(d[:, None] * (d[:, None] / 2 - x))
    expected = {
        "minimax": d * integral(true),
        "classic": d * integral(1 - true),
        "wgan": np.ones_like(d),
        # E|X - Y| of N(d, 2) has the slope erf(d / 2).
        "cramer": 2 * special.erf(d / 2),
    }
    for name, values in expected.items():
        # A part of classic comes from points too rare to be among those drawn.
        error = np.array(found[name]["error"]) + 2e-5 * values
        assert np.all(np.abs(found[name]["value"] - values) < 5 * error + 1e-6), name
    vanished = found["minimax"]["value"][-1]
    assert 0 < vanished < 1e-5 < 1.9 < found["cramer"]["value"][-1]


def test_script_ends_in_a_paragraph_a_plot_and_a_table(tmp_path, run_script):
    done = run_script("gan_toys", f"--workdir={tmp_path / 'out'}", *TINY)
    assert done.returncode == 0, done.stderr
    assert "Of 8 modes, 2 trainings of 10 updates of the generator found" in done.stdout
    page = (tmp_path / "out" / "gan_toys.html").read_text()
    assert "WGAN, clipped" in page
    assert list((tmp_path / "out").rglob("gan_toys.png"))
    result = json.loads((tmp_path / "out" / "gan_toys.json").read_text())
    assert set(result["rings"]) == {"wgan"}
    assert result["rings"]["wgan"]["steps"][-1] == 10


def test_mistakes_are_one_line(tmp_path, run_script):
    out = f"--workdir={tmp_path}"
    for flags, says in (
        (["--gan_toys.objectives=wgann"], "objectives: must be one of .*'wgan'"),
        (["--gan_toys.objectives=wgan,wgan"], "names wgan twice"),
        (["--gan_toys.num_seeds=1"], "num_seeds: must be between 2 and 100"),
        (["--gan_toys.num_steps=3"], "num_steps: must be at least 10"),
        ([*TINY, "--gan_toys.learning_rate=1e30"], "learning_rate: .*NaN or infinite"),
    ):
        done = run_script("gan_toys", out, *flags)
        assert done.returncode == 2, flags
        errors = [x for x in done.stderr.splitlines() if x.startswith("error")]
        assert len(errors) == 1
        last = done.stderr.strip().splitlines()[-1]
        assert re.search(says, last), last
    assert not list(tmp_path.glob("*.html"))
