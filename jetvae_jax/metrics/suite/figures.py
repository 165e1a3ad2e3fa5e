"""The figures of protocols, for one sample of generated jets against real ones."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jetvae_jax.core.types import Key, RelativeJets
from jetvae_jax.metrics.frechet.kernel import kpd
from jetvae_jax.metrics.frechet.physics import fpd
from jetvae_jax.metrics.suite.draws import Figure
from jetvae_jax.metrics.suite.jetnet_w1 import w1_of, w1p
from jetvae_jax.metrics.suite.protocols import Draws, Extrapolation, Protocol
from jetvae_jax.metrics.suite.published import UNITS
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.metrics.transport.coverage import cov_mmd

METRICS = UNITS | {"fpd_exact": UNITS["fpd"]}
"""Metrics in the order they are shown, and the unit each is printed in."""

FPND = Callable[[RelativeJets], float]
"""Relative jets to their FPND: `fpnd.fpnd` with its reference filled in."""


def figures(
    key: Key,
    real: Sample,
    other: Sample,
    protocols: Sequence[Protocol],
    *,
    fpnd: FPND | None = None,
) -> dict[str, dict[str, Figure]]:
    """Every figure of every protocol.

    A figure that two protocols draw alike is the same number in both; samples judged
    with the same key see the same draws.

    Args:
        key: drives all draws.
        real: real jets.
        other: jets to judge.
        protocols: what to measure.
        fpnd: measures FPND; None leaves it out.

    Returns:
        ``{protocol: {metric: {"value", "error", ...}}}``: metrics of :data:`METRICS`,
        ``num_jets``, ``num_batches`` and ``replaced`` where jets are drawn. ``fpd`` is
        what jetnet's fit gives, comparable with published figures, ``fpd_exact`` the
        extrapolation it was meant to be (`fpd`).
    """
    known: dict[object, dict[str, Figure]] = {}
    result: dict[str, dict[str, Figure]] = {}
    for protocol in protocols:
        found: dict[str, Figure] = {}
        for step, (measure, spec) in enumerate(_steps(protocol, fpnd)):
            if spec is None:
                continue
            if (step, spec) not in known:
                drawn = jax.random.fold_in(key, step)
                known[step, spec] = measure(drawn, real, other, spec)
            found |= known[step, spec]
        result[protocol.name] = {name: found[name] for name in METRICS if name in found}
    return result


def _steps(protocol: Protocol, fpnd: FPND | None) -> list[tuple[Callable, Any]]:
    """What to measure, and on which draws. The place of a step numbers its key."""
    steps: list[tuple[Callable, Any]] = [
        (_w1, protocol.w1),
        (_cov_mmd, protocol.cov_mmd),
        (_fpd, protocol.fpd),
        (_kpd, protocol.kpd),
    ]
    if fpnd is not None:
        steps.append((functools.partial(_fpnd, fpnd), protocol.fpnd))
    return steps


def _fpnd(fpnd: FPND, key: Key, real: Sample, other: Sample, count: int):
    value = fpnd(other.first(count))
    return {"fpnd": {"value": value, "num_jets": min(count, len(other))}}


def _w1(key: Key, real: Sample, other: Sample, draws: Draws):
    first, second, third = (jax.random.fold_in(key, i) for i in range(3))
    return {
        "w1m": w1_of(first, real.relative_mass, other.relative_mass, draws),
        "w1p": w1p(second, real.relative, other.relative, draws=draws),
        "w1efp": w1_of(third, real.w1efp, other.w1efp, draws),
    }


def _cov_mmd(key: Key, real: Sample, other: Sample, draws: Draws):
    found = cov_mmd(
        key,
        real.relative,
        other.relative,
        num_jets=draws.num_jets,
        num_batches=draws.num_batches,
    )
    size = {"num_jets": draws.num_jets, "num_batches": draws.num_batches}
    return {
        name: {"value": found[name], "error": found[f"{name}_std"]} | size
        for name in ("cov", "mmd")
    }


def _fpd(key: Key, real: Sample, other: Sample, sizes: Extrapolation):
    found = fpd(
        key,
        real.features,
        other.features,
        min_samples=sizes.min_jets,
        max_samples=sizes.max_jets,
        num_batches=sizes.num_batches,
        num_points=sizes.num_sizes,
    )
    replaced = min(len(real), len(other)) < sizes.max_jets
    size = {"num_jets": sizes.max_jets, "replaced": replaced}
    published = {"value": found["jetnet_value"], "error": found["jetnet_error"]}
    exact = {"value": found["value"], "error": found["error"]}
    return {"fpd": published | size, "fpd_exact": exact | size}


def _kpd(key: Key, real: Sample, other: Sample, draws: Draws):
    found = kpd(
        key,
        real.features,
        other.features,
        num_batches=draws.num_batches,
        batch_size=draws.num_jets,
    )
    replaced = min(len(real), len(other)) < draws.num_jets
    size = {"num_jets": draws.num_jets, "num_batches": draws.num_batches}
    return {"kpd": found | size | {"replaced": replaced}}
