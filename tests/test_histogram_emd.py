import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from jetvae_jax.metrics.distributions.binning import PAPER_JETS
from jetvae_jax.metrics.distributions.distances import (
    bin_height_w1,
    histogram,
    histogram_emd,
)

EDGES = np.linspace(0, 400, 101)
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2


def masses(seed, size=20_000):
    return np.random.default_rng(seed).gamma(4, 15, size)


def random_histograms(seed, number):
    contents = np.random.default_rng(seed).exponential(1, (number, 100))
    return contents / contents.sum(axis=-1, keepdims=True)


def test_the_published_ranges():
    assert [(b.name, b.bins, b.low, b.high) for b in PAPER_JETS] == [
        ("mass", 100, 0, 400),
        ("pt", 100, 0, 3000),
        ("energy", 100, 200, 4000),
        ("eta", 100, -3, 3),
        ("phi", 100, -3, 3),
    ]


def test_histogram_counts_like_a_loop():
    values = masses(0, 500)
    weights = np.random.default_rng(1).uniform(0.5, 2, 500)
    expected = np.zeros(100)
    for value, weight in zip(values, weights, strict=True):
        expected[min(int(value // 4), 99)] += weight
    p, outside = histogram(values, EDGES, weights)
    np.testing.assert_allclose(p, expected / weights.sum(), rtol=1e-12)
    assert outside == weights[values > 400].sum() / weights.sum()


def test_values_on_the_edges():
    p, outside = histogram(np.array([0.0, 4.0, 400.0]), EDGES)
    assert np.flatnonzero(p).tolist() == [0, 1, 99]
    assert outside == 0


def test_clipped_and_dropped_values_outside():
    # A fifth of the sample flies far off: dropping it hides it from the distance.
    real = np.full(1000, 50.0)
    generated = np.where(np.arange(1000) < 200, 900.0, 50.0)
    p, _ = histogram(real, EDGES)
    clipped, outside = histogram(generated, EDGES)
    dropped, outside_too = histogram(generated, EDGES, outside="drop")
    assert outside == outside_too == 0.2
    assert histogram_emd(p, clipped, EDGES) == pytest.approx(0.2 * (398 - 50))
    assert histogram_emd(p, dropped, EDGES) == 0
    assert dropped.sum() == pytest.approx(1)


def test_shift_by_k_bins_costs_k_widths():
    p = np.zeros(100)
    p[10:30] = np.arange(1, 21) / 210
    for k in (1, 7, 50):
        shifted = np.roll(p, k)
        assert histogram_emd(p, shifted, EDGES) == pytest.approx(4 * k)
        normalised = histogram_emd(p, shifted, EDGES, normalised=True)
        assert normalised == pytest.approx(k / 100)
        assert bin_height_w1(p, shifted) == pytest.approx(0, abs=1e-15)


def test_emd_is_scipys_with_weights_at_the_centres():
    for p, q in zip(random_histograms(0, 5), random_histograms(1, 5), strict=True):
        expected = wasserstein_distance(CENTRES, CENTRES, p, q)
        assert histogram_emd(p, q, EDGES) == pytest.approx(expected, rel=1e-10)


def test_emd_of_unequal_bins():
    edges = np.array([0.0, 1.0, 3.0, 10.0])
    p, q = np.array([1.0, 0, 0]), np.array([0.0, 0, 1])
    assert histogram_emd(p, q, edges) == pytest.approx(6.5 - 0.5)


def test_triangle_inequality_and_symmetry():
    a, b, c = random_histograms(2, 3)
    ab, bc, ac = (histogram_emd(*x, EDGES) for x in ((a, b), (b, c), (a, c)))
    assert 0 < ac <= ab + bc
    assert histogram_emd(b, a, EDGES) == pytest.approx(ab, rel=1e-12)


def test_permuting_bins_changes_the_emd_but_not_the_bin_heights():
    p, q = (histogram(masses(s), EDGES)[0] for s in (0, 1))
    order = np.random.default_rng(0).permutation(100)
    assert bin_height_w1(p, q[order]) == pytest.approx(bin_height_w1(p, q), rel=1e-12)
    assert histogram_emd(p, q[order], EDGES) > 100 * histogram_emd(p, q, EDGES)


def test_bin_heights_are_scipys_with_contents_as_samples():
    p, q = (np.histogram(masses(s) * 3, 100, (0, 400))[0] for s in (0, 1))
    heights = [contents / contents.sum() + 1e-12 for contents in (p, q)]
    expected = wasserstein_distance(*heights)
    assert expected > 0
    assert bin_height_w1(p, q) == pytest.approx(expected, rel=1e-10)


def test_a_mirrored_peak_fools_the_bin_heights_only():
    p, _ = histogram(masses(0), EDGES)
    assert bin_height_w1(p, p[::-1]) == 0
    assert histogram_emd(p, p[::-1], EDGES) > 200


def test_a_sample_wholly_outside_stays_finite():
    p, _ = histogram(masses(0), EDGES)
    nothing, outside = histogram(np.full(10, 1e4), EDGES, outside="drop")
    assert outside == 1
    assert bin_height_w1(p, nothing) == pytest.approx(0.01, rel=1e-6)


def test_jit_and_vmap_agree_with_the_host():
    a, b = masses(0, 2000).astype(np.float32), masses(1, 2000).astype(np.float32)

    def distances(x, y):
        (p, outside), (q, _) = histogram(x, EDGES), histogram(y, EDGES)
        return histogram_emd(p, q, EDGES), bin_height_w1(p, q), outside

    host = distances(a, b)
    np.testing.assert_allclose(jax.jit(distances)(a, b), host, rtol=1e-4, atol=1e-6)
    many = jax.vmap(distances)(jnp.stack([a, b]), jnp.stack([b, b]))
    np.testing.assert_allclose([m[0] for m in many], host, rtol=1e-4, atol=1e-6)
    assert float(many[0][1]) == float(many[1][1]) == 0


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(99,\).*\(101,\)"):
        histogram_emd(np.ones(99), np.ones(99), EDGES)
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\)"):
        bin_height_w1(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"\(0,\)"):
        histogram(np.zeros(0), EDGES)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        histogram(np.zeros(2), EDGES, np.ones(3))
