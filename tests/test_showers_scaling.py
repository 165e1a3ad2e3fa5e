"""Scaling of showers and of their particles, and metrics of showers."""

import functools

import jax
import numpy as np
import pytest
from scipy import stats
from showers import GRID, blobs

from jetvae_jax.core.types import Context, Points
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.metrics.distributions.distances import separation_power
from jetvae_jax.showers import (
    conditions,
    domain,
    geometry,
    incident,
    load,
    metrics,
    scaling,
)

ALL = ("energy", "type", "point", "direction")
CONFIG = scaling.Config(ALL, GRID, (11, 22), True, True)


@functools.cache
def fitted(threshold=0.01):
    showers = blobs(threshold=threshold)
    return showers, scaling.fit(CONFIG, showers)


@pytest.mark.parametrize("threshold", [0.01, 0.2])
def test_showers_come_back(threshold):
    """Zeros exactly, energies to rounding, particles as they were."""
    showers, scaler = fitted(threshold)
    assert float(scaler.threshold) == pytest.approx(
        showers.energies[showers.energies > 0].min(), rel=1e-6
    )
    batch = jax.jit(functools.partial(scaling.scale, CONFIG, scaler))(showers)
    assert batch.x.shape == (120, 61, 1) and batch.context.condition.shape == (120, 7)
    hit = showers.energies > 0
    np.testing.assert_array_equal(batch.mask[:, 1:], hit)
    soft = showers.energies == scaler.threshold  # x is 0 there, too
    np.testing.assert_array_equal(np.asarray(batch.x)[:, 1:, 0] == 0, ~hit | soft)
    unscale = jax.jit(functools.partial(scaling.unscale, CONFIG, scaler))
    for mask in (batch.mask, scaling.exists(batch.x, batch.context)):
        again = unscale(Points(batch.x, mask), batch.context)
        energies = np.asarray(again.energies)
        kept = np.ones(120, bool) if mask is batch.mask else ~soft.any(1)
        assert kept.sum() >= 119
        np.testing.assert_array_equal(energies[kept] > 0, hit[kept])
        np.testing.assert_allclose(energies[kept], showers.energies[kept], rtol=3e-5)
        np.testing.assert_array_equal(again.kind, showers.kind)
        np.testing.assert_array_equal(again.point, showers.point)
        np.testing.assert_allclose(again.direction, showers.direction, atol=1e-6)
        np.testing.assert_array_equal(again.energy, showers.energy)


def test_whatever_is_generated_is_a_shower():
    """Energies not negative, none below the threshold, the sum that of the response."""
    showers, scaler = fitted()
    rng = np.random.default_rng(1)
    x = rng.normal(size=(120, 61, 1)) * 3
    x[0], x[1, 5], x[2, 0], x[3, 0] = np.nan, np.inf, 1e30, -1e30
    mask = rng.random((120, 61)) < 0.5
    mask[4] = False
    context = Context(incident.rows_of(CONFIG.known, showers))
    made = scaling.unscale(CONFIG, scaler, Points(x, mask), context)
    energies = np.asarray(made.energies, np.float64)
    assert np.isfinite(energies).all() and (energies >= 0).all()
    least = float(scaler.threshold)
    assert not ((energies > 0) & (energies < least * (1 - 2e-5))).any()
    assert not energies[~mask[:, 1:]].any() and not energies[[0, 3, 4]].any()
    log = x[5:, 0, 0] * scaler.response[1] + scaler.response[0]
    wanted, found = np.exp(log) * showers.energy[5:], energies[5:].sum(1)
    np.testing.assert_allclose(found[found > 0], wanted[found > 0], rtol=1e-4)
    assert (wanted[found == 0] < 60 * least).all()
    bounds = conditions.conditions(
        geometry.get(GRID), conditions.limits(geometry.get(GRID), showers), made
    )
    values = {c.name: c.value for c in bounds}
    assert values["negative"] == 0 and values["response_range"] > 0
    assert values["empty"] == pytest.approx(100 * np.mean(energies.sum(1) == 0))


