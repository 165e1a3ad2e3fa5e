"""How well a score separates signal from background: the ROC curve and its summary.

Shapes: ``J`` background and ``M`` signal events, ``T`` thresholds. A higher score is
more signal-like, and an event is kept if its score is at or above the threshold. All
in NumPy, float64. The area under the curve with its error is
:func:`jetvae_jax.metrics.classifier.two_sample.auc_with_error`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Key
from jetvae_jax.metrics.classifier.two_sample import auc_with_error


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

    def plain(self) -> dict[str, Any]:
        """JSON-able: no error is None."""
        return {
            "value": self.value,
            "error": None if np.isnan(self.error) else self.error,
            "limit": self.limit,
        }


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
        kept: of each given background efficiency, that of the signal.
    """

    rejection: dict[float, Value]
    best: Best
    kept: dict[float, Value]


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
    efficiencies: Sequence[float] = (),
    keep: Sequence[float] = (),
    floor: int = 10,
    replicas: int = 200,
) -> Summary:
    """Background rejection at fixed signal efficiencies, and the best improvement.

    Also the signal efficiency at fixed background efficiencies, on the straight line
    between two points of the curve: of equal scores a share is kept at random.

    Errors are standard deviations over bootstrap replicas, in which each event counts a
    Poisson number of times (Efron 1979; mean 1).

    Args:
        key: of the replicas.
        background: ``[J]`` scores.
        signal: ``[M]`` scores.
        efficiencies: of the signal, in (0, 1].
        keep: efficiencies of the background, in (0, 1].
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
    values, place = _measure(merged, merged.weights, efficiencies, keep, smallest)
    spread = np.array([
        _measure(merged, [w * rng.poisson(1.0, w.size) for w in merged.weights],
                 efficiencies, keep, smallest)[0]
        for _ in range(replicas)
    ])  # fmt: skip
    # A replica that leaves too little is counted at the limit.
    most, num_others = 1 / smallest, 1 + len(keep)
    limits = [most] * len(efficiencies) + [np.inf] * num_others
    errors = np.std(np.minimum(spread, limits), 0)
    rejection = {
        e: Value(most, float("nan"), True) if v > most else Value(float(v), float(s))
        for e, v, s in zip(efficiencies, values, errors, strict=False)
    }
    best, *kept = map(Value, *(v[-num_others:].tolist() for v in (values, errors)))
    return Summary(rejection, Best(best, *place), dict(zip(keep, kept, strict=True)))


def check_cuts(keep: Sequence[float], num: int, floor: int, group: str) -> None:
    """Check that every cut leaves enough background events.

    Args:
        keep: background efficiencies of the cuts.
        num: background events.
        floor: that a cut must leave.
        group: prefix of the flags ``keep`` and ``floor``.

    Raises:
        InputError: a cut leaves fewer.
    """
    for share in keep:
        if share * num < floor:
            raise InputError(
                f"--{group}.keep: {share:g} of {num} background events is less than "
                f"{floor} (--{group}.floor): keep more, or train on more events"
            )


def auc(background: Array, signal: Array) -> dict[str, float]:
    """Area under the curve with DeLong's error, JSON-able."""
    value, error = auc_with_error(background, signal)
    return {"value": value, "error": error}


def auc_in_window(
    scores: tuple[np.ndarray, np.ndarray],
    values: tuple[np.ndarray, np.ndarray],
    num: int,
) -> dict[str, Any] | None:
    """The AUC among events of the signal's own values, where these cannot help.

    Args:
        scores: ``[J]`` of background and ``[M]`` of signal.
        values: of an observable, likewise. The window is the central 90 % of signal.
        num: events of each kind that the window must hold; None if it holds fewer.
    """
    low, high = np.quantile(values[1], [0.05, 0.95])
    inside = [(v >= low) & (v <= high) for v in values]
    if min(rows.sum() for rows in inside) < max(num, 2):
        return None
    found = auc(*(s[rows] for s, rows in zip(scores, inside, strict=True)))
    return found | {
        "low": float(low), "high": float(high),
        "background_events": int(inside[0].sum()),
    }  # fmt: skip


def auc_at_equal(
    scores: tuple[np.ndarray, np.ndarray],
    counts: tuple[np.ndarray, np.ndarray],
    num: int,
) -> dict[str, Any] | None:
    """The AUC of pairs of background and signal with the same count.

    The mean of the AUC at each count, weighted by the number of pairs.

    Args:
        scores: ``[J]`` of background and ``[M]`` of signal.
        counts: whole numbers, likewise.
        num: events of each kind that a count must have to take part, 2 at least.

    Returns:
        With the share of all signal that took part; None if no count has enough.
    """
    areas, errors, pairs, took_part = [], [], [], 0
    for count in np.intersect1d(*counts):
        low, high = (s[c == count] for s, c in zip(scores, counts, strict=True))
        if min(low.size, high.size) >= max(num, 2):
            found = auc(low, high)
            areas.append(found["value"])
            errors.append(found["error"])
            pairs.append(low.size * high.size)
            took_part += high.size
    if not areas:
        return None
    weights = np.array(pairs) / np.sum(pairs)
    return {
        "value": float(weights @ areas),
        "error": float(np.linalg.norm(weights * errors)),
        "share": took_part / scores[1].size,
    }


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
    merged: _Merged, weights: Sequence[np.ndarray], efficiencies, keep, smallest: float
) -> tuple[np.ndarray, tuple[float, float]]:
    """Rejections, best improvement, signal kept; efficiencies at the best."""
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
    kept = np.interp(keep, np.append(0.0, low), np.append(0.0, high))
    return np.concatenate([rejections, [gains[best]], kept]), place
