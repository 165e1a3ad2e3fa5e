"""Makes the file of digits in the package from MNIST; see ``sample/README.md``."""

import os

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import write_atomically
from jetvae_jax.images.mnist import Images, load

PER_DIGIT = 200


def sample(images: Images, per_digit: int = PER_DIGIT) -> Images:
    """The same number of images of every digit, evenly spread over the data set.

    Of the n images of a digit, those of rank ``floor(i n / per_digit)`` are taken, in
    the order of the data set.

    Args:
        images: all of them.
        per_digit: how many of each.

    Raises:
        InputError: a digit with fewer images.
    """
    rows = []
    for digit in range(10):
        found = np.flatnonzero(images.labels == digit)
        if len(found) < per_digit:
            raise InputError(
                f"digit {digit}: {len(found)} images, {per_digit} are needed"
            )
        rows.append(found[np.arange(per_digit) * len(found) // per_digit])
    order = np.sort(np.concatenate(rows))
    return Images(images.pixels[order], images.labels[order])


def make(spec: str | os.PathLike, path: str | os.PathLike) -> None:
    """Writes the embedded file: 200 of each digit of the training part of MNIST.

    Args:
        spec: MNIST, as for :func:`~jetvae_jax.images.mnist.load`.
        path: of the npz file; the same MNIST gives the same bytes.

    Raises:
        InputError: MNIST cannot be read or the file not written.
    """
    images = sample(load(spec, "train"))
    labels = images.labels.astype(np.uint8)
    with write_atomically(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, x_train=images.pixels, y_train=labels)
