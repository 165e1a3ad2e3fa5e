"""Response and resolution in bins: against loops, scipy, and repeated experiments."""

import json

import numpy as np
import pytest
from scipy import stats

from jetvae_jax.metrics.binned import as_json, beyond, binned, differences, edges


def sample(seed, num=400):
    rng = np.random.default_rng(seed)
    condition = rng.uniform(1, 9, num)
    return rng.gamma(4.0, condition / 4), condition


def test_agrees_with_loops_over_the_entries():
    values, condition = sample(0)
    values[5], condition[7] = np.nan, np.inf
    mask = np.arange(len(values)) % 3 > 0
    ends = np.array([2.0, 3.5, 6.0, condition[11]])
    ends.sort()
    found = binned(values, condition, ends, mask)
    for i in range(3):
        own = [
            v
            for v, c, m in zip(values, condition, mask, strict=True)
            if m and np.isfinite(v)
            and (ends[i] <= c < ends[i + 1] or (i == 2 and c == ends[3]))
        ]  # fmt: skip
        assert found.count[i] == len(own)
        assert found.mean[i] == pytest.approx(np.mean(own))
        assert found.mean_error[i] == pytest.approx(stats.sem(own))
        assert found.width[i] == pytest.approx(stats.tstd(own))
        assert found.resolution[i] == pytest.approx(stats.variation(own, ddof=1))


def test_errors_are_the_spread_of_repeated_experiments():
    """Of a gamma distribution, whose tail makes the error of a width larger."""
    ends = np.array([1.0, 5.0, 9.0])
    again = [binned(*sample(seed), ends) for seed in range(600)]
    for name in ("mean", "width", "resolution"):
        spread = np.std([getattr(one, name) for one in again], axis=0)
        stated = np.mean([getattr(one, f"{name}_error") for one in again], axis=0)
        np.testing.assert_allclose(stated, spread, rtol=0.12, err_msg=name)


def test_few_entries_have_no_errors():
    found = binned(*map(np.array, ([3.0, 4.0, 4.0], [0.5, 1.5, 1.6], [0, 1, 2, 3])))
    assert found.count.tolist() == [1, 2, 0]
    assert found.mean[:2].tolist() == [3, 4] and np.isnan(found.mean[2])
    assert np.isnan(found.width[0]) and np.isnan(found.mean_error[[0, 2]]).all()
    assert found.width[1] == found.width_error[1] == found.resolution_error[1] == 0
    text = json.dumps(as_json(found), allow_nan=False)
    assert json.loads(text)["mean"] == [3.0, 4.0, None]


def test_edges_hold_all_and_mark_what_is_beyond():
    condition = np.linspace(10, 20, 101)
    ends = edges(condition, 4)
    np.testing.assert_allclose(ends, [10, 12.5, 15, 17.5, 20])
    assert not beyond(ends, (10, 20)).any()
    ends = edges(condition, 3, reach=(12, 30))
    assert ends[:2].tolist() == [10, 12] and ends[-1] == 30
    assert beyond(ends, (12, 30)).tolist() == [True, False, False, False]
    counts = binned(condition, condition, ends).count
    assert counts.sum() == 101 and max(counts[1:]) - min(counts[1:]) <= 1
    # Edges of the user: a bin that is beyond with a part of it.
    assert beyond(np.arange(4), (0.5, 3)).tolist() == [True, False, False]
    # Whole numbers, of which many are the same, and one alone.
    assert len(edges(np.array([30] * 90 + [*range(20, 30)]), 5)) < 6
    counts = np.array([0, 0, 1, 1, 2, 2, 5, 5])
    assert edges(counts, 4).tolist() == [-0.5, 0.5, 1.5, 2.5, 5.5]
    assert binned(counts, counts, edges(counts, 4)).mean.tolist() == [0, 1, 2, 5]
    sevens = np.full(2, 7.0)
    assert binned(sevens, sevens, edges(sevens, 5)).count.tolist() == [2]
    with pytest.raises(ValueError, match="no finite"):
        edges(np.full(1, np.nan), 3)


def test_differences_of_one_distribution_are_standard_normal():
    ends = np.linspace(1, 9, 5)
    pulls = np.array([
        differences(binned(*sample(2 * i), ends), binned(*sample(2 * i + 1), ends))
        for i in range(150)
    ])  # fmt: skip
    for means_or_widths in np.moveaxis(pulls, 1, 0):
        assert np.std(means_or_widths) == pytest.approx(1, abs=0.12)
        assert np.mean(means_or_widths) == pytest.approx(0, abs=0.2)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="expected"):
        binned(np.zeros(3), np.zeros(4), np.arange(2))
    with pytest.raises(ValueError, match="ascend"):
        binned(np.zeros(3), np.zeros(3), np.array([0, 1, 1]))
