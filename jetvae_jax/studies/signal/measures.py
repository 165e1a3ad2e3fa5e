"""The figures of a run that looks for signal: AUC, rejection, improvement, gains."""

from typing import Any

import jax
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.metrics.classifier.two_sample import auc_with_error
from jetvae_jax.studies.signal import roc, scores, significance
from jetvae_jax.studies.signal.hypothesis import rank_correlation
from jetvae_jax.studies.signal.scoring import ClassifyConfig, Scored


def figures(scored: Scored, config: ClassifyConfig) -> dict[str, Any]:
    """Score to signal to its figures, JSON-able.

    Raises:
        InputError: too little background for a cut.
    """
    key = jax.random.key(config.seed)
    num = min(
        len(next(iter(p.values()))) for p in (scored.reference, scored.background)
    )
    for keep in config.keep:
        if keep * num < config.floor:
            raise InputError(
                f"--classify.keep: {keep:g} of {num} background events is less than "
                f"{config.floor} (--classify.floor): keep more, or train on more events"
            )
    return {
        name: {
            signal: _of_score(key, name, signal, scored, config)
            for signal in scored.signal
        }
        for name in scored.background
    }


def _of_score(key, name, signal, scored: Scored, config: ClassifyConfig) -> dict:
    low, high = scored.background[name], scored.signal[signal][name]
    auc, error = auc_with_error(low, high)
    found = roc.figures(
        key, low, high,
        efficiencies=config.efficiencies, floor=config.floor, replicas=config.replicas,
    )  # fmt: skip
    best = found.best
    first = config.efficiencies[0]
    result = {
        "auc": {"value": auc, "error": error},
        "rejection": {str(e): _plain(v) for e, v in found.rejection.items()},
        "improvement": _improvement(first, found.rejection[first]),
        "best_improvement": _plain(best.value)
        | {"signal": best.signal, "background": best.background},
        "injected": {
            str(keep): _injected(keep, scored.reference[name], low, high, config)
            for keep in config.keep
        },
    }
    if scored.mass:
        result["window"] = _window(scored, name, signal, config)
        masses = scored.mass["background"]
        few = rank_correlation(key, low, masses, permutations=1)
        result["mass_correlation"] = few.value
    return result


def _plain(value: roc.Value) -> dict:
    error = None if np.isnan(value.error) else value.error
    return {"value": value.value, "error": error, "limit": value.limit}


def _improvement(efficiency: float, rejection: roc.Value) -> dict:
    """Signal over root of background efficiency where that of the signal is given."""
    value = efficiency * np.sqrt(rejection.value)
    error = 0.5 * value * rejection.error / rejection.value
    return {
        "value": float(value), "error": None if np.isnan(error) else float(error),
        "efficiency": efficiency,
    }  # fmt: skip


def _injected(keep, reference, low, high, config) -> dict:
    """A cut that keeps a share of background, and what it gains at each fraction."""
    cut = float(np.quantile(reference, 1 - keep, method="higher"))
    eps_s, eps_b = float(np.mean(high >= cut)), float(np.mean(low >= cut))
    if not eps_b:
        raise InputError(
            f"--classify.keep: no background of the test part passes the cut at "
            f"{keep:g}: keep more"
        )
    gains = {
        str(f): significance.gain(
            config.num_events, f, (eps_s, len(high)), (eps_b, len(low))
        )._asdict()
        for f in config.fractions
    }
    return {"cut": cut, "signal": eps_s, "background": eps_b, "fractions": gains}


def _window(scored: Scored, name: str, signal: str, config) -> dict | None:
    """The AUC among events of the signal's own masses: what the score adds to it."""
    low, high = np.quantile(scored.mass[signal], [0.05, 0.95])
    inside = {
        k: (scored.mass[k] >= low) & (scored.mass[k] <= high)
        for k in ("background", signal)
    }
    if min(v.sum() for v in inside.values()) < max(config.floor, 2):
        return None
    auc, error = auc_with_error(
        scored.background[name][inside["background"]],
        scored.signal[signal][name][inside[signal]],
    )
    return {
        "value": auc, "error": error, "low": float(low), "high": float(high),
        "background_events": int(inside["background"].sum()),
    }  # fmt: skip


def mass_alone(scored: Scored, config: ClassifyConfig) -> dict:
    """The AUC of the mass by itself: its distance from the median of background."""
    if not scored.mass:
        return {}
    low = scored.mass["background"]

    def far(values):
        return np.abs(scores.normal_scores(low, values))

    found = {}
    for signal in scored.signal:
        auc, error = auc_with_error(far(low), far(scored.mass[signal]))
        found[signal] = {"value": auc, "error": error}
    return found
