"""Solutions of the entropic transport: feasible, whatever computed them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.metrics.transport import entropic
from jetvae_jax.metrics.transport.entropic import balanced

OPTIMISED = True  # as users compile it

SETTINGS = {"epsilons": (0.05, 0.01), "iterations": 6}


def problem(n=5, m=4, pairs=7, seed=0):
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(scale=0.2, size=(3, k, pairs)) for k in (n, m))
    for v in (x, y):
        v[0] = rng.exponential(size=v[0].shape) * (rng.random(v[0].shape) < 0.8)
    return balanced(*(jnp.asarray(v, jnp.float32) for v in (x, y)))


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
