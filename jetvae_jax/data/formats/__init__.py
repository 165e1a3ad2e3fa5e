"""Published formats of jets, one file each, recognised by what an open file holds.

A format is a module in this folder, or in a folder ``formats`` on the plug-in path (see
:mod:`~jetvae_jax.core.registry`), with

- ``EXPECTS``: what its files hold, for the message that no format fits;
- ``matches(table)``: whether an open file is meant to have this format;
- ``Reader``: a class derived from :class:`Reader` of this package.

``table`` is what the container of the file opens (:mod:`jetvae_jax.data.containers`):
columns by name, and for HDF5 and npz the open file itself.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.registry import Registry
from jetvae_jax.data import validation
from jetvae_jax.data.containers.tables import Table, listing, nested, printable, shape
from jetvae_jax.data.validation import Audit, Block

_registry = Registry("format", __name__, needs=("EXPECTS", "matches", "Reader"))
names, get = _registry.names, _registry.get


TYPE, TYPES = "jet_type", "jet_types"
"""Names in files of this package, of the class of a jet and of the list it is in."""


class Wanted(NamedTuple):
    """Which jets of a file to read.

    Attributes:
        num_particles: lists of particles are padded to it at least.
        max_jets: jets of the class, from the first; None for all.
        jet_type: class, one of ``validation.JET_TYPES`` or of a user's own; None for
            jets of every class.
        seed: of phi of the jets where the file has none.
    """

    num_particles: int = 30
    max_jets: int | None = None
    jet_type: str | None = "g"
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
        types: classes that the file tells apart, jet by jet; empty if it does not.
        table: the open file.
        generator: what made the jets, if the file says it.
        generated: whether this package wrote the file: jets of a model may be empty.
        whole: whether the axis of a jet is that of the whole jet, not only the sum of
            the particles in the file.
        relative: whether the file has no pt of the jets: the particles of its blocks
            are (ptrel, etarel, phirel).
        scale: of the momenta in the file, in GeV.

    Args:
        table: the open file.
    """

    layout: str
    key: str
    one_class = False
    types: tuple[str, ...] = ()
    relative = False
    scale = 1.0

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
        blocks = self.blocks(wanted, audit)
        if self.scale != 1:
            blocks = (_scaled(block, self.scale) for block in blocks)
        return validation.until_damage(blocks, audit)

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


def stated_types(table: Table) -> tuple[str, ...]:
    """The classes of the jets in a file of this package, if it states them."""
    found = table.metadata.get(TYPES)
    if isinstance(found, str):
        with contextlib.suppress(ValueError):
            found = json.loads(found)
    if not isinstance(found, list) or TYPE not in table.names:
        return ()
    return tuple(found) if all(isinstance(name, str) for name in found) else ()


def of_type(
    types: tuple[str, ...],
    labels: np.ndarray,
    wanted: Wanted,
    audit: Audit,
    rows: np.ndarray,
) -> np.ndarray:
    """Which rows of a file that states their classes have the one that is wanted.

    Args:
        types: the classes.
        labels: ``[n]``, places in it.
        wanted: the class.
        audit: collects rows of no class.
        rows: ``[n]`` row numbers.

    Raises:
        InputError: there is no such class.
    """
    name = wanted.jet_type
    if name is not None and name not in types:
        raise InputError(
            f"{audit.path}: holds jets of the classes {listing(types)}, none of type "
            f"{name!r}; give another jet_type"
        )
    known = np.isin(labels, np.arange(len(types)))
    kept = np.ones(len(rows), bool)
    known = audit.flag(TYPE, "the class is none of the file's", ~known, rows, kept)
    return known if name is None else known & (labels == types.index(name))


def count_types(types: tuple[str, ...], labels: np.ndarray) -> dict[str, int]:
    """Jets of each class, of the labels ``[J]`` of a file."""
    return {name: int(np.sum(labels == i)) for i, name in enumerate(types)}


def _scaled(block: Block, scale: float) -> Block:
    axis = block.axis
    if axis is not None:
        axis = axis * np.array([scale, 1, 1])
    stated = block.stated
    if stated is not None:
        in_gev = {n: getattr(stated, n) * scale for n in ("pt", "energy", "mass")}
        stated = stated._replace(**in_gev)
    particles = np.asarray(block.particles * np.float64(scale), np.float32)
    return block._replace(particles=particles, axis=axis, stated=stated)


# Of the sum of ptrel, median over jets; bad generators may be beyond, but not so far.
LEAST_PTREL, MOST_PTREL = 0.5, 1.5
_MAX_AXIS = 0.5  # distance of the particles' mean from the axis of the jet


