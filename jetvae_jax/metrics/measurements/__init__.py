"""Metrics of samples of jets, one file a measurement, found by its name.

A file defines ``MEASUREMENT``: how it is measured, on how many jets, and the label,
unit and direction of each metric that comes out of it, which text, CSV, LaTeX and HTML
tables print. A new metric is a new file here or in ``metrics/`` on the plug-in path
(see :mod:`jetvae_jax.core.registry`), and nothing else::

    import numpy as np
    from jetvae_jax.metrics import Draws, Measurement, Metric, over_batches

    def measure(key, real, other, draws):
        x, y = real.jet["mass"], other.jet["mass"]
        gap = lambda i, j: abs(np.median(x[i]) - np.median(y[j]))
        return {"median_mass": over_batches(key, gap, len(x), len(y), draws)}

    MEASUREMENT = Measurement(
        measure,
        {"median_mass": Metric("median mass", unit="GeV", observables=("mass",))},
        draws=Draws(10_000, 5),
    )
"""

import zlib
from collections.abc import Sequence
from typing import Any

import jax

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.registry import Registry
from jetvae_jax.core.types import Key
from jetvae_jax.metrics.suite.measurement import Measurement, Metric, Result
from jetvae_jax.metrics.suite.protocols import Protocol
from jetvae_jax.metrics.suite.sample import PtUnknown, Sample

ORDER = ("w1m", "w1p", "w1efp", "fpnd", "fpd", "kpd", "cov", "mmd", "fpd_exact")
"""Metrics in the order papers print them; further ones follow by their names."""

_registry = Registry("metric", __name__, folder="metrics")


def measurements() -> dict[str, Measurement]:
    """All measurements by the names of their files, in the order of their metrics.

    Raises:
        InputError: a plug-in cannot be imported, holds no measurement, or defines a
            metric that another file defines, too.
    """
    found: dict[str, Measurement] = {}
    owners: dict[str, str] = {}
    for name in _registry.names():
        module = _registry.get(name)
        measurement = getattr(module, "MEASUREMENT", None)
        if not isinstance(measurement, Measurement):
            raise InputError(
                f"{module.__file__}: a metric needs MEASUREMENT = Measurement(...); "
                "see jetvae_jax.metrics.measurements"
            )
        for metric in measurement.metrics:
            if owners.setdefault(metric, name) != name:
                raise InputError(
                    f"{module.__file__}: the metric {metric!r} is defined in "
                    f"{owners[metric]}.py, too: choose another name"
                )
        found[name] = measurement
    return dict(
        sorted(found.items(), key=lambda item: min(map(_place, item[1].metrics)))
    )


def known_metrics() -> dict[str, Metric]:
    """All metrics by name, in the order in which tables show them.

    Raises:
        InputError: as :func:`measurements`.
    """
    found: dict[str, Metric] = {}
    for measurement in measurements().values():
        found |= measurement.metrics
    return dict(sorted(found.items(), key=lambda item: _place(item[0])))


def _place(metric: str) -> tuple[int, str]:
    """Where tables show a metric."""
    return ORDER.index(metric) if metric in ORDER else len(ORDER), metric


def folded(key: Key, name: str) -> Key:
    """The key of one measurement, from its name: no other one changes its draws."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def measure(
    key: Key, real: Sample, other: Sample, protocols: Sequence[Protocol]
) -> dict[str, dict[str, Result]]:
    """Every metric of every protocol.

    A metric that two protocols draw alike has the same value in both; samples measured
    with the same key see the same draws. A measurement that no protocol knows is part
    of each, with its own draws.

    Args:
        key: drives all draws, folded with the name of each measurement.
        real: real jets.
        other: jets to compare with them.
        protocols: which metrics, and on how many jets.

    Returns:
        ``{protocol: {metric: {"value", "error", ...}}}``, and ``num_jets``,
        ``num_batches`` and ``replaced`` where jets are drawn.

    Raises:
        InputError: as :func:`measurements`.
    """
    order = known_metrics()
    known: dict[tuple[str, Any], dict[str, Result]] = {}
    results: dict[str, dict[str, Result]] = {}
    for protocol in protocols:
        found: dict[str, Result] = {}
        for name, measurement in measurements().items():
            field = measurement.protocol_field or name
            draws = protocol.draws(field, measurement.draws)
            if draws is None:
                continue
            if (name, draws) not in known:
                try:
                    known[name, draws] = measurement.measure(
                        folded(key, name), real, other, draws
                    )
                except PtUnknown:  # left out
                    known[name, draws] = {}
            found |= known[name, draws]
        results[protocol.name] = {name: found[name] for name in order if name in found}
    return results
