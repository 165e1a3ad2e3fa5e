"""Batches of jets in memory, checked: their momenta, and jets from momenta."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data import validation
from jetvae_jax.data.containers.tables import Ragged, listing
from jetvae_jax.data.formats import columns
from jetvae_jax.data.validation import Audit, Block
from jetvae_jax.data.writing import ordered

Checked = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]
"""The fields of ``Jets``: particles, mask, axis, labels."""


def checked(name: str, jets: Jets) -> Checked:
    """Jets in NumPy, particles in descending pt, exactly zero on padding.

    In float64: masses from E^2 - p^2 would be rounding in float32.

    Args:
        name: of the function that was called, for messages.
        jets: particles ``[J, N, 3]`` in GeV.

    Raises:
        InputError: wrong shapes, an existing particle without finite momentum and
            positive pt, or relative jets.
    """
    if not isinstance(jets, Jets):
        raise InputError(f"{name}: expected Jets, in GeV, got {type(jets).__name__}")
    try:
        p, mask = ordered(jets)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    axis, labels = jets.axis, jets.labels
    if axis is not None:
        axis = _one_a_jet(name, "axis", axis, (len(p), 3))
    if labels is not None:
        labels = _one_a_jet(name, "labels", labels, (len(p),)).astype(np.int32)
    return p, mask, axis, labels


def system_of(name: str, fields: Iterable[str]) -> tuple[str, str, str]:
    """The coordinates of particles that have these fields.

    Args:
        name: of the function that was called, for messages.
        fields: their names.

    Returns:
        ``(px, py, pz)``, or ``(pt, eta, phi)`` where these are not there.

    Raises:
        InputError: neither is there.
    """
    fields = [*fields]
    for system in (columns.CARTESIAN, columns.CYLINDRICAL):
        if set(system) <= set(fields):
            return system
    raise InputError(
        f"{name}: particles have {listing(fields) if fields else 'no fields'}: give "
        "px, py, pz or pt, eta, phi, in GeV"
    )


def from_lists(
    name: str,
    system: tuple[str, str, str],
    values: Iterable[np.ndarray],
    counts: np.ndarray,
    num_particles: int | None,
    **properties: Any,
) -> Jets:
    """Jets from lists of particles, one after the other.

    Args:
        name: of the function that was called, for messages.
        system: as from :func:`system_of`.
        values: these three, each ``[sum of counts]``.
        counts: ``[J]`` particles of each jet.
        num_particles: as that of :func:`from_block`.
        **properties: as those of :func:`from_block`.

    Raises:
        InputError: the jets are not good.
    """
    width = int(np.max(counts, initial=1))
    if width > validation.MAX_PARTICLES:
        raise InputError(f"{name}: a jet of {width} particles: give lists of jets")
    padded = [Ragged(np.asarray(v, np.float64), counts).padded(width) for v in values]
    audit, rows = Audit(name, repair=False, flag=""), np.arange(len(counts))
    mapping = columns.Columns(system, system)
    block = columns.block_of(mapping, audit, rows, [v for v, _ in padded], padded[0][1])
    return from_block(block, audit, num_particles, **properties)


def from_block(
    block: Block,
    audit: Audit,
    num_particles: int | None,
    *,
    axis: Any = None,
    labels: Any = None,
) -> Jets:
    """Jets from a block of momenta, checked as those of files.

    Args:
        block: of all jets.
        audit: named as the function that was called.
        num_particles: N; the leading N by pt are kept, fewer are padded. None for as
            many as the largest jet has.
        axis: ``[J, 3]`` (pt [GeV], eta, phi), instead of that of the block.
        labels: ``[J]`` int.

    Raises:
        InputError: what is not finite, a particle of zero pt, or another number of
            axes or labels than of jets.
    """
    number = len(block.rows)
    if axis is not None:
        block = block._replace(axis=_one_a_jet(audit.path, "axis", axis, (number, 3)))
    if labels is not None:
        found = _one_a_jet(audit.path, "labels", labels, (number,))
        labels = found.astype(np.int32)
    if num_particles is None:
        num_particles = int(np.max(block.mask.sum(1), initial=1))
    elif num_particles < 1:
        raise InputError(f"{audit.path}: num_particles={num_particles}: give 1 or more")
    good = validation.good_rows(
        block, audit, "particles", num_particles, allow_empty=True
    )
    audit.finish()
    return Jets(good.particles, good.mask, good.axis, labels)


def _one_a_jet(name: str, what: str, values: Any, shape: tuple) -> np.ndarray:
    """Numbers of this shape.

    Raises:
        InputError: they are not finite or have another shape.
    """
    found = np.asarray(values, np.float64)
    if found.shape != shape:
        raise InputError(f"{name}: {what}: shape is {found.shape}, expected {shape}")
    if not np.isfinite(found).all():
        raise InputError(f"{name}: {what}: NaN or infinite")
    return found
