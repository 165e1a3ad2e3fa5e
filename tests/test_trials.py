"""Local and global significance against closed forms and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jetvae_jax.studies.toys import pseudo_experiments as pe


def toys_of(mean, local_z, num_toys=10_000, seed=0, **options):
    key = jax.random.key(seed)
    return pe.pseudo_experiments(key, mean, local_z, num_toys=num_toys, **options)


def score_z(expected, signals):
    """``sum s (n - b) / b / sqrt(sum s^2 / b)`` of signals of known shape.

    Standard normal, and a smooth function of the mass, unlike counts in a window.
    """
    weights = signals / expected / np.sqrt(np.sum(signals**2 / expected, 1))[:, None]
    table, mean = jnp.float32(weights.T), jnp.float32(expected)
    return lambda counts: ((counts - mean) @ table)[..., None, :]


# Local significance


def test_significance_is_the_likelihood_ratio():
    n, b = np.meshgrid([0, 1, 5, 90, 100, 101, 1e4, 1.001e6], [0.2, 5.0, 100.0, 1e6])
    logs = stats.poisson.logpmf(n, np.where(n > 0, n, 1e-300))
    ratio = 2 * (np.where(n > 0, logs, 0.0) - stats.poisson.logpmf(n, b))
    expected = np.sign(n - b) * np.sqrt(np.maximum(ratio, 0))
    found = pe.significance(jnp.float32(n), jnp.float32(b))
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_sideband_significance_is_that_of_li_and_ma():
    # Li and Ma (1983), eq. 17, in float64.
    rng = np.random.default_rng(0)
    on, off = rng.poisson(30, 50) + 1.0, rng.poisson(60, 50) + 1.0
    alpha = 0.4
    ratio = on * np.log((1 + alpha) / alpha * on / (on + off))
    ratio += off * np.log((1 + alpha) * off / (on + off))
    expected = np.sign(on - alpha * off) * np.sqrt(2 * np.maximum(ratio, 0))
    found = pe.sideband_significance(
        jnp.float32(on), jnp.float32(off), alpha / (1 + alpha)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert pe.sideband_significance(0.0, 0.0, 0.3) == 0


@pytest.mark.slow
def test_windows_count_what_is_inside():
    rng = np.random.default_rng(1)
    expected = rng.uniform(5, 50, 20)
    counts = rng.poisson(expected, size=(3, 20))
    for sideband in (0, 4):
        windows = pe.sliding(20, (2, 5), step=3, sideband=sideband)
        found = pe.window_z(expected, windows)(counts)
        assert found.shape == (3, 2, 7)
        for r, width in enumerate((2, 5)):
            for w in range(7):
                i = 3 * w
                if i + width > 20:
                    assert np.all(found[:, r, w] == -np.inf)
                    continue
                on = counts[:, i : i + width].sum(1)
                mean = expected[i : i + width].sum()
                if sideband:
                    low, high = max(i - 4, 0), min(i + width + 4, 20)
                    off = counts[:, low:high].sum(1) - on
                    share = mean / expected[low:high].sum()
                    z = pe.sideband_significance(on, off, share)
                else:
                    z = pe.significance(on, mean)
                np.testing.assert_allclose(found[:, r, w], z, rtol=1e-4, atol=1e-4)


# Toys


def test_p_values_of_one_window_are_uniform():
    mean = 8.4
    local = pe.window_z([mean], pe.sliding(1, (1,)))
    toys = toys_of(np.array([mean]), local, num_toys=20_000)
    counts = np.arange(0, 25)
    z = np.asarray(local(counts[:, None].astype(np.float32)))[:, 0, 0]
    exact = stats.poisson.sf(counts - 1, mean)  # P(n or more)
    for i in range(2, 18):
        found = pe.global_significance(float(z[i]) - 1e-4, toys.max_z)
        # The share of toys with such a p-value or less is that p-value itself.
        assert abs(found.p - exact[i]) < 4 * np.sqrt(exact[i] / 20_000)
        assert found.low < found.p < found.high
    # P(p <= a) = a at the values that p can take, and less in between.
    p = exact[np.searchsorted(z, toys.max_z - 1e-4)]
    for a in np.linspace(0.02, 0.98, 25):
        reachable = exact[exact <= a].max(initial=0)
        assert abs(np.mean(p <= a) - reachable) < 4 * np.sqrt(0.25 / 20_000)


@pytest.mark.slow
def test_trials_factor_is_the_number_of_independent_windows():
    num, mean = 20, 50.0
    b = np.full(num * 2, mean / 2)
    local = pe.window_z(b, pe.sliding(num * 2, (2,), step=2))
    toys = toys_of(b, local, num_toys=40_000)
    for n in (65, 70, 75):
        one = stats.poisson.sf(n - 1, mean)
        z = float(pe.significance(float(n), mean)) - 1e-3
        found = pe.global_significance(z, toys.max_z)
        everywhere = 1 - (1 - one) ** num  # closed form
        assert abs(found.p - everywhere) < 4 * max(found.error, 1e-5)
        assert found.error == pytest.approx(np.sqrt(found.p * (1 - found.p) / 40_000))
    # Far out the factor is the number of windows.
    assert found.p / one == pytest.approx(num, rel=0.15)
    assert found.trials_factor == pytest.approx(found.p / stats.norm.sf(z))
    assert found.z == pytest.approx(stats.norm.isf(found.p))
    share = np.bincount(toys.window, minlength=num) / 40_000
    # Of windows with the same counts the first one is named.
    np.testing.assert_allclose(share, 1 / num, atol=0.012)


def test_interval_of_clopper_and_pearson():
    max_z = np.arange(10.0)
    none = pe.global_significance(99.0, max_z)
    assert (none.p, none.low, none.z) == (0.0, 0.0, np.inf)
    assert none.high == pytest.approx(1 - ((1 - 0.682689) / 2) ** (1 / 10))
    every = pe.global_significance(-1.0, max_z)
    assert (every.p, every.high) == (1.0, 1.0)
    some = pe.global_significance(7.0, max_z)
    expected = stats.binomtest(3, 10).proportion_ci(0.682689, "exact")
    assert (some.low, some.high) == pytest.approx(expected)


@pytest.mark.slow
def test_toys_are_those_of_events_drawn_with_replacement():
    rng = np.random.default_rng(0)
    values = rng.exponential(40, 50_000)
    edges = np.linspace(0, 100, 41)
    mean = 2000 * np.histogram(values, edges)[0] / 50_000
    local = pe.window_z(mean, pe.sliding(40, (3, 6)))
    drawn = [
        np.histogram(rng.choice(values, rng.poisson(2000)), edges)[0]
        for _ in range(4000)
    ]
    expected = np.max(local(np.array(drawn)), axis=(1, 2))
    found = toys_of(mean, local, 4000).max_z
    assert stats.ks_2samp(found, expected).pvalue > 1e-3


@pytest.mark.slow
def test_same_key_same_toys_whatever_the_batch():
    local = pe.window_z(np.full(10, 9.0), pe.sliding(10, (2,)))
    mean = np.full(10, 9.0)
    a, b = (toys_of(mean, local, 100, batch_size=n) for n in (100, 7))
    np.testing.assert_array_equal(a.max_z, b.max_z)
    assert len(np.unique(toys_of(mean, local, 100, seed=2).max_z == a.max_z)) == 2


# Local to global without toys at the level itself


@pytest.mark.slow
def test_gross_vitells_of_a_smooth_significance():
    b = np.full(120, 400.0)
    mass = np.arange(120.0)
    signals = np.exp(-0.5 * ((mass - np.linspace(8, 112, 105)[:, None]) / 4) ** 2)
    toys = toys_of(b, score_z(b, signals), level=1.0)
    for z in (2.5, 3.0, 3.5):
        share = pe.global_significance(z, toys.max_z)
        estimate = pe.gross_vitells(z, toys.crossings.mean(), 1.0)
        assert abs(estimate - share.p) < 0.15 * share.p + 4 * share.error
    # Rice's formula: crossings a length, of a correlation exp(-d^2 / (4 width^2)).
    rice = 104 / (2 * np.pi * 4 * np.sqrt(2)) * np.exp(-0.5)
    assert toys.crossings.mean() == pytest.approx(rice, rel=0.05)


def test_mistakes():
    with pytest.raises(ValueError, match="do not fit in 10 bins"):
        pe.sliding(10, (11,))
    with pytest.raises(ValueError, match="do not fit in 10 bins"):
        pe.sliding(10, (10,), sideband=2)
    with pytest.raises(ValueError, match="step 0"):
        pe.sliding(10, (3,), step=0)
    with pytest.raises(ValueError, match="no background"):
        pe.window_z(np.r_[np.ones(5), np.zeros(5)], pe.sliding(10, (3,)))
    with pytest.raises(ValueError, match="at least one toy"):
        pe.global_significance(2.0, np.zeros(0))
