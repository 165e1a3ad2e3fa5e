"""Relative features of jets whose pt is not known, as many generators write them.

One array ``[J, N, C]`` in npy, npz or HDF5, or three columns named ptrel, etarel and
phirel in any container. C is 3, or 4 with a mask last; the features are etarel, phirel,
ptrel (JetNet, MPGAN) or ptrel, etarel, phirel (EPiC-GAN), told apart by what ptrel is:
the only one that is not negative, of sum about 1. A note says which order was found;
``columns`` names another. ``[J, C, N]`` is read too. Padding is zero, NaN or -999. Such
jets can be evaluated, and nothing else.
"""

from collections.abc import Iterator

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import formats, validation
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.tables import Table
from jetvae_jax.data.formats import columns, jetnet
from jetvae_jax.data.validation import Audit, Block

EXPECTS = "one array [J, N, 3] (relative)"
MASK = "mask"
ORDERS = {2: ("etarel", "phirel", "ptrel"), 0: ("ptrel", "etarel", "phirel")}
"""Place of ptrel to the names of the columns."""


def matches(table: Table) -> bool:
    """Whether an open file is meant to have this format."""
    return _named(table) is not None or _array(table) is not None


def _named(table: Table) -> columns.Columns | None:
    """Columns with the names of relative features, after one prefix."""
    last = columns.RELATIVE[0]
    for name in table.names:
        prefix = name.removesuffix(last)
        names = tuple(prefix + feature for feature in columns.RELATIVE)
        if name.endswith(last) and set(names) <= set(table.names):
            return columns.Columns(names, columns.RELATIVE)
    return None


def _array(table: Table) -> tuple[str, tuple[int, ...]] | None:
    """The only array that can be features of particles, and its shape."""
    if jetnet.KEY in table.names:
        # Without its shape: the reader says what is wrong with it.
        return jetnet.KEY, tables.shape(table, jetnet.KEY) or ()
    try:
        name, shape = formats.only_array(table)
    except InputError:
        return None
    fits = len(shape) == 3 and (shape[2] in (3, 4) or shape[1] in (3, 4))
    return (name, shape) if fits else None


class Reader(formats.Reader):
    """Reads one file; see :class:`formats.Reader <jetvae_jax.data.formats.Reader>`."""

    relative = True
    table: Table

    def __init__(self, table: Table):
        super().__init__(table)
        self._columns = _named(table)
        if self._columns is not None:
            self.key = self._columns.names[0]
        else:
            found = _array(table)
            assert found is not None
            self.key, self._shape = found

    def blocks(self, wanted: formats.Wanted, audit: Audit) -> Iterator[Block]:
        """The jets, some rows at a time.

        Raises:
            InputError: they are no relative features, or of an unknown order.
        """
        if self._columns is not None:
            yield from columns.Reader(self.table, self._columns).blocks(wanted, audit)
            return
        shape = self._shape
        if len(shape) != 3 or not (shape[2] in (3, 4) or shape[1] in (3, 4)):
            raise InputError(
                f"{audit.path}: {self.key}: shape is {shape}, expected (any, any, 3 or "
                "4): etarel, phirel, ptrel, mask"
            )
        names = [self.key]
        if shape[2] != 4 and tables.shape(self.table, MASK) == shape[:2]:
            names.append(MASK)
        total = self.table.num_rows(names)
        if 0 in shape:
            raise InputError(
                f"{audit.path}: {self.key}: shape is {shape}: there are no "
                f"{'particles' if total else 'jets'} in it"
            )
        stop = total if wanted.max_jets is None else min(total, wanted.max_jets)
        size = max(1, tables.BLOCK_BYTES // (8 * shape[1] * shape[2]))
        first = shape[2] not in (3, 4) or validation.is_channel_first(shape)
        if first:
            audit.notes.append(
                f"{audit.path}: {self.key}: features before particles, {shape}"
            )
        order: tuple[str, ...] = ()
        start = 0
        for block in self.table.blocks(names, size, stop):
            x = np.array(block[self.key], np.float64)
            x = np.swapaxes(x, 1, 2) if first else x
            formats.clear_padding(audit, x)
            rows = np.arange(start, start + len(x))
            start += len(x)
            mask = validation.any_of(x[..., :3])
            if MASK in block:
                mask = np.asarray(block[MASK]) != 0
            elif x.shape[-1] == 4:
                mask = x[..., 3] != 0
            if not order:
                order = self._order(audit, x, mask)
            few = [x[..., order.index(name)] for name in columns.RELATIVE]
            yield formats.relative_block(audit, "ptrel", rows, few, mask)

    def _order(self, audit: Audit, x: np.ndarray, mask: np.ndarray) -> tuple[str, ...]:
        """Names of the columns, from the values of some jets."""
        what = f"{audit.path}: {self.key}: [jets, particles, {x.shape[-1]}]"
        remedy = (
            "name the columns in their order, as --evaluate.columns=etarel,phirel,ptrel"
        )
        if not mask.any():
            raise InputError(
                f"{audit.path}: {self.key}: all particles of the first {len(x):,} jets "
                "are padding: there is nothing to compare"
            )
        last = x[..., 3:]
        if not np.isin(last, (0, 1)).all():
            raise InputError(
                f"{what}: the last column is no mask of 0 and 1: {remedy},mask, or "
                "E,px,py,pz for momenta"
            )
        values = np.where(mask[..., None] & np.isfinite(x[..., :3]), x[..., :3], 0)
        sums = np.median(values.sum(1), axis=0)
        # A network may make a few slightly negative ones.
        negative = (values < 0).sum((0, 1)) / max(mask.sum(), 1)
        fits = [
            c
            for c in range(3)
            if negative[c] < 0.1
            and formats.LEAST_PTREL <= sums[c] <= formats.MOST_PTREL
            and all(negative[other] > 0.2 for other in {0, 1, 2} - {c})
        ]  # fmt: skip
        near = np.quantile(np.abs(values), 0.99) < np.pi
        if len(fits) != 1 or fits[0] not in ORDERS or not near:
            raise InputError(
                f"{what}: do not look like etarel, phirel, ptrel or ptrel, etarel, "
                f"phirel, of which ptrel alone is positive and sums to 1 (medians of "
                f"the sums: {', '.join(f'{s:.3g}' for s in sums)}): {remedy}, or "
                "px,py,pz for momenta"
            )
        order = ORDERS[fits[0]]
        audit.notes.append(
            f"{audit.path}: {self.key}: columns taken as {', '.join(order)}"
        )
        return (*order, *([MASK] if x.shape[-1] == 4 else []))
