"""Which of several generators is best, and whether a published verdict holds.

Stevenson, Kruger 2022: best distributions VAE+D, best correlations VAE+NF+D, best
overall VAE+NF+D. Overall is here the mean of both distances, each in units of what
other real events score.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

TALK = {
    "distributions": "VAE+D",
    "correlations": "VAE+NF+D",
    "overall": "VAE+NF+D",
}
"""The verdict of the talk."""
QUESTIONS = {"distributions": "ks_mean", "correlations": "spearman"}
SIGNIFICANT = 2.0


def of(models: Mapping[str, Any], floor: Mapping[str, Any]) -> dict[str, Any]:
    """Answers to the three questions of the talk, from the figures alone.

    Args:
        models: name to what ``event_figures.over_seeds`` returned.
        floor: what ``event_figures.floor`` returned.

    Returns:
        Of each question: ``scores`` of the models, with ``value`` and ``error`` (the
        standard error of the mean over trainings), lowest first; ``best``; ``talk``,
        the model that the talk found best; ``apart``, how many standard errors the
        two differ; and ``holds``: True, False, or None if the talk's model was not
        among them or ``apart`` is below ``SIGNIFICANT``.
    """
    answers = {}
    for question, talk in TALK.items():
        scores = {name: _score(question, f, floor) for name, f in models.items()}
        scores = dict(sorted(scores.items(), key=lambda item: item[1]["value"]))
        best, apart, holds = next(iter(scores)), None, None
        if talk in scores:
            (low, a), (high, b) = (
                (scores[name]["value"], scores[name]["error"]) for name in (best, talk)
            )
            apart = (high - low) / max(float(np.hypot(a, b)), 1e-12)
            holds = True if best == talk else False if apart > SIGNIFICANT else None
        answers[question] = {
            "scores": scores, "best": best, "talk": talk, "apart": apart,
            "holds": holds,
        }  # fmt: skip
    return answers


def _score(question: str, figures: Mapping[str, Any], floor: Mapping[str, Any]) -> dict:
    names = [QUESTIONS[question]] if question in QUESTIONS else QUESTIONS.values()
    unit = {n: floor[n]["value"] if question not in QUESTIONS else 1.0 for n in names}
    runs = np.mean([np.asarray(figures[n]["all"]) / unit[n] for n in names], axis=0)
    if len(runs) > 1:
        error = np.std(runs, ddof=1) / np.sqrt(len(runs))
    else:
        errors = [figures[n]["error"] / unit[n] for n in names]
        error = np.linalg.norm(errors) / len(errors)
    return {"value": float(np.mean(runs)), "error": float(error)}


def sentences(answers: Mapping[str, Any]) -> list[str]:
    """The answers in words."""
    said = {
        True: "which is the talk's verdict",
        False: "the talk's verdict, {talk}, does not hold here: {apart:.1f} standard "
        "errors worse",
    }
    lines = []
    for question, answer in answers.items():
        best = answer["scores"][answer["best"]]
        if answer["apart"] is None:
            rest = f"{answer['talk']}, the talk's best, was not trained"
        elif answer["holds"] is None:
            rest = (
                f"{answer['talk']}, the talk's best, is {answer['apart']:.1f} standard "
                "errors worse: undecided"
            )
        else:
            rest = said[answer["holds"]].format(**answer)
        lines.append(
            f"Best {'overall' if question == 'overall' else question}: "
            f"{answer['best']} ({best['value']:.3g} ± {best['error']:.2g}), {rest}."
        )
    return lines
