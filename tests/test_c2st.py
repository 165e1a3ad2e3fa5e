"""The classifier test: exact areas, no difference where there is none, and masks."""

import jax
import numpy as np
import pytest
from scipy import stats

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import RelativeJets
from jetvae_jax.metrics.classifier import network
from jetvae_jax.metrics.classifier.two_sample import (
    auc_with_error,
    c2st,
    c2st_sets,
    c2st_table,
)

KEY = jax.random.key(3)


def relative_jets(seed, num_jets=600, num_particles=6, *, wider=1.0):
    rng = np.random.default_rng(seed)
    count = rng.integers(2, num_particles + 1, num_jets)
    mask = np.arange(num_particles) < count[:, None]
    ptrel = rng.dirichlet(np.ones(num_particles), num_jets)
    angles = wider * rng.normal(0, 0.1, (2, num_jets, num_particles))
    x = np.stack([ptrel, *angles], -1) * mask[..., None]
    return RelativeJets(x.astype(np.float32), mask)


def pair_loop(low, high):
    """Every pair apart, in float64, and DeLong's formula as printed."""
    psi = np.array(
        [[1.0 if b > a else 0.5 if b == a else 0.0 for b in high] for a in low]
    )
    area = psi.mean()
    of_low = np.sum((psi.mean(1) - area) ** 2) / (len(low) - 1)
    of_high = np.sum((psi.mean(0) - area) ** 2) / (len(high) - 1)
    return area, np.sqrt(of_low / len(low) + of_high / len(high))


@pytest.mark.parametrize("sizes", [(2, 2), (7, 40), (53, 31)])
@pytest.mark.parametrize("levels", [3, 10_000])
def test_area_and_error_equal_a_loop_over_pairs_with_ties(sizes, levels):
    rng = np.random.default_rng(levels)
    low, high = (rng.integers(0, levels, n).astype(np.float32) for n in sizes)
    assert auc_with_error(low, high) == pytest.approx(pair_loop(low, high), abs=1e-14)


def test_area_is_mann_whitneys():
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 1, 300), rng.normal(0.5, 1, 200)
    statistic = stats.mannwhitneyu(high, low).statistic
    assert auc_with_error(low, high)[0] == pytest.approx(statistic / (300 * 200))


def test_error_covers_the_spread_of_repeated_samples():
    # Two unit Gaussians a distance d apart have area Phi(d / sqrt 2).
    rng = np.random.default_rng(1)
    draws = [
        auc_with_error(rng.normal(size=150), rng.normal(1, 1, 90)) for _ in range(400)
    ]
    areas, errors = np.array(draws).T
    expected = stats.norm.cdf(1 / np.sqrt(2))
    assert areas.mean() == pytest.approx(expected, abs=4 * areas.std() / 20)
    assert errors.mean() == pytest.approx(areas.std(), rel=0.15)


def test_area_of_equal_scores_and_of_separated_ones():
    assert auc_with_error(np.ones(5), np.ones(4)) == (0.5, 0.0)
    assert auc_with_error(np.arange(3), np.arange(3, 9)) == (1.0, 0.0)
    assert auc_with_error(np.arange(3, 9), np.arange(3)) == (0.0, 0.0)


@pytest.mark.parametrize("low, high", [([], [1, 2]), ([1], [1, 2]), ([[1, 2]], [1, 2])])
def test_area_needs_two_scores_of_each(low, high):
    with pytest.raises(ValueError, match="two scores"):
        auc_with_error(np.array(low), np.array(high))


@pytest.mark.slow
def test_same_distribution_is_not_told_apart():
    result = c2st(KEY, relative_jets(0), relative_jets(1), epochs=8)
    assert abs(result["auc"] - 0.5) < 3 * result["error"]
    # The error of the area under no difference (Mann and Whitney).
    n, m = result["num_real"], result["num_generated"]
    null = np.sqrt((n + m + 1) / (12 * n * m))
    assert result["error"] == pytest.approx(null, rel=0.1)
    assert len(result["folds"]) == len(result["epochs"]) == 3
    assert result["auc"] == pytest.approx(np.mean(result["folds"]))


def test_a_shift_is_found():
    result = c2st(KEY, relative_jets(0), relative_jets(1, wider=1.5), epochs=20)
    assert result["auc"] > 0.5 + 10 * result["error"]
    assert result["auc"] < 1


@pytest.mark.slow
def test_the_best_possible_area_is_reached_but_not_passed():
    # Of two unit Gaussians a distance d apart no classifier beats Phi(d / sqrt 2).
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, 3))
    y = rng.normal([0, 1, 0], size=(2000, 3))
    result = c2st_table(KEY, x, y, epochs=10)
    best = stats.norm.cdf(1 / np.sqrt(2))
    assert result["auc"] == pytest.approx(best, abs=4 * result["error"])


