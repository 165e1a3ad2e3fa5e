"""Sinkhorn divergence against a float64 NumPy solver and exact transport."""

import functools

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.special

from jetvae_jax.losses import chamfer_distance, sinkhorn_divergence


def sq_distance(x, y):
    return np.square(x[:, None] - y).sum(-1)


def transport(x, y, eps):
    """min_P <P, C> + eps KL(P | uniform x uniform), 500 iterations in float64."""
    cost = sq_distance(x, y)
    f, g = np.zeros(len(x)), np.zeros(len(y))
    for _ in range(500):
        f = -eps * scipy.special.logsumexp((g - cost) / eps, axis=1, b=1 / len(y))
        g = -eps * scipy.special.logsumexp((f[:, None] - cost) / eps, 0, b=1 / len(x))
    return f.mean() + g.mean()


def divergence(x, y, eps):
    return transport(x, y, eps) - transport(x, x, eps) / 2 - transport(y, y, eps) / 2


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5, 2))
    y = rng.normal(size=(3, 7, 2)) + 0.7
    mask = np.arange(5) < np.array([[5], [3], [1]])
    return x, y, mask


def _tightly(x, y, mask):
    return sinkhorn_divergence(x, y, x_mask=mask, epsilon=0.2, threshold=1e-5)


tight = jax.jit(_tightly)


def test_value_equals_float64_solver(clouds):
    x, y, mask = clouds
    value = tight(x.astype(np.float32), y.astype(np.float32), mask)
    for b in range(3):
        points = x[b][mask[b]]
        eps = 0.2 * sq_distance(points, y[b]).mean()
        np.testing.assert_allclose(value[b], divergence(points, y[b], eps), rtol=1e-4)


def test_gradient_equals_finite_differences_at_fixed_blur(clouds):
    x, y, mask = clouds
    grads = jax.jit(jax.grad(lambda x, y: tight(x, y, mask).sum(), (0, 1)))
    dx, dy = grads(x.astype(np.float32), y.astype(np.float32))
    rng = np.random.default_rng(1)
    for b in range(2):
        points, other = x[b][mask[b]], y[b]
        eps = 0.2 * sq_distance(points, other).mean()
        u, v = rng.normal(size=points.shape), rng.normal(size=other.shape)
        up, down = (
            divergence(points + h * u, other + h * v, eps) for h in (1e-4, -1e-4)
        )
        slope = np.sum(dx[b][mask[b]] * u) + np.sum(dy[b] * v)
        np.testing.assert_allclose(slope, (up - down) / 2e-4, rtol=2e-3)


def test_small_blur_tends_to_optimal_assignment():
    rng = np.random.default_rng(2)
    x, y = (rng.normal(size=(8, 3)).astype(np.float32) for _ in range(2))
    rows, columns = scipy.optimize.linear_sum_assignment(sq_distance(x, y))
    exact = sq_distance(x, y)[rows, columns].mean()
    solve = functools.partial(sinkhorn_divergence, epsilon=0.005, max_iterations=20_000)
    value = jax.jit(solve)(x, y)
    np.testing.assert_allclose(value, exact, rtol=0.02)


@pytest.mark.slow
def test_counts_points_where_nearest_neighbours_cannot():
    # Two clumps of 1 + 3 points against 3 + 1: half of the mass has to move.
    a, b = np.zeros(2), np.array([10.0, 0.0])
    x = np.stack([a, b, b, b]).astype(np.float32)
    y = np.stack([a, a, a, b]).astype(np.float32)
    np.testing.assert_allclose(jax.jit(sinkhorn_divergence)(x, y), 50, rtol=5e-2)
    assert chamfer_distance(x, y) == 0


def test_scales_with_the_unit(clouds):
    x, y, mask = (clouds[0].astype(np.float32), clouds[1].astype(np.float32), clouds[2])
    np.testing.assert_allclose(
        tight(1000 * x, 1000 * y, mask), 1e6 * tight(x, y, mask), rtol=1e-3
    )


def test_shapes_that_do_not_fit_are_printed():
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(4, 2\)"):
        sinkhorn_divergence(np.zeros((4, 3)), np.zeros((4, 2)))
