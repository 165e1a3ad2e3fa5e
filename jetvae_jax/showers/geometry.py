"""Calorimeters: where each cell is.

Cells are in one order everywhere, layer by layer. In a layer of a grid ``x`` runs
fastest; in a layer of rings, the voxels of the CaloChallenge, the radius, and then the
angle.

Named calorimeters:

- ``lhcb_ecal``: one layer of 30 x 30 cells, 6 x 6 in a module of 121.2 mm, as in
  Chekalina et al. (arXiv:1812.01319);
- ``calochallenge_1_photons``, ``calochallenge_1_pions``: a part of ATLAS, layers of
  rings of different widths, 368 and 533 voxels;
- ``calochallenge_2``, ``calochallenge_3``: 45 layers of silicon and tungsten, 6,480 and
  40,500 voxels above 15.15 keV (arXiv:2410.21611; the edges of the voxels are in the
  files ``binning_dataset_*.xml`` of the challenge).

Any grid is named by its layers, rows, columns and the side of a cell in mm:
``12x12x12x4.5``.
"""

import math
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError, did_you_mean

MEV = 1e-3
"""In GeV."""
_LARGEST = 10_000_000  # cells
_GRID = re.compile(r"(\d{1,5})x(\d{1,5})x(\d{1,5})x(\d+\.?\d*|\.\d+)", re.ASCII)


class Geometry(NamedTuple):
    """A calorimeter of C cells, seen from its front face.

    Attributes:
        name: by which :func:`get` finds it.
        form: a grid of squares, or rings around the direction of the particle.
        shape: (layers, rows, columns) of a grid, (layers, angles, radii) of rings; None
            if layers differ.
        layer: ``[C]`` int, from 0, in ascending order.
        x: ``[C]`` mm, centre of the cell on the face; 0 for a ring that is not divided.
        y: ``[C]`` mm.
        radius: ``[C]`` mm, of the centre; for rings half-way between their edges.
        side: of a cell in mm, for a grid; else 0.
        threshold: in GeV; a cell with no more counts as empty.
    """

    name: str
    form: Literal["grid", "rings"]
    shape: tuple[int, int, int] | None
    layer: np.ndarray
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    side: float
    threshold: float

    @property
    def num_cells(self) -> int:
        """C."""
        return len(self.layer)

    @property
    def num_layers(self) -> int:
        """Number of layers."""
        return int(self.layer[-1]) + 1

    @property
    def divided(self) -> tuple[int, ...]:
        """Layers whose cells have a place, all but those of undivided rings."""
        placed = self.layer[np.hypot(self.x, self.y) > 0]
        return tuple(int(i) for i in np.unique(placed))

    @property
    def starts(self) -> tuple[int, ...]:
        """First cell of each layer, and C, so that layers begin and end there."""
        layers = np.arange(self.num_layers + 1)
        return tuple(int(i) for i in np.searchsorted(self.layer, layers))


def grid(
    layers: int, rows: int, columns: int, side: float, *, threshold: float = 0.0
) -> Geometry:
    """A regular calorimeter, its middle at (0, 0).

    Args:
        layers: in depth.
        rows: cells along y.
        columns: cells along x.
        side: of a cell in mm.
        threshold: in GeV.
    """
    shape = layers, rows, columns
    layer, row, column = (i.ravel() for i in np.indices(shape))
    x = (column - (columns - 1) / 2) * side
    y = (row - (rows - 1) / 2) * side
    name = f"{layers}x{rows}x{columns}x{side:g}"
    return Geometry(
        name, "grid", shape, layer, x, y, np.hypot(x, y), float(side), threshold
    )


def rings(
    name: str,
    edges: Sequence[Sequence[float]],
    angles: Sequence[int],
    *,
    threshold: float,
) -> Geometry:
    """A calorimeter of rings around the particle's direction, divided in angle.

    The centre of a voxel is at the middle of its radii, and of its angles from -pi to
    pi.

    Args:
        name: of the calorimeter.
        edges: of the rings of each layer in mm, ascending from 0.
        angles: voxels of a ring, of each layer.
        threshold: in GeV.
    """
    layers, radii, places = [], [], []
    for layer, (edge, number) in enumerate(zip(edges, angles, strict=True)):
        middle = (np.array(edge[1:]) + np.array(edge[:-1])) / 2
        angle = -math.pi + (np.arange(number) + 0.5) * 2 * math.pi / number
        radius = np.tile(middle, number)
        turned = np.stack([np.cos(angle), np.sin(angle)]) * (number > 1)
        layers.append(np.full(len(radius), layer))
        radii.append(radius)
        places.append(radius * np.repeat(turned, len(middle), axis=1))
    x, y = np.concatenate(places, axis=1)
    sizes = {(n, len(edge) - 1) for edge, n in zip(edges, angles, strict=True)}
    shape = (len(layers), *sizes.pop()) if len(sizes) == 1 else None
    return Geometry(
        *(name, "rings", shape, np.concatenate(layers), x, y),
        *(np.concatenate(radii), 0.0, threshold),
    )


