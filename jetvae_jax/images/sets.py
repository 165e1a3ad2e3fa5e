"""Images to sets of their most intense pixels (sparse MNIST, arXiv:2012.00173)."""

from typing import Annotated

import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import PositiveInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import PixelSets
from jetvae_jax.images.mnist import SIZE, Images

MAX_PIXELS = SIZE * SIZE
_ROWS = 4096


@configs.config
class Config:
    """Which pixels of which images make the sets.

    Attributes:
        num_pixels: largest number of pixels kept, the most intense ones; published:
            100. Sets of images with fewer lit pixels are padded, and masked there.
        digits: classes wanted; empty for all.
        intensity: keep the grey value as I, else every lit pixel has I = 1.
        min_pixels: an image with fewer lit pixels is an error; 1 refuses blank
            images, num_pixels all that would need padding.
    """

    num_pixels: Annotated[int, configs.between(1, MAX_PIXELS)] = 100
    digits: tuple[Annotated[int, configs.between(0, 9)], ...] = ()
    intensity: bool = True
    min_pixels: PositiveInt = 1

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        if self.min_pixels > self.num_pixels:
            raise InputError(
                f"min_pixels: must not be above num_pixels = {self.num_pixels}, got "
                f"{self.min_pixels}"
            )


def of_images(config: Config, images: Images) -> PixelSets:
    """The most intense pixels of each image, in descending intensity.

    Equal intensities are in reading order: row by row from the top, each from the
    left. Black pixels are never points, so a set may be shorter than
    ``num_pixels``; the published sets hold black pixels there instead.

    Args:
        config: which pixels.
        images: J' of them.

    Returns:
        PixelSets ``[J, num_pixels, 3]`` of the J images of the wanted digits, in
        their order; NumPy arrays.

    Raises:
        InputError: no image of a wanted digit, or images with too few lit pixels.
    """
    images = of_digits(images, config.digits)
    check_lit(images, config.min_pixels)
    points = np.zeros((len(images.labels), config.num_pixels, 3), np.float32)
    mask = np.zeros(points.shape[:2], bool)
    for start in range(0, len(points), _ROWS):
        flat = images.pixels[start : start + _ROWS].reshape(-1, MAX_PIXELS)
        # 16 bits: NumPy's stable sort of them is a radix sort.
        order = np.argsort(-flat.astype(np.int16), axis=1, kind="stable")
        order = order[:, : config.num_pixels]
        grey = np.take_along_axis(flat, order, axis=1)
        lit = grey > 0
        y, x = np.divmod(order, SIZE)
        brightness = grey / np.float32(255) if config.intensity else lit
        found = np.stack([x, y, brightness], axis=-1)
        points[start : start + _ROWS] = np.where(lit[..., None], found, 0)
        mask[start : start + _ROWS] = lit
    return PixelSets(points, mask, images.labels)


def raster(sets: PixelSets) -> PixelSets:
    """The points of sets ``[J, K, 3]`` in reading order, padding last.

    Row by row from the top, each from the left, by the pixel in which a point lies: an
    order that changes little when the image does, for networks that depend on order.
    """
    x, y = (np.rint(sets.points[..., i]) for i in (0, 1))
    key = np.where(sets.mask, SIZE * y + x, np.inf)
    order = np.argsort(key, axis=-1, kind="stable")
    points = np.take_along_axis(sets.points, order[..., None], axis=-2)
    return PixelSets(points, np.take_along_axis(sets.mask, order, -1), sets.labels)


def of_digits(images: Images, digits: tuple[int, ...]) -> Images:
    """The images of these digits, in their order; all of them if none is named.

    Raises:
        InputError: a digit without an image.
    """
    if not digits:
        return images
    for digit in digits:
        if digit not in images.labels:
            raise InputError(f"digits: no image of digit {digit} in the data")
    keep = np.isin(images.labels, digits)
    return Images(images.pixels[keep], images.labels[keep])


def check_lit(
    images: Images,
    least: int,
    *,
    digits: tuple[int, ...] = (),
    where: str = "images",
) -> None:
    """Raises InputError if an image has fewer than ``least`` lit pixels.

    Args:
        images: to check; the message counts them from 0.
        least: required number of lit pixels.
        digits: only images of these are checked; empty for all.
        where: source of the images, which begins the message.
    """
    lit = np.count_nonzero(images.pixels, axis=(1, 2))
    wanted = np.isin(images.labels, digits) if digits else np.ones(len(lit), bool)
    few = np.flatnonzero(wanted & (lit < least))
    if not len(few):
        return
    what = f"have fewer than {least} lit pixels (first: {few[0]}, with {lit[few[0]]})"
    advice = "remove them, or ask for a smaller min_pixels"
    if least == 1:
        what, advice = f"are blank (first: {few[0]})", "remove them"
    raise InputError(
        f"{where}: {len(few):,} of {wanted.sum():,} images {what}: {advice}"
    )
