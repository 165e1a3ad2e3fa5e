"""What a file of showers contains, in a few lines; files may exceed the memory."""

import collections
import os
from typing import Any

import jax
import numpy as np

from jetvae_jax.core.types import Showers
from jetvae_jax.core.words import counted
from jetvae_jax.showers import files, observables
from jetvae_jax.showers.geometry import Geometry

_BLOCK = 4_000_000  # numbers at once
_SHOWN = 6  # showers kept for pictures
_LARGEST = 1.5  # response that can be
NAMES = {11: "electrons", -11: "positrons", 22: "photons", 211: "pi+", -211: "pi-"}


def look(
    path: str | os.PathLike,
    *,
    geometry: str = "",
    units: files.Units | None = None,
    max_showers: int = 0,
) -> tuple[str, files.Loaded]:
    """Reads a file and says what is in it.

    Args:
        path: as for :func:`~jetvae_jax.showers.files.opened`, and so are the next two.
        geometry: name of the calorimeter, or empty.
        units: of an npz archive.
        max_showers: the first so many; 0 for all.

    Returns:
        The text, and the first showers.

    Raises:
        InputError: the file is wrong; see :func:`~jetvae_jax.showers.files.read`.
    """
    with files.opened(path, geometry=geometry, units=units) as file:
        found = file.geometry
        number = min(file.num_showers, max_showers or file.num_showers)
        ranges, kinds, blank, least = _Ranges(), collections.Counter(), 0, np.inf
        measure = jax.jit(lambda showers: observables.scalars(found, showers))
        first = None
        for block in file.blocks(number, max(1, _BLOCK // found.num_cells)):
            if first is None:
                first = jax.tree.map(lambda a: a[:_SHOWN], block)
            ranges.add({"incident energy": block.energy, **measure(block)})
            blank += int((block.energies.max(axis=1) <= 0).sum())
            positive = block.energies[block.energies > 0]
            least = min(least, float(positive.min(initial=np.inf)))
            if block.kind is not None:
                kinds.update(np.asarray(block.kind).tolist())
        metadata = file.metadata
    assert first is not None
    listed = ", ".join(
        f"{count:,} {NAMES.get(kind, f'of PDG code {kind}')}"
        for kind, count in sorted(kinds.items())
    )
    facts = {
        "file": os.fspath(path),
        "calorimeter": _calorimeter(found),
        "showers": f"{number:,}, {blank:,} of them without energy",
        "particles": listed or "of a kind that the file does not say",
        "known": _known(first),
        "least energy in a cell": f"{least:.3g} GeV",
    }
    if "generator" in metadata:
        facts["made by"] = metadata["generator"]
    names = " ".join(f"{name:>10}" for name in ("least", "mean", "sigma", "largest"))
    lines = [f"{name:<22}  {text}" for name, text in facts.items()]
    lines += ["", f"{'':<22}  {names}"]
    lines += [f"{name:<22}  {row}" for name, row in ranges.rows()]
    if ranges.mean("response") > _LARGEST:
        lines += ["", "cells hold more energy than the particles had: check the units"]
    return "\n".join(lines), files.Loaded(found, first, metadata)


UNITS = {
    "incident energy": "GeV",
    "energy": "GeV",
    "response": "",
    "x": "mm",
    "y": "mm",
    "width_along": "mm",
    "width_across": "mm",
    "asymmetry_along": "",
    "asymmetry_across": "",
    "cells": "",
    "depth": "layers",
    "depth_width": "layers",
}


class _Ranges:
    """Least, mean, deviation and largest value of each of several quantities."""

    def __init__(self):
        self._sums: dict[str, Any] = {}

    def add(self, block: dict[str, Any]) -> None:
        """Adds values ``[J]`` of each."""
        for name, given in block.items():
            values = np.asarray(given, np.float64)
            low, high, count, total, square = self._sums.get(
                name, (np.inf, -np.inf, 0, 0.0, 0.0)
            )
            self._sums[name] = (
                *(min(low, values.min()), max(high, values.max())),
                *(count + len(values), total + values.sum()),
                square + np.square(values).sum(),
            )

    def mean(self, name: str) -> float:
        """Mean of one quantity."""
        return self._sums[name][3] / self._sums[name][2]

    def rows(self):
        """Name and text of each."""
        for name in (name for name in UNITS if name in self._sums):
            low, high, count, total, square = self._sums[name]
            mean = total / count
            sigma = np.sqrt(max(square / count - mean**2, 0.0))
            numbers = " ".join(f"{v:>10.4g}" for v in (low, mean, sigma, high))
            yield name, f"{numbers} {UNITS[name]}".rstrip()


def _calorimeter(found: Geometry) -> str:
    """Name and sizes."""
    sizes = f"{counted(found.num_layers, 'layer')}, {found.num_cells:,} cells"
    if found.form == "grid":
        return f"{found.name}: {sizes} of {found.side:g} mm"
    return f"{found.name}: {sizes} in rings"


def _known(showers: Showers) -> str:
    """What is known of the incident particles."""
    known = [name for name in showers._fields[2:] if getattr(showers, name) is not None]
    return ", ".join(["energy", *known]) + " of the incident particles"
