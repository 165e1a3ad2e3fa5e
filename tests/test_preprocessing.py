"""Preprocessing: round trips and values against float64 NumPy."""

from statistics import NormalDist

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.jets import features, quantiles
from jetvae_jax.jets.scaling import Thinned

J, N = 12, 7


@pytest.fixture
def cylindrical():
    """(pt, eta, phi) of jets in all directions, some across pi, and their mask."""
    rng = np.random.default_rng(3)
    mask = np.arange(N) < rng.integers(2, N + 1, J)[:, None]
    mask = rng.permuted(mask, axis=1)
    phi = np.linspace(-np.pi, np.pi, J)[:, None] + rng.normal(0, 0.2, (J, N))
    phi = np.angle(np.exp(1j * phi))
    q = np.stack([rng.exponential(50, (J, N)), rng.normal(0, 1, (J, N)), phi], -1)
    return np.where(mask[..., None], q, np.nan).astype(np.float32), mask


def everywhere(function, *arguments):
    """The result, after plain, jit and vmap gave the same."""
    plain = function(*arguments)
    for other in (function, jax.vmap(function)):
        other = jax.jit(other)(*(jnp.asarray(a) for a in arguments))
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
            plain,
            other,
        )
    return plain


def finite_gradient(function, x, mask):
    gradient = np.asarray(jax.jit(jax.grad(function))(jnp.asarray(x)))
    assert np.all(np.isfinite(gradient)) and np.any(gradient)
    assert not np.any(gradient[~mask])


def principal(points, weight):
    """By eigenvectors in float64, the third moment positive."""
    points, weight = points.astype(np.float64), weight.astype(np.float64)
    _, vectors = np.linalg.eigh(np.einsum("n,ni,nj", weight, points, points))
    axis = vectors[:, -1]
    return axis * np.sign(np.sum(weight * (points @ axis) ** 3))


def test_principal_axis(cylindrical):
    q, mask = cylindrical
    points, weight = q[..., 1:] * [1, 0.2], q[..., 0]
    points = points.astype(np.float32)
    angle = everywhere(features.principal_angle, points, weight, mask)
    assert np.all(np.abs(angle) <= np.pi)
    for i, exists in enumerate(mask):
        axis = principal(points[i, exists], weight[i, exists])
        found = [np.cos(angle[i]), np.sin(angle[i])]
        np.testing.assert_allclose(found, axis, atol=1e-4)
    # Turned jets lie along the first coordinate, hard side at negative values.
    clean = np.where(mask[..., None], points, 0)
    u, v = np.moveaxis(np.asarray(features.turn(clean, -angle), np.float64), -1, 0)
    w = np.where(mask, weight, 0)
    spread = (w * u * u).sum(-1)
    np.testing.assert_allclose((w * u * v).sum(-1) / spread, 0, atol=1e-4)
    assert np.all(spread >= (w * v * v).sum(-1)) and np.all((w * u**3).sum(-1) > 0)
    back = features.turn(features.turn(clean, -angle), angle)
    np.testing.assert_allclose(back, clean, atol=1e-6)

    def total(points):
        return jnp.sum(jnp.sin(features.principal_angle(points, w, mask)))

    finite_gradient(total, clean, mask)


def test_turned_points_have_a_turned_axis(cylindrical):
    q, mask = cylindrical
    points, weight = np.where(mask[..., None], q[..., 1:], 0), q[..., 0]
    by = np.linspace(-3, 3, J).astype(np.float32)
    before = features.principal_angle(points, weight, mask)
    after = features.principal_angle(features.turn(points, by), weight, mask)
    np.testing.assert_allclose(np.exp(1j * (after - before - by)), 1, atol=1e-4)


def test_turn_is_anticlockwise():
    turned = features.turn(jnp.array([[1.0, 0.0]]), jnp.pi / 2)
    np.testing.assert_allclose(turned, [[0, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[0, 0]], [0]),
        ([[0, 0.3]], [np.pi / 2]),
        ([[0, -0.3]], [-np.pi / 2]),
        ([[1, 0], [-1, 0], [0, 1], [0, -1]], [0]),
        ([[0.2, 0.2], [-0.2, -0.2]], [np.pi / 4, -3 * np.pi / 4]),
        ([[np.nan, 0]], [0]),
    ],
)
def test_jets_without_an_axis(points, expected):
    points = jnp.array(points, jnp.float32)
    mask = ~jnp.isnan(points[:, 0])
    weight = jnp.ones(len(points))
    value, gradient = jax.value_and_grad(features.principal_angle)(points, weight, mask)
    assert np.any(np.isclose(value, expected, atol=1e-6))
    assert np.all(np.isfinite(gradient))


