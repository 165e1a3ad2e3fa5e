"""Moments of masked values, in float64, without holding them all."""

import numpy as np


class Moments:
    """Minimum, maximum, mean and deviation, gathered chunk by chunk.

    Args:
        shape: ``(N, F)`` to keep each place of a set apart, ``(1, F)`` for all.
    """

    def __init__(self, shape: tuple[int, int]):
        self.low, self.high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self.count, self.total, self.squares = np.zeros((3, *shape))

    def add(self, values: np.ndarray, mask: np.ndarray) -> None:
        """Take in the values ``[J, N, F]`` where ``mask [J, N]`` is True."""
        values, mask = values.astype(np.float64), mask[..., None]
        axes = (0,) if self.low.shape[0] == values.shape[1] else (0, 1)
        low = np.min(np.where(mask, values, np.inf), axis=axes)
        self.low = np.minimum(self.low, low.reshape(self.low.shape))
        high = np.max(np.where(mask, values, -np.inf), axis=axes)
        self.high = np.maximum(self.high, high.reshape(self.low.shape))
        values = np.where(mask, values, 0.0)
        self.count += np.sum(mask, axis=axes).reshape(-1, 1)
        self.total += np.sum(values, axis=axes).reshape(self.low.shape)
        self.squares += np.sum(np.square(values), axis=axes).reshape(self.low.shape)

    def finish(self) -> tuple[np.ndarray, ...]:
        """``(low, high, mean, deviation)``; places without a particle give zeros."""
        empty = self.count == 0
        count = np.maximum(self.count, 1)
        mean = self.total / count
        deviation = np.sqrt(np.maximum(self.squares / count - np.square(mean), 0.0))
        # A constant feature leaves only rounding: it is not a scale to divide by.
        deviation[deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)] = 0.0
        low, high = np.where(empty, 0, self.low), np.where(empty, 0, self.high)
        return low, high, mean, deviation
