"""Calorimeters: numbers of cells, their order and their places."""

import math
import re

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.showers import geometry

CELLS = {
    "lhcb_ecal": 900,
    "calochallenge_1_photons": 368,
    "calochallenge_1_pions": 533,
    "calochallenge_2": 45 * 16 * 9,
    "calochallenge_3": 45 * 50 * 18,
}
# Cells of a layer, of data set 1 (arXiv:2410.21611, section 2).
LAYERS = {
    "calochallenge_1_photons": [8, 160, 190, 5, 5],
    "calochallenge_1_pions": [8, 100, 100, 5, 150, 160, 10],
}


@pytest.mark.parametrize("name", geometry.names())
def test_named_calorimeters(name):
    found = geometry.get(name)
    assert found.name == name and geometry.of_cells(found.num_cells) == (name,)
    assert found.num_cells == CELLS[name] == math.prod(found.shape or [CELLS[name]])
    assert (np.diff(found.layer) >= 0).all()
    for array in (found.x, found.y, found.radius):
        assert array.shape == (CELLS[name],) and np.isfinite(array).all()
    assert np.diff(found.starts).tolist() == LAYERS.get(
        name, [CELLS[name] // found.num_layers] * found.num_layers
    )
    # As many to the left as to the right.
    np.testing.assert_allclose([found.x.sum(), found.y.sum()], 0, atol=1e-6)
    at_centre = np.hypot(found.x, found.y)
    divided = at_centre > 0
    np.testing.assert_allclose(found.radius[divided], at_centre[divided])


def test_the_order_of_voxels_is_that_of_the_challenge():
    """The radius runs fastest, then the angle, from -pi."""
    found = geometry.get("calochallenge_2")
    radius = found.radius.reshape(found.shape)
    angle = np.arctan2(found.y, found.x).reshape(found.shape)
    np.testing.assert_allclose(radius[7, 3], 4.65 * (np.arange(9) + 0.5))
    expected = -math.pi + (np.arange(16) + 0.5) * math.pi / 8
    np.testing.assert_allclose(angle[44, :, 5], expected)
    np.testing.assert_allclose(radius[:, :, -1].max(), 41.85 - 4.65 / 2)


def test_a_ring_that_is_not_divided_is_centred():
    found = geometry.get("calochallenge_1_pions")
    first, last = slice(*found.starts[:2]), slice(*found.starts[-2:])
    for layer in (first, last):
        assert not found.x[layer].any() and not found.y[layer].any()
    np.testing.assert_allclose(
        found.radius[first], [2.5, 7.5, 20, 40, 75, 150, 300, 500]
    )


def test_a_grid_by_its_sizes():
    found = geometry.get("2x3x4x4.5")
    assert found.shape == (2, 3, 4) and found.side == 4.5 and found.form == "grid"
    x, y = found.x.reshape(2, 3, 4), found.y.reshape(2, 3, 4)
    np.testing.assert_allclose(x[1, 2], [-6.75, -2.25, 2.25, 6.75])
    np.testing.assert_allclose(y[0, :, 1], [-4.5, 0, 4.5])
    assert geometry.get(found.name).name == found.name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("calochalenge_2", "did you mean 'calochallenge_2'"),
        ("30x30", "layers, rows, columns and the side"),
        ("1x0x30x20", "at least one cell"),
        ("1x30x30x0", "side above 0"),
        ("99999x99999x99999x1", "at most"),
        ("", "choose one of lhcb_ecal"),
    ],
)
def test_wrong_names(name, words):
    with pytest.raises(InputError, match=re.escape(words)) as error:
        geometry.get(name)
    assert "\n" not in str(error.value)
