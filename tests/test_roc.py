"""Figures of scores against brute force, closed forms and scipy."""

import itertools

import jax
import numpy as np
import pytest
from scipy import stats

from jetvae_jax.metrics.classifier.two_sample import auc_with_error
from jetvae_jax.studies.signal import roc, significance
from jetvae_jax.studies.signal.hypothesis import rank_correlation
from jetvae_jax.studies.toys.pseudo_experiments import smooth

KEY = jax.random.key(0)


def gaussian(num, shift, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=num), rng.normal(shift, 1, num)


def test_curve_counts_what_passes_each_threshold():
    rng = np.random.default_rng(1)
    low, high = rng.integers(0, 9, 50), rng.integers(3, 12, 30)
    found = roc.curve(low, high)
    assert np.all(np.diff(found.threshold) < 0)
    assert (found.signal[0], found.background[0]) == (0, 0)
    assert (found.signal[-1], found.background[-1]) == (1, 1)
    for cut, s, b in zip(*found, strict=True):
        assert s == pytest.approx(np.mean(high >= cut))
        assert b == pytest.approx(np.mean(low >= cut))
    # The area below is what DeLong's formula takes, ties included.
    area = np.trapezoid(found.signal, found.background)
    assert area == pytest.approx(auc_with_error(low, high)[0])


def test_auc_and_its_error_are_those_of_two_gaussians():
    aucs, errors = zip(
        *(auc_with_error(*gaussian(400, 1.0, seed)) for seed in range(200)), strict=True
    )
    truth = stats.norm.cdf(1 / np.sqrt(2))  # closed form
    assert np.mean(aucs) == pytest.approx(truth, abs=4 * np.std(aucs) / np.sqrt(200))
    assert np.mean(errors) == pytest.approx(np.std(aucs), rel=0.2)
    # Hanley and McNeil (1982), eq. 1, with the exponential approximation.
    q1, q2 = truth / (2 - truth), 2 * truth**2 / (1 + truth)
    terms = truth * (1 - truth) + 399 * (q1 + q2 - 2 * truth**2)
    assert np.mean(errors) == pytest.approx(np.sqrt(terms) / 400, rel=0.1)


def test_rejection_by_hand():
    low, high = np.arange(100.0), np.array([98.5, 89.5, 49.5, -1.0])
    found = roc.summary(KEY, low, high, efficiencies=(0.25, 0.5, 0.75), floor=5)
    rejection = found.rejection
    assert rejection[0.25] == roc.Value(20.0, pytest.approx(np.nan, nan_ok=True), True)
    assert (rejection[0.5].value, rejection[0.5].limit) == (10.0, False)
    assert rejection[0.75].value == pytest.approx(2.0)
    # Best of 0.5 / sqrt(0.1), 0.75 / sqrt(0.5), ...; 0.25 / sqrt(0.01) is too rare.
    assert found.best.value.value == pytest.approx(0.5 / np.sqrt(0.1))
    assert (found.best.signal, found.best.background) == (0.5, pytest.approx(0.1))


@pytest.mark.slow
def test_bootstrap_errors_are_the_spread_of_samples():
    truth = 1 / stats.norm.sf(stats.norm.isf(0.5) + 1.5)
    runs = [
        roc.summary(KEY, *gaussian(2000, 1.5, seed), efficiencies=(0.5,), replicas=50)
        for seed in range(60)
    ]
    values = [run.rejection[0.5].value for run in runs]
    assert np.mean(values) == pytest.approx(truth, rel=0.03)
    errors = [run.rejection[0.5].error for run in runs]
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)
    best = [run.best.value for run in runs]
    assert np.mean([b.error for b in best]) == pytest.approx(
        np.std([b.value for b in best]), rel=0.5
    )


def test_blind_score_improves_nothing():
    found = roc.summary(
        KEY, *gaussian(20_000, 0.0), efficiencies=(0.3,), floor=1000, replicas=20
    )
    assert found.rejection[0.3].value == pytest.approx(1 / 0.3, rel=0.05)
    assert 1 <= found.best.value.value < 1.01  # all kept: exactly 1


