"""Losses between sets of pixels against loops in float64 and gradients by hand."""

import functools

import jax
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.losses import chamfer_distance, distances
from jetvae_jax.losses.distances.pixel_matched import pixel_matched_distance
from jetvae_jax.losses.distances.pixel_positions import pixel_position_distance
from jetvae_jax.losses.distances.pixel_third_axis import pixel_third_axis_distance
from jetvae_jax.losses.separation import repulsion

DISTANCES = {
    "pixel_positions": pixel_position_distance,
    "pixel_matched": pixel_matched_distance,
    "pixel_third_axis": pixel_third_axis_distance,
}


def compiled(function, **given):
    """In one piece; operation by operation XLA would compile each."""
    return jax.jit(functools.partial(function, **given))


DIRECTIONS = {"both": (1, 1), "sym": (0.5, 0.5), "ieo": (1, 0), "oei": (0, 1)}


@pytest.fixture(params=DISTANCES)
def name(request):
    return request.param


def clouds(*lead, n=7, m=9, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.uniform(size=(*lead, k, 3)).astype(np.float32) for k in (n, m))


def by_loop(name, x, y, *, squared=True, direction="both", weight=1.0):
    """One pair of sets, point after point, in Python's floats."""
    sums = []
    for mine, others in ((x, y), (y, x)):
        total = 0.0
        for p in np.float64(mine):
            plane = [
                (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 for q in np.float64(others)
            ]
            gaps = [(p[2] - q[2]) ** 2 for q in np.float64(others)]
            space = [d + weight * g for d, g in zip(plane, gaps, strict=True)]
            d = min(space if name == "pixel_third_axis" else plane)
            total += d if squared else d**0.5
            if name == "pixel_matched":
                total += weight * gaps[plane.index(d)]
        sums.append(total)
    return sum(w * s for w, s in zip(DIRECTIONS[direction], sums, strict=True))


@pytest.mark.optimised
@pytest.mark.parametrize(
    ("squared", "direction"),
    [
        *((True, "both"), (True, "sym")),
        pytest.param(False, "ieo", marks=pytest.mark.slow),
        pytest.param(False, "both", marks=pytest.mark.slow),
        pytest.param(True, "oei", marks=pytest.mark.slow),
    ],
)
def test_loop(name, squared, direction):
    x, y = clouds(4)
    options = {"squared": squared, "direction": direction}
    value = compiled(DISTANCES[name], **options)(x, y)
    expected = [by_loop(name, a, b, **options) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.3, 20.0])
def test_weight_of_the_intensity(weight):
    x, y = clouds(4)
    for name in ("pixel_matched", "pixel_third_axis"):
        value = compiled(DISTANCES[name], intensity_weight=weight)(x, y)
        expected = [
            by_loop(name, a, b, weight=weight) for a, b in zip(x, y, strict=True)
        ]
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_third_axis_is_chamfer():
    x, y = clouds(3)
    np.testing.assert_array_equal(
        pixel_third_axis_distance(x, y), chamfer_distance(x, y)
    )


def test_the_three_differ_as_they_should():
    """A bright pixel here, a dark one a little off: who is matched, and for what."""
    x = np.array([[0.0, 0.0, 1.0]], np.float32)
    y = np.array([[0.1, 0.0, 0.0], [0.5, 0.0, 1.0]], np.float32)
    one_way = {"direction": "ieo"}
    for name, expected in (
        ("pixel_positions", 0.01), ("pixel_matched", 1.01), ("pixel_third_axis", 0.25)
    ):  # fmt: skip
        value = compiled(DISTANCES[name], **one_way)(x, y)
        np.testing.assert_allclose(value, expected)
    value = compiled(pixel_matched_distance)(x, y)
    np.testing.assert_allclose(value, 1.01 + 1.01 + 0.25, rtol=1e-6)


def test_positions_do_not_see_the_intensity():
    x, y = clouds(2)
    plane = pixel_position_distance(x[..., :2], y[..., :2])
    np.testing.assert_array_equal(pixel_position_distance(x, y), plane)
    slope = jax.jit(jax.grad(lambda x: pixel_position_distance(x, y).sum()))(x)
    assert np.all(slope[..., 2] == 0)


