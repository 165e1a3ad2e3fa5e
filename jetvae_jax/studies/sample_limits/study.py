"""How far a training sample can be stretched: a toy of which all is known, and a run.

The toy (:mod:`~jetvae_jax.studies.sample_limits.lognormal`) is trained many times, on
independent samples, and on bootstraps of some of these. The same numbers are then found
for a generator of jets: a run, or files (:mod:`~.sample_limits.generator`).
"""

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.configs import versions
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array, Key
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs.trained import load_model
from jetvae_jax.studies.sample_limits import (
    ensemble,
    equivalent,
    generator,
    lognormal,
    report,
)
from jetvae_jax.studies.sample_limits.equivalent import Events
from jetvae_jax.studies.sample_limits.settings import LimitsConfig

AT_ONCE = 20  # trainings of the toy in one compiled call
SPECTRUM = np.linspace(1.0, 40.0, 40)
"""Edges of the spectrum of the sum that is drawn."""


def sample_limits(
    workdir: str | os.PathLike, config: LimitsConfig
) -> tuple[pathlib.Path, str]:
    """The toy and, if one is given, a generator.

    Writes ``sample_limits.json``, ``sample_limits.html`` and its plots; of an ensemble
    ``ensemble.npz``, which the same command reads again.

    Args:
        workdir: folder to write to.
        config: the toy, the generator, the quantiles.

    Returns:
        The path of the page, and the result in one paragraph.

    Raises:
        InputError: a wrong file, run or observable.
    """
    announce_missing()
    samples = generator.gather(config)  # which stops before the work
    folder, members = Workdir(workdir), None
    if config.members:
        members = ensemble.train(folder, load_model(config.run), config)
    result: dict[str, Any] = {
        "settings": dataclasses.asdict(config),
        "versions": versions(),
    }
    result["toy"], drawn = toy(config)
    said = [toy_verdict(result["toy"], config)]
    if samples is not None:
        result["generator"] = generator.compare(samples, config)
        said.append(generator.verdict(result["generator"]))
        if members is not None:
            result["ensemble"] = ensemble.compare(
                members, samples.truth, samples.observables, samples.num_train, config
            )
            said.append(
                ensemble.verdict(result["ensemble"], samples.num_train, samples.unit)
            )
    result["verdict"] = " ".join(said)
    with folder.alone():
        folder.write_json("sample_limits.json", plain(result))
        page = report.write(folder / "sample_limits.html", result, drawn)
    return page, result["verdict"]


