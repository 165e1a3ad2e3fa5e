"""Solutions of the entropic transport: feasible, whatever computed them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core.types import RelativeJets
from jetvae_jax.metrics.transport import entropic
from jetvae_jax.metrics.transport.energy_mover import emd
from jetvae_jax.metrics.transport.entropic import balanced

SETTINGS = {"epsilons": (0.05, 0.01), "iterations": 6}


def problem(n=5, m=4, pairs=7, seed=0):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(scale=0.2, size=(3, k, pairs)) for k in (n, m))
    for v in (x, y):
        v[0] = rng.exponential(size=v[0].shape) * (rng.random(v[0].shape) < 0.8)
    return balanced(*(jnp.asarray(v, jnp.float32) for v in (x, y)))


def jets(num_jets, num_particles, seed, spread=0.1):
    """Jets with steeply falling pt, some of them with fewer particles."""
    rng = np.random.default_rng(seed)
    shape = num_jets, num_particles
    pt = rng.exponential(size=shape) ** 2 * (rng.random(shape) < 0.8)
    pt[:, 0] += 1e-3
    pt *= rng.uniform(0.6, 1, (num_jets, 1)) / pt.sum(axis=1, keepdims=True)
    angles = rng.normal(scale=spread, size=(*shape, 2)) * (pt > 0)[..., None]
    particles = np.concatenate([pt[..., None], angles], axis=-1).astype(np.float32)
    return RelativeJets(particles, pt > 0)


def bounds(x, y, **settings):
    """Lower and upper bound ``[P]`` of the distance of pairs of jets."""
    pairs = balanced(*(jnp.asarray(v.particles).transpose(2, 1, 0) for v in (x, y)))
    found = entropic.transport(pairs, **settings)
    return np.asarray(found.lower), np.asarray(found.upper)


@pytest.mark.parametrize(
    "spread", [pytest.param(0.01, marks=pytest.mark.slow), 0.1, 1.0]
)
@pytest.mark.parametrize("iterations", [0, pytest.param(1, marks=pytest.mark.slow), 10])
def test_bounds_hold_the_exact_distance(spread, iterations):
    x, y = jets(200, 12, 11, spread), jets(200, 10, 12, spread)
    exact = emd(x, y)
    epsilons = (0.02, 0.005, 0.00125)
    low, high = bounds(x, y, epsilons=epsilons, iterations=iterations)
    allowed = 1e-5 * max(1, 10 * spread)
    assert (low <= exact + allowed).all()
    assert (high >= exact - allowed).all()
    if iterations == 10 and spread == 0.1:
        assert np.median((high - low) / exact) < 0.05


def test_blur_to_zero_reaches_the_exact_distance():
    x, y = jets(30, 10, 13), jets(30, 10, 14)
    found = bounds(x, y, epsilons=(0.05, 0.01, 0.002, 0.0005), iterations=500)
    for bound in found:
        np.testing.assert_allclose(bound, emd(x, y), rtol=1e-2)


def test_bounds_of_empty_jets():
    one = RelativeJets(np.float32([[[0.7, 1, 2]]]), np.ones((1, 1), bool))
    empty = RelativeJets(np.zeros((1, 1, 3), np.float32), np.zeros((1, 1), bool))
    for other, expected in ((one, 0.7), (empty, 0)):
        np.testing.assert_allclose(
            bounds(empty, other, **SETTINGS), expected, atol=1e-6
        )


def test_balanced_problems_have_equal_sums():
    a, b, cost = (np.asarray(v) for v in problem())
    assert (a.shape, b.shape, cost.shape) == ((6, 7), (5, 7), (6, 5, 7))
    np.testing.assert_allclose(a.sum(0), b.sum(0), rtol=1e-6)
    assert (np.minimum(a[-1], b[-1]) == 0).all()
    assert (cost[-1] == 1).all()
    assert (cost[:, -1] == 1).all()


def test_plan_and_potentials_are_feasible():
    given = problem()
    a, b, cost = (np.asarray(v, float) for v in given)
    found = entropic.transport(given, **SETTINGS)
    lower, upper, f, g, plan = (np.asarray(v, float) for v in found)
    assert (plan >= -1e-6).all()
    np.testing.assert_allclose(plan.sum(1), a, atol=2e-6)
    np.testing.assert_allclose(plan.sum(0), b, atol=2e-6)
    there = (a > 0)[:, None] & (b > 0)
    assert (np.where(there, f[:, None] + g - cost, 0) <= 1e-6).all()
    np.testing.assert_allclose(upper, np.sum(plan * cost, (0, 1)), rtol=1e-5)
    expected = np.sum(np.where(a > 0, a * f, 0), 0) + np.sum(
        np.where(b > 0, b * g, 0), 0
    )
    np.testing.assert_allclose(lower, expected, rtol=1e-5)
    assert (lower <= upper + 1e-6).all()


def test_other_devices_find_the_same(monkeypatch):
    """They reduce whole arrays where a CPU goes along them in a loop."""
    given = problem(seed=1)
    here = entropic.transport(given, **SETTINGS)
    used = []

    def elsewhere(*args, cpu, default):
        used.append(cpu)
        return default(*args)

    monkeypatch.setattr(jax.lax, "platform_dependent", elsewhere)
    there = entropic.transport(given, **SETTINGS)
    assert used
    for name, one, other in zip(here._fields, here, there, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_it_lowers_for_accelerators(platform):
    def bounds(a, b, cost):
        return entropic.transport(entropic.Problem(a, b, cost), **SETTINGS)[:2]

    traced = jax.jit(bounds).trace(*problem())
    assert traced.lower(lowering_platforms=(platform,)).as_text()
