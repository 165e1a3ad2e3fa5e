"""MNIST and data sets of its form (Fashion-MNIST, KMNIST): images with labels.

Read from four IDX files in a folder, from one of them, or from an npz archive with the
arrays x_train, y_train, x_test and y_test. 2,000 digits come with the package.

An IDX file holds two zero bytes, a type (8: unsigned bytes), the number of dimensions,
each dimension as a big-endian 32-bit number, then the data
(yann.lecun.com/exdb/mnist); it may be gzipped. Every failure is one InputError.
"""

import contextlib
import gzip
import importlib.resources
import math
import os
import pathlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import absent
from jetvae_jax.data.containers import npz, tables

SIZE = 28
EMBEDDED = "embedded"
Part = Literal["train", "test"]
PARTS = ("train", "test")
_STEMS = {"train": "train", "test": "t10k"}
_ADVICE = (
    "fetch MNIST by experiments/download.py --download.dataset=mnist, or give "
    f"{EMBEDDED!r} for the 2,000 digits in the package"
)
_UNSIGNED_BYTES = 8
_GZIP = b"\x1f\x8b"


class Images(NamedTuple):
    """Grey images and their digits.

    Attributes:
        pixels: ``[J, 28, 28]`` uint8, rows downward, 0 is black.
        labels: ``[J]`` int32, 0 to 9.
    """

    pixels: np.ndarray
    labels: np.ndarray


def embedded_path() -> pathlib.Path:
    """File of the digits in the package; see ``sample/README.md``."""
    folder = importlib.resources.files("jetvae_jax.images") / "sample"
    return pathlib.Path(str(folder / "digits.npz"))


def load(spec: str | os.PathLike, part: Part = "train") -> Images:
    """Images and labels of one part of a data set.

    Args:
        spec: ``embedded``; an npz archive; a folder of IDX files under their
            published names, gzipped or not; or an IDX file of images with that of its
            labels in the same folder.
        part: ``train`` or ``test``, as published; the embedded digits are all of
            ``train`` and are split at random. An IDX file is its own part.

    Raises:
        InputError: no such file, not readable, or not images with their labels.
    """
    if part not in PARTS:
        raise InputError(f"part: {part!r} is unknown; choose one of {', '.join(PARTS)}")
    spec = os.fspath(spec)
    path = embedded_path() if spec == EMBEDDED else pathlib.Path(spec)
    if path.is_dir():
        return _of_idx(_in_folder(path, part))
    if not path.is_file():
        raise InputError(f"{spec}: {absent(spec)}; {_ADVICE}")
    if path.suffix.lower() in npz.SUFFIXES:
        return _of_npz(path, part)
    return _of_idx(path)


def has_test(spec: str | os.PathLike) -> bool:
    """Whether a data set has a test part of its own.

    Raises:
        InputError: an archive that cannot be read.
    """
    path = pathlib.Path(spec)
    if path.is_dir():
        return any(path.glob(f"{_STEMS['test']}-images*"))
    if path.is_file() and path.suffix.lower() in npz.SUFFIXES:
        with npz.opened(path) as archive:
            return "x_test" in archive.names
    return False


