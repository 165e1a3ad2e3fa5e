"""Toy showers: round blobs of cells around the point of the particle."""

import numpy as np

from jetvae_jax.core.types import Showers
from jetvae_jax.showers import geometry
from jetvae_jax.showers.writer import Writer

GRID = "2x5x6x10"


def blobs(number=120, *, seed=0, name=GRID, kinds=(11, 22), threshold=0.01):
    """Showers of 1 to 100 GeV, of which electrons leave more energy than photons."""
    rng, cells = np.random.default_rng(seed), geometry.get(name)
    energy = np.exp(rng.uniform(0, np.log(100), number))
    kind = rng.choice(kinds, number).astype(np.int32)
    point = rng.uniform(-10, 10, (number, 2))
    slopes = 0.2 * rng.normal(size=(number, 2))
    direction = np.concatenate([slopes, np.ones((number, 1))], axis=1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    response = rng.normal(0.9, 0.1 / np.sqrt(energy)) - 0.2 * (kind == 22)
    away = np.hypot(cells.x - point[:, :1], cells.y - point[:, 1:])
    share = np.exp(-away / 8) * rng.gamma(3, size=away.shape)
    energies = share / share.sum(1, keepdims=True) * (response * energy)[:, None]
    energies = np.where(energies > threshold, energies, 0)
    arrays = (a.astype(np.float32) for a in (energies, energy))
    return Showers(
        *arrays, kind, point.astype(np.float32), direction.astype(np.float32)
    )


def write(path, showers, name=GRID):
    """A file of showers."""
    with Writer(path, geometry.get(name)) as writer:
        writer.append(showers)
    return str(path)
