"""The small classifier of digits, and what is measured with it."""

import jax
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import digit_classifier, mnist, sets
from jetvae_jax.images.digit_classifier import Classifier
from jetvae_jax.images.metrics import digit_table, image_frechet, pixel_errors, text
from jetvae_jax.images.metrics import rows as table_rows

KEY = jax.random.key(5)


def rows(sample, chosen):
    return PixelSets(*(np.asarray(array)[chosen] for array in sample))


@pytest.fixture(scope="module")
def digits():
    """Zeros, ones and sevens of 40 pixels: easy enough to learn in seconds."""
    config = sets.Config(num_pixels=40, digits=(0, 1, 7))
    return sets.of_images(config, mnist.load("embedded"))


@pytest.fixture(scope="module")
def trained(digits):
    train, valid = rows(digits, slice(0, 200)), rows(digits, slice(200, 280))
    return digit_classifier.train_classifier(KEY, train, valid, epochs=12)


@pytest.fixture(scope="module")
def fresh(digits):
    return rows(digits, slice(280, 600))


def test_it_learns(trained, fresh):
    assert trained.accuracy > 0.9
    found = digit_classifier.accuracy(trained, fresh)
    assert found["accuracy"] > 0.9
    share = np.mean(digit_classifier.predict(trained, fresh) == fresh.labels)
    assert found["accuracy"] == pytest.approx(share)
    assert found["error"] == pytest.approx(np.sqrt(share * (1 - share) / 320))


