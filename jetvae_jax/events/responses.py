"""What a conditional model of events is asked for, and what is measured on its answers.

An event has the columns that were asked for as they were, so there is no response to
them; how the other columns depend on them is compared.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jetvae_jax.events.kinds import Kind
from jetvae_jax.events.scaling import columns_of
from jetvae_jax.metrics.conditional import Limits, Quantity, Task, Values


def task(trained: Any) -> Task:
    """How answers of a model of events are measured.

    Args:
        trained: a :class:`~jetvae_jax.runs.trained.TrainedModel` with conditions.
    """
    columns, given = columns_of(trained.run.scaling), trained.run.scaling.conditions
    kinds = dict(zip(columns.names, columns.kinds, strict=True))
    others = [n for n, k in kinds.items() if n not in given and k.name != "angle"]

    def values(names: Sequence[str], events: np.ndarray) -> Values:
        return {name: events[:, columns.names.index(name)] for name in names}

    limits = {name: _limits(kinds[name]) for name in given}
    return Task(
        asked=lambda events: values(given, np.asarray(events)),
        measure=lambda events, asked: values(others, np.asarray(events)),
        quantities={name: Quantity(name) for name in others},
        limits={name: found for name, found in limits.items() if found},
    )


def _limits(kind: Kind) -> Limits | None:
    """Values that a column can have; None where none is beyond those of the training.

    Counts are those seen in training, and an angle has no ends.
    """
    if kind.name == "bounded":
        return Limits(kind.low, kind.high)
    return {"positive": Limits(low=0.0), "plain": Limits()}.get(kind.name)
