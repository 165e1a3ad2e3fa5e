"""MNIST in all its containers, as sets of pixels, and back to images."""

import gzip

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import embedded, files, mnist, sets
from jetvae_jax.images import mnist as idx
from jetvae_jax.images.mnist import Images
from jetvae_jax.images.pictures import render


def make_images(count=40, lit=60, seed=0):
    """Images of exactly ``lit`` lit pixels, with every grey value and many ties."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((count, 784), np.uint8)
    for row in pixels:
        row[rng.choice(784, lit, replace=False)] = rng.choice([1, 7, 128, 255], lit)
    return Images(
        pixels.reshape(-1, 28, 28), rng.permutation(np.arange(count) % 10).astype("i4")
    )


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def write_idx(folder, images, *, part="train", packed=False):
    folder.mkdir(exist_ok=True)
    stem = {"train": "train", "test": "t10k"}[part]
    for name, array in (
        ("images-idx3", images.pixels),
        ("labels-idx1", images.labels),
    ):
        data = idx_bytes(array)
        path = folder / f"{stem}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("packed", [False, True])
def test_folder_of_idx_files(tmp_path, packed):
    train, test = make_images(), make_images(12, seed=1)
    write_idx(tmp_path / "mnist", train, packed=packed)
    write_idx(tmp_path / "mnist", test, part="test", packed=packed)
    assert same(mnist.load(tmp_path / "mnist"), train)
    assert same(mnist.load(tmp_path / "mnist", "test"), test)
    first = next((tmp_path / "mnist").glob("t10k-images*"))
    assert same(mnist.load(first), test)


def test_npz(tmp_path):
    train, test = make_images(), make_images(12, seed=1)
    np.savez_compressed(
        tmp_path / "mnist.npz",
        x_train=train.pixels,
        y_train=train.labels.astype(np.uint8),
        x_test=test.pixels,
        y_test=test.labels.astype(np.int64),
    )
    loaded = mnist.load(tmp_path / "mnist.npz", "test")
    assert same(loaded, test)
    assert loaded.labels.dtype == np.int32
    assert same(mnist.load(tmp_path / "mnist.npz"), train)


def test_compression_shows_in_the_bytes_not_in_the_name(tmp_path):
    images = make_images()
    folder = write_idx(tmp_path / "mnist", images)
    for path in list(folder.iterdir()):
        path.rename(f"{path}.gz")
    assert same(mnist.load(folder), images)


def test_embedded_digits():
    images = mnist.load("embedded")
    assert images.pixels.shape == (2000, 28, 28)
    assert np.bincount(images.labels).tolist() == [200] * 10
    assert mnist.embedded_path().stat().st_size < 500_000
    lit = np.count_nonzero(images.pixels, axis=(1, 2))
    # MNIST: 20 x 20 pixels, a fifth of the image lit, centred by mass.
    assert lit.min() > 30 and lit.max() < 400 and abs(lit.mean() - 150) < 10
    y, x = np.mgrid[:28, :28]
    mass = images.pixels.sum(dtype=float)
    for axis in (x, y):
        assert abs((images.pixels * axis).sum() / mass - 14) < 0.2


def test_embedded_digits_are_made_again(tmp_path):
    images = make_images(95, lit=5)
    few = embedded.sample(images, 3)
    assert np.bincount(few.labels).tolist() == [3] * 10
    zeros = images.pixels[images.labels == 0]
    n = len(zeros)
    expected = zeros[[0, n // 3, 2 * n // 3]]
    assert np.array_equal(few.pixels[few.labels == 0], expected)
    with pytest.raises(InputError, match=r"digit 0: \d+ images, 20 are needed"):
        embedded.sample(images, 20)
    for name in ("a.npz", "b.npz"):
        embedded.make("embedded", tmp_path / name)
    first = (tmp_path / "a.npz").read_bytes()
    assert first == (tmp_path / "b.npz").read_bytes()
    assert same(mnist.load(tmp_path / "a.npz"), mnist.load("embedded"))


def bad_magic(data):
    return b"\x00\x00\x08\x01" + data[4:]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (bad_magic, "magic number is 0x00000801, of an IDX file of images 0x00000803"),
        (lambda d: b"", "is empty: fetch it again"),
        (lambda d: d[:9], "ends inside its header"),
        (lambda d: d[:500], "needs 31,360 bytes, there are only 484"),
        (lambda d: d + b"0", "there are more"),
        (lambda d: d[:4] + b"\xff" * 4 + d[8:], "there are only 31,360"),
        (lambda d: gzip.compress(d)[:300], "truncated or damaged"),
        (lambda d: gzip.compress(d)[:-6] + b"012345", "truncated or damaged"),
        (lambda d: b"\x1f\x8b" + d, "truncated or damaged"),
    ],
)
def test_spoilt_idx_is_one_line(tmp_path, spoil, message):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(spoil(idx_bytes(make_images().pixels)))
    with pytest.raises(InputError) as error:
        idx.read(path, 3)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_labels_missing_or_of_another_length(tmp_path):
    images = make_images()
    folder = write_idx(tmp_path / "mnist", images)
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(images.labels[:-1]))
    with pytest.raises(InputError, match=r"labels-idx1.*39,\) labels for 40 images"):
        mnist.load(folder)
    labels.write_bytes(idx_bytes(images.labels + 10))
    with pytest.raises(InputError, match=r"labels-idx1.*reach from 0 to 19"):
        mnist.load(folder)
    labels.unlink()
    with pytest.raises(InputError, match="labels missing: train-labels-idx1-ubyte"):
        mnist.load(folder)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_train": None}, "y_train: missing array"),
        ({"x_train": np.zeros((3, 27, 28), np.uint8)}, r"x_train: shape is \(3, 27"),
        ({"x_train": np.zeros((0, 28, 28), np.uint8)}, "x_train: holds no images"),
        ({"x_train": np.zeros((3, 28, 28), np.float32)}, "x_train: type is float32"),
        ({"x_train": np.full((3, 28, 28), 256)}, "x_train: values reach from 0 to 256"),
        ({"y_train": np.zeros(2, np.uint8)}, "y_train: .* labels for 3 images"),
    ],
)
def test_spoilt_npz(tmp_path, arrays, message):
    whole = {
        "x_train": np.ones((3, 28, 28), np.uint8),
        "y_train": np.zeros(3, np.uint8),
    } | arrays
    np.savez(tmp_path / "m.npz", **{k: v for k, v in whole.items() if v is not None})
    with pytest.raises(InputError, match=message):
        mnist.load(tmp_path / "m.npz")


def test_nothing_there_says_how_to_get_it(tmp_path):
    for spec in (tmp_path, tmp_path / "no.npz"):
        with pytest.raises(InputError, match="dataset=mnist, or give 'embedded'"):
            mnist.load(spec)
    with pytest.raises(InputError, match="part: 'valid' is unknown"):
        mnist.load("embedded", "valid")  # type: ignore[arg-type]


@pytest.mark.parametrize("keep", [60, 100])
def test_round_trip_is_exact(keep):
    images = make_images(lit=60)
    found = sets.of_images(sets.Config(num_pixels=keep), images)
    assert found.points.shape == (40, keep, 3)
    assert np.all(found.mask.sum(axis=1) == 60)
    for combine in ("max", "sum"):
        drawn = np.rint(255 * render(found, combine=combine))
        assert np.array_equal(drawn, images.pixels)
    assert np.all(found.points[~found.mask] == 0)


def test_the_most_intense_by_a_loop():
    images = make_images(5, lit=60)
    found = sets.of_images(sets.Config(num_pixels=25), images)
    for image, points in zip(images.pixels, found.points, strict=True):
        lit = [(-int(image[y, x]), y, x) for y, x in np.argwhere(image)]
        expected = [(x, y, -grey / 255) for grey, y, x in sorted(lit)[:25]]
        np.testing.assert_allclose(points, expected, rtol=1e-6)


def test_positions_only_and_digits():
    images = make_images()
    config = sets.Config(num_pixels=70, digits=(3, 8), intensity=False)
    found = sets.of_images(config, images)
    assert set(found.labels) == {3, 8}
    assert np.array_equal(found.points[..., 2], found.mask)
    shown = render(found) > 0
    wanted = images.pixels[np.isin(images.labels, (3, 8))] > 0
    assert np.array_equal(shown, wanted)


def test_too_few_lit_pixels():
    images = make_images(lit=60)
    images.pixels[[3, 7]] = 0
    images.pixels[7, 2, 2:12] = 9
    with pytest.raises(InputError, match=r"1 of 40 images are blank \(first: 3\)"):
        sets.of_images(sets.Config(), images)
    config = sets.Config(num_pixels=50, min_pixels=50)
    with pytest.raises(
        InputError, match=r"2 of 40 images have fewer than 50 lit.*first: 3, with 0"
    ):
        sets.of_images(config, images)
    images = Images(images.pixels[4:], images.labels[4:])
    found = sets.of_images(sets.Config(num_pixels=50), images)
    assert sorted(set(found.mask.sum(axis=1))) == [10, 50]


def test_unknown_digit():
    images = make_images(9)
    only = Images(images.pixels[images.labels != 4], images.labels[images.labels != 4])
    with pytest.raises(InputError, match="no image of digit 4"):
        sets.of_images(sets.Config(digits=(4,)), only)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_pixels": 0},
        {"num_pixels": 785},
        {"min_pixels": 0},
        {"min_pixels": 101},
        {"digits": (10,)},
    ],
)
def test_bad_settings_name_the_field(settings):
    with pytest.raises(InputError, match=f"^{next(iter(settings))}: "):
        sets.Config(**settings)


def test_render_by_hand():
    points = np.array(
        [[2.4, 5.6, 0.5], [2.0, 6.0, 0.75], [27.4, 0, 1], [27.6, 0, 1], [-1, 3, 1]],
        np.float32,
    )
    mask = np.ones(5, bool)
    one = PixelSets(points, mask, np.int32(-1))
    drawn = render(one)
    assert np.argwhere(drawn).tolist() == [[0, 27], [6, 2]]
    assert drawn[6, 2] == 0.75
    assert render(one, combine="sum")[6, 2] == 1
    points[0] = np.nan
    assert render(one._replace(mask=mask & (np.arange(5) != 1)))[6, 2] == 0
    with pytest.raises(ValueError, match="combine"):
        render(one, combine="mean")  # type: ignore[arg-type]


def test_sets_are_written_and_read(tmp_path):
    found = sets.of_images(sets.Config(num_pixels=70), make_images())
    files.write(tmp_path / "a.npz", found)
    again = files.read(tmp_path / "a.npz", num_pixels=70)
    assert same(again, found)
    few = files.read(tmp_path / "a.npz", num_pixels=10)
    assert np.array_equal(few.points, found.points[:, :10])
    assert files.read(tmp_path / "a.npz").points.shape == (40, 60, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]
    with pytest.raises(InputError, match="cannot be written"):
        files.write(tmp_path / "no" / "a.npz", found)


def test_superpixels_of_others(tmp_path):
    nodes = np.array(
        [[[4, 9, 0.2], [1, 2, 0], [6, 3, 0.9]], [[5, 5, 1], [7, 8, 0.3], [9, 9, 0.5]]],
        np.float32,
    )
    np.savez(tmp_path / "one.npz", eights=nodes)
    read = files.read(tmp_path / "one.npz", array="eights", columns="yx", label=8)
    assert read.labels.tolist() == [8, 8]
    assert read.mask.tolist() == [[True, True, False], [True, True, True]]
    expected = np.array([[3, 6, 0.9], [9, 4, 0.2], [0, 0, 0]], np.float32)
    np.testing.assert_array_equal(read.points[0], expected)
    np.savez(tmp_path / "pyg.npz", pos=nodes[..., :2], x=nodes[..., 2:], y=[8, 1])
    named = files.read(tmp_path / "pyg.npz", columns="yx")
    assert np.array_equal(named.points, read.points)
    assert named.labels.tolist() == [8, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(1)}, "labels: .* for 2 sets"),
        ({"mask": np.ones((2, 2), bool)}, "mask: shape"),
        ({"points": np.ones((2, 3, 2))}, r"points: shape is \(2, 3, 2\)"),
        ({"points": np.full((2, 3, 3), np.nan)}, "2 of 2 sets"),
        ({"points": np.full((2, 3, 3), 2.0)}, "intensities outside"),
        ({"mask": np.zeros((2, 3), bool)}, "2 of 2 sets .*are blank"),
        ({"points": None}, "holds no sets of pixels"),
        ({"labels": np.array([1.5, 2])}, "labels: reach from 1.5 to 2.0"),
        ({"labels": np.array([0, 77])}, "labels: reach from 0 to 77"),
    ],
)
def test_spoilt_sets(tmp_path, change, message):
    arrays = {
        "points": np.ones((2, 3, 3), np.float32),
        "mask": np.ones((2, 3), bool),
        "labels": np.zeros(2, np.int32),
    } | change
    np.savez(tmp_path / "s.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match=message) as error:
        files.read(tmp_path / "s.npz")
    assert str(error.value).startswith(str(tmp_path))