def test_same_key_same_network(digits):
    train, valid = rows(digits, slice(0, 200)), rows(digits, slice(200, 280))
    runs = [
        digit_classifier.train_classifier(jax.random.key(k), train, valid, epochs=1)
        for k in (0, 0, 1)
    ]
    leaves = [jax.tree.leaves(run.params) for run in runs]
    assert all(np.array_equal(a, b) for a, b in zip(*leaves[:2], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(*leaves[1:], strict=True))


def test_neither_order_nor_padding_matter(trained, fresh):
    few = rows(fresh, slice(0, 20))
    seen = digit_classifier.features(trained, few)
    assert seen.shape == (20, digit_classifier.FEATURES)
    order = np.random.default_rng(0).permutation(40)
    turned = PixelSets(few.points[:, order], few.mask[:, order], few.labels)
    np.testing.assert_allclose(
        digit_classifier.features(trained, turned), seen, rtol=1e-4, atol=1e-4
    )
    wide = PixelSets(
        np.concatenate([few.points, np.full((20, 9, 3), np.nan)], axis=1),
        np.concatenate([few.mask, np.zeros((20, 9), bool)], axis=1),
        few.labels,
    )
    np.testing.assert_allclose(
        digit_classifier.features(trained, wide), seen, rtol=1e-4, atol=1e-4
    )
    nothing = few._replace(mask=np.zeros_like(few.mask))
    assert np.isfinite(digit_classifier.features(trained, nothing)).all()


def test_bad_sets(trained, digits):
    few = rows(digits, slice(0, 10))
    with pytest.raises(InputError, match="labels missing"):
        digit_classifier.accuracy(trained, few._replace(labels=np.full(10, -1)))
    with pytest.raises(InputError, match="give at least one set"):
        digit_classifier.features(trained, rows(few, slice(0, 0)))
    spoilt = few.points.copy()
    spoilt[3, 0] = np.nan
    with pytest.raises(InputError, match="NaN or infinity in 1 of 10"):
        digit_classifier.predict(trained, few._replace(points=spoilt))


def moved(sample, pixels):
    shift = np.array([pixels, 0, 0], np.float32)
    points = np.where(sample.mask[..., None], sample.points + shift, 0)
    return sample._replace(points=points.astype(np.float32))


def test_frechet_sees_what_is_wrong_and_nothing_else(trained, digits, fresh):
    other = rows(digits, slice(0, 200))
    distances = [
        image_frechet(KEY, trained, fresh, moved(other, shift)) for shift in (0, 2, 4)
    ]
    floor, floor_std = distances[0]["floor"], distances[0]["floor_std"]
    assert distances[0]["num_sets"] == 160
    assert abs(distances[0]["frechet"] - floor) < 5 * floor_std + 0.3 * floor
    assert distances[2]["frechet"] > distances[1]["frechet"] > 2 * floor
    again = image_frechet(KEY, trained, fresh, other)
    assert again == distances[0]


def test_frechet_by_hand(trained, fresh, monkeypatch):
    """Features that are themselves Gaussian, with a known distance."""
    rng = np.random.default_rng(0)
    draws = iter([rng.normal(size=(40_000, 3)), rng.normal(1, 2, (20_000, 3))])
    monkeypatch.setattr(digit_classifier, "features", lambda *_: next(draws))
    many = [rows(fresh, np.zeros(n, int)) for n in (40_000, 20_000)]
    found = image_frechet(KEY, trained, *many)
    np.testing.assert_allclose(found["frechet"], 3 * 1 + 3 * (2 - 1) ** 2, rtol=0.03)
    assert found["floor"] < 0.01


@pytest.mark.slow
def test_metrics_beside_their_floor(trained, fresh):
    asked = rows(fresh, slice(0, 200))
    samples = {
        "reconstruction": fresh,
        "wrong": asked._replace(labels=(asked.labels + 1) % 10),
        "unasked": asked._replace(labels=np.full(200, -1)),
    }
    result = digit_table(
        KEY, fresh, samples, classifier=trained, truth=asked, paired=("reconstruction",)
    )
    found, floor = result["candidates"], result["floor"]
    assert floor["accuracy"] > 0.9 and found["wrong"]["accuracy"] < 0.1
    assert "accuracy" not in found["unasked"]
    assert found["unasked"]["frechet"] < floor["frechet"] + 5 * floor["frechet_std"]
    assert found["reconstruction"]["distance"] == 0 < floor["distance"]
    assert "distance" not in found["wrong"] and not result["notes"]
    table = text(result)
    assert all(label in table for label, _ in table_rows(result))
    assert len(table.splitlines()) == 6


def test_what_cannot_be_measured_is_left_out_and_said(trained, fresh):
    blank = fresh._replace(mask=np.zeros_like(fresh.mask))
    few = rows(blank, slice(0, 30))
    result = digit_table(KEY, few, {"made": few}, classifier=trained)
    assert "frechet" not in result["candidates"]["made"]
    assert "left out" in result["notes"][0] and "30 of 30" in result["notes"][1]
    result = digit_table(KEY, few, {"made": few}, classifier=None)
    assert result["floor"] == {} and table_rows(result) == []


def test_too_few_sets_for_a_frechet_distance(fresh):
    classifier = Classifier({}, 1.0, 1)
    with pytest.raises(InputError, match=r"320 real and 20 generated.*130 and 65"):
        image_frechet(KEY, classifier, fresh, rows(fresh, slice(0, 20)))


def test_pixel_errors_by_loop():
    rng = np.random.default_rng(2)
    samples = []
    for size in (6, 9):
        mask = np.arange(size) < rng.integers(1, size + 1, (5, 1))
        points = rng.uniform(size=(5, size, 3)) * [27, 27, 1] * mask[..., None]
        samples.append(PixelSets(points.astype(np.float32), mask, np.zeros(5, int)))
    found = pixel_errors(*samples)
    plain, square, gap = [], [], []
    for i in range(5):
        x, y = (np.float64(s.points[i][s.mask[i]]) for s in samples)
        for mine, others in ((x, y), (y, x)):
            d = np.linalg.norm(mine[:, None, :2] - others[None, :, :2], axis=-1)
            plain.append(d.min(axis=1).mean())
            square.append((d.min(axis=1) ** 2).mean())
            gap.append(((mine[:, 2] - others[d.argmin(axis=1), 2]) ** 2).mean())
    np.testing.assert_allclose(found["distance"], np.mean(plain), rtol=1e-5)
    np.testing.assert_allclose(found["squared"], 2 * np.mean(square), rtol=1e-5)
    np.testing.assert_allclose(found["intensity"], np.mean(gap) ** 0.5, rtol=1e-5)
    with pytest.raises(ValueError, match="not 2 for 5"):
        pixel_errors(samples[0], rows(samples[1], slice(0, 2)))
