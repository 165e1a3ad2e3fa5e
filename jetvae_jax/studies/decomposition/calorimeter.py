"""Events of many particles in a calorimeter: each has a shower of its own.

Ratnikov, "Generative models for natural science", IML workshop 2019: of n events with k
particles each, any k of the n k showers make an event. What the particles of an event
have in common is ignored: here its energy, of which each has a share, and its axis.
If the particles of an event are generated together, which costs little, and only their
showers are taken from others, nothing of that is lost.

Showers are those of :mod:`jetvae_jax.making.showers`: photons, perpendicular to the
calorimeter of F. Ratnikov's talk. Each is made in a window of cells around its particle
and put where that is.
"""

import os
import pathlib
from typing import Annotated, NamedTuple

import numpy as np
from absl import logging

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.words import counted
from jetvae_jax.making.showers import spots
from jetvae_jax.making.showers.settings import Config as Showers
from jetvae_jax.report.page import announce_missing
from jetvae_jax.studies.decomposition import report
from jetvae_jax.studies.decomposition.measure import (
    Objects,
    Sample,
    Values,
    measure,
    nearby,
)

SIDE, WINDOW, FACE = 20.2, 15, 30
"""Side of a cell in mm; cells of the window of a shower, and of the face, in a row."""
LEAST = 0.3
"""GeV: five critical energies, which the parametrisation needs."""
SPREAD = 2.5
"""Cells: deviation of the particles from the axis of their event."""
WAYS = ("independent", "given the particles")
OBSERVABLES = ("energy", "cells", "width", "hottest cell")
_AT_ONCE = 500  # events


@configs.config
class CalorimeterConfig:
    """The events and their particles.

    Attributes:
        num_particles: of an event.
        energy: mean energy of an event in GeV.
        num_true: events of the truth, and as many of all training samples.
        num_events: of a training sample.
        num_combined: events of the showers of a training sample, drawn at random.
        quantiles: of the true events, whose fractions are compared.
        seed: of the events and of the combinations.
    """

    num_particles: Annotated[int, configs.between(2, 1000)] = 50
    energy: Annotated[float, configs.between(1, 100_000, "GeV")] = 500.0
    num_true: Annotated[int, configs.at_least(100)] = 1000
    num_events: Annotated[int, configs.at_least(10)] = 100
    num_combined: Annotated[int, configs.at_least(1000)] = 2000
    quantiles: Annotated[int, configs.between(5, 10_000)] = 20
    seed: configs.Seed = 0

    def __post_init__(self):
        if self.num_true < 2 * max(self.num_events, self.quantiles):
            raise InputError(
                f"num_true: must be twice num_events = {self.num_events} and twice "
                f"quantiles = {self.quantiles}, or more, got {self.num_true}"
            )


class Particles(NamedTuple):
    """The particles of J events of k each.

    Attributes:
        energy: ``[J, k]`` GeV.
        place: ``[J, k, 2]`` row and column of the first cell of the window.
    """

    energy: np.ndarray
    place: np.ndarray


def particles(
    rng: np.random.Generator, config: CalorimeterConfig, number: int
) -> Particles:
    """The particles of so many events.

    The energies of events are log-normal with sigma 0.1, shares of it those of a flat
    Dirichlet distribution; axes are uniform in the middle of the face, and particles
    normal about them.
    """
    size = (number, config.num_particles)
    total = config.energy * np.exp(0.1 * rng.standard_normal(number) - 0.005)
    energy = total[:, None] * rng.dirichlet(np.ones(size[1]), number)
    room = (FACE - WINDOW) / 2
    axis = room + 0.3 * room * rng.uniform(-1, 1, (number, 1, 2))
    place = np.round(axis + SPREAD * rng.standard_normal((*size, 2)))
    place = np.clip(place, 0, FACE - WINDOW).astype(int)
    return Particles(np.maximum(energy, LEAST), place)


