"""Loads jets from files, folders and the embedded sample, in every known format."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.types import Jets
from jetvae_jax.data.request import Request


class Loaded(NamedTuple):
    """Jets and where they come from.

    Attributes:
        jets: NumPy float32, momenta in GeV.
        notes: what was repaired, chosen or cut, in words with counts.
        source: JSON-able metadata: path, files, layout, jet_type, num_particles, jets,
            repaired, seed, units, generator (if the file says it) and fingerprint, the
            sha256 of the momenta and masks as loaded.
        axis: ``[J, 3]`` (pt in GeV, eta, phi) that the relative features of a JetNet
            file refer to: that of all particles of a jet, of which it holds the leading
            ones. None for formats without it, and for jets that this package generated:
            they have no other axis than that of their particles.
    """

    jets: Jets
    notes: tuple[str, ...]
    source: dict[str, Any]
    axis: np.ndarray | None


def load(
    spec: str,
    *,
    num_particles: int = 30,
    max_jets: int | None = None,
    jet_type: str = "g",
    repair: bool = False,
    seed: int = 0,
    columns: Sequence[str] = (),
    unique: bool = True,
) -> Loaded:
    """Loads jets; the format is recognised by the content of the file.

    Args:
        spec: a file, a folder of files of one format, or "embedded". Formats: those of
            :mod:`jetvae_jax.data.formats` (JetNet, hls4ml and top tagging HDF5,
            EnergyFlow npz, JetClass columns, what
            :func:`~jetvae_jax.data.writing.writer` writes) and on the plug-in path, and
            any other by ``columns``.
        num_particles: N; the leading N by pt are kept, fewer are padded.
        max_jets: jets to read (of the class), from the first; None for all.
        jet_type: g, q, t, w or z. Selects jets in hls4ml files, and files in a
            folder of JetNet files (``g.hdf5``, ``g150.hdf5``, ``g_0.hdf5``); a
            single JetNet file is one class already.
        repair: drop or reorder bad rows and count them in the notes, instead of
            stopping at them.
        seed: of the jets' phi where the file has none.
        columns: where the jets are in a user's own file, as
            :mod:`~jetvae_jax.data.formats.columns` describes; all its jets are of one
            class.
        unique: note jets that are listed twice, and drop them in repair. Not for files
            to evaluate: repeated jets are a fault of their generator.

    Returns:
        Loaded. For jets that do not fit in memory see
        :func:`~jetvae_jax.data.streaming.streams`.

    Raises:
        InputError: one line that names file, key, first row, number of rows and what
            to do.
    """
    request = Request(
        spec,
        num_particles=num_particles,
        max_jets=max_jets,
        jet_type=jet_type,
        repair=repair,
        seed=seed,
        columns=columns,
        unique=unique,
    )
    parts = list(request.rows())
    particles = np.concatenate([part.particles for part in parts])
    mask = np.concatenate([part.mask for part in parts])
    axes = [part.axis for part in parts if part.axis is not None]
    whole = sum(map(len, axes)) == len(mask) and not request.generated
    axis = np.concatenate(axes) if whole else None
    source = request.source(len(mask), fingerprint(len(mask), [particles], [mask]))
    return Loaded(Jets(particles, mask), tuple(request.notes), source, axis)


def fingerprint(
    num_jets: int, particles: Iterable[np.ndarray], masks: Iterable[np.ndarray]
) -> str:
    """sha256 of momenta and masks: the same jets, whatever file held them.

    Args:
        num_jets: J.
        particles: ``[n, N, 3]`` parts that together are all jets, at least one.
        masks: ``[n, N]`` parts; read after the momenta.
    """
    digest = None
    for part in particles:
        if digest is None:
            shape = (num_jets, *part.shape[1:])
            digest = hashlib.sha256(repr(shape).encode())
        digest.update(np.ascontiguousarray(part, "<f4").data)
    assert digest is not None
    for part in masks:
        digest.update(np.ascontiguousarray(part, bool).data)
    return digest.hexdigest()
