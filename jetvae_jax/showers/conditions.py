"""Boundary conditions of showers: energies, thresholds, deposited over incident energy.

Functions of arrays in double precision, on the host.
"""

from typing import NamedTuple

import numpy as np

from jetvae_jax.core.types import Showers
from jetvae_jax.metrics.conditions import Condition, largest, share
from jetvae_jax.showers.geometry import Geometry

_ROUNDING = 2e-5


class Limits(NamedTuple):
    """The largest values of real showers.

    Attributes:
        response: deposited over incident energy.
        cells: number of hit cells.
        cell: energy of a cell over the incident energy.
    """

    response: float
    cells: int
    cell: float


def limits(geometry: Geometry, real: Showers) -> Limits:
    """The limits that real showers ``[J, C]`` give."""
    energies, incident = _arrays(real)
    return Limits(
        float(np.max(energies.sum(-1) / incident, initial=0.0)),
        int(np.max((energies > geometry.threshold).sum(-1), initial=0)),
        float(np.max(energies.max(-1) / incident, initial=0.0)),
    )


def conditions(geometry: Geometry, limits: Limits, showers: Showers) -> list[Condition]:
    """All conditions of one sample.

    Args:
        geometry: of C cells.
        limits: of real showers.
        showers: ``[J, C]``.
    """
    energies, incident = _arrays(showers)
    cells = np.count_nonzero(energies > geometry.threshold, axis=-1)
    soft = (energies > 0) & (energies < geometry.threshold * (1 - _ROUNDING))
    response = np.sum(energies, axis=-1) / incident
    most = np.max(energies, axis=-1, initial=0.0) / incident
    return [
        Condition("negative", "cells of negative energy", share(energies < 0), "%", 0),
        Condition("soft", "cells of energy below the threshold", share(soft), "%", 0),
        Condition("response", "largest response, deposited over incident energy",
                  largest(response)),
        Condition(
            "response_range",
            f"response above {limits.response:.4g}",
            share(response > limits.response * (1 + _ROUNDING)),
            "%",
        ),
        Condition(
            "cell_range",
            f"a cell above {limits.cell:.4g} of the incident energy",
            share(most > limits.cell * (1 + _ROUNDING)),
            "%",
        ),
        Condition(
            "cells_range",
            f"more than {limits.cells} cells",
            share(np.asarray(cells > limits.cells)),
            "%",
        ),
        Condition(
            "empty", "showers without energy", share(np.asarray(cells == 0)), "%"
        ),
    ]  # fmt: skip


def _arrays(showers: Showers) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(showers.energies, np.float64), np.asarray(
        showers.energy, np.float64
    )
