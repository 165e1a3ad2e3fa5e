"""The number of independent true events that are as close to the truth as a sample is.

The truth is cut into Q quantiles; a sample has the fractions ``x_j`` of its events in
them, and the quantile error ``mean_j (x_j - 1/Q)^2`` (arXiv:2008.06545). Of N
independent true events it is ``(1/Q) (1 - 1/Q) / N`` in the mean; a sample with the
same error is worth N. Where values are whole numbers, cells have unequal probabilities
``p_j`` and the error is Pearson's, ``sum_j (x_j - p_j)^2 / p_j``, which is the same for
equal ones. What a truth of R events, or G generated ones, add by their own
fluctuations, 1/R + 1/G, is subtracted: the number is that of a generator of whose
events any number was drawn. It is infinite where no difference is left. It depends on
Q where neighbouring quantiles deviate together, as those of a fit do.

All of this runs in NumPy on the host.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jetvae_jax.core.types import Array

SIGMA = (0.1587, 0.5, 0.8413)
"""Probabilities below the ends of a central interval of 68 %, and its median."""
_BRIDGES = 20_000


class Events(NamedTuple):
    """An equivalent number of events with its central 68 % interval."""

    low: float
    value: float
    high: float

    def over(self, number: float) -> "Events":
        """In units of ``number`` events."""
        return Events(*(each / number for each in self))


def edges(truth: Array, num_quantiles: int) -> np.ndarray:
    """The upper ends of all quantiles but the last; equal values are in one cell.

    Args:
        truth: ``[R]``.
        num_quantiles: Q.

    Returns:
        ``[K - 1]`` different values below the largest, K at most Q.
    """
    inner = np.arange(1, num_quantiles) / num_quantiles
    ends = np.unique(np.quantile(np.asarray(truth), inner, method="inverted_cdf"))
    return ends[ends < np.max(truth)]


def fractions(values: Array, ends: Array) -> np.ndarray:
    """The fractions ``[K]`` of values ``[J]`` in the cells that have these ends."""
    place = np.searchsorted(ends, values, side="left")
    return np.bincount(place, minlength=len(ends) + 1) / len(place)


def regions(p: Array, tail: float) -> dict[str, np.ndarray]:
    """The cells of each region by its name; what would be empty is left out.

    Args:
        p: ``[K]`` true probabilities.
        tail: probability of each tail.

    Returns:
        ``[K]`` bool each: ``whole``, ``bulk``, ``lower tail`` and ``upper tail``.
    """
    p = np.asarray(p)
    centre = np.cumsum(p) - p / 2
    low, high = centre < tail, centre > 1 - tail
    found = {
        "whole": np.ones(len(p), bool),
        "bulk": ~(low | high),
        "lower tail": low,
        "upper tail": high,
    }
    return {name: where for name, where in found.items() if where.any()}


def quantile_mse(x: Array, p: Array) -> float:
    """The quantile error of fractions ``[..., K]``, averaged over leading axes."""
    return float(np.mean(np.square(np.asarray(x, np.float64) - p)))


def inverse_events(x: Array, p: Array, region: Array) -> np.ndarray:
    """One over the number of independent events that deviate as much, in the mean.

    Args:
        x: ``[..., K]`` fractions.
        p: ``[K]`` true probabilities.
        region: ``[K]`` bool.

    Returns:
        ``[...]``; of equal cells the quantile error over ``(1/Q) (1 - 1/Q)``.
    """
    x, p = np.asarray(x, np.float64)[..., region], np.asarray(p)[region]
    return np.sum(np.square(x - p) / p, axis=-1) / (len(p) - p.sum())


def events(x: Array, p: Array, region: Array, *, noise: float = 0.0) -> Events:
    """The equivalent number of events of one sample.

    The interval holds the sizes N of independent true samples of which such an error
    is within the central 68 %: the sum of squared deviations is that of a chi-squared
    variable whose mean and variance are those of the multinomial distribution.

    Args:
        x: ``[K]`` fractions.
        p: ``[K]`` true probabilities, of two cells or more.
        region: ``[K]`` bool.
        noise: one over the events of the truth, plus one over those generated.
    """
    from scipy import stats

    few, inside = np.count_nonzero(region), float(np.sum(np.asarray(p)[region]))
    # The eigenvalues of N times the covariance of x / sqrt(p): few - 1 are 1.
    freedom = (few - inside) ** 2 / (few - 1 + (1 - inside) ** 2)
    low, _, high = stats.chi2.ppf(SIGMA, freedom) / freedom
    found = float(inverse_events(x, p, region))
    return Events(*(_inverse(found / unit - noise) for unit in (low, 1.0, high)))


def events_of_ensemble(x: Array, p: Array, region: Array) -> Events:
    """The equivalent number by the mean error of independent trainings.

    Args:
        x: ``[T, K]`` fractions, of two trainings or more.
        p: ``[K]`` true probabilities.
        region: ``[K]`` bool.

    Returns:
        With the standard error of the mean.
    """
    found = inverse_events(x, p, region)
    return between(float(found.mean()), float(found.std(ddof=1)) / len(found) ** 0.5)


def between(inverse: float, error: float) -> Events:
    """Numbers of events of which one over them is known, with its error."""
    return Events(*map(_inverse, (inverse + error, inverse, inverse - error)))


def averaging(x: Array, p: Array, region: Array, *, noise: float = 0.0) -> Events:
    """The equivalent number by the spread of an ensemble about its own mean.

    The averaging amplification of arXiv:2509.08048, times the size of the training
    sample: no truth is needed, and what all members have wrong is not seen.

    Args:
        x: ``[M, K]`` fractions of M members.
        p: ``[K]`` probabilities.
        region: ``[K]`` bool.
        noise: one over the events that each member generated.

    Returns:
        With the jackknife's standard error over the members; of two members, whose
        spread has one degree of freedom for each cell, with an error of 100 %.
    """
    x = np.asarray(x, np.float64)
    few = len(x)

    def inverse(members: np.ndarray) -> float:
        # About the mean of M, deviations are smaller by (M - 1) / M.
        unbiased = (len(members) / (len(members) - 1)) ** 0.5
        about = (members - members.mean(axis=0)) * unbiased + p
        return float(inverse_events(about, p, region).mean()) - noise

    found = inverse(x)
    if few == 2:
        return between(found, abs(found))
    without = np.array([inverse(np.delete(x, i, axis=0)) for i in range(few)])
    return between(found, float(without.std()) * (few - 1) ** 0.5)


def differential(
    x: Array, p: Array, region: Array | None = None, *, noise: float = 0.0
) -> Events:
    """The equivalent number by the largest difference of distribution functions.

    It is Kolmogorov's statistic of a summary of the events, as in the differential
    amplification of arXiv:2509.08048, at the ends of the cells of a region; nothing is
    averaged over the region.

    Args:
        x: ``[K]`` fractions in cells of the summary.
        p: ``[K]`` true probabilities.
        region: ``[K]`` bool; None for the whole.
        noise: as in :func:`events`.

    Returns:
        The sizes of independent true samples whose statistic is within its central
        68 %, and of which half are above.
    """
    p = np.asarray(p, np.float64)
    where = np.ones(len(p), bool) if region is None else np.asarray(region)
    steps = np.concatenate([[0.0], np.asarray(x, np.float64) - p])
    largest = np.max(np.abs(np.cumsum(steps)[_ends(where)]))
    units = _bridges(p.tobytes(), where.tobytes())
    return Events(*(_inverse((largest / unit) ** 2 - noise) for unit in units))


def _ends(region: np.ndarray) -> np.ndarray:
    """``[K + 1]`` bool: both ends of each cell of a region."""
    return np.pad(region, (1, 0)) | np.pad(region, (0, 1))


@functools.lru_cache(maxsize=32)
def _bridges(stored: bytes, region: bytes) -> Sequence[float]:
    """Quantiles of the largest value of a Brownian bridge at the ends of cells."""
    p = np.frombuffer(stored)
    steps = np.random.default_rng(0).normal(size=(_BRIDGES, len(p))) * np.sqrt(p)
    walks = np.cumsum(steps, axis=1)
    walks -= walks[:, -1:] * np.cumsum(p)
    walks = np.pad(walks, ((0, 0), (1, 0)))[:, _ends(np.frombuffer(region, bool))]
    return np.quantile(np.abs(walks).max(axis=1), SIGMA).tolist()


def _inverse(value: float) -> float:
    return float(1 / value) if value > 0 else float("inf")
