"""Distances of one observable against NumPy's and SciPy's."""

import numpy as np
import pytest
from scipy import stats

from jetvae_jax.metrics.distributions.binning import Binning, compare

BINS = Binning("x", 20, -1.0, 1.0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_as_numpy_and_scipy(kind):
    rng = np.random.default_rng(0)
    # Rounded to the edges of the bins, which float32 cannot all express.
    x, y = (rng.normal(m, 0.6, n).round(1).astype(kind) for m, n in ((0, 999), (1, 70)))
    found = compare(x, y, BINS)
    p, q = (np.histogram(np.clip(v, -1, 1), BINS.edges)[0] / len(v) for v in (x, y))
    emd = np.abs(np.cumsum(p - q))[:-1].sum() * 0.1
    assert found["emd"] == pytest.approx(emd)
    assert found["emd_normalised"] == pytest.approx(emd / 2)
    heights = [np.histogram(v, BINS.edges, density=True)[0] * 0.1 for v in (x, y)]
    expected = stats.wasserstein_distance(*heights)
    assert found["bin_height_w1"] == pytest.approx(expected)
    assert found["w1"] == pytest.approx(stats.wasserstein_distance(x, y))
    assert found["ks"] == pytest.approx(stats.ks_2samp(x, y).statistic)
    assert found["outside_fraction_real"] == np.mean(np.abs(x) > 1)
    assert found["outside_fraction"] == np.mean(np.abs(y) > 1)


def test_everything_outside():
    x, y = np.full(5, -3.0), np.full(4, 3.0)
    found = compare(x, y, BINS)
    assert found["outside_fraction"] == found["outside_fraction_real"] == 1
    assert found["emd"] == pytest.approx(1.9)  # from the first bin's centre to the last
    assert found["bin_height_w1"] == 0
