"""One observable of generated jets against real ones."""

import numpy as np

from jetvae_jax.metrics.binning import Binning
from jetvae_jax.metrics.histogram_emd import bin_height_w1, histogram, histogram_emd
from jetvae_jax.metrics.kolmogorov_smirnov import kolmogorov_smirnov
from jetvae_jax.metrics.wasserstein import wasserstein_1d


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
    p, outside_real = histogram(x, bins.edges)
    q, outside = histogram(y, bins.edges)
    inside = [histogram(v, bins.edges, outside="drop")[0] for v in (x, y)]
    emd = float(histogram_emd(p, q, bins.edges))
    return {
        "emd": emd,
        "emd_normalised": emd / (bins.high - bins.low),
        "bin_height_w1": float(bin_height_w1(*inside)),
        "w1": float(wasserstein_1d(x, y)),
        "ks": float(kolmogorov_smirnov(x, y)),
        "outside_fraction": float(outside),
        "outside_fraction_real": float(outside_real),
    }
