"""Whether models that generate better also find signal better (Stevenson, Kruger 2022).

Quality is minus the mean Kolmogorov-Smirnov distance of the generated columns. How well
a score finds signal is its AUC, and its significance improvement at a signal
efficiency. Spearman's rank correlation of the two says whether they go together. Seeds
of one model are not independent models: the answer is that over the models, with the
mean of their runs, and is given beside that over all runs.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core import seeds
from jetvae_jax.core.types import Array, Key

COMBINED = "combined"
"""The score that decides, if there is one."""
ALL = "mean"
"""In place of a signal: the mean over all of them."""
METRICS = {
    "auc": "AUC",
    "improvement": "significance improvement",
    "window": "AUC in window",
}
"""How well a score finds signal. The improvement is that at a fixed signal efficiency:
the best one is 1, no cut at all, of every score that finds little. In the window, among
events of the signal's masses, an unusual mass does not help."""
FEWEST = 5
"""Models that are needed for a p-value below 0.05."""
EXACT = 7
"""Up to this many models the p-value is computed from all their orders."""
Runs = Mapping[str, Mapping[str, Any]]


class Association(NamedTuple):
    """Spearman's rank correlation of n pairs.

    Attributes:
        value: in [-1, 1]; NaN if x or y is constant.
        error: ``(1 - value^2) / sqrt(n - 1)``, an approximation for many pairs.
        p: share of all orders of y with a correlation as far from zero.
        num: n.
    """

    value: float
    error: float
    p: float
    num: int


