"""Training, validation and test parts of a data set."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import PositiveFloat
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array

Fractions = Annotated[
    tuple[PositiveFloat, PositiveFloat, PositiveFloat], configs.sum_to_one
]
"""Of the training, validation and test part."""


class Split(NamedTuple):
    """Disjoint rows that together are all rows, each part in random order.

    Attributes:
        train: ``[T]`` int64.
        valid: ``[V]`` int64.
        test: ``[S]`` int64.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def split(
    seed: int, num_jets: int, *, fractions: Sequence[float] = (0.7, 0.15, 0.15)
) -> Split:
    """Splits ``range(num_jets)`` at random; same seed and number, same split.

    Args:
        seed: of NumPy's default generator, 0 or more.
        num_jets: rows to split.
        fractions: of train, valid and test; they sum to 1.

    Returns:
        Split.

    Raises:
        InputError: the fractions are not three positive numbers that sum to 1, or a
            part would be empty.

    Example:
        >>> parts = jv.data.split(0, 100, fractions=(0.8, 0.1, 0.1))
        >>> [len(rows) for rows in parts]
        [80, 10, 10]
    """
    parts = np.asarray(fractions, np.float64)
    if parts.shape != (3,) or not np.all(parts > 0) or abs(parts.sum() - 1) > 1e-6:
        raise InputError(
            f"split fractions {list(fractions)}: give three positive numbers (train, "
            "valid, test) that sum to 1"
        )
    ends = np.rint(np.cumsum(parts) * num_jets).astype(int)
    sizes = np.diff([0, *ends])
    if np.any(sizes < 1):
        raise InputError(
            f"fractions: {', '.join(f'{part:g}' for part in parts)} of a sample of "
            f"{num_jets} leave {', '.join(map(str, sizes))} for training, validation "
            "and test: give more data or other fractions"
        )
    if mistake := configs.large_seed(seed):
        raise InputError(f"split seed is {seed}: {mistake}")
    order = np.random.default_rng(seed).permutation(num_jets)
    return Split(*np.split(order, ends[:2]))


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


def split_classes(
    seed: int, labels: np.ndarray, *, fractions: Sequence[float] = (0.7, 0.15, 0.15)
) -> Split:
    """Splits each class as :func:`split` splits it alone; the parts are shuffled.

    A class therefore has the same training, validation and test rows whichever
    classes are beside it.

    Args:
        seed: as that of :func:`split`.
        labels: ``[J]``, the class of each row.
        fractions: as those of :func:`split`.

    Raises:
        InputError: a part of a class would be empty.
    """
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    splits = [split(seed, len(rows), fractions=fractions) for rows in classes]
    parts = []
    for part, name in enumerate(Split._fields):
        pairs = zip(classes, splits, strict=True)
        rows = np.concatenate([rows[getattr(s, name)] for rows, s in pairs])
        parts.append(np.random.default_rng([seed, part]).permutation(rows))
    return Split(*parts)


def split_sample(
    sample: Any,
    *,
    seed: int,
    fractions: tuple[float, float, float],
    notes: tuple[str, ...],
    source: dict,
    labels: Array | None = None,
) -> Dataset:
    """Splits a pytree of arrays along their leading axis.

    Args:
        sample: the pytree.
        seed: of the split.
        fractions: of the parts.
        notes: as those of the Dataset.
        source: the same.
        labels: ``[J]`` classes, each of which is split by itself; None for one class.

    Raises:
        InputError: a part would be empty.
    """
    if labels is None:
        number = len(jax.tree.leaves(sample)[0])
        parts = split(seed, number, fractions=fractions)
    else:
        parts = split_classes(seed, np.asarray(labels), fractions=fractions)
    train, valid, test = (
        jax.tree.map(lambda a, rows=rows: a[rows], sample)
        for rows in (parts.train, parts.valid, parts.test)
    )
    return Dataset(train, valid, test, notes, source)
