"""What is gained, and what is lost, if the two objects of an event are independent.

Ratnikov, "Generative models for natural science", IML workshop 2019: n events of two
objects make n^2 events of one object of each of two, which vary far more; the
correlations of the objects are ignored. Both are measured, in observables of the whole:
with the azimuth of each object as it is, and with that of one kept relative to the
other's, which holds what a collision balances.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.momenta import mass, pt_eta_phi, wrap_phi
from jetvae_jax.events.loading import load
from jetvae_jax.report.page import announce_missing
from jetvae_jax.studies.decomposition import report
from jetvae_jax.studies.sample_limits import equivalent
from jetvae_jax.studies.sample_limits.report import in_words, restored, stored

WAYS = ("independent", "azimuth kept")
OBSERVABLES = ("mass", "pt", "distance")
_Columns = tuple[str, str, str, str]


@configs.config
class DecompositionConfig:
    """The events and their two objects.

    Attributes:
        path: table of events, or embedded for those of Z gamma in the package.
        whole: columns pt, eta, phi and energy of the sum of both objects.
        part: the same of one object; the other is what the whole has more.
        num_events: of a training sample.
        num_combined: events of the objects of a training sample, drawn at random.
        quantiles: of the true events, whose fractions are compared.
        seed: of the order of the events and of the combinations.
    """

    path: configs.Path = "embedded"
    whole: _Columns = ("pt_zy", "eta_zy", "phi_zy", "e_zy")
    part: _Columns = ("pt_ll", "eta_ll", "phi_ll", "e_ll")
    num_events: Annotated[int, configs.at_least(10)] = 500
    num_combined: Annotated[int, configs.at_least(1000)] = 100_000
    quantiles: Annotated[int, configs.between(5, 10_000)] = 20
    seed: configs.Seed = 0


def study(
    workdir: str | os.PathLike, config: DecompositionConfig
) -> tuple[pathlib.Path, str]:
    """Measure gain and bias.

    Writes ``decomposition.json``, ``decomposition.html`` and its plot.

    Args:
        workdir: folder to write to.
        config: the events.

    Returns:
        The path of the page, and the result in one paragraph.

    Raises:
        InputError: a wrong file, or too few events.
    """
    announce_missing()
    first, second = objects(config)
    rng = np.random.default_rng(config.seed)
    order = rng.permutation(len(first))
    half = len(first) // 2
    if half < max(2 * config.num_events, 2 * config.quantiles):
        raise InputError(
            f"--decompose.num_events={config.num_events}: {config.path} has "
            f"{len(first):,} events; half of them are the truth, and two training "
            "samples at least are needed of the others: give fewer"
        )
    true, others = (first[order[:half]], second[order[:half]]), order[half:]
    trainings = [
        (first[rows], second[rows])
        for rows in np.split(
            others[: half // config.num_events * config.num_events],
            half // config.num_events,
        )
    ]
    folder = Workdir(workdir)
    found = measure(true, (first[others], second[others]), trainings, rng, config)
    result: dict[str, Any] = {
        "settings": dataclasses.asdict(config),
        "versions": versions(),
        "num_true": half,
        "num_trainings": len(trainings),
        "found": found,
        "verdict": verdict(found, config),
    }
    with folder.alone():
        folder.write_json("decomposition.json", result)
        page = report.write(folder / "decomposition.html", result)
    return page, result["verdict"]


def objects(config: DecompositionConfig) -> tuple[np.ndarray, np.ndarray]:
    """Momenta ``[J, 4]`` (px, py, pz, E) of both objects.

    Raises:
        InputError: the file cannot be read, or lacks a column.
    """
    columns = (*config.whole, *config.part)
    values = load(config.path, columns=columns).values.astype(np.float64)
    whole, part = (_cartesian(values[:, i : i + 4]) for i in (0, 4))
    return part, whole - part


def _cartesian(table: np.ndarray) -> np.ndarray:
    pt, eta, phi, energy = table.T
    return np.stack(
        [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy], axis=-1
    )


def observables(first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
    """Mass and pt of the sum, and the distance of both in (eta, phi), ``[J]`` each."""
    whole = first + second
    pt, _, _ = pt_eta_phi(whole)
    (_, eta, phi), (_, other_eta, other_phi) = map(pt_eta_phi, (first, second))
    distance = np.hypot(eta - other_eta, wrap_phi(phi - other_phi))
    return {"mass": mass(whole[:, 3], whole[:, :3]), "pt": pt, "distance": distance}


def combined(
    first: np.ndarray, second: np.ndarray, num: int, way: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The first object of one event and the second of another, ``[num, 4]`` each.

    Args:
        first: ``[J, 4]``.
        second: ``[J, 4]`` of the same events.
        num: of combinations.
        way: ``independent``, or ``azimuth kept``: the second is turned as its own event
            must be for its first object to have the azimuth of the new one.
        rng: of the pairs.
    """
    i, j = rng.integers(0, len(first), (2, num))
    new, other = first[i], second[j].copy()
    if way == "azimuth kept":
        (*_, target), (*_, own) = map(pt_eta_phi, (new, first[j]))
        cos, sin = np.cos(target - own), np.sin(target - own)
        x, y = other[:, 0].copy(), other[:, 1].copy()
        other[:, 0], other[:, 1] = x * cos - y * sin, x * sin + y * cos
    return new, other


