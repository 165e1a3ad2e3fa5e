"""Fréchet distances and their extrapolation, against SciPy and closed forms."""

import importlib

import jax
import numpy as np
import pytest
from scipy import linalg, optimize

from jetvae_jax.core.errors import InputError
from jetvae_jax.metrics.frechet import frechet_distance, mean_and_covariance
from jetvae_jax.metrics.frechet.physics import (
    distances,
    fit_line,
    fit_line_as_jetnet,
    fpd,
    sample_sizes,
)

module = importlib.import_module(
    "jetvae_jax.metrics.frechet.physics"
)  # not the function
SMALL = {"min_samples": 100, "max_samples": 400, "num_batches": 3, "num_points": 4}
KEY = jax.random.key(0)


def correlated(num_jets, num_features=5, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(num_features, num_features))
    return rng.normal(size=(num_jets, num_features)) @ mixing + shift


def test_frechet_distance_against_scipy():
    x, y = correlated(50), correlated(60, seed=1, shift=0.3) * 1.2
    (m, c), (n, d) = mean_and_covariance(x), mean_and_covariance(y)
    np.testing.assert_allclose(c, np.cov(x, rowvar=False), rtol=1e-12)
    expected = np.square(m - n).sum() + np.trace(c + d - 2 * linalg.sqrtm(c @ d).real)
    np.testing.assert_allclose(frechet_distance(m, c, n, d), expected, rtol=1e-10)
    both = frechet_distance(
        *(np.stack([a, b]) for a, b in ((m, n), (c, d), (n, n), (d, d)))
    )
    np.testing.assert_allclose(both, [expected, 0.0], rtol=1e-10, atol=1e-12)


def test_frechet_distance_in_closed_form():
    # Diagonal covariances commute: |m - m'|^2 + sum (s - s')^2, s may be zero.
    s, t = np.array([1.0, 2.0, 0.0, 0.0]), np.array([3.0, 2.0, 1.0, 0.0])
    m = np.array([0.0, 1.0, 0.0, 2.0])
    found = frechet_distance(m, np.diag(s**2), np.zeros(4), np.diag(t**2))
    np.testing.assert_allclose(found, 5.0 + 4.0 + 1.0, rtol=1e-12)


def test_frechet_distance_of_nearly_singular_covariances():
    # Two samples whose last features repeat the first: nothing may be added by that.
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 200, 3))
    wide = [np.concatenate([a, 1e-3 * a, 1e-6 * a], axis=1) for a in (x, y)]
    narrow = frechet_distance(*mean_and_covariance(x), *mean_and_covariance(y))
    found = frechet_distance(*(part for a in wide for part in mean_and_covariance(a)))
    np.testing.assert_allclose(found, narrow * (1 + 1e-6 + 1e-12), rtol=1e-6)


def test_frechet_distance_of_wrong_shapes():
    with pytest.raises(ValueError, match=r"\(3,\), \(3, 3\), \(2,\), \(2, 2\)"):
        frechet_distance(np.zeros(3), np.eye(3), np.zeros(2), np.eye(2))
    with pytest.raises(ValueError, match="J > 1"):
        mean_and_covariance(np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("swapped", "normalise", "expected"),
    [(False, True, 2.0), (False, False, 8.0), (True, True, 8.0)],
)
def test_anchors_of_jetnet(swapped, normalise, expected):
    # Features of zero are not scaled, so zeros as the real sample leave the twos.
    pair = 2 * np.ones((60, 2)), np.zeros((60, 2))
    real, generated = pair[::-1] if swapped else pair
    found = fpd(KEY, real, generated, normalise=normalise, **SMALL)
    np.testing.assert_allclose(found["value"], expected, rtol=1e-9)
    np.testing.assert_allclose(found["jetnet_value"], expected, rtol=1e-6)