def read(path: str | os.PathLike, dimensions: int) -> np.ndarray:
    """The array of an IDX file of unsigned bytes.

    The first bytes decide whether it is compressed, not its name: browsers unpack
    files and keep the suffix.

    Args:
        path: of the file.
        dimensions: required number of them, 3 for images, 1 for labels.

    Returns:
        uint8 array.

    Raises:
        InputError: unreadable, a wrong magic number, other dimensions, or more or
            fewer bytes than the header says.
    """
    path = os.fspath(path)
    with _opened(path) as (stream, limit):
        magic = stream.read(4)
        wanted = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
        if not magic:
            raise InputError(f"{path}: is empty: fetch it again")
        if magic != wanted:
            raise InputError(
                f"{path}: magic number is {_hex(magic)}, of an IDX file of "
                f"{'images' if dimensions == 3 else 'labels'} {_hex(wanted)}: give "
                "the right file, or fetch it again"
            )
        header = stream.read(4 * dimensions)
        if len(header) < 4 * dimensions:
            raise InputError(f"{path}: ends inside its header: fetch it again")
        shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
        size = math.prod(shape)
        data = stream.read(min(size, limit) + 1)  # a claim may be of any size
    if len(data) != size:
        held = f"only {len(data):,}" if len(data) < size else "more"
        raise InputError(
            f"{path}: shape {shape} needs {size:,} bytes, there are {held}: truncated "
            "or damaged file; fetch it again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def whole(archive: npz.Archive, name: str) -> np.ndarray:
    """A whole array of an open archive.

    Raises:
        InputError: missing, pickled or damaged.
    """
    member = archive.member(name)
    rows = member.shape[0] if member.shape else 0
    blocks = list(archive.rows(member, max(rows, 1), rows))
    return blocks[0] if blocks else np.zeros(member.shape, member.dtype)


def _in_folder(folder: pathlib.Path, part: str) -> pathlib.Path:
    """The file of images, under any of its published names."""
    names = [
        f"{_STEMS[part]}-images{dot}idx3-ubyte{gz}"
        for dot in "-."
        for gz in ("", ".gz")
    ]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"{folder}: folder holds no {names[0]} or {names[1]}; {_ADVICE}")


def _of_idx(path: pathlib.Path) -> Images:
    images = read(path, 3)
    stem = path.name.replace("images", "labels").replace("idx3", "idx1")
    bare = stem.removesuffix(".gz")
    beside = [path.with_name(name) for name in (stem, bare, f"{bare}.gz")]
    found = [p for p in beside if p != path and p.is_file()]
    if not found:
        raise InputError(
            f"{path}: labels missing: {bare} must be in the same folder; {_ADVICE}"
        )
    return _checked(str(path), images, read(found[0], 1), str(found[0]))


def _of_npz(path: pathlib.Path, part: str) -> Images:
    with npz.opened(path) as archive:
        images, labels = (whole(archive, f"{axis}_{part}") for axis in "xy")
    return _checked(f"{path}: x_{part}", images, labels, f"{path}: y_{part}")


def _checked(where: str, images: np.ndarray, labels: np.ndarray, label: str) -> Images:
    """Shapes, types and ranges; ``where`` and ``label`` begin the messages."""
    if not images.size:
        raise InputError(f"{where}: holds no images: fetch it again")
    if images.shape[1:] != (SIZE, SIZE):
        raise InputError(
            f"{where}: shape is {images.shape}: give images of {SIZE} x {SIZE} pixels, "
            "[J, 28, 28]"
        )
    for name, array, most in ((where, images, 255), (label, labels, 9)):
        if array.dtype.kind not in "ui":
            raise InputError(
                f"{name}: type is {array.dtype}: give whole numbers from 0 to {most}"
            )
        low, high = (int(v) for v in (array.min(initial=0), array.max(initial=0)))
        if low < 0 or high > most:
            raise InputError(
                f"{name}: values reach from {low} to {high}: give 0 to {most}"
            )
    if labels.shape != images.shape[:1]:
        raise InputError(
            f"{label}: {labels.shape} labels for {len(images):,} images: give one "
            "label an image, in their order"
        )
    return Images(images.astype(np.uint8, copy=False), labels.astype(np.int32))


@contextlib.contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, int]]:
    """The unpacked stream, and the most bytes that it can hold."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            limit = os.fstat(file.fileno()).st_size * (
                tables.MAX_RATIO if packed else 1
            )
            if packed:
                with gzip.GzipFile(fileobj=file) as stream:
                    yield stream, limit  # type: ignore[misc]
            else:
                yield file, limit
    except InputError:
        raise
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be read: missing, truncated or damaged file ({reason}); "
            "fetch it again"
        ) from error


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