@pytest.mark.parametrize("floor", [0.1, 1e-4])
def test_logarithm(floor):
    pt = np.append(0, np.geomspace(1e-6, 1e4, 50)).astype(np.float32)
    v = everywhere(lambda pt: features.to_log(pt, floor=floor), pt)
    np.testing.assert_allclose(v, np.log1p(pt.astype(np.float64) / floor), rtol=1e-6)
    back = everywhere(lambda v: features.from_log(v, floor=floor), v)
    np.testing.assert_allclose(back, pt, rtol=5e-6)
    assert back[0] == 0 and v[0] == 0
    finite_gradient(
        lambda pt: jnp.sum(features.to_log(pt, floor=floor)), pt, np.full(51, True)
    )


@pytest.fixture
def sample():
    rng = np.random.default_rng(1)
    columns = [rng.lognormal(0, 1, 40_000), rng.normal(0, 0.1, 40_000)]
    columns.append(rng.choice([-1.0, 2.0], 40_000))  # two values only
    return np.stack(columns, -1)


def test_quantiles_follow_the_distribution(sample):
    knots = quantiles.fit(sample)
    assert knots.dtype == np.float32 and np.all(np.diff(knots, axis=0) > 0)
    x = np.asarray(quantiles.forward(knots, sample))
    for column in x[:, :2].T:
        shares = np.linspace(0.01, 0.99, 33)
        found = np.quantile(column, shares)
        expected = [NormalDist().inv_cdf(share) for share in shares]
        np.testing.assert_allclose(found, expected, atol=2e-2)


def test_quantiles_are_inverted_everywhere(sample):
    knots = quantiles.fit(sample)
    span = np.ptp(sample, axis=0)
    low, high = sample.min(0) - span, sample.max(0) + span
    v = np.linspace(low, high, 2001).astype(np.float32)
    x = everywhere(lambda v: quantiles.forward(knots, v), v)
    assert np.all(np.diff(x, axis=0) > 0)
    back = everywhere(lambda x: quantiles.inverse(knots, x), x)
    np.testing.assert_allclose(back, v, atol=2e-6 * np.abs(v).max())
    # Beyond the sample: a straight line through the last knot.
    outside = x[v[:, 0] > knots[-1, 0], 0]
    steps = np.diff(np.asarray(outside, np.float64))
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-2)
    for way in (quantiles.forward, quantiles.inverse):
        total = jax.jit(jax.grad(lambda v, way=way: jnp.sum(way(knots, v))))
        for points in (v, knots, np.asarray(x)):
            gradient = np.asarray(total(jnp.asarray(points)))
            assert np.all(np.isfinite(gradient)) and np.all(gradient > 0)


def test_quantiles_of_one_value():
    for value in (0.0, 300.0, -1e-3):
        knots = quantiles.fit(np.full((1, 1), value))
        assert np.all(np.diff(knots, axis=0) > 0)
        x = quantiles.forward(knots, np.float32([[value]]))
        np.testing.assert_allclose(quantiles.inverse(knots, x), value, rtol=1e-5)


@pytest.mark.parametrize("period", [1, 2, 3, 5, 8])
def test_thinned_sample_is_even_and_bounded(period):
    thinned = Thinned(1000)
    rows = np.arange(50_000)
    for chunk in np.split(rows, 20):
        thinned.add(chunk[:, None])
    kept = thinned.rows()[:, 0]
    assert 400 < len(kept) <= 1000 and np.all(np.diff(kept) > 0)
    # From all parts of the stream and of any period in it.
    assert np.histogram(kept, 10)[0].min() > 0.09 * len(kept)
    counts = np.bincount(kept % period, minlength=period)
    assert np.all(np.abs(counts - len(kept) / period) < 0.02 * len(kept))


def test_small_samples_are_kept_whole():
    thinned = Thinned(10)
    thinned.add(np.arange(4)[:, None])
    thinned.add(np.arange(6)[:, None])
    np.testing.assert_array_equal(thinned.rows()[:, 0], [*range(4), *range(6)])
