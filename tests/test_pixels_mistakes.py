"""What the pipeline of sparse images refuses, and in which words."""

import dataclasses
import gzip

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.images import digit_classifier, domain, evaluation, mnist


def spoilt(folder, what):
    given = mnist.load("embedded")
    images, labels = given.pixels[:40].copy(), given.labels[:40].astype(np.uint8)
    if what == "blank":
        images[7] = 0
    if what == "few":
        images[9] = 0
        images[9, 3, 3:8] = 200
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        if what == "no labels" and array is labels:
            continue
        magic = [0, 0, 8, array.ndim]
        if what == "magic" and array is images:
            magic[2] = 13
        data = bytes(magic) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
        data = gzip.compress(data)
        if what == "empty":
            data = b""
        if what == "truncated" and array is images:
            data = data[: len(data) // 2]
        (folder / f"train-{name}-ubyte.gz").write_bytes(data)
    return str(folder)


@pytest.mark.parametrize(
    ("what", "settings", "message"),
    [
        ("blank", {}, r"1 of 40 images are blank \(first: 7\): remove them"),
        (
            "few",
            {"min_pixels": 12},
            r"1 of 40 images have fewer than 12 lit .*first: 9, with 5",
        ),
        ("magic", {}, r"train-images.*magic number is 0x00000d03"),
        ("truncated", {}, r"train-images.*truncated"),
        ("no labels", {}, r"labels missing"),
        ("empty", {}, r"is empty: fetch it again"),
        (
            "nothing wrong",
            {"digits": (8, 11)},
            r"digits: must be between 0 and 9, got 11",
        ),
    ],
)
def test_bad_files_are_one_line(tmp_path, what, settings, message):
    with pytest.raises(InputError, match=message) as error:
        domain.load(domain.Data(spoilt(tmp_path, what), num_pixels=12, **settings))
    assert "\n" not in str(error.value)
    assert settings.get("digits") or str(tmp_path) in str(error.value)


def test_short_images_are_padded_and_counted(tmp_path):
    found = domain.load(domain.Data(spoilt(tmp_path, "few"), num_pixels=12))
    assert sum((~part.mask).sum() for part in found[:3]) == 7
    assert found.notes == ("1 of 40 sets have fewer than 12 points and are padded",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda: domain.Data(form="hexagons"),
            "^form: must be one of .*, got 'hexagons'",
        ),
        (
            lambda: domain.Data(order="random"),
            "^order: must be one of .*, got 'random'",
        ),
        (
            lambda: domain.Data(num_pixels=785),
            "^num_pixels: must be between 1 and 784, got 785",
        ),
        (
            lambda: domain.Data(max_images=-1),
            "^max_images: must not be negative, got -1",
        ),
        (
            lambda: domain.writer("digits.foo", None, {}),
            "foo: unknown suffix: give .npz",
        ),
        (lambda: domain.Data(""), "path: is empty"),
        (
            lambda: domain.Data(split_seed=-1),
            "^split_seed: must not be negative, got -1",
        ),
        (
            lambda: domain.Data(fractions=(1, 0, 0)),
            "^fractions: must be positive, got 0",
        ),
        (
            lambda: domain.Data(augment=("turn", "spin")),
            "^augment: must be one of shift, turn, stretch, got 'spin'",
        ),
        (lambda: domain.Data(fractions=(0.5, 0.5)), "^fractions: must have 3 values"),
        (lambda: domain.Objective(beta=-1), "^beta: must not be negative, got -1"),
        (lambda: domain.Objective("published", beta=2), "^beta: .*1 - beta"),
        (lambda: domain.Objective("other"), "^form: must be one of .*, got 'other'"),
        (lambda: domain.load(domain.Data("nowhere.npz")), "nowhere.npz: no such file"),
        (
            lambda: domain.load(domain.Data(fractions=(1, 1, 1))),
            "embedded: 2,000 .*sum to 1",
        ),
    ],
)
def test_wrong_settings_name_the_field(change, message):
    with pytest.raises(InputError, match=message):
        change()


def test_few_pixels_of_another_digit_do_not_matter(tmp_path, monkeypatch):
    """Not in the run, and not in the classifier of all digits that judges it."""
    folder = spoilt(tmp_path, "few")
    label = int(mnist.load(folder).labels[9])
    config = domain.Data(folder, num_pixels=12, fractions=(0.4, 0.3, 0.3))
    parts = domain.load(config)[:3]
    common = set.intersection(*(set(part.labels.tolist()) for part in parts))
    digits = tuple(common - {label})
    config = dataclasses.replace(config, min_pixels=12, digits=digits)
    assert digits and set(domain.load(config).train.labels) == set(digits)
    seen = []

    def train(key, fit, check):
        del key, check
        seen.append(set(np.unique(fit.labels)))
        return digit_classifier.Classifier({"a": np.zeros(1, np.float32)}, 0.5, 1)

    monkeypatch.setattr(digit_classifier, "train_classifier", train)
    evaluation.trained_classifier(Workdir(tmp_path / "run"), config, intensity=True)
    assert seen[0] > set(digits)