def test_same_key_same_errors():
    given = gaussian(300, 1.0)
    a, b = (roc.summary(KEY, *given, efficiencies=(0.5,)) for _ in range(2))
    assert a == b
    other = roc.summary(jax.random.key(1), *given, efficiencies=(0.5,))
    assert other.best.value.error != a.best.value.error


def test_roc_mistakes():
    with pytest.raises(ValueError, match="needs scores"):
        roc.curve([], [1.0])
    with pytest.raises(ValueError, match="NaN"):
        roc.curve([1.0], [np.nan])
    with pytest.raises(ValueError, match="floor is 10"):
        roc.summary(KEY, np.arange(5), np.arange(5), efficiencies=(0.5,))


# Significance


def test_expected_significance():
    # Likelihood ratio of the mean counts, by scipy's log-densities of a Gamma form.
    s, b = np.array([0.0, 1.0, 30.0, 500.0]), np.array([3.0, 10.0, 100.0, 1e6])
    n = s + b

    def log_density(mean):
        return n * np.log(mean) - mean

    exact = np.sqrt(2 * (log_density(n) - log_density(b)))
    np.testing.assert_allclose(significance.expected(s, b), exact, rtol=1e-6, atol=1e-6)
    assert significance.expected(500, 1e6) == pytest.approx(0.5, rel=1e-3)  # s / sqrt b


def test_quantiles_are_those_of_poisson_experiments():
    counts = np.random.default_rng(0).poisson(130, 100_001)
    z = significance.observed(counts, 100.0)
    for share in (0.16, 0.5, 0.84):
        found = significance.quantile(30.0, 100.0, share)
        assert found == pytest.approx(np.quantile(z, share), abs=1e-9)
    assert significance.observed(0, 8.0) == pytest.approx(-4.0)  # -sqrt(2 b)


def test_gain_of_a_cut():
    found = significance.gain(1e6, 1e-3, (0.5, 2000), (0.01, 50_000))
    assert found.gain == pytest.approx(0.5 / np.sqrt(0.01), rel=0.05)
    assert found.median == pytest.approx(found.after, abs=0.02)
    assert found.high - found.low == pytest.approx(2, abs=0.1)
    # Its error: that of many measurements of the efficiencies.
    rng = np.random.default_rng(0)
    eps_s = rng.binomial(2000, 0.5, 4000) / 2000
    eps_b = rng.binomial(50_000, 0.01, 4000) / 50_000
    assert found.error == pytest.approx(np.std(eps_s / np.sqrt(eps_b)), rel=0.05)
    with pytest.raises(ValueError, match="no background"):
        significance.gain(100, 0.1, (0.5, 10), (0.0, 10))


# Rank correlation


def test_rank_correlation_is_that_of_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, (2, 6)).astype(float)
    found = rank_correlation(KEY, x, y)
    assert found.value == pytest.approx(stats.spearmanr(x, y).statistic)
    others = [
        stats.spearmanr(x, order).statistic for order in itertools.permutations(y)
    ]
    exact = np.mean(np.abs(others) >= abs(found.value) - 1e-12)
    assert found.p == pytest.approx(exact)
    x, y = rng.normal(size=(2, 18))
    found, again = (rank_correlation(KEY, x, y + 0.5 * x) for _ in range(2))
    reference = stats.spearmanr(x, y + 0.5 * x)
    assert found == again
    assert found.value == pytest.approx(reference.statistic)
    assert found.p == pytest.approx(reference.pvalue, abs=0.02)
    perfect = rank_correlation(KEY, np.arange(5), np.arange(5) ** 3)
    assert (perfect.value, perfect.p) == (pytest.approx(1), pytest.approx(2 / 120))


def test_rank_correlation_of_nothing():
    found = rank_correlation(KEY, np.ones(4), np.arange(4))
    assert np.isnan(found.value) and found.p == 1
    with pytest.raises(ValueError, match="3 pairs"):
        rank_correlation(KEY, [1.0, 2.0], [1.0, 2.0])


