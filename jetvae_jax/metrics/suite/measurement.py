"""What a metric is: how it is measured, on which draws of jets, and how printed."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Key
from jetvae_jax.metrics.distributions.distances import wasserstein_1d
from jetvae_jax.metrics.suite.sample import Sample

Result = dict[str, float | int | bool]
"""``value`` of a metric, ``error`` where it has one, and how it was drawn."""


@dataclasses.dataclass(frozen=True)
class Draws:
    """How jets are drawn for a metric with an uncertainty.

    Attributes:
        num_jets: jets drawn per batch, from each of the two samples.
        num_batches: batches; the value is their mean (KPD: median), its error their
            deviation.
        replace: within a batch, draw with replacement.
    """

    num_jets: int
    num_batches: int
    replace: bool = True


@dataclasses.dataclass(frozen=True)
class Extrapolation:
    """Sample sizes between which a distance is extrapolated to infinitely many jets.

    Attributes:
        min_jets: smallest size.
        max_jets: largest size.
        num_batches: draws, with replacement, of each size.
        num_sizes: sizes, at equal steps of their inverse.
    """

    min_jets: int = 20_000
    max_jets: int = 50_000
    num_batches: int = 20
    num_sizes: int = 10


class Metric(NamedTuple):
    """How a metric is printed.

    Attributes:
        label: its name in tables.
        scale: values are printed in multiples of it: 1e-3 for W1M.
        unit: of the value, empty if dimensionless.
        higher_is_better: else lower.
        observables: those it compares. Where the training loss holds one of them, the
            report marks the metric.
    """

    label: str
    scale: float = 1.0
    unit: str = ""
    higher_is_better: bool = False
    observables: tuple[str, ...] = ()

    @property
    def arrow(self) -> str:
        """The direction in which values are better."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def exponent(self) -> int:
        """The power of ten that :attr:`scale` is."""
        return int(f"{self.scale:.0e}".partition("e")[2])


class Measurement(NamedTuple):
    """One or several metrics that are measured together.

    Attributes:
        measure: ``(key, real, other, draws)`` to the results, by the name of the
            metric: ``{"w1m": {"value": 7e-4, "error": 1e-4}}``. A metric that cannot
            be measured on these samples is left out.
        metrics: name to metric.
        draws: where no protocol says how jets are drawn.
        protocol_field: the attribute of :class:`~jetvae_jax.metrics.Protocol` that
            says so; empty for the name of the file.
    """

    measure: Callable[[Key, Sample, Sample, Any], dict[str, Result]]
    metrics: Mapping[str, Metric]
    draws: Draws | Extrapolation | int
    protocol_field: str = ""


def over_batches(
    key: Key,
    distance: Callable[[np.ndarray, np.ndarray], Any],
    num_real: int,
    num_generated: int,
    draws: Draws,
) -> Result:
    """Mean and deviation of a distance between drawn jets, on the host.

    Args:
        key: drives the draws; the same key gives the same value.
        distance: of the real jets with indices ``[n]`` and the generated ones ``[n]``.
        num_real: jets to draw from.
        num_generated: the same of the generated ones.
        draws: how many jets and batches.

    Returns:
        ``value`` and ``error``: mean and standard deviation over batches;
        ``num_jets`` and ``num_batches``; ``replaced``: drawn with replacement,
        because the protocol says so or because a sample has fewer jets than it draws;
        ``available``: jets of the smaller sample. Where they are fewer than are drawn,
        batches repeat jets and differ too little: the error is then that of batches of
        as many jets as there are.
    """
    available = min(num_real, num_generated)
    replace = draws.replace or available < draws.num_jets
    # NumPy draws many times faster than JAX does on a CPU; its generator is seeded
    # with the key and nothing else.
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    values = []
    for _ in range(draws.num_batches):
        i = _draw(rng, num_real, draws.num_jets, replace)
        j = _draw(rng, num_generated, draws.num_jets, replace)
        values.append(float(distance(i, j)))
    return {
        "value": float(np.mean(values)),
        "error": widened(float(np.std(values)), draws.num_jets, available),
        "num_jets": draws.num_jets,
        "num_batches": draws.num_batches,
        "replaced": replace,
        "available": available,
    }


def widened(error: float, drawn: int, available: int) -> float:
    """The deviation over batches if they had no more jets than there are.

    A deviation falls with the root of the number of jets, also where these are drawn
    again and again from fewer, of which nothing more can be learned.
    """
    return error * max(drawn / available, 1.0) ** 0.5


def shortages(
    protocols: Mapping[str, Mapping[str, Result]], labels: Mapping[str, Metric]
) -> list[str]:
    """What to know where a protocol asks for more jets than there are.

    Args:
        protocols: protocol to metric to result, of one sample.
        labels: the metrics.

    Returns:
        A line for each protocol and number of jets.
    """
    lines: dict[str, list[str]] = {}
    for protocol, found in protocols.items():
        for name, result in found.items():
            asked = result.get("asked", result.get("num_jets", 0))
            available = result.get("available", asked)
            if available < asked:
                how = "drawn again and again, errors widened"
                if "asked" in result:
                    how = "too large by the bias of so few"
                text = f"of {asked:,} jets asked for there are {available:,}: {how}"
                lines.setdefault(f"{protocol}: {{}}: {text}", []).append(
                    labels[name].label
                )
    return [line.format(", ".join(names)) for line, names in lines.items()]


def w1_over_batches(key: Key, x: np.ndarray, y: np.ndarray, draws: Draws) -> Result:
    """Wasserstein-1 distance of values of jets, mean over their columns.

    Args:
        key: drives the draws; the same key gives the same value.
        x: ``[J]`` or ``[J, G]`` of the real jets.
        y: ``[M]`` or ``[M, G]`` of the generated ones.
        draws: how many jets and batches.

    Returns:
        As :func:`over_batches`, in the unit of the values; on the host.
    """
    x, y = floats(np, x, y)
    columns = [np.ascontiguousarray(v.reshape(len(v), -1).T) for v in (x, y)]

    def distance(i, j):
        pairs = zip(*columns, strict=True)
        return np.mean([wasserstein_1d(a[i], b[j]) for a, b in pairs])

    return over_batches(key, distance, len(x), len(y), draws)


def _draw(
    rng: np.random.Generator, available: int, count: int, replace: bool
) -> np.ndarray:
    if replace:
        return rng.integers(available, size=count)
    return rng.permutation(available)[:count]
