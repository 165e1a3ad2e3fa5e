import numpy as np
import pytest
from scipy.stats import spearmanr

from jetvae_jax.core.errors import InputError
from jetvae_jax.metrics.distributions.correlations import distance, pearson, spearman

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 4)) @ RNG.normal(size=(4, 4))


def test_pearson_as_in_numpy():
    np.testing.assert_allclose(pearson(X), np.corrcoef(X.T), atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_spearman_as_in_scipy(ties):
    x = np.round(X) if ties else X
    np.testing.assert_allclose(spearman(x), spearmanr(x).statistic, atol=1e-12)


def test_spearman_does_not_see_monotonic_distortion():
    np.testing.assert_allclose(spearman(np.exp(X)), spearman(X), atol=1e-12)
    assert np.abs(pearson(np.exp(X)) - pearson(X)).max() > 0.05


def test_float32_far_from_zero_keeps_its_digits():
    x = (1e4 + X).astype(np.float32)
    np.testing.assert_allclose(pearson(x), np.corrcoef(x.T.astype(float)), atol=1e-10)


@pytest.mark.parametrize("matrix", [pearson, spearman])
def test_constant_feature_has_no_correlation(matrix):
    x = X.copy()
    x[:, 1] = 0.1
    found = matrix(x)
    np.testing.assert_array_equal(found[1], [0, 1, 0, 0])
    kept = [0, 2, 3]
    np.testing.assert_allclose(found[np.ix_(kept, kept)], matrix(x[:, kept]))


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_scales_neither_overflow_nor_vanish(scale):
    np.testing.assert_allclose(pearson(scale * X), pearson(X), atol=1e-12)


def test_distance_by_hand():
    real = np.array([[1, 0.5], [0.5, 1]])
    generated = np.array([[1, -0.1], [-0.1, 1]])
    found = distance(real, generated)
    assert found == pytest.approx({"frobenius": 0.6 * np.sqrt(2), "largest": 0.6})
    assert distance(real, real) == {"frobenius": 0, "largest": 0}


def test_distance_falls_with_the_size_of_the_samples():
    x = RNG.normal(size=(20_000, 5))
    small = distance(spearman(x[:100]), spearman(x[100:200]))
    large = distance(spearman(x[:10_000]), spearman(x[10_000:]))
    assert large["frobenius"] < 0.3 * small["frobenius"]


def test_bad_input_is_one_clear_line():
    with pytest.raises(InputError, match="two jets, got 1"):
        pearson(X[:1])
    bad = X.copy()
    bad[3, 2] = np.nan
    with pytest.raises(InputError, match=r"\[2\]"):
        spearman(bad)
    with pytest.raises(ValueError, match=r"\(500,\)"):
        pearson(X[:, 0])
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(3, 3\)"):
        distance(np.eye(2), np.eye(3))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        distance(np.ones((2, 3)), np.ones((2, 3)))
