"""What a study of jets of other kinds found, in words.

Differences count from three standard errors; those of two scores of the same jets are
added in quadrature, which is too much where the scores agree.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jetvae_jax.report.tables import with_error
from jetvae_jax.studies.find_jets.scores import CUTS, LIKELIHOODS, OBSERVABLES

CLEAR = 3.0
"""Standard errors from which a difference counts."""
Measured = Mapping[str, Any]


class Cut(NamedTuple):
    """The better direction of a cut in an observable.

    Attributes:
        name: of the observable.
        side: above or below.
        value: AUC in that direction, 0.5 or more.
        error: of the AUC.
    """

    name: str
    side: str
    value: float
    error: float


def verdict(result: Mapping[str, Any]) -> list[str]:
    """The conclusions: a sentence for all signals, then some for each.

    Args:
        result: contents of ``find_jets.json``; ``scores`` is read.
    """
    by_score = result["scores"]
    main = main_score(by_score)
    signals = list(by_score[main]["signals"])
    sentences = [" ".join(_of_signal(by_score, main, signal)) for signal in signals]
    return [_of_all(by_score, main, signals), *sentences]


def main_score(by_score: Mapping[str, Any]) -> str:
    """The score that decides: the likelihood, else the first of the model."""
    return next(name for name in ("likelihood", *by_score) if name in by_score)


def plain_cut(by_score: Mapping[str, Any], signal: str) -> Cut:
    """The better of the cuts in mass and in multiplicity, in its better direction."""
    found = []
    for name in OBSERVABLES:
        auc = by_score[name]["signals"][signal]["auc"]
        side = "above" if auc["value"] >= 0.5 else "below"
        value = max(auc["value"], 1 - auc["value"])
        found.append(Cut(name, side, value, auc["error"]))
    return max(found, key=lambda cut: cut.value)


def from_chance(auc: Measured) -> int:
    """1 if a score finds a signal, -1 if it takes it for background, else 0."""
    away = auc["value"] - 0.5
    return 0 if abs(away) <= CLEAR * auc["error"] else int(math.copysign(1, away))


def _of_signal(by_score: Mapping[str, Any], main: str, signal: str) -> Iterator[str]:
    of = {name: found["signals"][signal] for name, found in by_score.items()}
    auc, called = of[main]["auc"], main.replace("_", " ")
    yield {
        1: f"{signal}: the {called} finds them, AUC {_words(auc)}.",
        0: f"{signal}: the {called} does not find them, AUC {_words(auc)}.",
        -1: f"{signal}: the {called} takes them for better examples of the training "
        f"than the background itself, AUC {_words(auc)}: a cut on unlikely jets throws "
        "them away.",
    }[from_chance(auc)]
    yield from _otherwise_counted(of, main)
    yield from _kept(of[main]["kept"])
    yield from _cuts(of, auc, plain_cut(by_score, signal))
    yield from _others(of, main)


def _otherwise_counted(of: Mapping[str, Any], main: str) -> Iterator[str]:
    """What is left of the main score without the number of particles, or units."""
    parts = [
        f"{text} {_words(of[name]['auc'])}"
        for name, text in (
            ("likelihood_per_particle", "per particle"),
            ("likelihood_log_pt", "as a density of log pt"),
        )
        if name in of
    ]
    if equal := of[main]["equal_multiplicity"]:
        parts.append(f"among jets of equal multiplicity {_words(equal)}")
    if parts:
        text = ", ".join(parts)
        yield f"{text[:1].upper()}{text[1:]}."


def _kept(kept: Mapping[str, Any]) -> Iterator[str]:
    """Signal that a cut keeps, and what becomes of its significance."""
    parts = []
    for share, found in kept.items():
        percent = (100 * found["signal"][k] for k in ("value", "error"))
        gain = found["improvement"]
        parts.append(
            f"with {100 * float(share):g} % of the background it keeps "
            f"{with_error(*percent)} % of them (significance times "
            f"{with_error(gain['value'], gain['error'])})"
        )
    text = ", ".join(parts)
    yield f"{text[:1].upper()}{text[1:]}."


def _cuts(of: Mapping[str, Any], auc: Measured, cut: Cut) -> Iterator[str]:
    """Plain cuts: for who knows the signal, and for who does not know the side."""
    known = cut._asdict()
    yield (
        f"A plain cut {_compared(auc, known)}: {cut.name} {cut.side} some value has "
        f"{_words(known)}."
    )
    rare = max((f"rare_{name}" for name in OBSERVABLES), key=lambda n: _area(of[n]))
    blind = of[rare]["auc"]
    yield (
        f"Without knowing the side, a {rare.removeprefix('rare_')} far from the "
        f"median {_compared(auc, blind)}: {_words(blind)}."
    )


def _others(of: Mapping[str, Any], main: str) -> Iterator[str]:
    """The best and the worst of the model's other scores."""
    others = [name for name in of if name not in (*LIKELIHOODS, *CUTS, main)]
    if not others:
        return
    best = max(others, key=lambda name: _area(of[name]))
    worst = min(others, key=lambda name: _area(of[name]))
    if from_chance(of[best]["auc"]) <= 0:
        yield (
            "None of the model's other scores finds them, the best is "
            f"{best}, {_words(of[best]['auc'])}."
        )
        return
    text = f"Of the model's other scores {best} has the most, {_words(of[best]['auc'])}"
    if worst != best and from_chance(of[worst]["auc"]) < 0:
        text += f", and {worst} is on the wrong side, {_words(of[worst]['auc'])}"
    yield f"{text}."


def _area(found: Mapping[str, Any]) -> float:
    return found["auc"]["value"]


def _compared(auc: Measured, other: Measured) -> str:
    """Whether another score finds more, less or as much."""
    difference = other["value"] - auc["value"]
    if abs(difference) <= CLEAR * math.hypot(auc["error"], other["error"]):
        return "finds as much"
    return "finds more" if difference > 0 else "finds less"


def _of_all(by_score: Mapping[str, Any], main: str, signals: list[str]) -> str:
    """Which signals are found, and whether the model was needed for it."""

    def auc(signal: str) -> Measured:
        return by_score[main]["signals"][signal]["auc"]

    called = main.replace("_", " ")
    found = [s for s in signals if from_chance(auc(s)) > 0]
    missed = [s for s in signals if s not in found]
    better = [
        s for s in found
        if _compared(auc(s), plain_cut(by_score, s)._asdict()) == "finds less"
    ]  # fmt: skip
    parts = [f"the {called} finds {', '.join(found) or 'nothing'}"]
    if found:
        parts.append(f"better than a plain cut: {', '.join(better) or 'none'}")
    if missed:
        parts.append(f"not found: {', '.join(missed)}")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _words(auc: Measured) -> str:
    """An AUC in three digits."""
    return f"{auc['value']:.3f} ± {auc['error']:.3f}"
