"""Pictures of pixel sets: what is drawn where."""

import io

import numpy as np
import pytest

from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import mnist, pictures, sets
from jetvae_jax.report import style
from jetvae_jax.studies.digit_losses import verdict


@pytest.fixture(scope="module")
def digits():
    images = mnist.load("embedded")
    few = mnist.Images(images.pixels[:45], images.labels[:45])
    return sets.of_images(sets.Config(), few)


def mosaic(figure):
    """The tiles of the figure ``[R, C, 28, 28]``."""
    whole = np.asarray(figure.axes[0].images[0].get_array())
    height, width = ((n + 2) // 30 for n in whole.shape)
    whole = np.pad(whole, (0, 2)).reshape(height, 30, width, 30)
    return whole.transpose(0, 2, 1, 3)[..., :28, :28]


def names(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_rows_stand_below_each_other(digits):
    half = digits._replace(points=digits.points * np.float32([1, 1, 0.5]))
    figure = pictures.rows({"input": digits, "a_b$c": half}, columns=6)
    tiles = mosaic(figure)
    assert tiles.shape == (2, 6, 28, 28)
    np.testing.assert_array_equal(tiles[0], pictures.render(digits)[:6])
    np.testing.assert_allclose(tiles[1], tiles[0] / 2)
    assert names(figure) == ["input", r"a_b\$c"]


def test_grid_has_full_rows(digits):
    tiles = mosaic(pictures.grid(digits, columns=20))
    np.testing.assert_array_equal(
        tiles.reshape(-1, 28, 28), pictures.render(digits)[:40]
    )
    assert mosaic(pictures.grid(digits, columns=50)).shape[:2] == (1, 45)


def test_every_digit_has_its_row(digits):
    labels = digits.labels.copy()
    labels[0] = -1
    figure = pictures.by_digit(digits._replace(labels=labels), columns=3)
    assert names(figure) == ["unknown", *map(str, range(10))]
    tiles = mosaic(figure)
    drawn = pictures.render(digits)
    np.testing.assert_array_equal(tiles[0, 0], drawn[0])
    assert np.all(tiles[0, 1:] == 0)
    for digit in range(10):
        mine = drawn[labels == digit][:3]
        np.testing.assert_array_equal(tiles[digit + 1, : len(mine)], mine)


def test_interpolation_says_where_it_is(digits):
    strips = PixelSets(
        *(array[:27].reshape(3, 9, *array.shape[1:]) for array in digits)
    )
    figure = pictures.interpolation(strips)
    np.testing.assert_array_equal(
        mosaic(figure).reshape(-1, 28, 28), pictures.render(digits)[:27]
    )
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert ticks == ["0", "0.25", "0.5", "0.75", "1"]
    np.testing.assert_allclose(
        figure.axes[0].get_xticks(), 30 * np.arange(0, 9, 2) + 14
    )


def test_interpolation_stands_between_its_images(digits):
    strips, ends = (
        PixelSets(*(array[:n].reshape(3, -1, *array.shape[1:]) for array in digits))
        for n in (15, 6)
    )
    figure = pictures.interpolation(strips, ends)
    tiles = mosaic(figure)
    assert tiles.shape[:2] == (3, 7)
    drawn = pictures.render(ends)
    np.testing.assert_array_equal(tiles[:, [0, -1]], drawn)
    np.testing.assert_array_equal(tiles[:, 1:-1], pictures.render(strips))
    named = dict(
        zip(
            figure.axes[0].get_xticks(),
            [label.get_text() for label in figure.axes[0].get_xticklabels()],
            strict=True,
        )
    )
    assert named[14] == named[14 + 6 * 30] == "real"
    assert (named[44], named[44 + 4 * 30]) == ("0", "1")


def test_a_superpixel_is_a_plus():
    one = PixelSets(
        np.array([[[4.4, 9.6, 0.5], [0, 0, 0.9]]], np.float32),
        np.array([[True, False]]),
        np.array([3]),
    )
    image = pictures.render(pictures.spread(one))[0]
    assert image.sum() == 2.5 and set(np.unique(image)) == {0, 0.5}
    rows, columns = np.nonzero(image)
    assert set(zip(rows, columns, strict=True)) == {
        (10, 4), (9, 4), (11, 4), (10, 3), (10, 5),
    }  # fmt: skip


def test_white_pixels_have_no_intensity_to_show(digits):
    bright = digits.mask[..., None].astype(np.float32)
    points = np.concatenate([digits.points[..., :2], bright], axis=-1)
    white = digits._replace(points=points)
    left, right = pictures.intensities({"input": digits, "Eq. 1": white}).axes
    assert (len(left.patches), len(right.patches)) == (1, 2)
    left, right = pictures.intensities({"input": white}).axes
    assert not left.patches and "white" in left.texts[0].get_text()


def test_intensities_by_count(digits):
    dim = digits._replace(points=digits.points * np.float32([1, 1, 0.5]))
    left, right = pictures.intensities({"input": digits, "Eq. 2": dim}).axes
    shares = [patch.get_data().values for patch in left.patches]
    bright = digits.points[..., 2][digits.mask]
    assert shares[0][-1] == pytest.approx(np.mean(bright >= 0.98))
    assert shares[1][25:].sum() == pytest.approx(np.mean(bright / 2 >= 0.5))
    for patch in right.patches:
        assert patch.get_data().values.sum() == pytest.approx(1)


def test_figures_are_drawn_without_warnings(digits):
    strips = PixelSets(*(array[:4].reshape(2, 2, *array.shape[1:]) for array in digits))
    one = PixelSets(*(array[:1] for array in digits))
    nothing = digits._replace(mask=np.zeros_like(digits.mask))
    with style.look():
        for figure in (
            pictures.rows({"input": digits, "prior": one}),
            pictures.grid(one),
            pictures.by_digit(digits),
            pictures.interpolation(strips),
            pictures.intensities({"input": digits, "prior": nothing}),
        ):
            assert style.png(figure).startswith(b"\x89PNG")
            figure.savefig(io.BytesIO(), format="svg")


def test_the_table_of_losses():
    def figures(value):
        made = {"distance": value, "frechet": 10 * value, "accuracy": 0.5}
        kinds = dict.fromkeys(verdict.SAMPLES, made)
        return {"positions": kinds | {"floor": {"accuracy": 0.9}}}

    table = verdict.text({"pixel_positions": [figures(1.0), figures(2.0)]})
    line = next(t for t in table.splitlines() if "Eq. 1" in t)
    assert "1.500 ± 0.707" in line and "15.0 ± 7.1" in line and "| 50.0 |" in line
    assert "| 90.0 |" in table


def test_the_seeds_decide_or_do_not():
    def runs(*values):
        kinds = [
            {k: {"distance": v, "accuracy": 0.5} for k in verdict.SAMPLES}
            for v in values
        ]
        return [{"positions": kind | {"floor": {}}} for kind in kinds]

    found = {"a": runs(1.0, 1.2), "pixel_matched": runs(2.0, 2.2)}
    sure, open_ = verdict.verdict(found, "positions")
    # 1.0 apart, deviations 0.1414 each: 1 / 0.2.
    assert "a is best, by 1.000 or 5.0 deviations ahead of Eq. 2" in sure
    assert "distance" not in open_ and "recognised" in open_
    assert (
        "distance" in verdict.verdict({"a": runs(1.0), "b": runs(2.0)}, "positions")[0]
    )
    assert verdict.verdict({"a": runs(1.0)}, "positions") == []
