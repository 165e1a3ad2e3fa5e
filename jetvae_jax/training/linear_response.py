"""The smallest change of a density's parameters that moves means of its samples.

The mean of an observable f of samples of a density p changes with its parameters t by
the covariance of f with the score, ``d E[f] / dt = Cov(f, d log p / dt)``, and the
density itself, for small steps s, by the divergence ``KL = s^T F s / 2`` nats with the
Fisher matrix ``F = Cov(d log p / dt)``. Both are measured on samples of the density.
The step that is returned minimises, for means that should change by D::

    s^T (F + R) s / 2 + (D - G s)^T C^-1 (D - G s) / 2 w,   G = Cov(f, d log p / dt)

with the covariance C of the observables and a small R, that keeps the step where its
effect is linear. If every f were a score, ``w / (1 + w)`` of D would be left.
"""

from typing import NamedTuple

import numpy as np

from jetvae_jax.core.types import Array

SHARE, LEAST = 0.02, 1e-3
"""R: this share of the diagonal of F, and this much for each parameter. Without it the
step is long where the score says little, and its effect is not linear."""
LONGEST = 0.1
"""Nats: longer steps are shortened to this, beyond which their effect is not linear."""


class Sums:
    """Sums over samples, of K observables and the scores of P parameters.

    Args:
        num_features: K.
        num_parameters: P.
    """

    def __init__(self, num_features: int, num_parameters: int):
        size = num_features + num_parameters
        self.number, self.features = 0, num_features
        self.first, self.second = np.zeros(size), np.zeros((size, size))

    def add(self, features: Array, scores: Array) -> None:
        """Add J samples: observables ``[J, K]`` and scores ``[J, P]``."""
        rows = np.concatenate([features, scores], axis=1, dtype=np.float64)
        self.number += len(rows)
        self.first += rows.sum(axis=0)
        self.second += rows.T @ rows

    @property
    def mean(self) -> np.ndarray:
        """Of the observables, ``[K]``."""
        return self.first[: self.features] / self.number

    def covariance(self) -> np.ndarray:
        """``[K + P, K + P]``."""
        mean = self.first / self.number
        return self.second / self.number - np.outer(mean, mean)


class Step(NamedTuple):
    """A change of the parameters.

    Attributes:
        change: ``[P]``.
        divergence: KL of the new density from the old one, in nats.
        effect: ``[K]``, the expected change of the means.
    """

    change: np.ndarray
    divergence: float
    effect: np.ndarray


def smallest_step(sums: Sums, wanted: Array, *, weight: float) -> Step:
    """The step by which the means of the observables become those that are wanted.

    Args:
        sums: over samples of the density.
        wanted: ``[K]`` means.
        weight: w, how much a divergence counts beside a difference of the means.
    """
    both, k = sums.covariance(), sums.features
    fisher, response = both[k:, k:], both[:k, k:]
    bounded = fisher + np.diag(SHARE * np.diag(fisher) + LEAST)
    towards = np.linalg.solve(bounded, response.T)  # [P, K]
    spread = both[:k, :k] + 1e-9 * np.eye(k)
    away = np.asarray(wanted, np.float64) - sums.mean
    change = towards @ np.linalg.solve(response @ towards + weight * spread, away)
    divergence = float(change @ fisher @ change) / 2
    if divergence > LONGEST:
        change *= (LONGEST / divergence) ** 0.5
        divergence = LONGEST
    return Step(change, divergence, response @ change)
