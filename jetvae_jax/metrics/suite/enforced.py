"""Which metrics compare what a training loss held, and are no check of the model."""

from collections.abc import Collection, Mapping
from typing import Any

from jetvae_jax.metrics.distributions.binning import PAPER_JETS
from jetvae_jax.metrics.measurements import known_metrics

MARK = "*"
"""Before a statistic that was part of the training loss, or is computed from it."""
_SUMS = ("emd_normalised_sum", "bin_height_w1_sum")


def enforced(name: str, trained_on: Collection[str]) -> bool:
    """Whether a metric or observable compares what the training loss held.

    Args:
        name: an observable, or a metric such as ``w1m``, which compares the mass.
        trained_on: observables and metrics of the loss.
    """
    compared = {name}
    if name in _SUMS:
        compared |= {b.name for b in PAPER_JETS}
    elif metric := known_metrics().get(name):
        compared |= set(metric.observables)
    return not compared.isdisjoint(trained_on)


def in_loss(objective: Any) -> frozenset[str]:
    """Observables that the domain's ``Objective`` of a run names and weighs.

    A metric of such an observable shows that training worked, not that the model
    found anything by itself.
    """
    weights: Mapping[str, float] = getattr(objective, "observable_weights", {})
    return frozenset(name for name, weight in weights.items() if weight)


def sentence(names: Collection[str]) -> str:
    """What the mark at a statistic means, for the observables that a loss held."""
    return (
        f"{MARK} in the training loss ({', '.join(names)}), or computed from what "
        "is: its agreement does not check the model."
    )


def no_check(evaluation: Mapping[str, Any], trained_on: Collection[str]) -> list[str]:
    """The observables and metrics of an evaluation that are no check of the model.

    Args:
        evaluation: what `metrics.evaluate` returns.
        trained_on: observables of the loss, and those computed from them.
    """
    names = [
        *evaluation["binnings"]["jet"],
        *evaluation["binnings"]["particle"],
        *(s for s in _SUMS if not evaluation.get("relative")),
        *dict.fromkeys(
            metric
            for results in evaluation["candidates"].values()
            for found in results["protocols"].values()
            for metric in found
        ),
    ]
    return [name for name in names if enforced(name, trained_on)]