def showers(rng: np.random.Generator, energy: np.ndarray) -> np.ndarray:
    """A shower of each particle in its window, ``[..., WINDOW^2]`` GeV."""
    given = Showers(geometry=f"1x{WINDOW}x{WINDOW}x{SIDE}")
    flat = energy.reshape(-1)
    point = SIDE * rng.uniform(-0.5, 0.5, (len(flat), 2))
    photons = spots.Particles(
        flat, np.full(len(flat), spots.PHOTON), point, np.zeros_like(point)
    )
    cells = spots.seen(rng, given.medium, given.grid, photons, given.stochastic).cells
    return cells.reshape(*energy.shape, -1).astype(np.float32)


def on_face(windows: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The sum of the showers of each event, ``[J, FACE^2]`` GeV.

    Args:
        windows: ``[J, k, WINDOW^2]``.
        place: ``[J, k, 2]``, as in :class:`Particles`.
    """
    within = np.arange(WINDOW)[:, None] * FACE + np.arange(WINDOW)
    first = place[..., 0] * FACE + place[..., 1]
    first = first + np.arange(len(place))[:, None] * FACE**2
    cell = first[..., None] + within.reshape(-1)
    total = np.bincount(cell.ravel(), windows.ravel(), len(place) * FACE**2)
    return total.reshape(len(place), -1)


def observables(face: np.ndarray) -> Values:
    """Of events ``[J, FACE^2]``: energies in GeV, cells above 10 MeV, width in mm."""
    rows, columns = np.divmod(np.arange(FACE**2), FACE)
    total = face.sum(axis=-1)
    moments = [face @ (SIDE**p * x**p) / total for x in (rows, columns) for p in (1, 2)]
    y, yy, x, xx = moments
    return {
        "energy": total,
        "cells": np.count_nonzero(face > 0.01, axis=-1).astype(float),
        "width": np.sqrt(np.maximum(yy - y**2 + xx - x**2, 0)),
        "hottest cell": face.max(axis=-1),
    }


def objects(config: CalorimeterConfig) -> Objects:
    """Events of samples ``(windows [J, k, W], energy [J, k], place [J, k, 2])``."""

    def own(sample: Sample) -> Values:
        return observables(on_face(sample[0], sample[2]))

    def combined(
        sample: Sample, num: int, way: str, rng: np.random.Generator
    ) -> Values:
        windows = sample[0].reshape(-1, WINDOW**2)
        energy, place = sample[1].reshape(-1), sample[2].reshape(-1, 2)
        order = np.argsort(energy)
        ordered = energy[order]
        parts = []
        for start in range(0, num, _AT_ONCE):
            many = min(_AT_ONCE, num - start)
            if way == "independent":
                which = rng.integers(0, len(energy), (many, config.num_particles))
                parts.append(observables(on_face(windows[which], place[which])))
                continue
            new = particles(rng, config, many)
            which = order[nearby(ordered, new.energy, rng)]
            scale = (new.energy / energy[which])[..., None].astype(np.float32)
            parts.append(observables(on_face(windows[which] * scale, new.place)))
        return {name: np.concatenate([p[name] for p in parts]) for name in OBSERVABLES}

    return Objects(OBSERVABLES, WAYS, own, combined)


def events(
    rng: np.random.Generator, config: CalorimeterConfig, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """So many events: showers in their windows, energies and places."""
    given = particles(rng, config, number)
    return showers(rng, given.energy), given.energy, given.place


def study(
    workdir: str | os.PathLike, config: CalorimeterConfig
) -> tuple[pathlib.Path, str]:
    """Measure gain and bias.

    Writes ``decomposition.json``, ``decomposition.html`` and its plot.

    Args:
        workdir: folder to write to.
        config: the events.

    Returns:
        The path of the page, and the result in one paragraph.
    """
    announce_missing()
    rng = np.random.default_rng(config.seed)
    logging.info(
        "making %s", counted(2 * config.num_true * config.num_particles, "shower")
    )
    true, others = (events(rng, config, config.num_true) for _ in range(2))
    number, size = config.num_true // config.num_events, config.num_events
    trainings = [
        [part[i * size : (i + 1) * size] for part in others] for i in range(number)
    ]
    logging.info("combining %s", counted(number, "training sample"))
    found = measure(objects(config), true, others, trainings, rng, config)
    return report.publish(
        workdir, config, found, num_true=config.num_true, num_trainings=number
    )
