"""An even sample of rows that come in chunks, of bounded size."""

import numpy as np

# Multiples of it modulo 1 fill [0, 1) evenly, whatever the period of the data.
_GOLDEN = 0.6180339887498949


class Thinned:
    """Rows from all of a stream: no more than ``capacity``, none drawn at random.

    Args:
        capacity: when more are kept, half of them are let go.
    """

    def __init__(self, capacity: int):
        self._capacity, self._share, self._seen = capacity, 1.0, 0
        self._rows: list[np.ndarray] = []
        self._marks: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Take in ``rows [J, ...]``."""
        marks = np.arange(self._seen, self._seen + len(rows)) * _GOLDEN % 1.0
        self._seen += len(rows)
        self._rows.append(rows[marks < self._share])
        self._marks.append(marks[marks < self._share])
        while sum(map(len, self._rows)) > self._capacity:
            self._share /= 2
            kept = [m < self._share for m in self._marks]
            self._rows = [r[k] for r, k in zip(self._rows, kept, strict=True)]
            self._marks = [m[k] for m, k in zip(self._marks, kept, strict=True)]

    def rows(self) -> np.ndarray:
        """What is kept, in the order it came."""
        return np.concatenate(self._rows)