@pytest.mark.parametrize("squared", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_masked_is_the_subset(name, squared):
    x, y = clouds(3, n=8, m=8)
    counts = np.array([[5], [1], [8]])
    mask = np.arange(8) < counts
    spoilt = [np.where(mask[..., None], p, np.nan).astype(np.float32) for p in (x, y)]
    loss = functools.partial(DISTANCES[name], squared=squared)
    value = jax.jit(loss)(*spoilt, x_mask=mask, y_mask=mask)
    expected = [
        by_loop(name, x[i, :n], y[i, :n], squared=squared)
        for i, n in enumerate(counts[:, 0])
    ]
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    slopes = jax.jit(
        jax.grad(
            lambda x, y: loss(x, y, x_mask=mask, y_mask=mask).sum(), argnums=(0, 1)
        )
    )(*spoilt)
    for slope in map(np.asarray, slopes):
        assert np.isfinite(slope).all()
        assert np.all(slope[~mask] == 0)


def test_empty_sets_are_zero(name):
    x, y = clouds(2)
    none = np.zeros(x.shape[:2], bool)
    assert np.all(np.asarray(compiled(DISTANCES[name])(x, y, x_mask=none)) == 0)


@pytest.mark.optimised
@pytest.mark.parametrize(
    ("squared", "direction"),
    [
        (False, "ieo"),
        pytest.param(True, "both", marks=pytest.mark.slow),
        pytest.param(True, "oei", marks=pytest.mark.slow),
    ],
)
def test_gradient_is_that_of_the_loop(name, squared, direction):
    x, y = (p[0] for p in clouds(1, n=5, m=6, seed=3))
    options = {"squared": squared, "direction": direction}
    loss = functools.partial(DISTANCES[name], **options)
    slopes = jax.jit(jax.grad(loss, argnums=(0, 1)))(x, y)
    step = 1e-6
    for which, slope in enumerate(slopes):
        expected = np.zeros(slope.shape)
        for place in np.ndindex(slope.shape):
            ends = []
            for sign in (1, -1):
                pair = [np.float64(x), np.float64(y)]
                pair[which] = pair[which].copy()
                pair[which][place] += sign * step
                ends.append(by_loop(name, *pair, **options))
            expected[place] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-4)


def test_gradient_by_hand():
    """Two pixels a side, matched crosswise: twice the difference, from both sums."""
    x = np.array([[0.0, 0.0, 0.2], [1.0, 1.0, 0.8]], np.float32)
    y = np.array([[1.0, 0.75, 0.5], [0.25, 0.0, 0.6]], np.float32)
    slope = jax.jit(jax.grad(pixel_matched_distance, argnums=1))(x, y)
    by_hand = 4 * np.array([[0.0, -0.25, -0.3], [0.25, 0.0, 0.4]])
    np.testing.assert_allclose(slope, by_hand, rtol=1e-5, atol=1e-6)


def test_repulsion_by_loop():
    x, _ = clouds(3, n=8)
    mask = np.arange(8) < np.array([[8], [2], [1]])
    value = jax.jit(functools.partial(repulsion, length=0.3))(x, mask=mask)
    expected = []
    for points, exists in zip(np.float64(x), mask, strict=True):
        points, total = points[exists], 0.0
        for i, p in enumerate(points):
            others = np.delete(points, i, axis=0)
            if len(others):
                total += np.exp(-np.linalg.norm(others - p, axis=1).min() / 0.3)
        expected.append(total)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert expected[2] == 0


def test_repulsion_pushes_apart_and_is_finite():
    x = np.array([[0.0, 0.0], [0.5, 0.0], [9.0, 9.0], [9.0, 9.0]], np.float32)
    value, slope = jax.jit(jax.value_and_grad(repulsion))(x)
    np.testing.assert_allclose(value, 2 * np.exp(-1) + 2, rtol=1e-6)
    # Each of the first two moves its own distance and the other's.
    push = 2 * np.exp(-1) / 0.5
    np.testing.assert_allclose(slope[:2], [[push, 0], [-push, 0]], rtol=1e-5)
    assert np.all(slope[2:] == 0)


def test_repulsion_in_the_loss(name):
    module = distances.get(name)
    x, y = clouds(2)
    plain = jax.jit(module.build(module.Config()))(x, y)
    config = module.Config(repulsion=0.7, repulsion_length=0.2)
    apart = 0.7 * compiled(repulsion, length=0.2)(y[..., :2])
    value = jax.jit(module.build(config))(x, y)
    np.testing.assert_allclose(value, plain + apart, rtol=1e-6)


def test_config_reaches_the_distance(name):
    module = distances.get(name)
    x, y = clouds(2)
    config = module.Config(squared=False, direction="oei")
    expected = compiled(DISTANCES[name], squared=False, direction="oei")(x, y)
    value = jax.jit(module.build(config))(x, y)
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_bad_settings_name_the_field(name):
    config = distances.get(name).Config
    for field, value in (
        ("direction", "up"),
        ("repulsion", -1.0),
        ("repulsion_length", 0.0),
    ):
        with pytest.raises(InputError, match=f"^{field}: must "):
            config(**{field: value})
    if name != "pixel_positions":
        with pytest.raises(
            InputError, match=r"^intensity_weight: must be a number, got nan"
        ):
            config(intensity_weight=float("nan"))


def test_programming_errors(name):
    x, y = clouds(2)
    with pytest.raises(ValueError, match="direction must be"):
        DISTANCES[name](x, y, direction="up")
    with pytest.raises(ValueError, match="features"):
        DISTANCES[name](x[..., :1], y[..., :1])
