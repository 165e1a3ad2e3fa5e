"""Response and resolution in bins of a condition, with errors. In NumPy, on the host.

A conditional generator is asked for a value, such as the energy of a particle or the pt
of a jet. The response is what comes out over what was asked for; its mean in a bin of
the condition shows a bias there, its width is the resolution. The same of any other
quantity shows how it depends on the condition. Where a bin lies beyond the conditions
of the training sample, a generator extrapolates.
"""

from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core import dtypes
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array

Reach = tuple[float, float]
"""The smallest and the largest condition of a training sample."""


class Binned(NamedTuple):
    """A quantity in bins of a condition, each ``[B]`` but for the edges.

    NaN where a bin has too few entries: of errors and widths, fewer than two.

    Attributes:
        edges: ``[B + 1]`` of the condition.
        count: entries.
        condition: mean condition of the entries.
        mean: of the quantity.
        mean_error: its statistical error.
        width: standard deviation of the quantity.
        width_error: its statistical error, which knows of tails.
        resolution: width over mean.
        resolution_error: its statistical error.
    """

    edges: np.ndarray
    count: np.ndarray
    condition: np.ndarray
    mean: np.ndarray
    mean_error: np.ndarray
    width: np.ndarray
    width_error: np.ndarray
    resolution: np.ndarray
    resolution_error: np.ndarray


def binned(
    values: Array, condition: Array, edges: Array, mask: Array | None = None
) -> Binned:
    """Mean and width of a quantity in bins of a condition.

    Errors are those of independent entries, by the first order of each estimate in the
    deviations of its entries, whatever their distribution.

    Args:
        values: ``[J]`` of the quantity, such as a generated energy over that asked for.
        condition: ``[J]``.
        edges: ``[B + 1]`` ascending; a bin has its lower edge, the last one both. What
            lies outside is left out.
        mask: ``[J]`` bool, the entries that count; None: all. Entries that are not
            finite never do.

    Raises:
        ValueError: arrays of other shapes, or edges that do not ascend.
    """
    values, condition, edges = (
        np.asarray(a, np.float64) for a in floats(np, values, condition, edges)
    )
    if values.ndim != 1 or values.shape != condition.shape:
        raise ValueError(f"expected [J] twice, got {values.shape}, {condition.shape}")
    if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0):
        raise ValueError(f"edges must ascend, got {edges}")
    bins = len(edges) - 1
    place = np.searchsorted(edges, condition, side="right") - 1
    place[condition == edges[-1]] = bins - 1
    keep = (place >= 0) & (place < bins) & np.isfinite(values) & np.isfinite(condition)
    if mask is not None:
        keep &= dtypes.mask(np, mask)
    place, x = place[keep], values[keep]
    count = np.bincount(place, minlength=bins)

    def averaged(a: np.ndarray) -> np.ndarray:
        """The mean of ``[n]`` in each bin."""
        return np.bincount(place, a, bins) / count

    def error(a: np.ndarray) -> np.ndarray:
        """Of a mean over ``[n]`` contributions of mean zero."""
        return np.sqrt(averaged(np.square(a)) / (count - 1))

    with np.errstate(divide="ignore", invalid="ignore"):
        mean = averaged(x)
        apart = x - mean[place]
        variance = averaged(np.square(apart))
        width = np.sqrt(variance * count / (count - 1))
        resolution = width / mean
        # What each entry contributes to the width, and to the width over the mean.
        of_width = (np.square(apart) - variance[place]) / (2 * width[place])
        of_ratio = (of_width - resolution[place] * apart) / mean[place]
        return Binned(
            edges, count, averaged(condition[keep]), mean, error(apart), width,
            np.where(width == 0, 0.0, error(of_width)), resolution,
            np.where(width == 0, 0.0, error(of_ratio)),
        )  # fmt: skip


def edges(condition: Array, num_bins: int, *, reach: Reach | None = None) -> np.ndarray:
    """Edges of bins with about as many entries each, the training's range apart.

    Whole numbers are in the middle between edges.

    Args:
        condition: ``[J]``.
        num_bins: within the range; fewer where many conditions are the same.
        reach: of the training sample; None: of the conditions themselves. Where some
            lie beyond it, they have one more bin on that side.

    Returns:
        ``[B + 1]`` that hold all conditions.

    Raises:
        ValueError: there is no finite condition.
    """
    (found,) = floats(np, condition)
    found = np.asarray(found, np.float64).ravel()
    found = found[np.isfinite(found)]
    if not found.size:
        raise ValueError("edges: no finite condition")
    half = 0.5 * is_whole(found)
    first, last = found.min() - half, found.max() + half
    low, high = (first, last) if reach is None else reach
    inside = found[(found >= low) & (found <= high)]
    inner = np.arange(1, num_bins) / num_bins
    ends = np.zeros(0)
    if inside.size:
        method = "inverted_cdf" if half else "linear"
        ends = np.quantile(inside, inner, method=method) + half
    ends = np.unique([low, *ends, high, min(first, low), max(last, high)])
    if len(ends) == 1:  # all the same
        around = max(abs(ends[0]), 1.0) * 1e-3
        ends = np.array([ends[0] - around, ends[0] + around])
    return ends


def is_whole(condition: Array) -> bool:
    """Whether all conditions ``[J]`` are whole numbers."""
    (found,) = floats(np, condition)
    return bool(np.all(found == np.rint(found)))


def beyond(edges: Array, reach: Reach) -> np.ndarray:
    """Which bins lie beyond the training sample, at least with a part of them.

    Args:
        edges: ``[B + 1]``.
        reach: of the training sample.

    Returns:
        ``[B]`` bool.
    """
    ends = np.asarray(floats(np, edges)[0], np.float64)
    return (ends[:-1] < reach[0]) | (ends[1:] > reach[1])


def differences(found: Binned, real: Binned) -> tuple[np.ndarray, np.ndarray]:
    """Differences of means and of widths, over their errors, ``[B]`` each."""

    def pulls(field: str) -> np.ndarray:
        gap = getattr(found, field) - getattr(real, field)
        squares = (getattr(one, f"{field}_error") ** 2 for one in (found, real))
        with np.errstate(divide="ignore", invalid="ignore"):
            return gap / np.sqrt(sum(squares))

    return pulls("mean"), pulls("width")


def as_json(found: Binned) -> dict[str, Any]:
    """Lists by name, None where a value is not known."""
    return {
        name: [float(v) if np.isfinite(v) else None for v in values]
        if name != "count"
        else values.tolist()
        for name, values in found._asdict().items()
    }