Sample = tuple[np.ndarray, np.ndarray]


def measure(
    true: Sample,
    others: Sample,
    trainings: list[Sample],
    rng: np.random.Generator,
    config: DecompositionConfig,
) -> dict[str, Any]:
    """Gain and bias by way and observable, as equivalent numbers of events.

    Args:
        true: both objects of the events of the truth.
        others: of all other events.
        trainings: of training samples, parts of the others.
        rng: of the combinations.
        config: how many.

    Returns:
        ``events`` and each of :data:`WAYS` to observables: ``gained``, by comparison
        with combinations of the true events, of which nothing is wrong; ``worth`` by
        comparison with the true events, both of a training sample; and ``bias``, the
        events whose own fluctuations are as large as what is wrong of any number.
    """
    num, truth = config.num_combined, observables(*true)
    found: dict[str, Any] = {
        "events": _worth(truth, [observables(*t) for t in trainings], 0.0, config)
    }
    for way in WAYS:
        made = [observables(*combined(*t, num, way, rng)) for t in trainings]
        worth = _worth(truth, made, 1 / num, config)
        mixed = observables(*combined(*true, 10 * num, way, rng))
        gained = _worth(mixed, made, 1 / num, config, like=len(true[0]))
        whole = observables(*combined(*others, 10 * num, way, rng))
        found[way] = {
            name: {
                "gained": gained[name],
                "worth": worth[name],
                "bias": _bias(
                    truth[name], whole[name], gained[name]["value"], len(others[0]),
                    config,
                ),
            }
            for name in OBSERVABLES
        }  # fmt: skip
    return found


def _worth(
    truth: Mapping[str, np.ndarray],
    made: list[dict[str, np.ndarray]],
    drawn: float,
    config: DecompositionConfig,
    *,
    like: int = 0,
) -> dict[str, dict[str, float | None]]:
    """The equivalent number by each observable, of trainings of one size.

    Args:
        truth: observables of the truth.
        made: of each training.
        drawn: one over the events made of each.
        config: quantiles.
        like: the truth is made of so many events as the training samples are made of
            theirs, and fluctuates like these; 0 if it is of independent events.
    """
    found = {}
    for name in OBSERVABLES:
        ends = equivalent.edges(truth[name], config.quantiles)
        p = equivalent.fractions(truth[name], ends)
        x = np.stack([equivalent.fractions(each[name], ends) for each in made])
        inverse = equivalent.inverse_events(x, p, np.ones(len(p), bool)) - drawn
        mean, error = inverse.mean(), inverse.std(ddof=1) / len(inverse) ** 0.5
        if like:
            share = 1 + config.num_events / like
            mean, error = mean / share, error / share
        else:
            noise = 1 / len(truth[name])
            # The truth is the same for all trainings.
            mean, error = mean - noise, np.hypot(error, noise * (2 / len(p)) ** 0.5)
        found[name] = stored(equivalent.between(float(mean), float(error)))
    return found


def _bias(
    truth: np.ndarray,
    made: np.ndarray,
    gained: float | None,
    number: int,
    config: DecompositionConfig,
) -> dict[str, float | None]:
    """The equivalent number of combinations of many events, less what these lack.

    Args:
        truth: ``[R]``.
        made: ``[G]`` of the combinations of all other events.
        gained: equivalent number of the combinations of a training sample.
        number: of the other events.
        config: size of a training sample.
    """
    ends = equivalent.edges(truth, config.quantiles)
    p, x = (equivalent.fractions(each, ends) for each in (truth, made))
    own = config.num_events / number / gained if gained else 0.0
    noise = 1 / len(truth) + 1 / len(made) + own
    return stored(equivalent.events(x, p, np.ones(len(p), bool), noise=noise))


def verdict(found: Mapping[str, Any], config: DecompositionConfig) -> str:
    """The result and its errors."""
    said = []
    for name in OBSERVABLES:
        ways = "; ".join(
            f"{way}, {in_words(restored(found[way][name]['gained']))} are gained "
            f"and {in_words(restored(found[way][name]['worth']))} left"
            for way in WAYS
        )
        said.append(f"{name}: {ways}")
    return (
        f"Combinations of the two objects of {config.num_events:,} events, as numbers "
        f"of independent events, before and after what is wrong of them: "
        f"{'. '.join(said)}."
    )
