"""What a scaler has to know of the training jets, gathered chunk by chunk."""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import jax
import numpy as np

from jetvae_jax.data import features, frame
from jetvae_jax.data.moments import Moments
from jetvae_jax.data.preprocessing.thinning import Thinned
from jetvae_jax.data.presentation import Config
from jetvae_jax.errors import InputError
from jetvae_jax.types import Array, Jets

MAX_AXES = 20_000
SAMPLE = 1_000_000  # particles, for the quantiles
ROWS = 16_384  # jets at a time


class Source(Protocol):
    """Jets that come in chunks: more than fit into memory."""

    def chunks(self, rows: int) -> Iterator[Jets]:
        """All jets once, at most ``rows`` at a time, all of the same N."""
        ...


class Measured(NamedTuple):
    """Figures of the training jets, of the features before scaling.

    Attributes:
        particles: low, high, mean and deviation, each ``[R, 3]``: R is N for the
            method slots, else 1.
        jet_rows: the same of the rows that describe the jet, each ``[2, 3]``.
        sample: ``[S, 3]`` evenly from all particles, for quantiles; else empty.
        axes: ``[A, 3]`` of the first jets for relative coordinates; else empty.
        num_particles: N.
    """

    particles: tuple[np.ndarray, ...]
    jet_rows: tuple[np.ndarray, ...]
    sample: np.ndarray
    axes: np.ndarray
    num_particles: int


def measure(config: Config, jets: Jets | Source) -> Measured:
    """Goes through the jets once.

    Args:
        config: which features.
        jets: ``[J, N, 3]`` and ``[J, N]``, or chunks of such.

    Raises:
        InputError: no jet has a particle.
        ValueError: the arrays are not ``[J, N, 3]`` and ``[J, N]``.
    """
    chunks = _chunks(jets)
    one = next(chunks, None)
    if one is None:
        raise InputError("scaling: there are no training jets; check the data")
    num_particles = one.mask.shape[-1]
    rows = num_particles if config.method == "slots" else 1
    particles, whole = Moments((rows, 3)), Moments((frame.ROWS, 3))
    sample, first, room = Thinned(SAMPLE // num_particles), [], MAX_AXES
    for chunk in itertools.chain([one], chunks):
        mask = np.asarray(chunk.mask)
        values, jet_rows = map(np.asarray, _features(config, chunk))
        particles.add(values, mask)
        whole.add(jet_rows, np.repeat(mask.any(-1, keepdims=True), frame.ROWS, -1))
        if config.method == "quantile":
            sample.add(np.where(mask[..., None], values, np.nan))
        if config.coordinates == "relative" and room > 0:
            first.append(jax.tree.map(lambda a, room=room: a[:room], chunk))
            room -= len(mask)
    if not particles.count.any():
        raise InputError("scaling: the training jets hold no particle; check the data")
    values, axes = np.zeros((0, 3)), np.zeros((0, 3))
    if config.method == "quantile":
        values = sample.rows().reshape(-1, 3)
    if first:
        together = jax.tree.map(lambda *a: np.concatenate(a), *first)
        axes = np.asarray(features.axis_of(together))
    values = values[~np.isnan(values[:, 0])]
    return Measured(particles.finish(), whole.finish(), values, axes, num_particles)


@functools.partial(jax.jit, static_argnums=0)
def _features(config: Config, jets: Jets) -> tuple[Array, Array]:
    v, axis = features.from_jets(config, jets)
    return v, frame.jet_rows(axis)


def _chunks(jets: Jets | Source) -> Iterator[Jets]:
    if isinstance(jets, Jets):
        shapes = np.shape(jets.particles), np.shape(jets.mask)
        if len(shapes[0]) != 3 or shapes[1] != shapes[0][:2]:
            raise ValueError(
                f"expected [J, N, 3] and [J, N], got {shapes[0]}, {shapes[1]}"
            )
        starts = range(0, len(jets.mask), ROWS)
        found = (
            Jets(particles=jets.particles[s : s + ROWS], mask=jets.mask[s : s + ROWS])
            for s in starts
        )
    else:
        found = jets.chunks(ROWS)
    for chunk in found:
        yield Jets(np.asarray(chunk.particles), np.asarray(chunk.mask))
