"""How often chance gives an excess somewhere: pseudo-experiments of a mass spectrum.

A search looks at many windows of a histogram and quotes the largest excess. Its local
significance is that of one window; how often background alone gives as much in any of
them is found by pseudo-experiments ("toys"):

    background = smooth(counts, edges)
    local_z = window_z(background, sliding(num_bins, widths=(4, 8)))
    toys = pseudo_experiments(key, background, local_z)
    global_significance(float(local_z(data).max()), toys.max_z)

Shapes: ``B`` bins of a mass spectrum, ``T`` toys, ``R`` families of windows (one width
each), ``W`` windows of a family. All functions are pure; the toys are one compiled
program.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from jetvae_jax.core.types import Array, Key

MOST = 12
"""Highest degree of the polynomial of :func:`smooth`."""
LocalZ = Callable[[Array], Array]
"""``counts [..., B] -> significances [..., R, W]``, -inf where there is no window."""


class Windows(NamedTuple):
    """Bins ``start:stop`` of each window, and the sidebands around it.

    Attributes:
        start: ``[R, W]`` first bin.
        stop: ``[R, W]`` end; equal to start where there is no window.
        low: ``[R, W]`` first bin of the lower sideband, which ends at start.
        high: ``[R, W]`` end of the upper one; without sidebands low is start and high
            is stop.
    """

    start: np.ndarray
    stop: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Toys(NamedTuple):
    """Results of T pseudo-experiments.

    Attributes:
        max_z: ``[T]`` largest local significance.
        window: ``[T]`` its window, an index of the flattened ``[R, W]``.
        crossings: ``[T]`` up-crossings of the level between neighbouring windows.
    """

    max_z: np.ndarray
    window: np.ndarray
    crossings: np.ndarray


class Global(NamedTuple):
    """How often background alone gives an excess as large anywhere.

    Attributes:
        p: share of the toys.
        error: binomial standard deviation of p.
        low: end of the central 68.3 % interval of p (Clopper and Pearson), which
            means something also if no toy reaches the excess.
        high: the other end.
        z: significance of p; infinite if no toy reaches the excess.
        local_p: of one window.
        trials_factor: p over local_p.
    """

    p: float
    error: float
    low: float
    high: float
    z: float
    local_p: float
    trials_factor: float


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


def significance(observed: Array, expected: Array) -> Array:
    """``sign(n - b) sqrt(2 (n log(n / b) - n + b))`` of Poisson counts.

    The likelihood ratio (Cowan, Cranmer, Gross and Vitells, EPJC 71 (2011) 1554,
    arXiv:1007.1727), of a deficit negative.

    Args:
        observed: n, any shape.
        expected: b, positive.
    """
    return jnp.sign(observed - expected) * jnp.sqrt(_deviance(observed, expected))


def sideband_significance(on: Array, off: Array, share: Array) -> Array:
    """The significance with the background estimated from sidebands.

    Li and Ma, ApJ 272 (1983) 317, eq. 17; of a deficit negative.

    Args:
        on: counts in the window.
        off: counts in its sidebands.
        share: of the expected background that lies in the window, of the two.
    """
    inside, around = share * (on + off), (1 - share) * (on + off)
    deviance = _deviance(on, inside) + _deviance(off, around)
    return jnp.sign(on - inside) * jnp.sqrt(deviance)


def pseudo_experiments(
    key: Key,
    mean: Array,
    local_z: LocalZ,
    *,
    num_toys: int = 10_000,
    level: float = 1.0,
    batch_size: int = 200,
) -> Toys:
    """Draws toys of Poisson counts and finds the largest local significance of each.

    Events drawn with replacement from a sample, their number Poisson, are such counts,
    too: around the sample's histogram.

    Args:
        key: the same key gives the same toys.
        mean: ``[B]`` expected counts of a toy.
        local_z: from :func:`window_z`.
        num_toys: T.
        level: significance whose up-crossings are counted.
        batch_size: toys in memory at a time.
    """
    mean = jnp.asarray(mean, jnp.float32)

    @jax.jit
    def run(keys):
        def one(key):
            z = local_z(jax.random.poisson(key, mean).astype(jnp.float32))
            up = (z[..., :-1] < level) & (z[..., 1:] >= level)
            return jnp.max(z), jnp.argmax(z), jnp.sum(up)

        return jax.lax.map(one, keys, batch_size=min(batch_size, num_toys))

    return Toys(*map(np.asarray, run(jax.random.split(key, num_toys))))


def global_significance(z: float, max_z: np.ndarray) -> Global:
    """Local to global significance by toys.

    Args:
        z: largest local significance observed.
        max_z: ``[T]`` that of background-only toys.

    Raises:
        ValueError: there are no toys.
    """
    from scipy import stats

    max_z = np.asarray(max_z)
    if not max_z.size:
        raise ValueError("global_significance needs at least one toy")
    reached, toys = int(np.sum(max_z >= z)), max_z.size
    p, tail = reached / toys, (1 - 0.682689) / 2
    low = stats.beta.ppf(tail, reached, toys - reached + 1) if reached else 0.0
    high = 1.0
    if reached < toys:
        high = stats.beta.ppf(1 - tail, reached + 1, toys - reached)
    local = float(stats.norm.sf(z))
    return Global(
        p,
        float(np.sqrt(p * (1 - p) / toys)),
        float(low),
        float(high),
        float(stats.norm.isf(p)),
        local,
        p / local if local > 0 else float("inf"),
    )


def gross_vitells(z: Array, mean_crossings: float, level: float) -> Array:
    """Global p-value from the up-crossings of a low level.

    ``p(z) + <N> exp((z0^2 - z^2) / 2)``, an upper bound that is reached for large z if
    the significance is a smooth Gaussian function of the mass (Gross and Vitells, EPJC
    70 (2010) 525, arXiv:1005.1891, eq. 3, of a signal that is not negative). For counts
    in sliding windows, which jump, it is an estimate.

    Args:
        z: local significances, at or above the level.
        mean_crossings: <N>, mean of ``Toys.crossings``.
        level: z0 of these crossings.
    """
    return norm.sf(z) + mean_crossings * jnp.exp((level**2 - jnp.square(z)) / 2)


def smooth(counts: Array, edges: Array, *, degree: int | None = None) -> np.ndarray:
    """Expected counts ``[B]`` whose logarithm is a polynomial of log x.

    The polynomial has the largest Poisson likelihood; its degree is the one with the
    smallest Akaike information, beyond which more terms fit only noise. The sum of the
    counts is kept.

    Args:
        counts: ``[B]``, not all zero.
        edges: ``[B + 1]``, positive and rising.
        degree: of the polynomial; None to choose.

    Raises:
        ValueError: no counts, shapes that do not fit, or edges that are not positive.
    """
    counts, edges = np.asarray(counts, float), np.asarray(edges, float)
    if edges.shape != (len(counts) + 1,) or not edges[0] > 0 or not counts.sum() > 0:
        raise ValueError(f"counts {counts.shape}, sum {counts.sum()}, edges {edges}")
    x = np.log((edges[1:] + edges[:-1]) / 2)
    x = 2 * (x - x[0]) / max(x[-1] - x[0], 1e-12) - 1
    widths = np.diff(edges)
    most = min(MOST, np.count_nonzero(counts) - 1)
    tried = range(min(1, most), most + 1) if degree is None else [degree]
    fits = [_fit(counts, np.polynomial.legendre.legvander(x, d), widths) for d in tried]
    information = [
        2 * d - 2 * np.sum(counts * np.log(fit) - fit)
        for d, fit in zip(tried, fits, strict=True)
    ]
    return fits[int(np.argmin(information))]


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


def _fit(counts: np.ndarray, basis: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Poisson regression by iteratively reweighted least squares."""
    mean = np.maximum(counts, 0.5)
    for _ in range(50):
        # A Newton step: least squares to the linearised logarithm.
        target = np.log(mean / widths) + (counts - mean) / mean
        root = np.sqrt(mean)
        found = np.linalg.lstsq(basis * root[:, None], target * root, rcond=None)[0]
        log = np.clip(basis @ found + np.log(widths), -60, 60)
        new = np.exp(log)
        done = np.max(np.abs(new - mean) / (mean + 1e-9)) < 1e-9
        mean = new
        if done:
            break
    return np.maximum(mean * counts.sum() / mean.sum(), 1e-9)
