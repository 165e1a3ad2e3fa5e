"""Sets of pixels from whatever holds them: MNIST in any form, or sets made before."""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from jetvae_jax.data import npz
from jetvae_jax.data.images import files, mnist, segments, sets
from jetvae_jax.errors import InputError
from jetvae_jax.types import PixelSets

Form = Literal["sparse", "superpixels"]
Order = Literal["intensity", "raster"]


@dataclasses.dataclass(frozen=True)
class Request:
    """Which sets.

    Attributes:
        path: as :func:`mnist.load` takes it, or an npz archive of sets.
        form: 'sparse' pixels or 'superpixels'; sets of a file are what they are.
        num_pixels: points of a set, at most.
        digits: classes wanted; empty for all.
        min_pixels: an image with fewer lit pixels stops the reading.
        max_images: taken from the start of each part; 0 for all.
        order: of the points in a set.
        columns: what the first two numbers of a position are in a file of sets.
    """

    path: str
    form: Form = "sparse"
    num_pixels: int = 100
    digits: tuple[int, ...] = ()
    min_pixels: int = 1
    max_images: int = 0
    order: Order = "intensity"
    columns: files.Columns = "xy"

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        for name, kind in (("form", Form), ("order", Order)):
            if getattr(self, name) not in get_args(kind):
                raise InputError(
                    f"{name} = {getattr(self, name)!r}: choose "
                    f"{' or '.join(get_args(kind))}"
                )
        if self.max_images < 0:
            raise InputError(f"max_images = {self.max_images}: must not be negative")
        sets.Config(self.num_pixels, self.digits, min_pixels=self.min_pixels)


class Loaded(NamedTuple):
    """What was read.

    Attributes:
        sets: ``[J, K, 3]``, of the training part where there are two.
        test: the data set's own test part, or None.
        notes: on what was chosen.
        source: JSON-able facts, with the fingerprint of the sets.
    """

    sets: PixelSets
    test: PixelSets | None
    notes: tuple[str, ...]
    source: dict[str, Any]


def load(request: Request) -> Loaded:
    """Sets of pixels, and the test part if the data set has one.

    Raises:
        InputError: whatever is wrong with the file.
    """
    path, notes = request.path, []
    if _holds_sets(path):
        layout, parts = "sets", [_of_file(request)]
    else:
        layout = "MNIST"
        own = mnist.has_test(path)
        wanted: list[mnist.Part] = ["train", "test"] if own else ["train"]
        parts = [_of_images(request, mnist.load(path, part)) for part in wanted]
        if own:
            notes.append("the data set's own test part is the test part")
    short = [int((part.mask.sum(axis=-1) < request.num_pixels).sum()) for part in parts]
    if any(short):
        total = sum(len(part.mask) for part in parts)
        notes.append(
            f"{sum(short):,} of {total:,} sets have fewer than {request.num_pixels} "
            "points and are padded"
        )
    source = {
        "path": os.fspath(path),
        "layout": layout,
        "form": request.form,
        "images": [len(part.mask) for part in parts],
        "fingerprint": fingerprint(parts),
    }
    return Loaded(parts[0], parts[1] if len(parts) > 1 else None, tuple(notes), source)


def fingerprint(parts: list[PixelSets]) -> str:
    """sha256 of points, masks and labels: the same sets, whatever file held them."""
    digest = hashlib.sha256(repr([part.points.shape for part in parts]).encode())
    for part in parts:
        for array, kind in zip(part, ("<f4", "u1", "<i4"), strict=True):
            digest.update(np.ascontiguousarray(array, kind).data)
    return digest.hexdigest()


def _holds_sets(path: str) -> bool:
    file = pathlib.Path(path)
    if path == mnist.EMBEDDED or file.suffix.lower() not in npz.SUFFIXES:
        return False
    if not file.is_file():
        return False
    with npz.opened(file) as archive:
        return "points" in archive.names or "pos" in archive.names


def _of_file(request: Request) -> PixelSets:
    found = files.read(
        request.path, columns=request.columns, num_pixels=request.num_pixels
    )
    if request.digits:
        keep = np.isin(found.labels, request.digits)
        if not keep.any():
            raise InputError(
                f"{request.path}: holds no set of the digits {list(request.digits)}"
            )
        found = PixelSets(*(array[keep] for array in found))
    return _finished(request, found)


def _of_images(request: Request, images: mnist.Images) -> PixelSets:
    rows = slice(request.max_images or None)
    if request.digits:
        images = sets.of_digits(images, request.digits)
    images = mnist.Images(images.pixels[rows], images.labels[rows])
    if request.form == "superpixels":
        sets.check_lit(images, request.min_pixels)
        number = request.num_pixels
        found = segments.of_images(segments.Config(number, number), images)
    else:
        config = sets.Config(request.num_pixels, min_pixels=request.min_pixels)
        found = sets.of_images(config, images)
    return _finished(request, found)


def _finished(request: Request, found: PixelSets) -> PixelSets:
    found = PixelSets(*(array[: request.max_images or None] for array in found))
    return sets.raster(found) if request.order == "raster" else found