def only_array(table: Table) -> tuple[str, tuple[int, ...]]:
    """Name and shape of the only array of features of particles in a file.

    Raises:
        InputError: there is none, or there are several.
    """
    names = (*table.names, *nested(table))
    shapes = {name: shape(table, name) or () for name in names}
    found = [name for name, dims in shapes.items() if len(dims) > 2]
    if not found:
        raise InputError(
            f"{table.path}: no array [jets, particles, features] of real numbers is in "
            f"it, but {listing(names)}: save one"
        )
    if len(found) > 1:
        raise InputError(
            f"{table.path}: arrays [jets, particles, features] are {listing(found)}: "
            "name columns one by one, such as px=x[0],py=x[1],pz=x[2]"
        )
    return found[0], shapes[found[0]]


def clear_padding(audit: Audit, x: np.ndarray) -> None:
    """Sets padding by NaN or -999 to zero, in place; notes count the jets.

    Args:
        audit: for the notes.
        x: ``[n, M, C]``, three features of particles and perhaps a mask.
    """
    exists = validation.any_of(x[..., :3])
    if x.shape[-1] > 3:  # features where the mask is 0 are none
        beside = exists & (x[..., 3] == 0)
        if beside.any():
            few = x[..., :3]
            same = (few == few[..., :1]).all(-1) & (few[..., 0] < 0)
            hidden = np.isnan(few).all(-1) | (few <= -99).all(-1) | same
            hidden &= beside
            if number := int(hidden.any(1).sum()):
                audit.notes.append(
                    f"{audit.path}: {number} jets padded by NaN or -999 where the mask "
                    "is 0"
                )
            x[hidden] = 0
        exists = validation.any_of(x)
    x[validation.padding(audit, list(np.moveaxis(x, -1, 0)), exists)] = 0


def relative_block(
    audit: Audit, key: str, rows: np.ndarray, values: Any, mask: np.ndarray
) -> Block:
    """A block of relative features of jets whose pt is not known.

    Particles of negative ptrel, as networks make them, do not exist; phirel is brought
    within pi. Notes count the jets, and say if most do not look like what they are
    called.

    Args:
        audit: for the notes.
        key: name of the features in the file.
        rows: ``[n]`` row numbers.
        values: ptrel, etarel, phirel, each ``[n, M]``.
        mask: ``[n, M]`` bool.
    """
    ptrel = values[0]
    if negative := int((mask & (ptrel < 0)).any(1).sum()):
        audit.notes.append(
            f"{audit.path}: {negative} jets with particles of negative {key}, which "
            "are left out"
        )
    mask = mask & ~(ptrel <= 0)
    with np.errstate(over="ignore", invalid="ignore"):
        far = mask & (np.abs(values[2]) > np.pi)
        if number := int(far.any(1).sum()):
            audit.notes.append(
                f"{audit.path}: {number} jets with phirel beyond pi, brought within it"
            )
            turned = np.remainder(values[2] + np.pi, 2 * np.pi) - np.pi
            values = (*values[:2], np.where(far, turned, values[2]))
        particles = np.stack(values, axis=-1).astype(np.float32)
        _doubt(audit, np.where(mask[..., None], particles, 0))
    return Block(rows, particles, mask, ptrel, np.ones(len(rows), bool))


def _doubt(audit: Audit, particles: np.ndarray) -> None:
    """Notes that most jets have other sums of ptrel, or other axes, than they should.

    Args:
        audit: for the notes.
        particles: ``[n, M, 3]``, ptrel, etarel and phirel.
    """
    pt = particles[..., 0]
    total = pt.sum(1)
    axis = np.sum(pt[..., None] * particles[..., 1:], axis=1) / total[:, None]
    wrong_sum = (total < LEAST_PTREL) | (total > MOST_PTREL)
    if (number := int(wrong_sum.sum())) > len(pt) / 2:
        audit.notes.append(
            f"{audit.path}: {number} jets whose ptrel do not sum to about 1: are they "
            "fractions of the pt of the jet?"
        )
    far = np.linalg.norm(axis, axis=-1) > _MAX_AXIS
    if (number := int(far.sum())) > len(pt) / 2:
        audit.notes.append(
            f"{audit.path}: {number} jets that are far from their own axis: are etarel "
            "and phirel differences from it?"
        )


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
    what = f"keys are {listing(table.names)}"
    if len(table.names) == 1 and (dims := shape(table, table.names[0])) is not None:
        what += f" {dims}"
    raise InputError(
        f"{table.path}: {what}: expected {expected}, or "
        "columns px=part_px,py=part_py,pz=part_pz by --data.columns, --evaluate.columns"
    )
