import jax
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from jetvae_jax.metrics.distributions.distances import wasserstein_1d

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=400), RNG.gamma(2, size=700)
X_WEIGHTS, Y_WEIGHTS = RNG.uniform(0, 1, 400), RNG.exponential(1, 700)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 700), (400, 400), (399, 700), (400, 7)])
def test_sizes_as_in_scipy(sizes):
    x, y = X[: sizes[0]], Y[: sizes[1]]
    expected = wasserstein_distance(x, y)
    assert wasserstein_1d(x, y) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("x_weights", [None, X_WEIGHTS])
@pytest.mark.parametrize("y_weights", [None, Y_WEIGHTS])
def test_weights_as_in_scipy(x_weights, y_weights):
    expected = wasserstein_distance(X, Y, x_weights, y_weights)
    got = wasserstein_1d(X, Y, x_weights=x_weights, y_weights=y_weights)
    assert got == pytest.approx(expected, rel=1e-10)


def test_ties_and_zero_weights():
    x, y = np.array([1.0, 1, 2, 5]), np.array([1.0, 2, 2])
    assert wasserstein_1d(x, y) == pytest.approx(wasserstein_distance(x, y))
    weights = np.array([0.0, 2, 1, 0])
    got = wasserstein_1d(x, y, x_weights=weights)
    assert got == pytest.approx(wasserstein_distance(x, y, weights))


def test_large_float32_samples_keep_float64_sums():
    rng = np.random.default_rng(1)
    x = rng.normal(size=200_001).astype(np.float32)
    y = rng.normal(0.01, 1, size=150_000).astype(np.float32)
    expected = wasserstein_distance(x.astype(float), y.astype(float))
    assert wasserstein_1d(x, y) == pytest.approx(expected, rel=1e-6)


def test_axioms():
    z = RNG.normal(1, 2, 300)
    assert wasserstein_1d(X, X) == wasserstein_1d(X, np.flip(X)) == 0
    assert wasserstein_1d(X, X + 3) == pytest.approx(3)
    assert wasserstein_1d(Y, X) == pytest.approx(wasserstein_1d(X, Y))
    assert wasserstein_1d(X, Y) <= wasserstein_1d(X, z) + wasserstein_1d(z, Y)


def test_jit_agrees_with_the_host():
    for x, y, weights in ((X, Y[:400], None), (X, Y, None), (X, Y, X_WEIGHTS)):
        host = wasserstein_1d(x, y, x_weights=weights)
        traced = jax.jit(wasserstein_1d)(x, y, x_weights=weights)
        assert float(traced) == pytest.approx(float(host), rel=1e-4)


def test_gradient_moves_samples_together():
    gradient = jax.grad(lambda x: wasserstein_1d(x, np.zeros(4, np.float32)))
    x = np.array([1.0, -2.0, 3.0, 0.5], np.float32)
    np.testing.assert_allclose(gradient(x), np.sign(x) / 4, rtol=1e-6)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(0,\)"):
        wasserstein_1d(X, np.zeros(0))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        wasserstein_1d(np.zeros((2, 2)), X)
    with pytest.raises(ValueError, match=r"\(3,\).*\(400,\)"):
        wasserstein_1d(X, Y, x_weights=np.ones(3))
