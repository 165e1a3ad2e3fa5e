"""Where a protocol draws more jets than there are: it is said, and errors hold."""

import jax
import numpy as np
import pytest

from jetvae_jax import metrics
from jetvae_jax.core.types import Jets
from jetvae_jax.events import metrics as event_metrics
from jetvae_jax.metrics.frechet import physics

KEY = jax.random.key(0)
SIZES = {"min_samples": 1000, "max_samples": 3000, "num_batches": 3, "num_points": 4}


def features(num_jets, seed):
    """Heavy tails, as energy-flow polynomials have them."""
    return np.exp(np.random.default_rng(seed).normal(size=(num_jets, 5)))


def pulls(measure, num_jets):
    """Value over error of ten pairs of samples of one distribution."""
    pairs = [[features(num_jets, s) for s in (2 * i, 2 * i + 1)] for i in range(10)]
    found = [measure(jax.random.key(i), *pair) for i, pair in enumerate(pairs)]
    return np.array([r["value"] / r["error"] for r in found])


def check(pulls):
    """At most two of ten beyond two errors, none far beyond; errors not enormous."""
    assert np.sum(np.abs(pulls) < 2) >= 8
    assert np.abs(pulls).max() < 4
    assert np.abs(pulls).mean() > 0.2


def test_fpd_of_few_jets_of_one_distribution_agrees_with_zero():
    check(pulls(lambda *a: metrics.fpd(*a, **SIZES), 150))


def test_kpd_of_few_jets_of_one_distribution_agrees_with_zero():
    check(pulls(lambda *a: metrics.kpd(*a, batch_size=1500, num_batches=4), 150))


def test_fpd_and_kpd_of_few_still_see_a_difference():
    x, y = features(400, 0), 3 + features(400, 1)
    for found in (
        metrics.fpd(KEY, x, y, **SIZES),
        metrics.kpd(KEY, x, y, batch_size=1000),
    ):
        assert found["value"] > 3 * found["error"]


def test_values_do_not_depend_on_the_error(monkeypatch):
    x, y = features(150, 0), features(150, 1)
    found = metrics.fpd(KEY, x, y, **SIZES)
    monkeypatch.setattr(physics, "resolution", lambda *a: 0.0)
    plain = metrics.fpd(KEY, x, y, **SIZES)
    assert plain["value"] == found["value"]
    assert plain["jetnet_value"] == found["jetnet_value"]
    assert plain["error"] < found["error"]
    many = metrics.fpd(KEY, features(3000, 0), features(3000, 1), **SIZES)
    assert many["error"] < 0.1 * found["error"]


@pytest.mark.parametrize("num_jets", [50, 200, 2000])
def test_error_of_batches_is_that_of_the_jets_there_are(num_jets):
    """Means of draws from J normal numbers deviate by ``sqrt(2 / J)``, not less."""
    x, y = np.random.default_rng(0).normal(size=(2, num_jets))
    found = metrics.over_batches(
        KEY,
        lambda i, j: x[i].mean() - y[j].mean(),
        num_jets,
        num_jets,
        metrics.Draws(2000, 300),
    )
    assert found["error"] == pytest.approx(np.sqrt(2 / num_jets), rel=0.2)
    assert found["available"] == num_jets


def toy(num_jets, seed):
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(num_jets, 4, 3)) * 5 + [100, 0, 20]
    return Jets(p.astype(np.float32), np.ones((num_jets, 4), bool))


PROTOCOL = metrics.Protocol(
    "drawn",
    w1=metrics.Draws(300, 2, replace=False),
    fpnd=500,
)


def evaluation(protocol):
    real, other = toy(120, 0), toy(120, 1)
    return metrics.evaluate(KEY, real, other, protocol=protocol, fpnd=lambda jets: 1.0)


def test_the_evaluation_and_its_table_say_it():
    found = evaluation(PROTOCOL)
    notes = [n for n in found["notes"] if "W1M" in n or "FPND" in n]
    assert len(notes) == 2
    assert notes[0].startswith(
        "drawn: W1M, W1P, W1EFP: of 300 jets asked for there are"
    )
    assert "there are 120: drawn again and again, errors widened" in notes[0]
    assert "FPND: of 500 jets asked for there are 120: too large" in notes[1]
    text = " ".join(metrics.table(found).split())
    assert all(note in text for note in notes)
    w1m = found["candidates"]["jets"]["protocols"]["drawn"]["w1m"]
    assert (w1m["num_jets"], w1m["available"], w1m["replaced"]) == (300, 120, True)


def test_nothing_is_said_where_there_are_enough():
    enough = metrics.Protocol("drawn", w1=metrics.Draws(100, 2), fpnd=120)
    assert evaluation(enough)["notes"] == []


def test_floor_of_events_has_errors_where_there_is_one_draw():
    rng = np.random.default_rng(0)
    real, truth = rng.normal(size=(2, 60, 2))
    found = event_metrics.floor(real, truth, ("a", "b"), size=60)
    assert found["events"] == 60
    assert all(found["ks"][name]["error"] > 0.02 for name in "ab")
    fewer = event_metrics.floor(real, truth, ("a", "b"), size=30)
    assert fewer["events"] == 30