@pytest.mark.slow
def test_a_correlation_without_a_shift_of_any_marginal_is_found():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2000, 3))
    y = rng.normal(size=(2000, 3))
    y[:, 1] = 0.8 * y[:, 0] + 0.6 * y[:, 1]
    result = c2st_table(KEY, x, y, epochs=20)
    assert result["auc"] > 0.5 + 10 * result["error"]


def test_padding_and_order_do_not_matter():
    real, other = relative_jets(0, 60), relative_jets(1, 60, wider=2.0)
    reference = c2st(KEY, real, other, epochs=3)
    junk = np.where(other.mask[..., None], other.particles, np.nan)
    junk = np.pad(junk, ((0, 0), (0, 3), (0, 0)), constant_values=np.inf)
    mask = np.pad(other.mask, ((0, 0), (0, 3)))
    order = np.random.default_rng(0).permutation(9)
    padded = RelativeJets(junk[:, order], mask[:, order])
    result = c2st(KEY, real, padded, epochs=3)
    assert result["folds"] == pytest.approx(reference["folds"], abs=0.006)
    assert reference["auc"] > 0.6


def test_multiplicity_alone_is_found():
    x = np.ones((600, 6, 4), np.float32)
    rng = np.random.default_rng(0)
    few, more = (rng.integers(low, low + 3, 600) for low in (1, 3))
    x_mask, y_mask = (np.arange(6) < n[:, None] for n in (few, more))
    # Only at three points, a third of each sample, they cannot be told apart.
    expected = 1 - 0.5 / 9
    result = c2st_sets(KEY, x, x_mask, x, y_mask, epochs=20)
    assert result["auc"] == pytest.approx(expected, abs=5 * result["error"])


def test_same_key_same_number_and_another_key_another():
    real, other = relative_jets(0, 60), relative_jets(1, 60)
    results = [c2st(k, real, other, epochs=2) for k in (KEY, KEY, jax.random.key(4))]
    assert results[0] == results[1]
    assert results[0]["folds"] != results[2]["folds"]


def test_physical_jets_are_classified_with_their_axis(make_jets):
    real, other = make_jets(200, seed=0), make_jets(200, seed=1)
    same = c2st(KEY, real, other, epochs=5)
    assert abs(same["auc"] - 0.5) < 4 * same["error"]
    harder = other._replace(particles=other.particles * np.float32(1.5))
    assert c2st(KEY, real, harder, epochs=10)["auc"] > 0.9


def test_identical_jets_and_wild_values_stay_finite():
    shape = (60, 6)
    flat = RelativeJets(np.ones((*shape, 3), np.float32), np.ones(shape, bool))
    assert c2st(KEY, flat, flat, epochs=2)["auc"] == pytest.approx(0.5, abs=1e-12)
    wild = flat._replace(particles=flat.particles * np.float32(1e30))
    assert c2st(KEY, relative_jets(0, 60), wild, epochs=2)["auc"] > 0.8
    none = flat._replace(mask=np.zeros(shape, bool))
    assert np.isfinite(c2st(KEY, none, flat, epochs=2)["auc"])


def test_unequal_and_smallest_sizes():
    result = c2st(KEY, relative_jets(0, 6), relative_jets(1, 20), epochs=1)
    assert (result["num_real"], result["num_generated"]) == (6, 18)
    assert all(0 <= area <= 1 for area in result["folds"])


def test_standardised_with_the_first_sample_alone():
    x = np.array([[[1.0, 5.0], [3.0, 5.0]], [[99.0, 99.0], [0.0, 0.0]]])
    mask = np.array([[True, True], [False, False]])
    mean, deviation = network.standard(x, mask)
    assert mean.tolist() == [2, 5]
    assert deviation.tolist() == [1, 1]


def test_wrong_input_has_a_clear_line():
    real = relative_jets(0, 30)
    one = RelativeJets(real.particles[:1], real.mask[:1])
    with pytest.raises(InputError, match=r"'generated': 1 jets.*at least 6"):
        c2st(KEY, real, one)
    broken = real.particles.copy()
    broken[4, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"'real': NaN.*1 of 30.*jet 4"):
        c2st(KEY, RelativeJets(broken, real.mask), real)
    with pytest.raises(ValueError, match=r"\(30, 1, 2\).*\(30, 1, 3\)"):
        c2st_table(KEY, np.ones((30, 2)), np.ones((30, 3)))
    with pytest.raises(ValueError, match=r"\(30,\)"):
        c2st_table(KEY, np.ones(30), np.ones((30, 3)))
    with pytest.raises(ValueError, match="one type"):
        c2st(KEY, real, tuple(real))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="mask"):
        c2st_sets(KEY, real.particles, real.mask[:, :2], real.particles, real.mask)