def names() -> tuple[str, ...]:
    """The named calorimeters."""
    return tuple(_NAMED)


def get(name: str) -> Geometry:
    """A calorimeter by its name, or a grid by its sizes.

    Raises:
        InputError: neither, or a grid without cells or with too many.
    """
    if name in _NAMED:
        return _NAMED[name]()._replace(name=name)
    if not (found := _GRID.fullmatch(name)):
        raise InputError(
            f"geometry: {name!r} is unknown{did_you_mean(name, _NAMED)}; choose one of "
            f"{', '.join(_NAMED)}, or give layers, rows, columns and the side of a "
            "cell in mm, such as 12x12x12x4.5"
        )
    layers, rows, columns = map(int, found.groups()[:3])
    if not 0 < layers * rows * columns <= _LARGEST or not float(found[4]) > 0:
        raise InputError(
            f"geometry: {name!r}: give at least one cell, at most {_LARGEST:,}, with a "
            "side above 0 mm"
        )
    return grid(layers, rows, columns, float(found[4]))


def of_cells(number: int) -> tuple[str, ...]:
    """The named calorimeters of so many cells."""
    return tuple(name for name in _NAMED if get(name).num_cells == number)


Layer = tuple[Sequence[float], int]
"""Edges of the rings in mm, and voxels of a ring."""


def _atlas(name: str, extra: dict[int, Layer]) -> Geometry:
    """A calorimeter of data set 1: layers 0 to 3 and those behind them."""
    layers: dict[int, Layer] = {
        0: ([0, 5, 10, 30, 50, 100, 200, 400, 600], 1),
        3: ([0, 50, 100, 200, 400, 600], 1),
        **extra,
    }
    order = sorted(layers)
    edges, angles = [layers[i][0] for i in order], [layers[i][1] for i in order]
    return rings(name, edges, angles, threshold=MEV)


def _photons() -> Geometry:
    strips = [*range(0, 13, 2), 15, 20, 30, 40, 50, 70, 90, 120, 150, 200]
    middle = [0, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160]
    return _atlas(
        "calochallenge_1_photons",
        {
            1: (strips, 10),
            2: ([*middle, 200, 250, 300, 350, 400], 10),
            12: ([0, 100, 200, 400, 1000, 2000], 1),
        },
    )


def _pions() -> Geometry:
    tiles = [0, 10, 20, 30, 50, 80, 100, 130, 160, 200, 250, 300, 350, 400]
    return _atlas(
        "calochallenge_1_pions",
        {
            1: ([0, 1, 4, 7, 10, 15, 30, 50, 90, 150, 200], 10),
            2: ([0, 5, 10, 20, 30, 50, 80, 130, 200, 300, 400], 10),
            12: ([*tiles, 1000, 2000], 10),
            13: ([*tiles, 600, 1000, 2000], 10),
            14: ([0, 50, 100, 150, 200, 250, 300, 400, 600, 1000, 2000], 1),
        },
    )


# Of the energy in silicon, 0.5 keV, over the 0.033 of all energy that is there.
_READOUT = 0.5e-3 / 0.033 * MEV


def _silicon_tungsten(number: int, radii: int, angles: int) -> Geometry:
    """Data sets 2 and 3: 45 layers out to 41.85 mm."""
    edges = [np.linspace(0, 41.85, radii + 1).tolist()] * 45
    name = f"calochallenge_{number}"
    return rings(name, edges, [angles] * 45, threshold=_READOUT)


_NAMED = {
    "lhcb_ecal": lambda: grid(1, 30, 30, 20.2, threshold=MEV),
    "calochallenge_1_photons": _photons,
    "calochallenge_1_pions": _pions,
    "calochallenge_2": lambda: _silicon_tungsten(2, 9, 16),
    "calochallenge_3": lambda: _silicon_tungsten(3, 18, 50),
}
