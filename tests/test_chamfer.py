"""Nearest neighbours and the Chamfer distance, against float64 loops."""

import jax
import numpy as np
import pytest

from jetvae_jax.losses import chamfer_distance, pairwise_sq_distance
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.losses.distances.chamfer import nearest_neighbours

SEARCHES = {
    "running_minimum": jax.jit(chamfer.running_minimum),
    "broadcast_argmin": jax.jit(chamfer.broadcast_argmin),
}
# (jets, N, M, D): one block and many, no multiple of any vector or unroll.
SHAPES = [(1, 1, 1, 3), (20, 30, 30, 3), (17, 4, 9, 18)]
SHAPES += [
    pytest.param(shape, marks=pytest.mark.slow)
    for shape in [(3, 5, 7, 2), (33, 13, 31, 3), (18, 101, 51, 3), (20, 50, 50, 2)]
]


@pytest.fixture(params=SEARCHES)
def every_search(request, monkeypatch):
    """Run the test with each implementation on this platform."""
    monkeypatch.setattr(chamfer, "nearest_indices", SEARCHES[request.param])


def compiled(function, **given):
    """Compiled for this search: JAX would reuse the program of another search."""
    return jax.jit(lambda *args, **masks: function(*args, **masks, **given))


def loops(x, y, x_mask, y_mask):
    """Value, gradients and nearest indices of one jet, in float64, point by point."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    xs, ys = np.flatnonzero(x_mask), np.flatnonzero(y_mask)
    total, dx, dy = 0.0, np.zeros_like(x), np.zeros_like(y)
    if len(xs) == 0 or len(ys) == 0:
        return total, dx, dy
    for i in xs:
        distances = np.square(x[i] - y[ys]).sum(-1)
        j = ys[np.argmin(distances)]
        total += distances.min()
        dx[i] += 2 * (x[i] - y[j])
        dy[j] -= 2 * (x[i] - y[j])
    for j in ys:
        distances = np.square(x[xs] - y[j]).sum(-1)
        i = xs[np.argmin(distances)]
        total += distances.min()
        dy[j] += 2 * (y[j] - x[i])
        dx[i] -= 2 * (y[j] - x[i])
    return total, dx, dy


def clouds(shape, seed, spread=1.0):
    b, n, m, d = shape
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(b, n, d)) * spread).astype(np.float32)
    y = (rng.normal(size=(b, m, d)) * spread).astype(np.float32)
    return x, y


def masks(shape, seed, kind):
    b, n, m, _ = shape
    rng = np.random.default_rng(seed)
    if kind == "full":
        return np.ones((b, n), bool), np.ones((b, m), bool)
    if kind == "suffix":
        counts = rng.integers(1, n + 1, b), rng.integers(1, m + 1, b)
        return tuple(
            np.arange(k) < c[:, None] for k, c in zip((n, m), counts, strict=True)
        )
    return rng.random((b, n)) < 0.5, rng.random((b, m)) < 0.5  # some empty


@pytest.mark.optimised
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_jitted_value_and_gradient_equal_float64_loops(every_search, shape):
    def total(x, y, x_mask, y_mask):
        value = chamfer_distance(x, y, x_mask=x_mask, y_mask=y_mask)
        return value.sum(), value

    step = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))
    for seed, kind in enumerate(("full", "suffix", "random")):
        x, y = clouds(shape, seed)
        x_mask, y_mask = masks(shape, seed + 10, kind)
        (_, value), (dx, dy) = step(x, y, x_mask, y_mask)
        for b in range(shape[0]):
            expected, ex, ey = loops(x[b], y[b], x_mask[b], y_mask[b])
            np.testing.assert_allclose(value[b], expected, rtol=2e-6)
            np.testing.assert_allclose(dx[b], ex, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(dy[b], ey, rtol=1e-5, atol=1e-5)
        # The search, which depends on the shape, takes no masks: two shapes without.
        if kind == "full" and shape in SHAPES[1:3]:
            (_, bare), grads = step(x, y, None, None)
            np.testing.assert_allclose(bare, value, rtol=1e-6)
            np.testing.assert_allclose(grads[0], dx, rtol=1e-6, atol=1e-7)


@pytest.mark.optimised
def test_indices_are_right_among_near_ties(every_search):
    # Momenta near 1 TeV, 1e-3 GeV apart: the expanded square has no digits left.
    rng = np.random.default_rng(3)
    x = (1000 + 1e-3 * rng.integers(0, 40, (20, 40, 3))).astype(np.float32)
    y = (1000 + 1e-3 * rng.integers(0, 40, (20, 45, 3))).astype(np.float32)
    near = compiled(nearest_neighbours)(x, y)
    exact = np.square(
        x[:, :, None].astype(np.float64) - y[:, None].astype(np.float64)
    ).sum(-1)
    found = np.take_along_axis(exact, np.array(near.xy_index)[..., None], 2)[..., 0]
    np.testing.assert_allclose(found, exact.min(2), rtol=1e-6)
    np.testing.assert_allclose(near.xy_sq, exact.min(2), rtol=1e-5)
    np.testing.assert_allclose(near.yx_sq, exact.min(1), rtol=1e-5)


@pytest.mark.optimised
def test_ties_take_the_lowest_index(every_search):
    x = np.zeros((20, 3, 2), np.float32)
    y = np.tile(np.float32([[1, 0], [0, 1], [-1, 0], [0, 1]]), (20, 1, 1))
    search = compiled(nearest_neighbours)
    near = search(x, y)
    assert np.all(np.array(near.xy_index) == 0)
    assert np.all(np.array(near.yx_index) == 0)
    masked = search(x, y, y_mask=np.tile([False, True, True, True], (20, 1)))
    assert np.all(np.array(masked.xy_index) == 1)


@pytest.mark.optimised
@pytest.mark.parametrize("squared", [True, False])
def test_coincident_points_have_zero_gradient(every_search, squared):
    x, _ = clouds((4, 9, 9, 3), 4)

    def total(x, y):
        return chamfer_distance(x, y, squared=squared).sum()

    value, grads = jax.jit(jax.value_and_grad(total, (0, 1)))(x, x)
    assert value == 0
    for grad in grads:
        assert np.all(np.array(grad) == 0)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("squared", [True, False])
def test_conventions(squared, reduction):
    x, y = clouds((5, 6, 8, 3), 5)
    x_mask, y_mask = masks((5, 6, 8, 3), 6, "suffix")
    distances = compiled(chamfer_distance, squared=squared, reduction=reduction)
    value = distances(x, y, x_mask=x_mask, y_mask=y_mask)
    for b in range(5):
        p, q = x[b][x_mask[b]].astype(np.float64), y[b][y_mask[b]].astype(np.float64)
        distance = np.linalg.norm(p[:, None] - q, axis=-1) ** (2 if squared else 1)
        reduce = np.sum if reduction == "sum" else np.mean
        expected = reduce(distance.min(1)) + reduce(distance.min(0))
        np.testing.assert_allclose(value[b], expected, rtol=1e-6)


@pytest.mark.optimised
def test_plain_distance_gradient_against_finite_differences():
    x, y = clouds((1, 6, 8, 3), 7)
    direction = np.random.default_rng(8).normal(size=x.shape)

    def value(t):
        p, q = x[0] + t * direction[0], y[0].astype(np.float64)
        distance = np.linalg.norm(p[:, None] - q, axis=-1)
        return distance.min(1).sum() + distance.min(0).sum()

    grad = jax.jit(jax.grad(lambda x: chamfer_distance(x, y, squared=False).sum()))(x)
    expected = (value(1e-5) - value(-1e-5)) / 2e-5
    np.testing.assert_allclose(np.sum(grad * direction), expected, rtol=1e-4)


def test_masked_equals_the_unpadded_subset(every_search):
    shape = (30, 30, 30, 3)
    x, y = clouds(shape, 9, spread=100.0)
    x_mask, y_mask = masks(shape, 10, "suffix")
    distance = compiled(chamfer_distance)
    near = nearest_neighbours(x, y, x_mask=x_mask, y_mask=y_mask)
    value = distance(x, y, x_mask=x_mask, y_mask=y_mask)
    for b in range(2):
        n, m = x_mask[b].sum(), y_mask[b].sum()
        alone = nearest_neighbours(x[b, :n], y[b, :m])
        for field in ("xy_sq", "xy_index"):
            assert np.array_equal(getattr(near, field)[b, :n], getattr(alone, field))
        for field in ("yx_sq", "yx_index"):
            assert np.array_equal(getattr(near, field)[b, :m], getattr(alone, field))
        # The sum's order may change with the padded length, nothing else.
        subset = distance(x[b, :n], y[b, :m])
        np.testing.assert_allclose(value[b], subset, rtol=5e-7)


@pytest.mark.optimised
def test_padding_gets_no_gradient_and_may_hold_anything(every_search):
    shape = (6, 7, 9, 3)
    x, y = clouds(shape, 11)
    x_mask, y_mask = masks(shape, 12, "suffix")

    def total(x, y):
        return chamfer_distance(x, y, x_mask=x_mask, y_mask=y_mask).sum()

    step = jax.jit(jax.value_and_grad(total, (0, 1)))
    clean = step(x, y)
    for junk in (np.nan, np.inf, 1e30):
        spoilt = step(
            np.where(x_mask[..., None], x, junk).astype(np.float32),
            np.where(y_mask[..., None], y, junk).astype(np.float32),
        )
        for a, b in zip(jax.tree.leaves(clean), jax.tree.leaves(spoilt), strict=True):
            assert np.array_equal(a, b)
    for grad, mask in zip(clean[1], (x_mask, y_mask), strict=True):
        assert np.all(np.array(grad)[~mask] == 0)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_empty_set_gives_zero_and_no_gradient(reduction):
    x, y = clouds((2, 4, 5, 3), 13)

    def total(x, y, x_mask, y_mask):
        return chamfer_distance(
            x, y, x_mask=x_mask, y_mask=y_mask, squared=False, reduction=reduction
        ).sum()

    step = jax.jit(jax.value_and_grad(total, (0, 1)))
    for x_full, y_full in ((True, False), (False, True), (False, False)):
        value, grads = step(x, y, np.full((2, 4), x_full), np.full((2, 5), y_full))
        assert value == 0
        assert all(np.all(np.array(grad) == 0) for grad in grads)


def test_nan_that_exists_is_not_hidden(every_search):
    x, y = clouds((3, 5, 5, 3), 14)
    y[1, 2, 0] = np.nan
    value = np.array(compiled(chamfer_distance)(x, y))
    assert np.isnan(value[1])
    assert np.all(np.isfinite(value[[0, 2]]))


def test_symmetric_and_permutation_invariant(every_search):
    x, y = clouds((20, 30, 30, 3), 15)
    distance = compiled(chamfer_distance)
    value = distance(x, y)
    np.testing.assert_allclose(distance(y, x), value, rtol=1e-7)
    shuffled = x[:, np.random.default_rng(16).permutation(30)]
    np.testing.assert_allclose(distance(shuffled, y), value, rtol=1e-6)


@pytest.mark.parametrize("lead", [pytest.param((), marks=pytest.mark.slow), (2, 3)])
def test_leading_axes_jit_and_vmap_agree(every_search, lead):
    rng = np.random.default_rng(17)
    x = rng.normal(size=(*lead, 7, 3)).astype(np.float32)
    y = rng.normal(size=(*lead, 9, 3)).astype(np.float32)
    mask = rng.random((*lead, 7)) < 0.7
    mask[..., 0] = True

    def loss(x, y, mask):
        return chamfer_distance(x, y, x_mask=mask)

    mapped, grads = loss, jax.grad(loss)
    for _ in lead:
        mapped, grads = jax.vmap(mapped), jax.vmap(grads)
    plain = loss(x, y, mask)
    assert plain.shape == lead
    np.testing.assert_allclose(jax.jit(loss)(x, y, mask), plain, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(mapped)(x, y, mask), plain, rtol=1e-6)
    whole = jax.jit(jax.grad(lambda x: loss(x, y, mask).sum()))(x)
    np.testing.assert_allclose(jax.jit(grads)(x, y, mask), whole, rtol=1e-6, atol=1e-6)


def test_vmap_over_one_argument(every_search):
    x, y = clouds((3, 5, 7, 3), 18)
    mapped = jax.jit(jax.vmap(chamfer_distance, in_axes=(0, None)))(x, y[0])
    distance = compiled(chamfer_distance)
    each = [distance(x[i], y[0]) for i in range(3)]
    np.testing.assert_allclose(mapped, each, rtol=1e-6)

    def grad(y):
        return jax.vmap(jax.grad(chamfer_distance), in_axes=(0, None))(x, y)

    alone = compiled(jax.grad(chamfer_distance))
    each = [alone(x[i], y[0]) for i in range(3)]
    np.testing.assert_allclose(jax.jit(grad)(y[0]), each, rtol=1e-6, atol=1e-6)


def test_second_derivative_of_one_pair():
    # |x - y|^2 counted from both sides: the Hessian in x is 4 times the identity.
    x, y = clouds((1, 1, 1, 3), 18)

    def slope(x):
        return jax.grad(lambda x: chamfer_distance(x, y[0]))(x)[0]

    hessian = jax.jit(jax.jacrev(slope))(x[0])[:, 0]
    np.testing.assert_allclose(hessian, 4 * np.eye(3), atol=1e-6)


def test_float64_stays_float64(every_search):
    with jax.enable_x64(True):
        x, y = (a.astype(np.float64) for a in clouds((17, 30, 29, 3), 19))
        step = jax.jit(jax.value_and_grad(lambda x: chamfer_distance(x, y).sum()))
        value, grad = step(x)
        assert value.dtype == grad.dtype == np.float64
        expected = sum(
            loops(a, b, np.ones(30, bool), np.ones(29, bool))[0]
            for a, b in zip(x, y, strict=True)
        )
        np.testing.assert_allclose(value, expected, rtol=1e-13)


@pytest.mark.optimised
def test_this_platform_runs_a_tested_search():
    x, y = clouds((20, 30, 31, 3), 20)
    chosen = jax.jit(chamfer.nearest_indices)(x, y)
    for implementation in SEARCHES.values():
        for a, b in zip(chosen, implementation(x, y), strict=True):
            assert a.dtype == b.dtype == np.int32
            assert np.array_equal(a, b)


def test_pairwise_sq_distance():
    x, y = clouds((2, 3, 4, 5), 21)
    value = compiled(pairwise_sq_distance)(x, y)
    for i in range(3):
        for j in range(4):
            expected = np.sum((x[:, i].astype(np.float64) - y[:, j]) ** 2, -1)
            np.testing.assert_allclose(value[:, i, j], expected, rtol=1e-6)
    close = np.float32(1000) + np.float32([[0.0, 0, 0], [1e-3, 0, 0]])
    assert pairwise_sq_distance(close, close).min() >= 0
    assert pairwise_sq_distance(close, close)[0, 1] > 0


@pytest.mark.parametrize(
    ("x", "y", "given"),
    [
        ((4, 3), (4, 2), {}),
        ((2, 4, 3), (3, 4, 3), {}),
        ((3,), (4, 3), {}),
        ((0, 3), (4, 3), {}),
        ((4, 3), (5, 3), {"x_mask": np.ones(5, bool)}),
    ],
)
def test_shapes_that_do_not_fit_are_printed(x, y, given):
    with pytest.raises(ValueError, match=r"\(.*\).*\(.*\)"):
        chamfer_distance(np.zeros(x), np.zeros(y), **given)


def test_unknown_reduction():
    with pytest.raises(ValueError, match="'median'"):
        chamfer_distance(np.zeros((2, 3)), np.zeros((2, 3)), reduction="median")


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf])
def test_a_bad_point_is_nobodys_neighbour(every_search, bad):
    x, y = clouds((4, 9, 7, 3), 22)
    search = compiled(nearest_neighbours)
    expected = search(x, y[:, 1:])
    y[:, 0] = bad
    found = search(x, y)
    np.testing.assert_array_equal(found.xy_index, expected.xy_index + 1)
    assert not np.isfinite(found.yx_sq[:, 0]).any()


@pytest.mark.optimised
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_find_the_same_neighbours(dtype):
    with jax.enable_x64(True):
        x, y = (a.astype(dtype) for a in clouds((3, 12, 25, 3), 23))
        found = compiled(nearest_neighbours)(x, y)
        apart = np.square(x[:, :, None].astype(float) - y[:, None]).sum(-1)
        # Half precision is computed, and returned, in single precision.
        assert found.xy_sq.dtype == np.promote_types(dtype, np.float32)
        chosen = np.take_along_axis(apart, np.asarray(found.xy_index)[..., None], 2)
        np.testing.assert_allclose(chosen[..., 0], apart.min(2), rtol=1e-6)


def test_vmap_of_vmap_under_jit_finds_the_same():
    x, y = clouds((6, 11, 12, 3), 24)
    expected = compiled(nearest_neighbours)(x, y)
    nested = jax.jit(jax.vmap(jax.vmap(nearest_neighbours)))
    found = nested(x.reshape(2, 3, 11, 3), y.reshape(2, 3, 12, 3))
    np.testing.assert_array_equal(found.xy_index.reshape(6, 11), expected.xy_index)
    np.testing.assert_array_equal(found.yx_index.reshape(6, 12), expected.yx_index)
