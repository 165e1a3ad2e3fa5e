"""A smooth shape of a spectrum, fitted to its histogram."""

import numpy as np

from jetvae_jax.core.types import Array

MOST = 12
"""Highest degree that is tried."""


def smooth(counts: Array, edges: Array, *, degree: int | None = None) -> np.ndarray:
    """Expected counts ``[B]`` whose logarithm is a polynomial of log x.

    The polynomial has the largest Poisson likelihood; its degree is the one with the
    smallest Akaike information, which stops where more terms follow only noise. The
    sum of the counts is kept.

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


def _fit(counts: np.ndarray, basis: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Poisson regression by iteratively reweighted least squares."""
    mean = np.maximum(counts, 0.5)
    for _ in range(50):
        # A step of Newton: least squares to the linearised logarithm.
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