@pytest.mark.parametrize("block", [None, 32])
def test_distances_of_given_draws(monkeypatch, block):
    """Draws counted at once, or, of the millions that never fit, block by block."""
    if block:
        monkeypatch.setattr(module, "_ROWS", block // 2)
        monkeypatch.setattr(module, "_BLOCK", block)
    x, y = correlated(70), correlated(90, seed=1, shift=0.2)
    rng = np.random.default_rng(3)
    draws = [[rng.integers(n, size=(2, s)) for s in (20, 300)] for n in (70, 90)]
    found = distances(x, y, *draws)
    for size, value in enumerate(found):
        expected = []
        for i, j in zip(draws[0][size], draws[1][size], strict=True):
            a, b = x[i], y[j]
            c, d = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
            shift = np.square(a.mean(0) - b.mean(0)).sum()
            root = linalg.sqrtm(c @ d).real
            expected.append(shift + np.trace(c + d - 2 * root))
        np.testing.assert_allclose(value, np.mean(expected), rtol=1e-6)


def test_small_spread_far_from_zero():
    # A spread of 1e-5 around one keeps its digits, over many blocks of rows.
    x, y = (1 + 1e-5 * correlated(5000, seed=s) * (1 + s) for s in (0, 1))
    everything = [np.arange(5000)[None]]
    found = distances(x, y, everything, everything)
    parts = (mean_and_covariance(1e5 * (a - 1)) for a in (x, y))
    expected = 1e-10 * frechet_distance(*next(parts), *next(parts))
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


def test_sizes():
    sizes = sample_sizes(20_000, 50_000, 10)
    assert sizes[0] == 20_000
    assert sizes[-1] in (49_999, 50_000)
    steps = np.diff(1 / sizes)
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-3)


@pytest.mark.parametrize("line", [(0.3, 0.5), (0.3, -0.5), (-0.3, 0.5), (-0.3, -0.5)])
def test_fit_against_scipy(line):
    x = np.linspace(0.5, 2.0, 8)
    y = line[0] + line[1] * x + 0.01 * np.random.default_rng(5).normal(size=8)
    found = fit_line(x, y)
    design = np.stack([np.ones(8), x], axis=1)
    expected, _ = optimize.nnls(design, y)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-9, atol=1e-12)
    variance = np.square(y - design @ expected).sum() / 6
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0])
    np.testing.assert_allclose(found.error, error, rtol=1e-9)
    # Of order one, the solver of jetnet converges too: to the same line and error.
    theirs = fit_line_as_jetnet(x, y)
    np.testing.assert_allclose(theirs, found, rtol=1e-4, atol=1e-5)


def test_fit_of_jetnet_does_not_extrapolate_small_distances():
    # The reason for two values. Points on a line without noise.
    sizes = sample_sizes(20_000, 50_000, 10)
    y = 1e-4 + 5.0 / sizes
    exact, theirs = fit_line(1 / sizes, y), fit_line_as_jetnet(1 / sizes, y)
    np.testing.assert_allclose(exact[:2], (1e-4, 5.0), rtol=1e-9)
    assert exact.error < 1e-15
    assert theirs.intercept > 1.5e-4


def test_more_samples_do_not_move_the_extrapolation():
    # Distances of two samples of one distribution fall with N; their limit is known.
    x, y = correlated(3000, 3), correlated(3000, 3, seed=1, shift=0.5)
    limit = frechet_distance(*mean_and_covariance(x), *mean_and_covariance(y))
    found = fpd(KEY, x, y, normalise=False, **SMALL | {"num_batches": 100})
    assert abs(found["value"] - limit) < 5 * found["error"]
    assert found["error"] < 0.1 * limit


def test_same_key_same_number():
    x, y = correlated(200), correlated(150, seed=1)
    first, again, other = (fpd(jax.random.key(k), x, y, **SMALL) for k in (1, 1, 2))
    assert first == again
    assert first["jetnet_value"] != other["jetnet_value"]


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (np.zeros((5, 3)), np.zeros((5, 2)), r"\(5, 3\), \(5, 2\)"),
        (np.zeros(5), np.zeros(5), r"\(5,\)"),
    ],
)
def test_wrong_shapes(real, generated, message):
    with pytest.raises(ValueError, match=message):
        fpd(KEY, real, generated, **SMALL)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_samples(bad):
    x = correlated(20)
    with pytest.raises(InputError, match="generated sample: 1 jets"):
        fpd(KEY, x, x[:1], **SMALL)
    y = x.copy()
    y[7, 2] = bad
    with pytest.raises(InputError, match=r"1 of 20 jets \(first: jet 7\)"):
        fpd(KEY, x, y, **SMALL)


@pytest.mark.parametrize(
    "wrong", [{"num_points": 2}, {"min_samples": 500}, {"num_batches": 0}]
)
def test_sizes_without_an_error(wrong):
    x = correlated(20)
    with pytest.raises(ValueError, match="FPD needs"):
        fpd(KEY, x, x, **SMALL | wrong)
