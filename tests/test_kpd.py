"""Kernel physics distance against the kernel of every pair."""

import jax
import numpy as np
import pytest
from scipy import stats

from jetvae_jax.core.errors import InputError
from jetvae_jax.metrics.frechet.kernel import batch_values, kpd, squared_mmd, summary

KEY = jax.random.key(0)


def features(num_jets, num_features=4, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, size=(num_jets, num_features))


def pairs(x, y):
    """Unbiased squared discrepancy, pair by pair."""

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 4

    n, m = len(x), len(y)
    within = [
        (kernel(a, a).sum() - np.trace(kernel(a, a))) / (k * (k - 1))
        for a, k in ((x, n), (y, m))
    ]
    return sum(within) - 2 * kernel(x, y).mean()


@pytest.mark.parametrize("num_features", [1, 2, 7, 60])
def test_against_every_pair(num_features):
    x, y = features(30, num_features), features(20, num_features, 1, 0.3)
    np.testing.assert_allclose(squared_mmd(x, y), pairs(x, y), rtol=1e-10)


def test_close_samples_keep_their_digits():
    # Jets' features of order one, distances of 1e-6: digits must not be lost.
    x = 0.5 + 1e-3 * features(400)
    y = 0.5 + 1e-3 * features(400, seed=1, shift=0.1)
    expected = pairs(x.astype(np.longdouble), y.astype(np.longdouble))
    assert abs(expected) < 1e-5
    np.testing.assert_allclose(squared_mmd(x, y), float(expected), atol=1e-13)


def test_unbiased():
    # Zero on average for two samples of one distribution, so of either sign.
    values = [
        squared_mmd(features(20, seed=s), features(20, seed=1000 + s))
        for s in range(400)
    ]
    error = np.std(values) / 20
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 4 * error


@pytest.mark.parametrize(
    ("swapped", "normalise", "expected"),
    [(False, True, 15.0), (False, False, 624.0), (True, True, 624.0)],
)
def test_anchors_of_jetnet(swapped, normalise, expected):
    # Features of zero are not scaled, so zeros as the real sample leave the twos.
    pair = 2 * np.ones((60, 2)), np.zeros((60, 2))
    real, generated = pair[::-1] if swapped else pair
    found = kpd(KEY, real, generated, batch_size=50, normalise=normalise)
    np.testing.assert_allclose(found["value"], expected, rtol=1e-12)
    np.testing.assert_allclose(found["error"], 0.0, atol=1e-9)


def test_given_draws():
    x, y = features(40), features(50, seed=1, shift=0.2)
    rng = np.random.default_rng(2)
    i, j = rng.integers(40, size=(6, 25)), rng.integers(50, size=(6, 15))
    expected = [pairs(x[a], y[b]) for a, b in zip(i, j, strict=True)]
    found = batch_values(x, y, i, j)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert summary(found)["value"] == pytest.approx(np.median(expected))
    spread = stats.iqr(expected, rng=(16.275, 83.725)) / 2
    assert summary(found)["error"] == pytest.approx(spread)


def test_normalised_by_the_real_sample():
    x, y = features(100), features(100, seed=1)
    scale = np.array([1.0, 10.0, 0.1, 3.0])
    plain = kpd(KEY, x, y, batch_size=50)
    scaled = kpd(KEY, x * scale, y * scale, batch_size=50)
    assert plain["value"] == pytest.approx(scaled["value"], rel=1e-9, abs=1e-13)


def test_same_key_same_number():
    x, y = features(100), features(80, seed=1)
    first, again, other = (
        kpd(jax.random.key(k), x, y, batch_size=60) for k in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_wrong_arguments():
    x = features(20)
    with pytest.raises(ValueError, match=r"\(20, 4\), \(20, 3\)"):
        kpd(KEY, x, x[:, :3], batch_size=10)
    with pytest.raises(ValueError, match="batch of two"):
        kpd(KEY, x, x, batch_size=1)
    with pytest.raises(InputError, match="real sample: 0 jets"):
        kpd(KEY, x[:0], x, batch_size=10)
    y = x.copy()
    y[3, 1] = np.nan
    with pytest.raises(InputError, match="first: jet 3"):
        kpd(KEY, x, y, batch_size=10)