@pytest.mark.slow
def test_contexts_are_of_training_showers_or_what_is_asked_for():
    showers, scaler = fitted()
    known = {tuple(np.round(row, 3)) for row in showers.point}

    def drawn(source="data", **asked):
        sampler = domain.contexts(CONFIG, scaler, ContextRequest(source, asked))
        context = sampler(jax.random.key(0), 200)
        made = incident.with_particles(CONFIG.known, np.zeros((200, 60)), context.axis)
        batch = scaling.conditions(CONFIG, scaler, context.axis)
        np.testing.assert_allclose(context.condition, batch, atol=1e-5)
        return made

    free = drawn()
    assert {tuple(np.round(row, 3)) for row in np.asarray(free.point)} <= known
    asked = drawn(energy=20.0, type=1, x=3.0, dx_dz=0.25)
    np.testing.assert_allclose(asked.energy, 20, rtol=1e-5)
    np.testing.assert_allclose(asked.point[:, 0], 3, atol=1e-5)
    slope = asked.direction[:, 0] / asked.direction[:, 2]
    np.testing.assert_allclose(slope, 0.25, atol=1e-5)
    assert set(np.asarray(asked.kind)) == {22}
    density = drawn("density")
    assert set(np.asarray(density.kind)) == {11, 22}
    energies = np.log(np.stack([density.energy, drawn().energy]))
    assert stats.ks_2samp(*energies).statistic < 0.2
    names = domain.condition_names(CONFIG)
    assert names["type"] == ("electron", "photon")
    assert list(names) == ["energy", "type", "x", "y", "dx_dz", "dy_dz"]


def test_cells_at_or_below_the_threshold_count_as_empty(tmp_path):
    cells = geometry.get("lhcb_ecal")
    energies = np.zeros((3, 900), np.float32)
    energies[0, :3] = 0.5 * cells.threshold, cells.threshold, 2 * cells.threshold
    showers = blobs(3, name="lhcb_ecal")._replace(energies=energies)
    kept, number = load.above_threshold(cells, showers)
    assert number == 2 and (kept.energies > 0).sum() == 1
    config = scaling.Config((), "lhcb_ecal", (11, 22), True, True)
    scaler = scaling.fit(config, showers)
    assert scaling.scale(config, scaler, showers).mask[:, 1:].sum() <= 2


def test_separation_power_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    p, q = rng.integers(0, 9, (2, 12)).astype(np.float64)
    expected = 0.0
    for a, b in zip(p / p.sum(), q / q.sum(), strict=True):
        if a + b:
            expected += (a - b) ** 2 / (a + b) / 2
    assert separation_power(p, q) == pytest.approx(expected, rel=1e-12)
    assert separation_power(p, 3 * p) == 0
    assert separation_power([1.0, 0, 0], [0, 0, 5.0]) == 1
    with pytest.raises(ValueError, match="differ in bins"):
        separation_power(p, q[1:])


@pytest.mark.slow
def test_metrics_find_what_is_different():
    cells = geometry.get(GRID)
    real, same, other = blobs(400), blobs(400, seed=1), blobs(400, seed=2)
    wide = other._replace(energies=np.roll(other.energies.reshape(400, 2, 5, 6), 1, -1)
                          .reshape(400, 60))  # fmt: skip
    values = [metrics.measured(cells, s) for s in (real, same, wide)]
    good, bad = (metrics.compare(values[0], other) for other in values[1:])
    far = bad["observables"]["x"]["w1"]
    assert far["value"] > 5 and far["error"] < 2  # a cell of 10 mm, with an edge
    expected = stats.wasserstein_distance(values[0]["x"], values[2]["x"])
    assert far["value"] == pytest.approx(expected, rel=1e-5)
    logs = [v["log10_cell"][np.isfinite(v["log10_cell"])] for v in values[:2]]
    ks = good["observables"]["log10_cell"]["ks"]
    assert ks["value"] == pytest.approx(stats.ks_2samp(*logs).statistic, rel=1e-6)
    assert bad["ks_mean"]["value"] > 2 * good["ks_mean"]["value"]
    floor = metrics.floor(values[0], values[1], size=200)
    assert floor["ks_mean"]["value"] < bad["ks_mean"]["value"]
    monitored = metrics.means(cells, real, wide)
    assert monitored["ks"] == pytest.approx(bad["ks_mean"]["value"], rel=1e-9)
    key = jax.random.key(0)
    near, away = (
        metrics.physics_distances(key, cells, real, s)["fpd"]["value"]
        for s in (same, wide)
    )
    assert away > 5 * near
