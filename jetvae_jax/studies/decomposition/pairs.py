"""What is gained, and what is lost, if the two objects of an event are independent.

Ratnikov, "Generative models for natural science", IML workshop 2019: n events of two
objects make n^2 events of one object of each of two, which vary far more; the
correlations of the objects are ignored. Both are measured, in observables of the whole:
with the azimuth of each object as it is, and with that of one kept relative to the
other's, which holds what a collision balances.
"""

import os
import pathlib
from typing import Annotated

import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.momenta import cartesian, mass, pt_eta_phi, wrap_phi
from jetvae_jax.events.loading import load
from jetvae_jax.report.page import announce_missing
from jetvae_jax.studies.decomposition import report
from jetvae_jax.studies.decomposition.measure import Objects, Sample, Values, measure

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
    rest = (first[others], second[others])
    found = measure(PAIRS, true, rest, trainings, rng, config)
    return report.publish(
        workdir, config, found, num_true=half, num_trainings=len(trainings)
    )


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
    return np.concatenate([cartesian(pt, eta, phi), energy[:, None]], axis=-1)


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


def _own(sample: Sample) -> Values:
    first, second = sample
    return observables(first, second)


def _combined(sample: Sample, num: int, way: str, rng: np.random.Generator) -> Values:
    first, second = sample
    return observables(*combined(first, second, num, way, rng))


PAIRS = Objects(OBSERVABLES, WAYS, _own, _combined)
"""Events of two objects, ``[J, 4]`` each."""
