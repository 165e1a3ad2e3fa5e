"""Loads sets of pixels: from MNIST in any form, or from an archive of sets."""

import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import PixelSets
from jetvae_jax.data import splits
from jetvae_jax.data.containers import npz
from jetvae_jax.images import files, mnist, segments, sets
from jetvae_jax.images.mnist import EMBEDDED

Form = Literal["sparse", "superpixels"]
Order = Literal["intensity", "raster"]


@configs.config
class Request:
    """Which sets to load.

    Attributes:
        path: as :func:`mnist.load` takes it, or an npz archive of sets.
        form: 'sparse' pixels or 'superpixels'; without effect on an archive of sets.
        num_pixels: points of a set, at most.
        digits: classes wanted; empty for all.
        min_pixels: an image with fewer lit pixels is an error.
        max_images: taken of each part, at most; 0 for all.
        order: of the points in a set.
        columns: what the first two numbers of a position are in a file of sets.
    """

    path: str
    form: Form = "sparse"
    num_pixels: int = 100
    digits: tuple[int, ...] = ()
    min_pixels: int = 1
    max_images: NonNegativeInt = 0
    order: Order = "intensity"
    columns: files.Columns = "xy"

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        if not os.fspath(self.path):
            raise InputError(f"path: is empty: give a file, a folder, or {EMBEDDED!r}")
        sets.Config(self.num_pixels, self.digits, min_pixels=self.min_pixels)


class Loaded(NamedTuple):
    """What was read, in three disjoint parts.

    Attributes:
        train: ``[J, K, 3]``.
        valid: drawn from the same images.
        test: the data set's own test part, or drawn like the other two.
        notes: on what was chosen.
        source: JSON-able metadata, with the fingerprint of the sets.
    """

    train: PixelSets
    valid: PixelSets
    test: PixelSets
    notes: tuple[str, ...]
    source: dict[str, Any]


def load(
    request: Request, *, seed: int, fractions: tuple[float, float, float]
) -> Loaded:
    """Sets of pixels in three parts.

    Images are split before digits are chosen: whatever digits are asked for, an image
    of the test part is in no training part of the same seed and fractions.

    Args:
        request: which sets.
        seed: of the split.
        fractions: of the three parts; of training and validation only, in their
            ratio, where the data set has a test part.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    notes, where = [], os.fspath(request.path)
    layout = "sets" if holds_sets(request.path) else "MNIST"
    whole = read(request)
    if layout == "MNIST" and mnist.has_test(request.path):
        notes.append("the data set's own test part is the test part")
        given = [*_two(where, whole, seed, fractions), read(request, "test")]
    else:
        given = _three(where, whole, seed, fractions)
    parts = train, valid, test = [finished(request, part) for part in given]
    short = sum(int((p.mask.sum(axis=-1) < request.num_pixels).sum()) for p in parts)
    if short:
        total = sum(len(part.labels) for part in parts)
        notes.append(
            f"{short:,} of {total:,} sets have fewer than {request.num_pixels} points "
            "and are padded"
        )
    source = {
        "path": where,
        "layout": layout,
        "form": request.form,
        "images": [len(part.labels) for part in parts],
        "fingerprint": fingerprint(parts),
    }
    return Loaded(train, valid, test, tuple(notes), source)


def read(request: Request, part: mnist.Part = "train") -> Any:
    """Images, or sets if the file holds sets, all of them.

    Raises:
        InputError: the file is wrong, or holds a blank image, or one of the wanted
            digits with too few lit pixels.
    """
    if holds_sets(request.path):
        return files.read(
            request.path, columns=request.columns, num_pixels=request.num_pixels
        )
    images = mnist.load(request.path, part)
    # Here, where the number of an image is that in the file.
    where, digits = os.fspath(request.path), request.digits
    sets.check_lit(images, 1, where=where)
    sets.check_lit(images, request.min_pixels, digits=digits, where=where)
    return images


def finished(request: Request, given: Any) -> PixelSets:
    """The sets that are asked for, of images or of sets.

    Raises:
        InputError: no image of a wanted digit.
    """
    if request.digits:
        for digit in request.digits:
            if digit not in given.labels:
                raise InputError(
                    f"{os.fspath(request.path)}: no image of digit {digit} in a part "
                    "of the data: choose other digits, or other fractions"
                )
        given = _rows(given, np.flatnonzero(np.isin(given.labels, request.digits)))
    given = _rows(given, slice(request.max_images or None))
    if isinstance(given, PixelSets):
        found = _padded(given, request.num_pixels)
    elif request.form == "superpixels":
        number = request.num_pixels
        found = segments.of_images(segments.Config(number, number), given)
    else:
        config = sets.Config(request.num_pixels, min_pixels=request.min_pixels)
        found = sets.of_images(config, given)
    return sets.raster(found) if request.order == "raster" else found


def _padded(given: PixelSets, size: int) -> PixelSets:
    """Sets ``[J, K, 3]`` as ``[J, size, 3]``."""
    width = size - given.mask.shape[1]
    return PixelSets(
        np.pad(given.points, ((0, 0), (0, width), (0, 0))),
        np.pad(given.mask, ((0, 0), (0, width))),
        given.labels,
    )


def _three(where: str, whole, seed: int, fractions) -> list:
    """Training, validation and test part, at random."""
    count = len(whole.labels)
    try:
        parts = splits.split(seed, count, fractions=fractions)
    except InputError as error:
        raise InputError(_unsplit(where, count, seed, fractions)) from error
    return [_rows(whole, rows) for rows in parts]


def _two(where: str, whole, seed: int, fractions) -> list:
    """Training and validation part, at random in the ratio of the first two."""
    train, valid = fractions[:2]
    count = len(whole.labels)
    end = round(train / (train + valid) * count) if train > 0 and valid > 0 else 0
    if not 0 < end < count or seed < 0:
        raise InputError(_unsplit(where, count, seed, fractions))
    order = np.random.default_rng(seed).permutation(count)
    return [_rows(whole, rows) for rows in np.split(order, [end])]


def _unsplit(where: str, count: int, seed: int, fractions) -> str:
    return (
        f"{where}: {count:,} images cannot be split by fractions "
        f"{list(fractions)} with split_seed {seed}: give more images, three positive "
        "fractions that sum to 1, and a seed of 0 or more"
    )


def _rows(given: Any, rows: Any) -> Any:
    return type(given)(*(array[rows] for array in given))


def fingerprint(parts: Sequence[PixelSets]) -> str:
    """sha256 of points, masks and labels: the same sets, whatever file held them."""
    digest = hashlib.sha256(repr([part.points.shape for part in parts]).encode())
    for part in parts:
        for array, kind in zip(part, ("<f4", "u1", "<i4"), strict=True):
            digest.update(np.ascontiguousarray(array, kind).data)
    return digest.hexdigest()


def holds_sets(path: str | os.PathLike) -> bool:
    """Whether a file holds sets, not images.

    Raises:
        InputError: an archive that cannot be read.
    """
    file = pathlib.Path(path)
    if file.suffix.lower() not in npz.SUFFIXES or not file.is_file():
        return False
    with npz.opened(file) as archive:
        return "points" in archive.names or "pos" in archive.names
