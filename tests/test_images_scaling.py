"""Pixels to network space and back, and superpixels of images."""

import jax
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import mnist, scaling, segments, sets

METHODS = ("unit", "standard", "mpgan")


@pytest.fixture(scope="module")
def digits():
    images = mnist.load("embedded")
    few = mnist.Images(images.pixels[:60], images.labels[:60])
    return sets.of_images(sets.Config(num_pixels=120), few)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("intensity", [True, False])
def test_there_and_back(digits, method, intensity):
    assert not digits.mask.all()
    if not intensity:
        lit = digits.points.copy()
        lit[..., 2] = digits.mask
        digits = digits._replace(points=lit)
    config = scaling.Config(method, intensity=intensity, min_intensity=0.001)
    scaler = scaling.fit(config, digits)

    @jax.jit
    def there(sets):
        return scaling.scale(config, scaler, sets)

    batch = there(digits)
    assert batch.x.shape == (60, 120, config.num_features)
    assert batch.context.axis.shape == (60, 3)
    padding = np.asarray(batch.x)[~digits.mask]
    np.testing.assert_array_equal(
        padding, np.broadcast_to(scaler.padding, padding.shape)
    )
    back = scaling.unscale(config, scaler, batch.x, digits.labels)
    np.testing.assert_array_equal(back.mask, digits.mask)
    np.testing.assert_allclose(back.points, digits.points, atol=1e-5)
    np.testing.assert_array_equal(back.labels, digits.labels)
    one = jax.vmap(there)(digits)
    np.testing.assert_allclose(one.x, batch.x, rtol=1e-6)


def test_conventions_by_hand(digits):
    corner = PixelSets(
        np.array([[[27, 0, 1.0], [14, 7, 0.5]]], np.float32),
        np.ones((1, 2), bool),
        np.zeros(1, np.int32),
    )
    for method, expected in (
        ("unit", [[1, 0, 1], [14 / 27, 7 / 27, 0.5]]),
        ("mpgan", [[27 / 28 - 0.5, -0.5, 0.5], [0, -0.25, 0]]),
    ):
        config = scaling.Config(method)
        x = scaling.scale(config, scaling.fit(config, digits), corner).x
        np.testing.assert_allclose(x[0], expected, atol=1e-7)
    grid = np.linspace(-0.5, 0.5, 28, endpoint=False)
    columns = corner._replace(
        points=np.stack([np.arange(28.0), np.zeros(28), np.zeros(28)], -1)[None],
        mask=np.ones((1, 28), bool),
    )
    x = scaling.scale(config, scaling.fit(config, digits), columns).x
    np.testing.assert_allclose(x[0, :, 0], grid, atol=1e-7)


def test_standard_has_mean_0_and_variance_1(digits):
    config = scaling.Config("standard")
    batch = scaling.scale(config, scaling.fit(config, digits), digits)
    x = np.asarray(batch.x, np.float64)[digits.mask]
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=0), 1, atol=1e-5)
    flat = digits._replace(
        points=np.where(digits.mask[..., None], [1, 2, 1], 0).astype("f4")
    )
    np.testing.assert_array_equal(scaling.fit(config, flat).factor, [[1, 1, 1]])


def test_decoders_may_say_anything(digits):
    config = scaling.Config()
    scaler = scaling.fit(config, digits)
    x = np.array(
        [[2, -1, 9], [0.5, 0.5, 0.04], [np.nan, 0, 1], [0.5, 1, np.inf], [0, 0, -1]],
        np.float32,
    )
    found = scaling.unscale(config, scaler, x)
    assert np.asarray(found.mask).tolist() == [True, False, False, False, False]
    np.testing.assert_array_equal(found.points[0], [27, 0, 1])
    assert np.all(np.asarray(found.points[1:]) == 0)
    assert found.labels == -1


def test_digits_as_conditions():
    found = scaling.digit_condition(np.array([[3, -1], [0, 9]]))
    assert found.shape == (2, 2, 10)
    assert np.argwhere(found).tolist() == [[0, 0, 3], [1, 0, 0], [1, 1, 9]]


def test_bad_input(digits):
    with pytest.raises(
        InputError, match=r"^method: must be one of unit, .*, got 'log'"
    ):
        scaling.Config("log")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^min_intensity: must be below 1, got 1\.0"):
        scaling.Config(min_intensity=1.0)
    nothing = digits._replace(mask=np.zeros_like(digits.mask))
    with pytest.raises(InputError, match="hold no point"):
        scaling.fit(scaling.Config("standard"), nothing)


@pytest.mark.parametrize(
    "config",
    [
        segments.Config(),
        segments.Config(num_segments=75, region="image", contrast=1.0),
        segments.Config(num_segments=12, num_pixels=12, iterations=30),
    ],
)
def test_superpixels(config):
    images = mnist.load("embedded")
    few = mnist.Images(images.pixels[:30], images.labels[:30])
    found = segments.of_images(config, few)
    assert found.points.shape == (30, config.num_pixels, 3)
    grey = found.points[..., 2]
    assert np.all(np.diff(grey, axis=1) <= 0)
    np.testing.assert_array_equal(found.mask, grey > 0)
    assert found.mask.mean() > 0.8
    # Superpixels stand for the strokes: their centre of mass is the image's.
    y, x = np.mgrid[:28, :28]
    mass = few.pixels.sum(axis=(1, 2))
    for axis, plane in enumerate((x, y)):
        true = (few.pixels * plane).sum(axis=(1, 2)) / mass
        ours = (found.points[..., axis] * grey).sum(axis=1) / grey.sum(axis=1)
        assert np.abs(ours - true).max() < 1.5
    again = segments.of_images(config, few)
    np.testing.assert_array_equal(again.points, found.points)


def test_superpixels_are_settled_segments():
    """After enough steps each is the mean of the lit pixels nearest to it."""
    images = mnist.load("embedded")
    config = segments.Config(num_segments=8, num_pixels=8, iterations=60)
    one = mnist.Images(images.pixels[:1], images.labels[:1])
    means = segments.of_images(config, one).points[0].astype(np.float64)
    y, x = np.nonzero(one.pixels[0])
    pixels = np.stack([x, y, one.pixels[0][y, x] / 255], -1)
    stretch = np.array([1, 1, config.contrast * np.sqrt(len(pixels) / 8)])
    distance = np.square((pixels[:, None] - means) * stretch).sum(-1)
    for i, mean in enumerate(means):
        mine = pixels[distance.argmin(axis=1) == i]
        np.testing.assert_allclose(mine.mean(axis=0), mean, rtol=1e-4)


def test_superpixels_bad_input():
    blank = mnist.Images(np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.int32))
    with pytest.raises(InputError, match="2 of 2 images"):
        segments.of_images(segments.Config(), blank)
    for settings in (
        {"num_segments": 0},
        {"num_pixels": 30},
        {"region": "dark"},
        {"contrast": 0.0},
    ):
        with pytest.raises(InputError, match=next(iter(settings))):
            segments.Config(**settings)
