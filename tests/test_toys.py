"""The frequentist study: its statistics in closed form, and the whole study."""

import json

import jax
import numpy as np
import pytest
from scipy import stats

from jetvae_jax import runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.events.writer import write
from jetvae_jax.losses.distances import mse
from jetvae_jax.models import mlp_vae
from jetvae_jax.runs import domains
from jetvae_jax.studies.toys import study
from jetvae_jax.studies.toys.study import ToysConfig, at, toys

KEY = jax.random.key(0)


@pytest.mark.slow
def test_p_values_are_uniform_where_the_answer_is_known():
    # Twelve windows that do not overlap, background known: the largest excess has the
    # distribution of the largest of twelve independent Poisson counts.
    mean, num = 40.0, 12
    config = ToysConfig(
        bin_width=1.0, widths=(1.0,), sideband=0.0, num_events=num * mean,
        num_toys=20_000,
    )  # fmt: skip
    edges = 100 + np.arange(num + 1.0)
    done = study.study(KEY, None, np.full(num, mean), edges, config)
    counts = np.arange(20, 90)
    cdf = stats.poisson.cdf(counts, mean) ** num  # closed form, of the largest count
    with np.errstate(divide="ignore"):
        z = np.sqrt(2 * (counts * np.log(counts / mean) - counts + mean))
    z *= np.sign(counts - mean)
    order = np.searchsorted(z, done.toys.max_z - 1e-3)  # the largest count of a toy
    # P(p <= a) = a at the values a that the p-values can take.
    p = 1 - np.concatenate([[0.0], cdf])[order]
    for a in np.unique(p):
        if 1e-3 < a < 0.999:
            assert np.mean(p <= a) == pytest.approx(a, abs=4 * np.sqrt(a / 20_000))
    found = study.summary(done, config)
    row = at(found, 3.0)
    first = counts[np.searchsorted(z, 3.0)]
    exact = 1 - stats.poisson.cdf(first - 1, mean) ** num
    assert row["p"] == pytest.approx(exact, abs=4 * row["error"])
    assert row["low"] <= row["p"] <= row["high"]
    assert found["calibration_ks"]["p"] > 1e-3


@pytest.mark.slow
def test_toys_of_a_large_sample_are_those_of_its_shape():
    rng = np.random.default_rng(0)
    config = ToysConfig(num_events=400.0, num_toys=3000, sideband=10.0)
    edges = np.arange(100.0, 201.0, 2.0)
    shape = np.exp(-edges[:-1] / 50) - np.exp(-edges[1:] / 50)
    expected = 400 * shape / shape.sum()

    def sample(num):
        exponential = -50 * np.log(1 - rng.uniform(size=num) * (1 - np.exp(-2)))
        return 100 + exponential

    truth = study.study(KEY, None, expected, edges, config)
    key = jax.random.key(1)
    many = study.study(key, sample(400_000), expected, edges, config)
    assert many.mean.sum() == pytest.approx(400)
    apart = study.compared({"template": truth, "many": many})["many"]
    assert apart["p"] > 1e-3
    # A sample of the size of a toy brings its own fluctuations: too many excesses.
    few = study.study(key, sample(400), expected, edges, config)
    assert np.median(few.toys.max_z) > np.median(truth.toys.max_z) + 0.3
    assert few.sample == 400 and truth.sample == 0


def test_summary_is_json_and_falls():
    config = ToysConfig(num_events=200.0, num_toys=200, sideband=0.0)
    done = study.study(KEY, None, np.full(20, 10.0), np.arange(21.0) + 1, config)
    found = json.loads(json.dumps(study.summary(done, config), allow_nan=False))
    p = [row["p"] for row in found["significance"]]
    assert np.all(np.diff(p) <= 0) and p[0] > 0.5 and p[-1] == 0
    assert found["significance"][-1]["z"] is None  # infinite
    again = study.study(KEY, None, np.full(20, 10.0), np.arange(21.0) + 1, config)
    np.testing.assert_array_equal(again.toys.max_z, done.toys.max_z)


