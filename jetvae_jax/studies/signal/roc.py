"""How well a score separates signal from background: the ROC curve and its summary.

Shapes: ``J`` background and ``M`` signal events, ``T`` thresholds. A higher score is
more signal-like, and an event is kept if its score is at or above the threshold. All
in NumPy, float64. The area under the curve with its error is
:func:`jetvae_jax.metrics.classifier.two_sample.auc_with_error`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jetvae_jax.core.types import Array, Key


class Curve(NamedTuple):
    """Efficiencies at falling thresholds, from nothing kept to everything.

    Attributes:
        threshold: ``[T]``, the first one infinite.
        signal: ``[T]`` share of the signal kept.
        background: ``[T]`` share of the background kept.
    """

    threshold: np.ndarray
    signal: np.ndarray
    background: np.ndarray


class Value(NamedTuple):
    """A result and its bootstrap standard deviation.

    Attributes:
        value: the result.
        error: its standard deviation over resampled events; NaN for a limit.
        limit: the true value is at least this one: too little background is left.
    """

    value: float
    error: float
    limit: bool = False


class Best(NamedTuple):
    """The largest significance improvement.

    Attributes:
        value: with its error; the cut is chosen on the same events, which makes it a
            little too large (the floor bounds by how much).
        signal: efficiency there.
        background: efficiency there.
    """

    value: Value
    signal: float
    background: float


class Summary(NamedTuple):
    """The summary of a ROC curve.

    Attributes:
        rejection: of each given signal efficiency, ``1 / background efficiency``.
        best: the largest ``signal / sqrt(background)``.
    """

    rejection: dict[float, Value]
    best: Best


def curve(background: Array, signal: Array) -> Curve:
    """The ROC curve, exact: one point for each different score.

    Args:
        background: ``[J]`` scores.
        signal: ``[M]`` scores.

    Raises:
        ValueError: a sample without scores, or NaN.
    """
    merged = _merged(background, signal)
    low, high = (
        np.concatenate([[0.0], np.cumsum(w)[merged.ends] / w.sum()])
        for w in merged.weights
    )
    return Curve(np.concatenate([[np.inf], merged.thresholds]), high, low)


def improvement(
    signal: np.ndarray, background: np.ndarray, smallest: float
) -> np.ndarray:
    """``signal / sqrt(background)``: how much a cut multiplies the significance.

    Args:
        signal: efficiencies, any shape.
        background: efficiencies, the same shape.
        smallest: background efficiency below which the result is NaN.
    """
    enough = background >= max(smallest, np.finfo(float).tiny)
    root = np.sqrt(np.where(enough, background, 1.0))
    return np.where(enough, signal / root, np.nan)


def summary(
    key: Key,
    background: Array,
    signal: Array,
    *,
    efficiencies: Sequence[float],
    floor: int = 10,
    replicas: int = 200,
) -> Summary:
    """Background rejection at fixed signal efficiencies, and the best improvement.

    Errors are standard deviations over bootstrap replicas, in which each event counts a
    Poisson number of times (Efron 1979; mean 1).

    Args:
        key: of the replicas.
        background: ``[J]`` scores.
        signal: ``[M]`` scores.
        efficiencies: of the signal, in (0, 1].
        floor: background events that a cut must leave. A rejection that leaves fewer is
            the limit ``J / floor``, and no improvement is quoted there.
        replicas: number of them.

    Raises:
        ValueError: a sample without scores, NaN, or fewer than ``floor`` background
            events.
    """
    merged = _merged(background, signal)
    num, smallest = merged.weights[0].sum(), floor / merged.weights[0].sum()
    if smallest > 1:
        raise ValueError(f"{num:.0f} background events, but floor is {floor}")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    values, place = _measure(merged, merged.weights, efficiencies, smallest)
    spread = np.array([
        _measure(merged, [w * rng.poisson(1.0, w.size) for w in merged.weights],
                 efficiencies, smallest)[0]
        for _ in range(replicas)
    ])  # fmt: skip
    # A replica that leaves too little is counted at the limit.
    most = 1 / smallest
    errors = np.std(
        np.minimum(spread, np.append([most] * len(efficiencies), np.inf)), 0
    )
    rejection = {
        e: Value(most, float("nan"), True) if v > most else Value(float(v), float(s))
        for e, v, s in zip(efficiencies, values, errors, strict=False)
    }
    best = Value(float(values[-1]), float(errors[-1]))
    return Summary(rejection, Best(best, *place))


class _Merged(NamedTuple):
    """Both samples by falling score.

    Attributes:
        thresholds: ``[T]`` different scores.
        ends: ``[T]`` index of the last event of each.
        weights: of background and signal, ``[J + M]`` each.
    """

    thresholds: np.ndarray
    ends: np.ndarray
    weights: list[np.ndarray]


def _merged(background: Array, signal: Array) -> _Merged:
    low, high = np.asarray(background, float), np.asarray(signal, float)
    if low.ndim != 1 or high.ndim != 1 or 0 in (low.size, high.size):
        raise ValueError(
            f"a ROC needs scores [J] and [M], got {low.shape} and {high.shape}"
        )
    scores = np.concatenate([low, high])
    if np.isnan(scores).any():
        raise ValueError("a ROC needs finite or infinite scores, got NaN")
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    is_low = order < low.size
    return _Merged(scores[ends], ends, [is_low.astype(float), 1.0 - is_low])


def _measure(
    merged: _Merged, weights: Sequence[np.ndarray], efficiencies, smallest: float
) -> tuple[np.ndarray, tuple[float, float]]:
    """Rejections and the best improvement, and the efficiencies at the latter."""
    low, high = (
        np.cumsum(w)[merged.ends] / max(w.sum(), np.finfo(float).tiny) for w in weights
    )
    at = np.minimum(
        np.searchsorted(high, np.asarray(efficiencies) - 1e-12), low.size - 1
    )
    rejections = 1 / np.maximum(low[at], np.finfo(float).tiny)
    gains = improvement(high, low, smallest)
    best = int(np.nanargmax(gains))
    place = float(high[best]), float(low[best])
    return np.append(rejections, gains[best]), place
