"""Rational-quadratic splines against a float64 loop and autodiff."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.densities import splines

BOUND = 3.0


def raws(*shape, num_bins=6, seed=0):
    size = splines.num_parameters(num_bins)
    return np.random.default_rng(seed).normal(size=(*shape, size)).astype(np.float32)


def by_hand(raw, x):
    """One spline at one point in float64: Durkan et al., section 3.1, step by step."""
    raw, count = np.float64(raw), (len(raw) + 1) // 3

    def edges(part):
        share = np.exp(part) / np.exp(part).sum()
        share = splines.MIN_SIZE + (1 - splines.MIN_SIZE * count) * share
        return -BOUND + 2 * BOUND * np.concatenate([[0], np.cumsum(share)])

    xs, ys = edges(raw[:count]), edges(raw[count : 2 * count])
    start = np.log(np.expm1(1 - splines.MIN_SLOPE))
    inner = splines.MIN_SLOPE + np.log1p(np.exp(raw[2 * count :] + start))
    slopes = np.concatenate([[1], inner, [1]])
    if abs(x) >= BOUND:
        return x
    k = np.searchsorted(xs, x, side="right") - 1
    s = (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k])
    t = (x - xs[k]) / (xs[k + 1] - xs[k])
    top = (ys[k + 1] - ys[k]) * (s * t**2 + slopes[k] * t * (1 - t))
    bottom = s + (slopes[k + 1] + slopes[k] - 2 * s) * t * (1 - t)
    return ys[k] + top / bottom


def test_forward_is_the_published_formula():
    raw = raws()
    x = np.linspace(-4, 4, 101).astype(np.float32)
    y, _ = splines.forward(raw, x, bound=BOUND)
    np.testing.assert_allclose(y, [by_hand(raw, v) for v in x], atol=2e-6)


@pytest.mark.parametrize("num_bins", [1, pytest.param(2, marks=pytest.mark.slow), 8])
def test_inverse_and_slopes(num_bins):
    raw = raws(50, num_bins=num_bins, seed=1)
    x = np.random.default_rng(2).uniform(-4, 4, 50).astype(np.float32)
    y, log_slope = splines.forward(raw, x, bound=BOUND)
    back, inverse_slope = splines.inverse(raw, y, bound=BOUND)
    np.testing.assert_allclose(back, x, atol=2e-5)
    np.testing.assert_allclose(inverse_slope, -log_slope, atol=2e-4)
    slope = jax.vmap(jax.grad(lambda x, r: splines.forward(r, x, bound=BOUND)[0]))
    np.testing.assert_allclose(log_slope, np.log(slope(x, raw)), atol=1e-4)


def test_zeros_are_the_identity_and_the_outside_is_left_alone():
    x = np.linspace(-5, 5, 41).astype(np.float32)
    y, log_slope = splines.forward(np.zeros(17, np.float32), x, bound=BOUND)
    np.testing.assert_allclose(y, x, atol=1e-6)
    np.testing.assert_allclose(log_slope, 0, atol=1e-6)
    wild = 10 * raws()
    for function in (splines.forward, splines.inverse):
        y, log_slope = function(wild, x, bound=BOUND)
        outside = np.abs(x) >= BOUND
        np.testing.assert_array_equal(y[outside], x[outside])
        assert np.all(np.isfinite(log_slope))


def test_gradients_are_finite_everywhere():
    x = jnp.asarray([-1e6, -BOUND, 0.0, BOUND, 5.0, 1e6])
    for function in (splines.forward, splines.inverse):
        total = functools.partial(function, bound=BOUND)
        gradient = jax.grad(lambda r, f=total: jnp.sum(jnp.stack(f(r, x))))
        assert np.all(np.isfinite(gradient(20 * raws())))
