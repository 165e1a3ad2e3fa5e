"""Duplicate jets, bit for bit, and random numbers that are the same for duplicates."""

import numpy as np

_BLOCK = 100_000  # jets hashed at once


class Seen:
    """The jets seen so far, as 8 bytes each.

    Use one object for all files of a data set: two may hold the same jets.
    """

    def __init__(self):
        self._sorted = np.zeros(0, np.uint64)
        self._new: list[np.ndarray] = []
        self._waiting = 0

    def repeated(self, p: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Which jets ``[n]`` are the same as an earlier one; the others are remembered.

        Args:
            p: ``[n, M, 3]`` float32, particles in their order.
            mask: ``[n, M]`` bool.
        """
        found = hashes(p, mask)
        _, first = np.unique(found, return_index=True)
        again = np.ones(len(found), bool)
        again[first] = False
        for known in (self._sorted, *self._new):
            place = np.minimum(np.searchsorted(known, found), max(len(known) - 1, 0))
            again |= (known[place] == found) if len(known) else False
        self._new.append(np.sort(found[~again]))
        self._waiting += len(self._new[-1])
        # Merge rarely: few arrays to search, and few copies of each number.
        if self._waiting > len(self._sorted):
            self._sorted = np.sort(np.concatenate([self._sorted, *self._new]))
            self._new, self._waiting = [], 0
        return again


def num_repeated(p: np.ndarray, mask: np.ndarray) -> int:
    """Number of jets of a sample that are the same as an earlier one.

    Args:
        p: ``[J, M, 3]`` float32, particles in their order.
        mask: ``[J, M]`` bool.
    """
    starts = range(0, len(mask), _BLOCK)
    found = [hashes(p[i : i + _BLOCK], mask[i : i + _BLOCK]) for i in starts]
    return len(mask) - len(np.unique(np.concatenate(found))) if found else 0


def hashes(p: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """64 bits a jet, of its particles in their order, whatever the padding.

    The sum of each number's bits times a random odd constant of its place: two
    different jets agree with a probability of about 2^-60 (multilinear hashing, Carter
    and Wegman 1979), so among 1e7 jets with one of 1e-4.

    Args:
        p: ``[n, M, 3]`` float32.
        mask: ``[n, M]`` bool.

    Returns:
        ``[n]`` uint64.
    """
    num = 3 * p.shape[1]
    bits = np.where(mask[..., None], np.asarray(p, np.float32), 0).view(np.uint32)
    return bits.reshape(len(bits), num).astype(np.uint64) @ _constants(num)


def draws(p: np.ndarray, mask: np.ndarray, seed: int) -> np.ndarray:
    """One uniform number in [0, 1) for each jet, the same for the same jet.

    Args:
        p: ``[n, M, 3]`` float32.
        mask: ``[n, M]`` bool.
        seed: not negative; another one gives other numbers.

    Returns:
        ``[n]`` float64.
    """
    mixed = _mix(hashes(p, mask) ^ _mix(np.array([seed % 2**64], np.uint64)))
    return (mixed >> np.uint64(11)) * 2.0**-53


def _constants(num: int) -> np.ndarray:
    """``[num]`` odd numbers."""
    return _mix(np.arange(num, dtype=np.uint64)) | np.uint64(1)


def _mix(x: np.ndarray) -> np.ndarray:
    """Pseudorandom numbers from 0, 1, ...: SplitMix64 (Steele et al. 2014)."""
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
