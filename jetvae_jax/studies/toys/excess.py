"""Local significance of an excess: counts in sliding windows, or a known shape.

Shapes: ``B`` bins of a mass spectrum, ``R`` families of windows (one width each), ``W``
windows of a family.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.types import Array

LocalZ = Callable[[Array], Array]
"""``counts [..., B] -> significances [..., R, W]``, -inf where there is no window."""


class Windows(NamedTuple):
    """Bins ``start:stop`` of each window, and the sidebands around it.

    Attributes:
        start: ``[R, W]``.
        stop: ``[R, W]``; equal to start where there is no window.
        low: ``[R, W]`` first bin of the lower sideband, which ends at start.
        high: ``[R, W]`` end of the upper one; without sidebands low is start and high
            is stop.
    """

    start: np.ndarray
    stop: np.ndarray
    low: np.ndarray
    high: np.ndarray


def sliding(
    num_bins: int, widths: Sequence[int], *, step: int = 1, sideband: int = 0
) -> Windows:
    """Windows of some widths at every ``step`` bins.

    Args:
        num_bins: B.
        widths: of the families, in bins.
        step: between neighbouring windows, in bins.
        sideband: bins on either side that estimate the background; at the ends of the
            histogram there may be fewer. 0 for none.

    Raises:
        ValueError: a window, or a window with any sideband, does not fit.
    """
    if step < 1 or sideband < 0 or not widths:
        raise ValueError(f"widths {widths}, step {step}, sideband {sideband}")
    if min(widths) < 1 or max(widths) + (sideband > 0) > num_bins:
        raise ValueError(f"widths {tuple(widths)} do not fit in {num_bins} bins")
    families = [np.arange(0, num_bins - width + 1, step) for width in widths]
    most = max(map(len, families))
    start, stop = np.zeros((2, len(widths), most), np.int32)
    for row, (first, width) in enumerate(zip(families, widths, strict=True)):
        start[row, : len(first)] = first
        stop[row, : len(first)] = first + width
    exists = stop > start
    low = np.where(exists, np.maximum(start - sideband, 0), start)
    high = np.where(exists, np.minimum(stop + sideband, num_bins), stop)
    return Windows(start, stop, low, high)


def window_z(expected: Array, windows: Windows) -> LocalZ:
    """Likelihood-ratio significance of the counts in each window.

    Without sidebands the background is known; with them its shape is, and its height
    comes from the sidebands (Li and Ma, ApJ 272 (1983) 317, eq. 17, with alpha the
    ratio of the expected counts). Deficits are negative.

    Args:
        expected: ``[B]`` background.
        windows: from :func:`sliding`.

    Raises:
        ValueError: no background is expected in a window or its sidebands.
    """
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(expected, np.float64))])
    exists = windows.stop > windows.start
    inside = sums[windows.stop] - sums[windows.start]
    around = sums[windows.high] - sums[windows.low] - inside
    sidebands = bool(np.any(windows.high - windows.low > windows.stop - windows.start))
    if np.any(exists & ((inside <= 0) | (sidebands & (around <= 0)))):
        raise ValueError("windows: no background is expected in some of them")
    share = np.where(exists, inside / np.where(exists, inside + around, 1.0), 0.5)
    known, share = jnp.float32(np.where(exists, inside, 1.0)), jnp.float32(share)

    def local(counts: Array) -> Array:
        total = jnp.cumsum(jnp.asarray(counts, jnp.float32), axis=-1)
        total = jnp.concatenate([jnp.zeros_like(total[..., :1]), total], axis=-1)
        on = total[..., windows.stop] - total[..., windows.start]
        if sidebands:
            both = total[..., windows.high] - total[..., windows.low]
            z = sideband_significance(on, both - on, share)
        else:
            z = significance(on, known)
        return jnp.where(exists, z, -jnp.inf)

    return local


def template_z(expected: Array, signals: Array) -> LocalZ:
    """Significance of a signal of known shape at many masses.

    The score statistic ``sum s (n - b) / b / sqrt(sum s^2 / b)`` of a small signal on a
    known background, standard normal for many events. It changes smoothly with the mass
    where the counts in a window jump, as :func:`gross_vitells` supposes.

    Args:
        expected: ``[B]`` background, positive.
        signals: ``[W, B]`` shapes at W masses in rising order, of any height.
    """
    b, s = np.asarray(expected, np.float64), np.asarray(signals, np.float64)
    weights = s / b / np.sqrt(np.sum(s * s / b, axis=1, keepdims=True))
    table, mean = jnp.float32(weights.T), jnp.float32(b)

    def local(counts: Array) -> Array:
        difference = jnp.asarray(counts, jnp.float32) - mean
        return jnp.matmul(difference, table, precision="highest")[..., None, :]

    return local


def significance(observed: Array, expected: Array) -> Array:
    """``sign(n - b) sqrt(2 (n log(n / b) - n + b))`` of Poisson counts.

    Args:
        observed: n, any shape.
        expected: b, positive.
    """
    return jnp.sign(observed - expected) * jnp.sqrt(_deviance(observed, expected))


def sideband_significance(on: Array, off: Array, share: Array) -> Array:
    """The same with the background estimated from ``off`` counts.

    Args:
        on: counts in the window.
        off: counts in its sidebands.
        share: of the expected background that lies in the window, of the two.
    """
    inside, around = share * (on + off), (1 - share) * (on + off)
    deviance = _deviance(on, inside) + _deviance(off, around)
    return jnp.sign(on - inside) * jnp.sqrt(deviance)


def _deviance(n: Array, mean: Array) -> Array:
    """``2 (n log(n / mean) - n + mean)``, 0 where both are 0."""
    mean = jnp.where(mean > 0, mean, 1.0)
    d = (n - mean) / mean
    # The difference of the logarithm and d would leave no digits of small d.
    small = jnp.abs(d) < 0.05
    series = d * d * (1 / 2 - d * (1 / 6 - d * (1 / 12 - d / 20)))
    log = jnp.log1p(jnp.where(small | (n <= 0), 0.0, d))
    exact = jnp.where(n > 0, (1 + d) * log - d, 1.0)
    return 2 * mean * jnp.maximum(jnp.where(small, series, exact), 0.0)