def rank_correlation(
    key: Key, x: Array, y: Array, *, permutations: int = 20_000
) -> Association:
    """Spearman's correlation with the p-value of a two-sided permutation test.

    Exact for up to 7 pairs, else from random orders, with the given one among them.

    Args:
        key: of the random orders.
        x: ``[n]``.
        y: ``[n]``, n of 3 or more.
        permutations: random orders.

    Raises:
        ValueError: other shapes.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 3:
        raise ValueError(f"needs 3 pairs or more, got {x.shape} and {y.shape}")
    a, b = _centred_ranks(x), _centred_ranks(y)
    size = np.sqrt(np.sum(a * a) * np.sum(b * b))
    if size == 0:
        return Association(float("nan"), float("nan"), 1.0, len(x))
    value = float(np.sum(a * b) / size)
    if len(x) <= EXACT:
        orders = np.array(list(itertools.permutations(range(len(x)))))
        others = b[orders] @ a / size
        p = np.mean(np.abs(others) >= abs(value) - 1e-12)
    else:
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        shuffled = rng.permuted(np.tile(b, (permutations, 1)), axis=1)
        reached = np.sum(np.abs(shuffled @ a / size) >= abs(value) - 1e-12)
        p = (1 + reached) / (1 + permutations)
    error = (1 - value**2) / math.sqrt(len(x) - 1)
    return Association(value, error, float(p), len(x))


def links(runs: Runs, seed: int) -> list[dict[str, Any]]:
    """Rank correlation of quality and each of METRICS, for all scores and signals.

    A row over the models, with the mean of their runs, and a row over the runs. No row
    for fewer than three, or where all values are equal.
    """
    key, rows = seeds.key(seed), []
    for score in sorted({name for run in runs.values() for name in run["scores"]}):
        having = [run for run in runs.values() if score in run["scores"]]
        signals = list(having[0]["scores"][score])
        ks = [run["quality"]["mean_ks"] for run in having]
        for metric in METRICS:
            for signal in [*([ALL] if len(signals) > 1 else []), *signals]:
                values = [found(run, score, metric, signal) for run in having]
                if np.isnan(values).any():
                    continue
                points = np.stack([-np.array(ks), values], axis=1)
                for over, xy in (
                    ("models", _means([run["model"] for run in having], points)),
                    ("runs", points),
                ):
                    if len(xy) < 3:
                        continue
                    link = rank_correlation(key, *xy.T)._asdict()
                    if not math.isnan(link["value"]):
                        about = {"score": score, "metric": metric, "signal": signal}
                        rows.append(about | {"over": over} | link)
    return rows


def answer(runs: Runs, rows: list[dict[str, Any]]) -> str:
    """The answer in a sentence: the combined score (or the first) decides."""
    num = len({run["model"] for run in runs.values()})
    names = {row["score"] for row in rows}
    score = COMBINED if COMBINED in names or not names else min(names)
    of = [row for row in rows if row["score"] == score]
    # The mean over the signals comes first.
    first = {(r["metric"], r["over"]): r for r in reversed(of)}
    decides, all_runs = first.get(("auc", "models")), first.get(("auc", "runs"))
    if not decides or decides["num"] < FEWEST:
        return (
            f"whether good generators also find signal: needs {FEWEST} models or more, "
            f"{num} {'was' if num == 1 else 'were'} given"
        )
    if not decides["p"] < 0.05:
        says = "not shown by"
    else:
        says = "borne out by" if decides["value"] > 0 else "contradicted by"
    window = first.get(("window", "models"))
    blind = window is not None and not (window["p"] < 0.05 and window["value"] > 0)
    limit = " by unusual masses, not within the signal's own" if blind else ""
    text = (
        f"that good generators also find signal is {says} these {decides['num']} "
        f"models{limit if says == 'borne out by' else ''}: rank correlation of "
        f"quality and AUC of {score} {_words(decides)}"
    )
    if all_runs and all_runs["num"] > decides["num"]:
        text += f", over all {all_runs['num']} runs {_words(all_runs)}"
    text += f"; {_others(rows, decides['signal'])}"
    single = [r for r in of if (r["metric"], r["over"]) == ("auc", "models")]
    each = [f"{r['value']:+.2f} {r['signal']}" for r in single if r["signal"] != ALL]
    if len(each) > 1:
        text += f"; by signal {', '.join(each)}"
    if gain := first.get(("improvement", "models")):
        text += f"; of quality and significance improvement {_words(gain)}"
    if window:
        text += f"; of quality and AUC in the mass window {_words(window)}"
    return text


def found(run: Mapping[str, Any], score: str, metric: str, signal: str = ALL) -> float:
    """A result of a score, of one signal or the mean over all; NaN if one lacks it."""
    of = run["scores"][score]
    chosen = of.values() if signal == ALL else [of[signal]]
    values = [(results.get(metric) or {"value": np.nan})["value"] for results in chosen]
    return float(np.mean(values))


def spread(
    runs: Runs, model: str, score: str, metric: str, signal: str = ALL
) -> tuple[float, float | None]:
    """Mean of a result over the runs of a model, and its standard deviation.

    A single run gives its own error, or none for the mean over the signals.
    """
    of = [r for r in runs.values() if r["model"] == model and score in r["scores"]]
    values = [found(run, score, metric, signal) for run in of]
    if len(values) > 1:
        return float(np.mean(values)), float(np.std(values, ddof=1))
    error = None if signal == ALL else of[0]["scores"][score][signal][metric]["error"]
    return values[0], error


def _centred_ranks(x: np.ndarray) -> np.ndarray:
    """Ranks minus their mean; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return ranks - ranks.mean()


def _means(labels: list[str], points: np.ndarray) -> np.ndarray:
    """The mean point of every label, in the order of their first one."""
    where = np.array(labels)
    return np.stack([points[where == name].mean(0) for name in dict.fromkeys(labels)])


def _others(rows: list[dict[str, Any]], signal: str) -> str:
    """How many of all scores agree, for many are tested."""
    about = ("auc", "models", signal)
    same = [r for r in rows if (r["metric"], r["over"], r["signal"]) == about]
    enough = [row for row in same if row["num"] >= FEWEST]
    clear = [row["value"] for row in enough if row["p"] < 0.05]
    better = sum(value > 0 for value in clear)
    return (
        f"of {len(enough)} scores {better} say so with p < 0.05, "
        f"{len(clear) - better} the opposite"
    )


def _words(row: Mapping[str, Any]) -> str:
    return f"{row['value']:+.2f} ± {row['error']:.2f} (p = {row['p']:.2g})"
