"""Published formats of jets, one file each, recognised by what an open file holds.

A format is a module in this folder, or in a folder ``formats`` on the plug-in path (see
:mod:`~jetvae_jax.core.registry`), with

- ``EXPECTS``: what its files hold, for the message that no format fits;
- ``matches(table)``: whether an open file is meant to have this format;
- ``Reader``: a class derived from :class:`Reader` of this package.

``table`` is what the container of the file opens (:mod:`jetvae_jax.data.containers`):
columns by name, and for HDF5 and npz the open file itself.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.registry import Registry
from jetvae_jax.data import validation
from jetvae_jax.data.containers.tables import Table, listing, printable
from jetvae_jax.data.validation import Audit, Block

_registry = Registry("format", __name__, needs=("EXPECTS", "matches", "Reader"))
names, get = _registry.names, _registry.get


class Wanted(NamedTuple):
    """Which jets of a file to read.

    Attributes:
        num_particles: lists of particles are padded to it at least.
        max_jets: jets of the class, from the first; None for all.
        jet_type: class, one of ``validation.JET_TYPES``.
        seed: of phi of the jets where the file has none.
    """

    num_particles: int = 30
    max_jets: int | None = None
    jet_type: str = "g"
    seed: int = 0

    def limited(self, chosen: np.ndarray, read: int) -> np.ndarray:
        """``chosen [n]`` rows up to ``max_jets``, ``read`` of them read before."""
        if self.max_jets is None:
            return chosen
        return chosen & (np.cumsum(chosen) <= self.max_jets - read)


class Reader:
    """Reads the jets of one open file. Base class of the formats.

    Attributes:
        layout: name of the format.
        key: name of the particles in the file, for messages.
        one_class: whether a file holds jets of one class, which its name tells.
        table: the open file.
        generator: what made the jets, if the file says it.
        generated: whether this package wrote the file: jets of a model may be empty.
        whole: whether the axis of a jet is that of the whole jet, not only the sum of
            the particles in the file.

    Args:
        table: the open file.
    """

    layout: str
    key: str
    one_class = False

    def __init__(self, table: Any):
        self.table = table
        generator = table.metadata.get("generator")
        self.generator = printable(generator) if isinstance(generator, str) else None
        self.generated = "empty_jets" in table.metadata
        self.whole = not self.generated or table.metadata.get("axis") == "jet"

    @property
    def width(self) -> int | None:
        """Particles a row, where all files of a data set have the same; else None."""
        return None

    def read(self, wanted: Wanted, audit: Audit) -> Iterator[Block]:
        """Jets of one class, from the first, up to where the file is damaged.

        Args:
            wanted: which jets.
            audit: collects what is wrong.

        Raises:
            InputError: the file is damaged, or not of its format.
        """
        return validation.until_damage(self.blocks(wanted, audit), audit)

    def blocks(self, wanted: Wanted, audit: Audit) -> Iterator[Block]:
        """What a format defines: the jets, some rows at a time.

        Args:
            wanted: which jets.
            audit: collects what is wrong.
        """
        raise NotImplementedError

    def classes(self) -> dict[str, int]:
        """Jets of each class in the file; empty if it does not say."""
        return {}


def reader(table: Table) -> Reader:
    """The reader of the first format that an open file matches.

    Formats on the plug-in path are asked before those of this package.

    Raises:
        InputError: no format matches it.
    """
    modules = {name: get(name) for name in names()}
    own = f"{__name__}."
    for name in sorted(modules, key=lambda n: modules[n].__name__.startswith(own)):
        if modules[name].matches(table):
            found = modules[name].Reader(table)
            found.layout = name
            return found
    expected = ", ".join(module.EXPECTS for module in modules.values())
    raise InputError(
        f"{table.path}: keys are {listing(table.names)}: expected {expected}, or a "
        "mapping of columns such as px=part_px,py=part_py,pz=part_pz"
    )
