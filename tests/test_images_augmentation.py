"""Small changes of handwriting: how far, which, and in which order of points."""

import jax
import numpy as np

from jetvae_jax.images import augmentation, mnist, sets

PLAIN = sets.of_images(
    sets.Config(), mnist.Images(*(a[:60] for a in mnist.load("embedded")))
)
RASTER = sets.raster(PLAIN)


def changed(*names, given=PLAIN, key=0):
    augment = augmentation.build(names, raster=given is RASTER)
    return jax.device_get(augment(jax.random.key(key), given))


def fitted(made, given):
    """The affine map of each set by least squares: matrix ``[J, 2, 2]``, shift."""
    maps = []
    for x, y, mask in zip(given.points, made.points, given.mask, strict=True):
        inside = mask & np.all((y[:, :2] > 0) & (y[:, :2] < 27), axis=-1)
        place = np.c_[x[inside, :2] - 13.5, np.ones(inside.sum())]
        found, *_ = np.linalg.lstsq(place, y[inside, :2] - 13.5, rcond=None)
        maps.append(found.T)
    maps = np.array(maps)
    return maps[..., :2], maps[..., 2]


def test_nothing_chosen_changes_nothing():
    made = changed()
    np.testing.assert_allclose(made.points, PLAIN.points, atol=1e-5)


def test_shifts_turns_and_stretches_keep_their_limits():
    matrix, shift = fitted(changed("shift"), PLAIN)
    np.testing.assert_allclose(
        matrix, np.broadcast_to(np.eye(2), matrix.shape), atol=1e-3
    )
    assert np.abs(shift).max() <= 1.5 + 1e-3 and np.abs(shift).std() > 0.3
    matrix, shift = fitted(changed("turn"), PLAIN)
    np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=1e-3)
    angle = np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0])
    assert 0.2 < np.abs(angle).max() <= 0.25 + 1e-3 and np.abs(shift).max() < 1e-2
    matrix, _ = fitted(changed("stretch"), PLAIN)
    sizes = matrix[:, [0, 1], [0, 1]]
    assert np.abs(matrix[:, 0, 1]).max() < 1e-3
    assert 0.1 < np.abs(sizes - 1).max() <= 0.12 + 1e-3


def test_intensities_masks_and_labels_stay():
    made = changed("shift", "turn", "stretch")
    np.testing.assert_array_equal(made.points[..., 2], PLAIN.points[..., 2])
    np.testing.assert_array_equal(made.mask, PLAIN.mask)
    np.testing.assert_array_equal(made.labels, PLAIN.labels)
    assert not made.points[~made.mask].any()
    assert made.points[..., :2].min() >= 0 and made.points[..., :2].max() <= 27


def test_the_order_of_reading_is_made_again():
    made = changed("shift", "turn", "stretch", given=RASTER)
    plain = changed("shift", "turn", "stretch")
    for points, mask, others in zip(made.points, made.mask, plain.points, strict=True):
        row = np.rint(points[mask][:, 1])
        assert np.all(np.diff(row) >= 0) and not points[~mask].any()
        within = np.diff(points[mask][:, 0])[np.diff(row) == 0]
        assert np.all(within >= 0)
        np.testing.assert_allclose(
            points[np.lexsort(points.T)], others[np.lexsort(others.T)], atol=1e-4
        )


def test_every_key_another_change():
    names = tuple(augmentation.MOST)
    first, again, other = (changed(*names, key=key).points for key in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
