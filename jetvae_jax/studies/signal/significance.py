"""How a cut changes the significance of a signal in counted events.

A data set of N events holds ``f N`` signal and ``(1 - f) N`` background; a cut keeps
shares ``eps_s`` and ``eps_b`` of them. The background left is taken as known.
"""

from typing import NamedTuple

import numpy as np

from jetvae_jax.core.types import Array


class Gain(NamedTuple):
    """A counting experiment before and after a cut.

    Attributes:
        before: expected significance of the counts without the cut.
        after: with it.
        gain: after over before.
        error: of the gain, from those of the efficiencies.
        median: of the significance after the cut, over experiments.
        low: its 16th percentile.
        high: its 84th percentile.
    """

    before: float
    after: float
    gain: float
    error: float
    median: float
    low: float
    high: float


def expected(signal: Array | float, background: Array | float) -> np.ndarray:
    """``sqrt(2 ((s + b) log(1 + s / b) - s))``, the significance of the mean counts.

    The Asimov value of Cowan, Cranmer, Gross and Vitells (EPJC 71 (2011) 1554,
    arXiv:1007.1727, eq. 97); about ``s / sqrt(b)`` for little signal.

    Args:
        signal: s, not negative.
        background: b, positive.
    """
    s, b = np.asarray(signal, float), np.asarray(background, float)
    return np.sqrt(2 * _deviance(s + b, b))


def observed(counts: Array | float, background: Array | float) -> np.ndarray:
    """Likelihood-ratio significance of counts; of a deficit negative.

    Args:
        counts: n, not negative.
        background: b, positive.
    """
    n, b = np.asarray(counts, float), np.asarray(background, float)
    return np.sign(n - b) * np.sqrt(2 * _deviance(n, b))


def quantile(signal: float, background: float, share: float | np.ndarray) -> np.ndarray:
    """A quantile of :func:`observed` over Poisson experiments, exact.

    Args:
        signal: s.
        background: b, positive.
        share: 0.5 for the median.
    """
    from scipy import stats

    return observed(stats.poisson.ppf(share, signal + background), background)


def gain(
    num_events: float,
    fraction: float,
    signal: tuple[float, int],
    background: tuple[float, int],
) -> Gain:
    """The significance before and after a cut of known efficiencies.

    Args:
        num_events: N of the data set.
        fraction: f, in (0, 1).
        signal: share kept, and the number of events it was measured with.
        background: the same; the share must be positive. The cut must not have been
            chosen with these events.

    Raises:
        ValueError: no background is left.
    """
    (eps_s, num_s), (eps_b, num_b) = signal, background
    if not eps_b > 0:
        raise ValueError("no background is left: its significance cannot be known")
    s, b = fraction * num_events, (1 - fraction) * num_events
    before, after = expected(s, b), expected(eps_s * s, eps_b * b)
    # Of s / sqrt(b), which the significance is for little signal.
    relative = _relative(eps_s, num_s) ** 2 + _relative(eps_b, num_b) ** 2 / 4
    low, median, high = quantile(eps_s * s, eps_b * b, np.array([0.16, 0.5, 0.84]))
    ratio = float(after / before)
    error = ratio * float(np.sqrt(relative))
    return Gain(
        float(before),
        float(after),
        ratio,
        error,
        float(median),
        float(low),
        float(high),
    )


def _relative(share: float, num: int) -> float:
    """Binomial relative error of a share."""
    return float(np.sqrt((1 - share) / (share * num))) if share > 0 else 0.0


def _deviance(n: np.ndarray, b: np.ndarray) -> np.ndarray:
    log = np.log(np.where(n > 0, n, 1.0) / b)
    return np.maximum(np.where(n > 0, n * log, 0.0) - (n - b), 0.0)