# A smooth spectrum


def test_smooth_finds_a_power_law():
    edges = np.linspace(100, 400, 61)
    shape = edges[:-1] ** -3.0 - edges[1:] ** -3.0
    truth = 50_000 * shape / shape.sum()
    counts = np.random.default_rng(0).poisson(truth)
    found = smooth(counts, edges)
    assert found.sum() == pytest.approx(counts.sum())
    pull = (found - truth) / np.sqrt(truth)
    assert np.abs(pull).max() < 1.0  # the counts themselves reach 2 to 3
    assert np.sqrt(np.mean(pull**2)) < 0.45
    exact = smooth(np.full(5, 7.0), np.arange(1.0, 7.0), degree=4)
    np.testing.assert_allclose(exact, 7.0, rtol=1e-6)


def test_smooth_keeps_the_moments_of_its_terms():
    # The condition of the largest likelihood: sums of counts times terms are kept.
    edges = np.geomspace(50, 300, 31)
    counts = np.random.default_rng(2).poisson(np.linspace(60, 2, 30))
    found = smooth(counts, edges, degree=2)
    x = np.log((edges[1:] + edges[:-1]) / 2)
    for power in range(3):
        assert np.sum(found * x**power) == pytest.approx(np.sum(counts * x**power))


def test_smooth_mistakes():
    for counts, edges in (([0, 0], [1, 2, 3]), ([1], [1, 2, 3]), ([1, 2], [0, 1, 2])):
        with pytest.raises(ValueError, match="counts"):
            smooth(counts, edges)


def test_signal_kept_at_a_background_efficiency():
    low, high = np.arange(100.0), np.array([98.5, 89.5, 49.5, -1.0])
    kept = roc.summary(KEY, low, high, keep=(0.01, 0.1, 0.5, 1.0), floor=1).kept
    assert [v.value for v in kept.values()] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    # Of equal scores a share is kept at random: half of 60 %, and of 80 %.
    low, high = np.repeat([1.0, 0.0], [60, 40]), np.repeat([1.0, 0.0], [80, 20])
    kept = roc.summary(KEY, low, high, keep=(0.3,), floor=1).kept
    assert kept[0.3].value == pytest.approx(0.4)


@pytest.mark.slow
def test_errors_of_the_signal_kept_are_the_spread_of_samples():
    truth = stats.norm.sf(stats.norm.isf(0.1) - 1.5)
    found = [
        roc.summary(KEY, *gaussian(1000, 1.5, seed), keep=(0.1,), replicas=50).kept[0.1]
        for seed in range(60)
    ]
    values = [v.value for v in found]
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / 60**0.5)
    assert np.mean([v.error for v in found]) == pytest.approx(np.std(values), rel=0.3)


def test_auc_of_pairs_with_equal_counts():
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 5, 200), rng.integers(3, 8, 90)
    # The count alone tells them apart: at equal counts nothing is left.
    scores = counts[0].astype(float), counts[1].astype(float)
    found = roc.auc_at_equal(scores, counts, 2)
    assert roc.auc(*scores)["value"] > 0.8 and found["value"] == 0.5
    scores = rng.normal(size=200), rng.normal(0.5, 1, 90)
    found = roc.auc_at_equal(scores, counts, 2)
    pairs = counts[1][:, None] == counts[0]
    above = (scores[1][:, None] > scores[0])[pairs]
    assert found["value"] == pytest.approx(above.mean())
    assert found["share"] == pytest.approx(np.isin(counts[1], counts[0]).mean())
    assert roc.auc_at_equal(scores, counts, 150) is None
    assert roc.auc_at_equal(scores, (counts[0], counts[1] + 9), 2) is None
    # With one count only it is DeLong's.
    same = np.ones(200), np.ones(90)
    found, all_of_them = roc.auc_at_equal(scores, same, 2), roc.auc(*scores)
    assert found["value"] == pytest.approx(all_of_them["value"])
    assert found["error"] == pytest.approx(all_of_them["error"])
