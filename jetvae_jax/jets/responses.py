"""What a conditional model of jets is asked for, and what its answers are like."""

import functools
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets, Key
from jetvae_jax.jets import scaling
from jetvae_jax.metrics import conditional
from jetvae_jax.metrics.conditional import Limits, Quantity, Task, Values
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.labels import UNITS, label
from jetvae_jax.observables.jets import jet_observables, relative
from jetvae_jax.observables.substructure import substructure

SHOWN = ("mass", "pt", "multiplicity", "width", "tau21")
"""Observables that are compared in bins of a condition, beside the condition itself."""
SUFFIX = "_response"


def compare(key: Key, trained: Any, real: Any) -> dict[str, Any]:
    """Answers of a conditional model beside real jets, in bins of each condition.

    For each real jet one is generated for the same conditions, and some beyond the
    range of the training.

    Args:
        key: of all draws.
        trained: a :class:`~jetvae_jax.runs.trained.TrainedModel` with conditions.
        real: Jets that did not train it; the first 10,000 are taken.

    Returns:
        What :func:`jetvae_jax.metrics.conditional.compare` describes, for
        :func:`jetvae_jax.report.figures.responses`.

    Raises:
        InputError: the model has no conditions.
    """
    if not trained.run.scaling.conditions:
        raise InputError(f"--model={trained.run.model}: was trained without conditions")
    return conditional.compare(key, trained, real, task(trained))


def task(trained: Any) -> Task:
    """How answers of a model of jets are measured.

    The response to a condition is that of the jet's particles over what was asked for;
    of eta, which may be zero, the difference.

    Args:
        trained: a :class:`~jetvae_jax.runs.trained.TrainedModel` with conditions.
    """
    config = trained.run.scaling
    names = [name for name in config.conditions if name != scaling.TYPE]
    others = [name for name in SHOWN if name not in names]
    quantities = {f"{name}{SUFFIX}": Quantity(_response(name)) for name in names}
    quantities |= {n: Quantity(label(n), UNITS.get(n, "")) for n in others}
    return Task(
        asked=functools.partial(_asked, config),
        measure=functools.partial(_measured, names, others),
        quantities=quantities,
        limits={
            "pt": Limits(low=0.0),
            "mass": Limits(low=0.0),
            "eta": Limits(),
            "multiplicity": Limits(0, trained.run.data.num_particles, whole=True),
        },
        units={name: UNITS[name] for name in names if name in UNITS},
        classes=config.types,
        class_name=scaling.TYPE,
        labels=lambda jets: np.asarray(jets.labels),
    )


def _response(name: str) -> str:
    return f"{label(name)} {'-' if name == 'eta' else '/'} asked"


def _asked(config: scaling.Config, jets: Jets) -> Values:
    found = np.asarray(scaling.observed_conditions(config, jets))
    return dict(zip(config.condition_columns, found.T, strict=True))


def _measured(names: list[str], others: list[str], jets: Jets, asked: Values) -> Values:
    """Responses, NaN where it is not known what was asked for, and observables."""
    bare = Jets(jets.particles, jets.mask)
    own = map_chunks(jet_observables, bare)
    own |= map_chunks(substructure, map_chunks(relative, bare))
    values: Values = {}
    for name in names:
        given = asked.get(name, np.full(len(jets.mask), np.nan))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = own[name] - given if name == "eta" else own[name] / given
        values[f"{name}{SUFFIX}"] = ratio
    return values | {name: own[name] for name in others}