def kinds(config: LimitsConfig) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name of each row of the toy to its generator and the options of its samples."""
    correlation = f"all combinations, correlation {config.correlation:g} ignored"
    return {
        "the events themselves": ("events", {}),
        f"combinations of x < {config.cut:g}": ("permutations", {"cut": config.cut}),
        "all combinations": ("permutations", {}),
        "log-normal fit": ("fit", {}),
        correlation: ("permutations", {"correlation": config.correlation}),
    }


def toy(config: LimitsConfig) -> tuple[dict[str, Any], dict[str, report.Spectra]]:
    """The equivalent numbers of events of each row of the toy, and its spectra."""
    found, drawn = {}, {}
    p = np.full(config.quantiles, 1 / config.quantiles)
    places = equivalent.regions(p, config.tail)
    inner = np.arange(1, config.quantiles) / config.quantiles
    key = seeds.key(config.seed)
    for name, (kind, options) in kinds(config).items():
        logging.info("toy: %s", name)
        rho = options.get("correlation", 0.0)
        edges = lognormal.quantiles(inner, correlation=rho)
        x, spectra, resampled = trained(
            key, kind, options, np.concatenate([edges, SPECTRUM]), config
        )
        found[name] = {
            "regions": {
                region: {
                    "events": equivalent.events_of_ensemble(x, p, where)._asdict(),
                    "differential": _middle(x, p, where)._asdict(),
                    "by_bootstraps": _mean(
                        [
                            equivalent.averaging(each, p, where).value
                            for each in resampled
                        ]
                    ),
                }
                for region, where in places.items()
            },
            "quantile_mse": equivalent.quantile_mse(x, p),
        }
        truth = lognormal.cdf(SPECTRUM, np.zeros(2), np.ones(2), correlation=rho)
        drawn[name] = report.Spectra(SPECTRUM, np.diff(np.asarray(truth)), spectra)
    return found, drawn


def trained(
    key: Key, kind: str, options: Mapping[str, Any], edges: Array, config: LimitsConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trainings of one row of the toy, vmapped over samples and over bootstraps.

    Args:
        key: of the samples.
        kind: of the generator.
        options: of :func:`lognormal.draw`.
        edges: between the quantiles, and then of the spectrum.
        config: how many.

    Returns:
        Fractions in the quantiles ``[T, Q]``, in the bins of the spectrum ``[T, B]``,
        and in the quantiles for bootstraps ``[10, bootstraps, Q]``.
    """
    learn = lognormal.GENERATORS[kind]

    def training(key: Key) -> Array:
        return learn(lognormal.draw(key, config.num_events, **options), edges)

    def resampled(keys: Array) -> Array:
        x = lognormal.draw(keys[0], config.num_events, **options)
        return learn(x[jax.random.randint(keys[1], (len(x),), 0, len(x))], edges)

    def mapped(function, keys: Array) -> np.ndarray:
        run = jax.jit(lambda k: jax.lax.map(function, k, batch_size=AT_ONCE))
        return np.asarray(run(keys), np.float64)

    keys = jax.random.split(key, config.num_trainings)
    below = mapped(training, keys)
    again = jax.random.split(jax.random.fold_in(key, 1), config.num_bootstraps)
    pairs = [jnp.stack([k, b]) for k in keys[:10] for b in again]
    boots = mapped(resampled, jnp.stack(pairs))
    few = config.quantiles - 1
    boots = boots[:, :few].reshape(10, config.num_bootstraps, few)
    return _steps(below[:, :few]), np.diff(below[:, few:]), _steps(boots)


def _steps(below: np.ndarray) -> np.ndarray:
    """Fractions ``[..., Q]`` from distribution functions between the quantiles."""
    return np.diff(below, axis=-1, prepend=0.0, append=1.0)


def _middle(x: Any, p: Any, region: Any) -> Events:
    """The largest difference of many trainings: the central 68 % of their numbers."""
    found = [equivalent.differential(each, p, region).value for each in x]
    return Events(*np.quantile(found, equivalent.SIGMA))


def _mean(values: list[float]) -> dict[str, float]:
    """Of one over the numbers, which has no infinite ones, and its standard error."""
    over = 1 / np.asarray(values)
    mean, error = float(over.mean()), float(over.std(ddof=1)) / len(over) ** 0.5
    return equivalent.between(mean, error)._asdict()


def toy_verdict(found: Mapping[str, Any], config: LimitsConfig) -> str:
    """The result of the toy and its errors."""

    def worth(name: str, region: str) -> str:
        return report.in_words(Events(**found[name]["regions"][region]["events"]))

    _, cut, combined, fit, ignored = found
    return (
        f"{config.num_events:,} training events of two log-normal variables, and their "
        f"sum: all combinations are worth {worth(combined, 'whole')} independent "
        f"events, but {worth(combined, 'upper tail')} in the upper "
        f"{100 * config.tail:g} %; of variables below {config.cut:g}, "
        f"{worth(cut, 'upper tail')} there. A fit of the true form is worth "
        f"{worth(fit, 'whole')}, and {worth(fit, 'upper tail')} in the tail. If a "
        f"correlation of {config.correlation:g} is ignored, combinations are worth "
        f"{worth(ignored, 'whole')}."
    )


def plain(value: Any) -> Any:
    """As it is written in JSON, where infinity is None."""
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
