import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import ks_2samp

from jetvae_jax.metrics.distributions.distances import kolmogorov_smirnov

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=400), RNG.normal(0.3, 1.2, size=700)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 700), (400, 400), (399, 700), (400, 7)])
def test_sizes_as_in_scipy(sizes):
    x, y = X[: sizes[0]], Y[: sizes[1]]
    got = kolmogorov_smirnov(x, y)
    assert got == pytest.approx(ks_2samp(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("swap", [False, True])
def test_ties_as_in_scipy(swap):
    x, y = RNG.integers(0, 6, 300), RNG.integers(1, 8, 211)
    x, y = (y, x) if swap else (x, y)
    got = kolmogorov_smirnov(x, y)
    assert got == pytest.approx(ks_2samp(x, y).statistic, abs=1e-12)


def test_known_values():
    assert kolmogorov_smirnov(X, X) == kolmogorov_smirnov(X, np.flip(X)) == 0
    assert kolmogorov_smirnov(X, X + 100) == 1
    # F_x steps to 1/2 and 1 at 0 and 1; F_y to 1 at 0.
    assert kolmogorov_smirnov(np.array([0.0, 1.0]), np.zeros(3)) == 0.5


@pytest.mark.parametrize("weights", [None, np.ones(400)])
def test_a_nan_is_no_large_value(weights):
    spoilt = X.copy()
    spoilt[7] = np.nan
    for xp in (np, jnp):
        x, y = xp.asarray(spoilt), xp.asarray(Y)
        assert np.isnan(kolmogorov_smirnov(x, y, x_weights=weights))
        assert np.isnan(kolmogorov_smirnov(y, x, y_weights=weights))
    spoilt[7] = np.inf  # is one
    got = kolmogorov_smirnov(spoilt, Y)
    assert got == pytest.approx(ks_2samp(spoilt, Y).statistic, abs=1e-12)


def test_integer_weights_are_repetitions():
    weights = RNG.integers(0, 5, 400)
    got = kolmogorov_smirnov(X, Y, x_weights=weights)
    assert got == pytest.approx(ks_2samp(np.repeat(X, weights), Y).statistic, abs=1e-12)
    got = kolmogorov_smirnov(Y, X, y_weights=0.25 * weights)
    assert got == pytest.approx(ks_2samp(Y, np.repeat(X, weights)).statistic, abs=1e-12)


def test_weighted_ties_by_hand():
    x, y = np.array([0.0, 0, 1]), np.array([0.0, 1, 1])
    got = kolmogorov_smirnov(x, y, x_weights=np.array([1.0, 2, 1]))
    assert got == pytest.approx(3 / 4 - 1 / 3)


def test_jit_agrees_with_the_host():
    for weights in (None, RNG.uniform(size=400)):
        host = kolmogorov_smirnov(X, Y, x_weights=weights)
        traced = jax.jit(kolmogorov_smirnov)(X, Y, x_weights=weights)
        assert float(traced) == pytest.approx(float(host), abs=1e-5)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(0,\)"):
        kolmogorov_smirnov(X, np.zeros(0))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        kolmogorov_smirnov(np.zeros((2, 2)), X)
    with pytest.raises(ValueError, match=r"\(3,\).*\(400,\)"):
        kolmogorov_smirnov(X, Y, x_weights=np.ones(3))
