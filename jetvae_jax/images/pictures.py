"""Pictures of pixel sets: sets rendered as images, in rows, grids and strips."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from jetvae_jax.core.types import PixelSets
from jetvae_jax.images.mnist import SIZE
from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Combine = Literal["max", "sum"]
COLUMNS = 10
BINS = 50
_TILE = 0.62  # inches
_GAP = 2  # pixels
_PLUS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


def render(sets: PixelSets, *, combine: Combine = "max") -> np.ndarray:
    """The image of a set: every point sets the pixel nearest to it.

    Sets of all lit pixels of an image give exactly that image.

    Args:
        sets: ``[..., K, 3]``.
        combine: a pixel with several points has the ``max`` of their intensities, or
            their ``sum`` cut at 1.

    Returns:
        ``[..., 28, 28]`` float32 from 0 to 1, rows downward; 255 times that, rounded,
        are grey values. Points whose pixel is outside of the image are not drawn.

    Raises:
        ValueError: combine is neither.
    """
    if combine not in ("max", "sum"):
        raise ValueError(f"combine must be 'max' or 'sum', not {combine!r}")
    points, mask = np.asarray(sets.points, np.float32), np.asarray(sets.mask)
    lead, (k, _) = points.shape[:-2], points.shape[-2:]
    points, mask = points.reshape(-1, k, 3), mask.reshape(-1, k)
    mask = mask & np.isfinite(points).all(axis=-1)
    column, row = (np.rint(np.where(mask, points[..., i], -1.0)) for i in (0, 1))
    inside = (row >= 0) & (row < SIZE) & (column >= 0) & (column < SIZE)
    image, point = np.nonzero(inside)
    place = image, row[inside].astype(int), column[inside].astype(int)
    drawn = np.zeros((len(points), SIZE, SIZE), np.float32)
    add = np.maximum if combine == "max" else np.add
    add.at(drawn, place, points[image, point, 2])
    return np.clip(drawn, 0, 1).reshape(*lead, SIZE, SIZE)


def spread(sets: PixelSets) -> PixelSets:
    """Each superpixel as five pixels, the nearest one and its neighbours, for `render`.

    A segment of a digit cut in 25 holds four to six lit pixels.

    Args:
        sets: ``[..., K, 3]``.

    Returns:
        Sets ``[..., 5 K, 3]``.
    """
    points, mask = np.asarray(sets.points, np.float32), np.asarray(sets.mask)
    moves = np.pad(np.array(_PLUS, np.float32), ((0, 0), (0, 1)))
    several = (points[..., None, :] + moves).reshape(*points.shape[:-2], -1, 3)
    return PixelSets(several, np.repeat(mask, len(_PLUS), axis=-1), sets.labels)


def rows(
    samples: Mapping[str, PixelSets],
    *,
    columns: int = COLUMNS,
) -> "Figure":
    """The first images of every sample, a row each.

    For images and their reconstructions, by one network or by several losses: those
    of the same image are below each other.

    Args:
        samples: name to sets ``[J, K, 3]``; the name is written before the row.
        columns: images in a row, at most.
    """
    count = min(columns, *(len(sets.mask) for sets in samples.values()))
    drawn = [render(_selected(s, slice(count))) for s in samples.values()]
    return _figure(np.stack(drawn), [style.plain(name) for name in samples])


def grid(sets: PixelSets, *, columns: int = COLUMNS) -> "Figure":
    """Images of sets ``[J, K, 3]`` in their order.

    Only full rows are drawn, or a single one that is not full.
    """
    columns = min(columns, len(sets.mask))
    count = len(sets.mask) // columns * columns
    images = render(_selected(sets, slice(count)))
    return _figure(images.reshape(-1, columns, *images.shape[1:]), [])


def by_digit(sets: PixelSets, *, columns: int = COLUMNS) -> "Figure":
    """A row for each digit, the first images with that label.

    Args:
        sets: ``[J, K, 3]`` with labels, true digits or requested ones.
        columns: images in a row, at most; white where a digit has fewer.
    """
    labels = np.asarray(sets.labels)
    digits = np.unique(labels)
    found = [np.flatnonzero(labels == digit)[:columns] for digit in digits]
    widest = max(map(len, found))
    side = render(_selected(sets, slice(1))).shape[-1]
    images = np.zeros((len(digits), widest, side, side), np.float32)
    for row, chosen in zip(images, found, strict=True):
        row[: len(chosen)] = render(_selected(sets, chosen))
    names = ["unknown" if digit < 0 else str(digit) for digit in digits]
    return _figure(images, names)


def interpolation(sets: PixelSets, ends: PixelSets | None = None) -> "Figure":
    """Strips of images decoded along lines in the latent space.

    Args:
        sets: ``[S, T, K, 3]``, S lines of T steps, evenly from one end to the other.
        ends: ``[S, 2, K, 3]``, the real images whose latents are the ends of the lines,
            drawn before and after each strip.
    """
    images = render(sets)
    steps, before = images.shape[1], 0 if ends is None else 1
    if ends is not None:
        real = render(ends)
        images = np.concatenate([real[:, :1], images, real[:, 1:]], axis=1)
    figure = _figure(images, [], below=0.5)
    axis = figure.axes[0]
    side = images.shape[-1] + _GAP
    ticks = {
        before + i: f"{i / max(steps - 1, 1):.2g}"
        for i in range(0, steps, max(1, (steps - 1) // 4))
    }
    if before:
        ticks |= {0: "real", steps + 1: "real"}
    axis.set_xticks([side * (i + 0.5) - _GAP / 2 for i in ticks], list(ticks.values()))
    axis.set_xlabel("position between the two latent vectors")
    return figure


def intensities(samples: Mapping[str, PixelSets]) -> "Figure":
    """Distributions of the pixels' intensity and of their number, for every sample.

    Samples whose pixels are all white are left out of the distribution of the
    intensity.

    Args:
        samples: name to sets ``[J, K, 3]``, ``"input"`` first among them.
    """
    drawn = style.new_figure(8.4, 3.6)
    left, right = drawn.subplots(1, 2)
    most = max(np.shape(sets.mask)[-1] for sets in samples.values())
    edges = np.linspace(0, 1, BINS + 1)
    width = -(-most // BINS)
    counts = np.arange(0, most + width + 1, width) - 0.5
    handles: dict[str, object] = {}
    for name, line in style.lines(samples).items():
        sets = samples[name]
        mask = np.asarray(sets.mask)
        bright = np.asarray(sets.points)[..., 2][mask]
        shown = {"fill": True, "alpha": 0.35} if name == "input" else {}
        for axis, values, bins in (
            (left, bright, edges),
            (right, mask.sum(axis=-1).reshape(-1), counts),
        ):
            if axis is left and np.all(values == 1):
                continue
            number, _ = np.histogram(np.clip(values, bins[0], bins[-1]), bins)
            fraction = number / max(len(values), 1)
            handles[name] = axis.stairs(fraction, bins, **line, **shown)
    left.set_xlabel("intensity of a pixel")
    left.set_ylabel("fraction of the pixels")
    right.set_xlabel("pixels of a set")
    right.set_ylabel("fraction of the sets")
    for axis in (left, right):
        axis.set_yscale("log")
    if not left.patches:
        left.set_yscale("linear")
        left.set_yticks([])
        left.text(0.5, 0.5, "all pixels are white", ha="center", va="center")
    fewest = 1 / max(np.shape(sets.mask)[0] for sets in samples.values())
    right.set_ylim(fewest / 2, 2)
    style.legend_above(drawn, handles)
    return drawn


def _selected(sets: PixelSets, chosen: slice | np.ndarray) -> PixelSets:
    return PixelSets(*(np.asarray(array)[chosen] for array in sets))


def _figure(
    images: np.ndarray, names: Sequence[str], *, below: float = 0.0
) -> "Figure":
    """``[R, C, 28, 28]`` as one mosaic, black on white, a name before each row.

    ``below`` is the height of the room for text below it, in inches.
    """
    mosaic = _mosaic(images)
    height, width = images.shape[:2]
    # Explicit positions: the layout engine cuts names beside images of fixed aspect.
    before, edge = 0.1 * max((len(name) for name in names), default=0), 0.1
    wide, high = _TILE * width + before + 2 * edge, _TILE * height + below + 2 * edge
    drawn = style.new_figure(wide, high)
    drawn.set_layout_engine("none")
    corner = (before + edge) / wide, (below + edge) / high
    axis = drawn.add_axes((*corner, _TILE * width / wide, _TILE * height / high))
    axis.imshow(mosaic, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    side = images.shape[-1] + _GAP
    middle = side * (np.arange(len(names)) + 0.5) - _GAP / 2
    axis.set_yticks(middle, names)
    axis.set_xticks([])
    axis.minorticks_off()
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return drawn


def _mosaic(images: np.ndarray) -> np.ndarray:
    """Images side by side with lines of light grey between them."""
    height, width, side, _ = images.shape
    whole = np.full((height * (side + _GAP), width * (side + _GAP)), 0.15, np.float32)
    for (i, j), image in zip(
        np.ndindex(height, width), images.reshape(-1, side, side), strict=True
    ):
        y, x = i * (side + _GAP), j * (side + _GAP)
        whole[y : y + side, x : x + side] = image
    return whole[:-_GAP, :-_GAP]
