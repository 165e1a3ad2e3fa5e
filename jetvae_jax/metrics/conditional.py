"""A conditional generator, asked for the conditions of real samples and for others.

For every real sample one is generated for the same conditions, so that p(x|y) is
compared, whatever conditions a file of generated samples was made for. Beyond the range
of the training sample there is nothing to compare with: what is generated there shows
to what the model extrapolates. Runs on the host.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core.types import Key
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.metrics import binned
from jetvae_jax.metrics.binned import Reach

BINS = 8
MOST = 10_000  # real samples whose conditions are asked for
FURTHER = 1000  # samples on each side beyond the range
MARGIN = 0.25  # how far beyond, in units of the range; of its logarithm if positive

Values = dict[str, np.ndarray]
"""Name of a condition or of a quantity to ``[J]``."""


class Limits(NamedTuple):
    """Values that a condition can have at all.

    Attributes:
        low: the smallest.
        high: the largest.
        whole: whole numbers only.
    """

    low: float = -np.inf
    high: float = np.inf
    whole: bool = False


class Quantity(NamedTuple):
    """How a quantity is called in tables and plots."""

    label: str
    unit: str = ""


class Task(NamedTuple):
    """What a domain knows of its samples.

    Attributes:
        asked: ``(real samples) -> `` the conditions that they have, but classes.
        measure: ``(samples, what was asked of them) ->`` quantities, such as the
            response ``pt / asked``.
        quantities: name to label and unit, of all that is measured.
        limits: of each condition that may be asked for beyond the training's range.
        units: of the conditions that have one.
        classes: names of the classes, if one is a condition, else none.
        class_name: of that condition.
        labels: ``(samples) -> [J]`` class of each, read if there are classes.
    """

    asked: Callable[[Any], Values]
    measure: Callable[[Any, Values], Values]
    quantities: Mapping[str, Quantity]
    limits: Mapping[str, Limits]
    units: Mapping[str, str] = {}
    classes: Sequence[str] = ()
    class_name: str = ""
    labels: Callable[[Any], np.ndarray] = lambda samples: np.zeros(0, int)


class _Sample(NamedTuple):
    asked: Values
    values: Values

    def of(self, rows: np.ndarray) -> "_Sample":
        return _Sample(*({n: v[rows] for n, v in part.items()} for part in self))

    def and_(self, other: "_Sample") -> "_Sample":
        """Of both; other may have fewer conditions."""
        both = zip(self, other, strict=True)
        joined = ({n: np.concatenate([a[n], b[n]]) for n in b} for a, b in both)
        return _Sample(*joined)


def compare(key: Key, trained: Any, real: Any, task: Task) -> dict[str, Any]:
    """Quantities of generated and of real samples in bins of each condition.

    Args:
        key: of all draws.
        trained: a :class:`~jetvae_jax.runs.trained.TrainedModel` with conditions.
        real: J samples that did not train it; the first ones are taken.
        task: what the domain knows.

    Returns:
        For JSON: ``latents`` from which the model generated, those fitted last;
        ``number`` of samples of each kind, and ``conditions``, name to
        ``unit``, ``reach`` (smallest and largest in the training sample) and
        ``groups``: ``all``, or the name of each class, to ``edges``, ``beyond`` (bins
        beyond the reach) and ``quantities``, each with ``label``, ``unit``, ``real``
        and ``generated``: what :func:`binned.binned` returns. The condition that is
        the class has bins that are the classes, named by ``classes``.
    """
    run = trained.run
    fitted = trained.fitted()
    latents = next((n for n in ("copula", "flow") if n in fitted), "prior")
    ends = run.pipeline.condition_ends(run.scaling, trained.scaler)
    real = jax.tree.map(lambda a: np.asarray(a)[:MOST], real)
    context = jax.jit(trained.scale)(real).context
    draw = trained.sampler(latents)
    made = draw(key, context)
    asked = task.asked(real)
    samples = {
        "real": _Sample(asked, task.measure(real, asked)),
        "generated": _Sample(asked, task.measure(made, asked)),
    }
    groups: dict[str, np.ndarray] = {"all": np.ones(len(context.axis), bool)}
    found: dict[str, Any] = {}
    if task.classes:
        labels = task.labels(real)
        kinds = {c: labels == i for i, c in enumerate(task.classes)}
        groups = {name: rows for name, rows in kinds.items() if rows.any()}
        found[task.class_name] = {
            "unit": "", "reach": None, "classes": list(task.classes),
            "groups": {"all": _by_class(samples, labels, task)},
        }  # fmt: skip
    for name, reach in ends.items():
        found[name] = {
            "unit": task.units.get(name, ""),
            "reach": list(reach),
            "groups": {
                group: _group(key, trained, draw, samples, rows, name, reach, task,
                              group)
                for group, rows in groups.items()
            },
        }  # fmt: skip
    return {
        "latents": latents,
        "number": len(context.axis),
        "conditions": found,
    }


def _by_class(samples: Mapping[str, _Sample], labels, task: Task) -> dict[str, Any]:
    ends = np.arange(len(task.classes) + 1) - 0.5
    pairs = {name: (labels.astype(float), one.values) for name, one in samples.items()}
    return _entry(pairs, ends, np.zeros(len(ends) - 1, bool), task)


def _group(
    key: Key,
    trained: Any,
    draw: Callable,
    samples: Mapping[str, _Sample],
    rows: np.ndarray,
    name: str,
    reach: Reach,
    task: Task,
    group: str,
) -> dict[str, Any]:
    """One condition, of all samples or of those of a class."""
    of = {kind: one.of(rows) for kind, one in samples.items()}
    given = {task.class_name: task.classes.index(group)} if task.classes else {}
    outer = []
    for value, end in _around(reach, task.limits.get(name)):
        if trained.model.reach is not None:  # which generates nothing there
            break
        more = _beyond(key, trained, draw, task, {**given, name: value}, name)
        of["generated"] = of["generated"].and_(more)
        outer.append(end)
    if binned.is_whole(of["real"].asked[name]):
        reach = reach[0] - 0.5, reach[1] + 0.5
    conditions = np.concatenate([of["real"].asked[name], outer])
    ends = binned.edges(conditions, BINS, reach=reach)
    pairs = {kind: (one.asked[name], one.values) for kind, one in of.items()}
    return _entry(pairs, ends, binned.beyond(ends, reach), task)


def _entry(pairs, ends: np.ndarray, beyond: np.ndarray, task: Task) -> dict[str, Any]:
    return {
        "edges": ends.tolist(),
        "beyond": beyond.tolist(),
        "quantities": {
            name: {
                **quantity._asdict(),
                **{
                    kind: binned.as_json(binned.binned(values[name], condition, ends))
                    for kind, (condition, values) in pairs.items()
                },
            }
            for name, quantity in task.quantities.items()
        },
    }


def _around(reach: Reach, limits: Limits | None) -> list[tuple[float, float]]:
    """A condition on each side of a range, and the end of its bin."""
    if limits is None:
        return []
    low, high = reach
    positive = limits.low == 0 and low > 0
    there = np.log if positive else lambda v: v
    back = np.exp if positive else lambda v: v
    span = MARGIN * (there(high) - there(low))
    found = []
    for end, sign in ((low, -1), (high, 1)):
        far = np.clip(back(there(end) + sign * span), limits.low, limits.high)
        value = float(back((there(end) + there(far)) / 2))
        if limits.whole:
            value = float(np.floor(value) if sign < 0 else np.ceil(value))
        if not low <= value <= high and limits.low < value <= limits.high:
            found.append((value, float(far)))
    return found


def _beyond(
    key: Key,
    trained: Any,
    draw: Callable,
    task: Task,
    asked: Mapping[str, float],
    name: str,
) -> _Sample:
    """Samples for one value of a condition; the others are compatible with it."""
    run = trained.run
    request = ContextRequest("data", asked)
    contexts = run.pipeline.contexts(run.scaling, trained.scaler, request)
    context = contexts(jax.random.fold_in(key, 1), FURTHER)
    made = draw(key, context)
    given = {name: np.full(FURTHER, asked[name])}
    return _Sample(given, task.measure(made, given))
