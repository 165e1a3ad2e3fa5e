"""Local and global significance against closed forms and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jetvae_jax.studies.toys import excess, trials


def toys_of(draw, local_z, num_toys=10_000, seed=0, **options):
    key = jax.random.key(seed)
    return trials.pseudo_experiments(key, draw, local_z, num_toys=num_toys, **options)


# Local significance


def test_significance_is_the_likelihood_ratio():
    n, b = np.meshgrid([0, 1, 5, 90, 100, 101, 1e4, 1.001e6], [0.2, 5.0, 100.0, 1e6])
    logs = stats.poisson.logpmf(n, np.where(n > 0, n, 1e-300))
    ratio = 2 * (np.where(n > 0, logs, 0.0) - stats.poisson.logpmf(n, b))
    expected = np.sign(n - b) * np.sqrt(np.maximum(ratio, 0))
    found = excess.significance(jnp.float32(n), jnp.float32(b))
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_sideband_significance_is_that_of_li_and_ma():
    # Li and Ma (1983), eq. 17, in float64.
    rng = np.random.default_rng(0)
    on, off = rng.poisson(30, 50) + 1.0, rng.poisson(60, 50) + 1.0
    alpha = 0.4
    ratio = on * np.log((1 + alpha) / alpha * on / (on + off))
    ratio += off * np.log((1 + alpha) * off / (on + off))
    expected = np.sign(on - alpha * off) * np.sqrt(2 * np.maximum(ratio, 0))
    found = excess.sideband_significance(
        jnp.float32(on), jnp.float32(off), alpha / (1 + alpha)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert excess.sideband_significance(0.0, 0.0, 0.3) == 0


def test_windows_count_what_is_inside():
    rng = np.random.default_rng(1)
    expected = rng.uniform(5, 50, 20)
    counts = rng.poisson(expected, size=(3, 20))
    for sideband in (0, 4):
        windows = excess.sliding(20, (2, 5), step=3, sideband=sideband)
        found = excess.window_z(expected, windows)(counts)
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
                    z = excess.sideband_significance(on, off, share)
                else:
                    z = excess.significance(on, mean)
                np.testing.assert_allclose(found[:, r, w], z, rtol=1e-4, atol=1e-4)


def test_template_z_is_standard_normal_and_finds_its_signal():
    mass = np.arange(100.0)
    b = 2000 * np.exp(-mass / 60)
    signals = np.exp(-0.5 * ((mass - np.arange(10, 90, 5)[:, None]) / 4) ** 2)
    local = excess.template_z(b, signals)
    counts = np.random.default_rng(0).poisson(b, size=(5000, 100))
    z = np.asarray(local(counts))[:, 0]
    np.testing.assert_allclose(z.mean(0), 0, atol=0.06)
    np.testing.assert_allclose(z.std(0), 1, atol=0.05)
    injected = local((b + 100 * signals[6])[None])
    assert np.argmax(injected) == 6
    # The significance expected of a known shape: sqrt(sum s^2 / b).
    size = np.sqrt(np.sum((100 * signals[6]) ** 2 / b))
    assert np.max(injected) == pytest.approx(size, rel=1e-4)


# Toys


def test_p_values_of_one_window_are_uniform():
    mean = 8.4
    local = excess.window_z([mean], excess.sliding(1, (1,)))
    toys = toys_of(trials.poisson(np.array([mean])), local, num_toys=20_000)
    counts = np.arange(0, 25)
    z = np.asarray(local(counts[:, None].astype(np.float32)))[:, 0, 0]
    exact = stats.poisson.sf(counts - 1, mean)  # P(n or more)
    for i in range(2, 18):
        found = trials.global_significance(float(z[i]) - 1e-4, toys.max_z)
        # The share of toys with such a p-value or less is that p-value itself.
        assert abs(found.p - exact[i]) < 4 * np.sqrt(exact[i] / 20_000)
        assert found.low < found.p < found.high
    # P(p <= a) = a at the values that p can take, and less in between.
    p = exact[np.searchsorted(z, toys.max_z - 1e-4)]
    for a in np.linspace(0.02, 0.98, 25):
        reachable = exact[exact <= a].max(initial=0)
        assert abs(np.mean(p <= a) - reachable) < 4 * np.sqrt(0.25 / 20_000)


def test_trials_factor_is_the_number_of_independent_windows():
    num, mean = 20, 50.0
    b = np.full(num * 2, mean / 2)
    local = excess.window_z(b, excess.sliding(num * 2, (2,), step=2))
    toys = toys_of(trials.poisson(b), local, num_toys=40_000)
    for n in (65, 70, 75):
        one = stats.poisson.sf(n - 1, mean)
        z = float(excess.significance(float(n), mean)) - 1e-3
        found = trials.global_significance(z, toys.max_z)
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
    none = trials.global_significance(99.0, max_z)
    assert (none.p, none.low, none.z) == (0.0, 0.0, np.inf)
    assert none.high == pytest.approx(1 - ((1 - 0.682689) / 2) ** (1 / 10))
    every = trials.global_significance(-1.0, max_z)
    assert (every.p, every.high) == (1.0, 1.0)
    some = trials.global_significance(7.0, max_z)
    expected = stats.binomtest(3, 10).proportion_ci(0.682689, "exact")
    assert (some.low, some.high) == pytest.approx(expected)


@pytest.mark.slow
def test_resampled_events_are_poisson_counts_of_their_histogram():
    rng = np.random.default_rng(0)
    values = rng.exponential(30, 5000)
    edges = np.array([0.0, 10, 20, 40, 80])
    draw = trials.resample(values, edges, 300.0)
    counts = np.asarray(jax.vmap(draw)(jax.random.split(jax.random.key(0), 4000)))
    mean = 300 * np.histogram(values, edges)[0] / 5000
    error = np.sqrt(mean / 4000)
    np.testing.assert_allclose(counts.mean(0), mean, atol=4 * error.max())
    np.testing.assert_allclose(counts.var(0) / mean, 1, atol=0.12)
    correlation = np.corrcoef(counts.T)[np.triu_indices(4, 1)]
    assert np.abs(correlation).max() < 0.07


def test_edges_are_those_of_a_histogram():
    values, edges = np.array([-1.0, 0, 1, 1.5, 2, 9]), np.array([0.0, 1, 2])
    draw = trials.resample(values, edges, 30.0)
    counts = jax.vmap(draw)(jax.random.split(jax.random.key(1), 2000))
    expected = 5 * np.histogram(values, edges)[0]
    np.testing.assert_allclose(np.mean(counts, 0), expected, atol=0.4)


@pytest.mark.slow
def test_both_ways_to_draw_agree():
    values = np.random.default_rng(0).exponential(40, 50_000)
    edges = np.linspace(0, 100, 41)
    mean = 2000 * np.histogram(values, edges)[0] / 50_000
    local = excess.window_z(mean, excess.sliding(40, (3, 6)))
    a = toys_of(trials.poisson(mean), local, 4000).max_z
    b = toys_of(trials.resample(values, edges, 2000.0), local, 4000, seed=1).max_z
    assert stats.ks_2samp(a, b).pvalue > 1e-3


@pytest.mark.slow
def test_same_key_same_toys_whatever_the_batch():
    local = excess.window_z(np.full(10, 9.0), excess.sliding(10, (2,)))
    draw = trials.poisson(np.full(10, 9.0))
    a, b = (toys_of(draw, local, 100, batch_size=n) for n in (100, 7))
    np.testing.assert_array_equal(a.max_z, b.max_z)
    assert len(np.unique(toys_of(draw, local, 100, seed=2).max_z == a.max_z)) == 2


# Local to global without toys at the level itself


def test_gross_vitells_of_a_smooth_significance():
    b = np.full(120, 400.0)
    mass = np.arange(120.0)
    signals = np.exp(-0.5 * ((mass - np.linspace(8, 112, 105)[:, None]) / 4) ** 2)
    toys = toys_of(trials.poisson(b), excess.template_z(b, signals), level=1.0)
    for z in (2.5, 3.0, 3.5):
        share = trials.global_significance(z, toys.max_z)
        estimate = trials.gross_vitells(z, toys.crossings.mean(), 1.0)
        assert abs(estimate - share.p) < 0.15 * share.p + 4 * share.error
    # Rice's formula: crossings a length, of a correlation exp(-d^2 / (4 width^2)).
    rice = 104 / (2 * np.pi * 4 * np.sqrt(2)) * np.exp(-0.5)
    assert toys.crossings.mean() == pytest.approx(rice, rel=0.05)


def test_conversions_are_those_of_the_normal():
    z = np.array([-2.0, 0.0, 1.64, 5.0])
    np.testing.assert_allclose(trials.local_p(z), stats.norm.sf(z), rtol=1e-4)
    np.testing.assert_allclose(trials.z_of(stats.norm.sf(z)), z, atol=1e-4)


def test_mistakes():
    with pytest.raises(ValueError, match="do not fit in 10 bins"):
        excess.sliding(10, (11,))
    with pytest.raises(ValueError, match="do not fit in 10 bins"):
        excess.sliding(10, (10,), sideband=2)
    with pytest.raises(ValueError, match="step 0"):
        excess.sliding(10, (3,), step=0)
    with pytest.raises(ValueError, match="no background"):
        excess.window_z(np.r_[np.ones(5), np.zeros(5)], excess.sliding(10, (3,)))
    with pytest.raises(ValueError, match="0 events"):
        trials.resample(np.zeros(0), np.arange(3), 5.0)
    with pytest.raises(ValueError, match="at least one toy"):
        trials.global_significance(2.0, np.zeros(0))
