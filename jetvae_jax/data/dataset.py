"""A data set in three parts, with the notes of its reader."""

from typing import Any, NamedTuple

import jax

from jetvae_jax.data import splits
from jetvae_jax.data.streaming import count


class Dataset(NamedTuple):
    """Samples of a domain, such as jets in GeV, in three disjoint parts.

    Attributes:
        train: fits the networks and the scaler. Each part is a pytree of arrays, or
            a ``data.streaming.Stream`` of what is too large for memory.
        valid: selects the epoch.
        test: is only ever evaluated.
        notes: what the reader repaired or chose.
        source: path, layout, fingerprint of the file.
    """

    train: Any
    valid: Any
    test: Any
    notes: tuple[str, ...]
    source: dict


def split(
    sample: Any,
    *,
    seed: int,
    fractions: tuple[float, float, float],
    notes: tuple[str, ...],
    source: dict,
) -> Dataset:
    """Splits a pytree of arrays along their leading axis.

    Raises:
        InputError: a part would be empty.
    """
    parts = splits.split(seed, count(sample), fractions=fractions)
    train, valid, test = (
        jax.tree.map(lambda a, rows=rows: a[rows], sample)
        for rows in (parts.train, parts.valid, parts.test)
    )
    return Dataset(train, valid, test, notes, source)
