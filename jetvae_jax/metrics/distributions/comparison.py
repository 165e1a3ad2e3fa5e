"""One observable of generated jets against real ones."""

import bisect

import numpy as np

from jetvae_jax.metrics.distributions.binning import Binning
from jetvae_jax.metrics.distributions.histograms import bin_height_w1, histogram_emd
from jetvae_jax.metrics.distributions.kolmogorov import kolmogorov_smirnov
from jetvae_jax.metrics.distributions.wasserstein import wasserstein_1d


def compare(x: np.ndarray, y: np.ndarray, bins: Binning) -> dict[str, float]:
    """Figures of one observable.

    Args:
        x: ``[J]`` real values, finite.
        y: ``[M]`` values to judge, finite.
        bins: range and bins of the observable.

    Returns:
        ``emd`` and unbinned ``w1`` in the observable's unit, ``emd_normalised`` by the
        range, ``bin_height_w1``, the Kolmogorov-Smirnov distance ``ks``, and the
        fractions outside the range.
    """
    # Sorted once: bins are then found by bisection, and sorting again costs less.
    x, y = np.sort(x), np.sort(y)
    (p, outside_real), (q, outside) = (_clipped(v, bins.edges) for v in (x, y))
    inside = [_counts(v, bins.edges)[1] for v in (x, y)]
    emd = float(histogram_emd(p, q, bins.edges))
    return {
        "emd": emd,
        "emd_normalised": emd / (bins.high - bins.low),
        "bin_height_w1": float(bin_height_w1(*inside)),
        "w1": float(wasserstein_1d(x, y)),
        "ks": float(kolmogorov_smirnov(x, y)),
        "outside_fraction": outside,
        "outside_fraction_real": outside_real,
    }


def _clipped(x: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, float]:
    """Shares of the bins, what is outside in the first and last, and how much it is."""
    below, counts, above = _counts(x, edges)
    counts[0] += below
    counts[-1] += above
    return counts / len(x), (below + above) / len(x)


def _counts(x: np.ndarray, edges: np.ndarray) -> tuple[int, np.ndarray, int]:
    """How many sorted values lie below, in each of the bins and above them.

    Each bin has its lower edge, the last one both, as in ``numpy.histogram``.
    """
    # Edge by edge: all at once, the values would be copied to the edges' float64.
    ends = [bisect.bisect_left(x, edge) for edge in edges[:-1]]
    ends.append(bisect.bisect_right(x, edges[-1]))
    return ends[0], np.diff(ends), len(x) - ends[-1]
