"""Training, validation and test parts of a data set."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError


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
            f"{num_jets} jets split by {list(fractions)} leave {sizes.tolist()} for "
            "train, valid and test: give more jets or other fractions"
        )
    if seed < 0:
        raise InputError(f"split seed is {seed}: give 0 or more")
    order = np.random.default_rng(seed).permutation(num_jets)
    return Split(*np.split(order, ends[:2]))
