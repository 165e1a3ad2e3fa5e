"""Pictures of showers: the energy in each cell, seen from the front."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jetvae_jax.core.types import Showers
from jetvae_jax.report import style
from jetvae_jax.showers.geometry import Geometry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TILE = 1.7  # inches
_SMOOTH = 60  # corners of a ring that is not divided
_DECADES = 5.0
_EMPTY = "#f2f2f2"


def rows(
    geometry: Geometry, samples: Mapping[str, Showers], *, columns: int = 6
) -> "Figure":
    """The first showers of every sample, a row each, ``log10(E / GeV)`` in colours.

    Grids are seen from the front, all layers added; of rings the layer is drawn that
    has most energy in the first sample, to twice the radius within which 99 % of that
    is. An arrow starts where the particle enters and points where it flies.

    Args:
        geometry: of the cells.
        samples: name to showers ``[J, C]``; the name is written before the row.
        columns: showers in a row, at most.
    """
    from matplotlib.colors import Normalize

    columns = min(columns, *(len(s.energies) for s in samples.values()))
    first = np.asarray(next(iter(samples.values())).energies)
    x, y, cells = _mesh(geometry, first)
    drawn = {
        name: _logs(geometry, np.asarray(s.energies)[:columns][:, cells])
        for name, s in samples.items()
    }
    top = max(float(logs.filled(-3.0).max()) for logs in drawn.values())
    scale = Normalize(top - _DECADES, top)
    figure = style.new_figure(_TILE * columns + 1.4, _TILE * len(drawn) + 0.6)
    axes = figure.subplots(len(drawn), columns, squeeze=False, sharex=True, sharey=True)
    image = None
    for line, (name, logs) in zip(axes, drawn.items(), strict=True):
        for number, axis in enumerate(line):
            axis.set_aspect("equal")
            axis.set_facecolor(_EMPTY)
            image = axis.pcolormesh(x, y, logs[number], norm=scale, rasterized=True)
            energy = float(np.asarray(samples[name].energy)[number])
            axis.set_title(f"{energy:.3g} GeV", fontsize=9)
            _arrow(axis, samples[name], number)
        line[0].set_ylabel(f"{style.plain(name)}\ny [mm]")
    reach = _reach(geometry, first, cells)
    axes[0, 0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    for axis in axes[-1]:
        axis.set_xlabel("x [mm]")
    assert image is not None
    figure.colorbar(image, ax=axes, label="log10(E / GeV)", shrink=0.9)
    return figure


def _mesh(geometry: Geometry, energies: np.ndarray):
    """Corners of the tiles ``[R + 1, K + 1]`` and their cells ``[..., R, K]``."""
    if geometry.form == "grid":
        assert geometry.shape is not None
        layers, high, wide = geometry.shape
        x = (np.arange(wide + 1) - wide / 2) * geometry.side
        y = (np.arange(high + 1) - high / 2) * geometry.side
        cells = np.arange(geometry.num_cells).reshape(layers, high, wide)
        return *np.meshgrid(x, y), cells
    layer = _fullest(geometry, energies)
    begin, end = geometry.starts[layer : layer + 2]
    radii = geometry.radius[begin:end]
    middles = np.unique(radii)
    edges = [0.0]
    for middle in middles:
        edges.append(2 * middle - edges[-1])
    angles = (end - begin) // len(middles)
    cells = np.arange(begin, end).reshape(angles, len(middles))
    if angles == 1:
        cells = np.repeat(cells, _SMOOTH, axis=0)
    azimuth = np.linspace(-np.pi, np.pi, len(cells) + 1)[:, None]
    return np.cos(azimuth) * edges, np.sin(azimuth) * edges, cells[None]


def _fullest(geometry: Geometry, energies: np.ndarray) -> int:
    total = np.add.reduceat(energies.sum(axis=0), geometry.starts[:-1])
    return int(np.argmax(total))


def _logs(geometry: Geometry, energies: np.ndarray) -> np.ma.MaskedArray:
    """``[J, layers, R, K]`` GeV to ``[J, R, K]``, empty tiles masked."""
    total = energies.sum(axis=1)
    empty = total <= geometry.threshold
    return np.ma.masked_array(np.log10(np.where(empty, 1.0, total)), empty)


def _reach(geometry: Geometry, energies: np.ndarray, cells: np.ndarray) -> float:
    """Half the width of the picture in mm."""
    if geometry.form == "grid":
        assert geometry.shape is not None
        return max(geometry.shape[1:]) * geometry.side / 2
    inside = np.unique(cells)
    order = inside[np.argsort(geometry.radius[inside], kind="stable")]
    share = np.cumsum(energies[:, order].sum(axis=0))
    place = min(int(np.searchsorted(share, 0.99 * share[-1])), len(order) - 1)
    return min(2 * geometry.radius[order[place]], 1.1 * geometry.radius[inside].max())


def _arrow(axis, showers: Showers, number: int) -> None:
    if showers.point is None or showers.direction is None:
        return
    x, y = np.asarray(showers.point)[number]
    dx, dy, dz = np.asarray(showers.direction)[number]
    length = 200 / dz  # to 20 cm behind the face
    axis.annotate(
        "", (x + length * dx, y + length * dy), (x, y),
        arrowprops={"arrowstyle": "->", "color": "#D55E00", "lw": 1.0},
    )  # fmt: skip