# The whole study


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    mass = 100 + rng.exponential(40, 900)
    values = np.stack([mass, mass * rng.uniform(0.2, 0.5, 900)], axis=1)
    write(folder / "table.hdf5", values, ("mlly", "pt"), {})
    domain = domains.get("events")
    data, scaling = domain.resolved(
        domain.Data(path=str(folder / "table.hdf5")), domain.Scaling()
    )
    run = runs.ModelRun(
        data=data, scaling=scaling, model="mlp_vae",
        model_config=mlp_vae.Config(latent_dim=2, num_layers=1, nodes=8),
        loss="mse", loss_config=mse.Config(), objective=domain.Objective(),
        training=training.Config(num_epochs=1, batch_size=100), domain="events",
    )  # fmt: skip
    runs.train(folder, run)
    return folder


QUICK = {"num_events": 100.0, "num_toys": 200, "num_generated": 4000, "low": 90.0,
         "high": 250.0, "sideband": 0.0}  # fmt: skip


@pytest.mark.slow
def test_report(workdir, tmp_path):
    page, line = toys(workdir, ToysConfig(**QUICK), output=tmp_path)
    result = json.loads((tmp_path / "toys.json").read_text())
    assert line == result["verdict"] and "\n" not in line
    assert set(result["studies"]) == {
        "template", "simulation", "generator", "generator_judged",
    }  # fmt: skip
    # Of 900 events in all, for toys of 100: ten times too few, and it is said.
    (note,) = (note for note in result["notes"] if note.startswith("simulation"))
    assert "different events in the range for toys of 100" in note and "0.3" in note
    assert result["trained_on"] == 630
    assert any("learned from 630 events" in n and "0.40" in n for n in result["notes"])
    assert result["edges"][0] == 90 and result["edges"][-1] == 250
    for name in ("toys_spectrum", "toys_largest", "toys_global"):
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 5000
    assert "generator vs simulation" in page.read_text()
    assert str(workdir) in json.dumps(result["settings"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mass": "m"}, "--toys.mass: 'm' is not a column"),
        ({"low": 1000.0, "high": 1200.0}, "--toys.low, --toys.high: 0 events"),
        ({"widths": (200.0,)}, "--toys.widths: .* do not fit in 80 bins"),
        (
            {"low": 0.0, "bin_width": 150.0, "widths": (150.0,)},
            "range begins at 0, but",
        ),
        ({"low": 100.0, "high": 101.0}, "--toys.bin_width: 0 bins"),
        (
            {"low": 100.0, "high": 200.0, "bin_width": 1e-5, "widths": (1.0,)},
            "--toys.bin_width: 10,000,000 bins between 100 and 200 GeV: give 100,000",
        ),
    ],
)
def test_mistakes(workdir, tmp_path, changes, says):
    with pytest.raises(InputError, match=says) as error:
        toys(workdir, ToysConfig(**QUICK | changes), output=tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"widths": (5.0,)}, "widths: 5 GeV is not a whole number"),
        ({"widths": ()}, "^widths: must not be empty"),
        ({"widths": (0.0,)}, "^widths: must be positive"),
        ({"num_events": float("nan")}, "^num_events: must be a number, got nan"),
        ({"num_events": 1e9}, "^num_events: must be at most 1e.07"),
        ({"num_toys": 3}, "^num_toys: must be at least 100, got 3"),
        ({"low": 200.0, "high": 100.0}, "^low: must be below high = 100"),
    ],
)
def test_settings_that_cannot_be(changes, says):
    with pytest.raises(InputError, match=says):
        ToysConfig(**changes)


def test_script_ends_in_one_line(tmp_path, run_script):
    result = run_script("toys", f"--workdir={tmp_path}")
    assert result.returncode == 2 and "vae.npz" in result.stderr
