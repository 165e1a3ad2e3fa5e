"""Which of several generators is best, and whether a published result holds.

The published result is that of F. Stevenson, "The assessment of different VAE
derivatives for data generation and event classification in Z gamma final state
background data", Kruger 2022, 7 December 2022: best distributions VAE+D, best
correlations VAE+NF+D, best overall VAE+NF+D. Overall is here the mean of both
distances, each in units of the distance of other real events.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jetvae_jax.report.tables import with_error

PUBLISHED = {
    "distributions": "VAE+D",
    "correlations": "VAE+NF+D",
    "overall": "VAE+NF+D",
}
"""The best model in the study of Stevenson, Kruger 2022."""
QUESTIONS = {"distributions": "ks_mean", "correlations": "spearman"}
SIGNIFICANT = 2.0
"""Standard errors of a difference that decide."""


def of(models: Mapping[str, Any], floor: Mapping[str, Any]) -> dict[str, Any]:
    """The best model for distributions, correlations and overall.

    Args:
        models: name to what ``events.metrics.over_seeds`` returned.
        floor: what ``events.metrics.floor`` returned.

    Returns:
        Of each question: ``scores`` of the models, with ``value`` and ``error`` (the
        standard error of the mean over trainings), lowest first; ``best``;
        ``published``, the best model of the published study; ``apart``, how many
        standard errors the two differ; and ``holds``: True, False, or None if the
        published model is not among them or ``apart`` is below ``SIGNIFICANT``.
    """
    answers = {}
    for question, published in PUBLISHED.items():
        scores = {name: _score(question, f, floor) for name, f in models.items()}
        scores = dict(sorted(scores.items(), key=lambda item: item[1]["value"]))
        best, apart, holds = next(iter(scores)), None, None
        if published in scores:
            (low, a), (high, b) = (
                (scores[name]["value"], scores[name]["error"])
                for name in (best, published)
            )
            apart = (high - low) / max(float(np.hypot(a, b)), 1e-12)
            if best == published:
                holds = True
            elif apart > SIGNIFICANT:
                holds = False
        answers[question] = {
            "scores": scores,
            "best": best,
            "published": published,
            "apart": apart,
            "holds": holds,
        }
    return answers


def sentences(answers: Mapping[str, Any]) -> list[str]:
    """The answers in words."""
    said = {
        True: ", as in the published study",
        False: "; the published best, {published}, is not best here: {apart:.1f} "
        "standard errors worse",
    }
    lines = []
    for question, answer in answers.items():
        best = answer["scores"][answer["best"]]
        if answer["apart"] is None:
            rest = f"; the published best, {answer['published']}, was not trained"
        elif answer["holds"] is None:
            rest = (
                f"; the published best, {answer['published']}, is "
                f"{answer['apart']:.1f} standard errors worse: undecided"
            )
        else:
            rest = said[answer["holds"]].format(**answer)
        lines.append(
            f"Best {'overall' if question == 'overall' else question}: "
            f"{answer['best']} ({with_error(**best)}){rest}."
        )
    return lines


def _score(question: str, results: Mapping[str, Any], floor: Mapping[str, Any]) -> dict:
    names = [QUESTIONS[question]] if question in QUESTIONS else QUESTIONS.values()
    unit = {n: floor[n]["value"] if question not in QUESTIONS else 1.0 for n in names}
    runs = np.mean([np.asarray(results[n]["all"]) / unit[n] for n in names], axis=0)
    if len(runs) > 1:
        error = np.std(runs, ddof=1) / np.sqrt(len(runs))
    else:
        errors = [results[n]["error"] / unit[n] for n in names]
        error = np.linalg.norm(errors) / len(errors)
    return {"value": float(np.mean(runs)), "error": float(error)}
