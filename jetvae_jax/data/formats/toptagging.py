"""The top tagging reference data (Zenodo 2603256, arXiv:1902.09914).

A pandas table, read without pandas: rows of ``/table/table`` with ``values_block_0``,
200 times (E, px, py, pz) in GeV in descending pt and then the parton's momentum, and
``values_block_1``, whose last is 1 for top jets and 0 for jets of light quarks and
gluons. Padding is all zeros. The energies are not read: particles are massless here.
"""

from collections.abc import Iterator

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import formats, validation
from jetvae_jax.data.containers import hdf5
from jetvae_jax.data.containers.tables import Table, guarded, listing
from jetvae_jax.data.validation import Audit, Block

KEY = "table"
EXPECTS = f"{KEY} (top tagging)"
VALUES, LABELS = "values_block_0", "values_block_1"
PARTICLES = 200


def matches(table: Table) -> bool:
    """Whether an open file is meant to have this format."""
    return isinstance(table, hdf5.HDF5Table) and KEY in table.names


class Reader(formats.Reader):
    """Reads one file; see :class:`formats.Reader <jetvae_jax.data.formats.Reader>`."""

    key, types = KEY, ("t", "q", "g")
    table: hdf5.HDF5Table

    def blocks(self, wanted: formats.Wanted, audit: Audit) -> Iterator[Block]:
        """The jets of one class: t for top; g and q are the same, the QCD jets of both.

        Raises:
            InputError: no such table, or another class.
        """
        if wanted.jet_type not in (None, *self.types):
            raise InputError(
                f"{audit.path}: holds top jets (t) and jets of light quarks and gluons "
                f"(g or q), none of type {wanted.jet_type!r}; give another jet_type"
            )
        if wanted.jet_type in ("q", "g"):
            audit.notes.append(f"{audit.path}: QCD jets, of light quarks and of gluons")
        data = _table(self.table.file)
        read, total = 0, data.shape[0]
        for start, stop in validation.row_blocks(total, hdf5.block_rows(data)):
            with guarded(self.table.path, f"{KEY}, rows {start} to {stop - 1}"):
                values, labels = data[start:stop][VALUES], data[start:stop][LABELS]
            rows, top = np.arange(start, stop), labels[:, -1]
            chosen = top == (wanted.jet_type == "t")
            chosen |= wanted.jet_type is None
            bad = (top != 0) & (top != 1)
            chosen |= bad  # to report them
            chosen &= audit.flag(
                KEY, "is_signal_new is neither 0 nor 1", bad, rows, chosen
            )
            chosen = wanted.limited(chosen, read)
            read += int(chosen.sum())
            p = values[chosen, : 4 * PARTICLES].astype(np.float32)
            p = p.reshape(-1, PARTICLES, 4)[..., 1:]
            pt = np.hypot(p[..., 0], p[..., 1])
            exists = validation.any_of(p)
            yield Block(rows[chosen], p, exists, pt, np.ones(len(p), bool))
            if read == wanted.max_jets:
                return

    def classes(self) -> dict[str, int]:
        """Jets of each class."""
        data = _table(self.table.file)
        top = 0
        for start, stop in validation.row_blocks(data.shape[0], hdf5.block_rows(data)):
            with guarded(self.table.path, f"{KEY}, rows {start} to {stop - 1}"):
                top += int((data[start:stop][LABELS][:, -1] == 1).sum())
        return {"t": top, "QCD (g and q)": data.shape[0] - top}


def _table(file: h5py.File) -> h5py.Dataset:
    """The table, checked like every data set."""
    name = f"{file.filename}: {KEY}/{KEY}"
    table = hdf5.plain(file, KEY, KEY)
    with guarded(file.filename, KEY):
        fields = table.dtype.fields or {}
        values, labels = fields.get(VALUES), fields.get(LABELS)
        width = 4 * PARTICLES
        if not (
            table.ndim == 1
            and values
            and labels
            and values[0].base.kind == "f"
            and labels[0].base.kind in "iu"
            and len(values[0].shape) == len(labels[0].shape) == 1
            and values[0].shape[0] >= width
        ):
            raise InputError(
                f"{name}: columns are {listing(fields)}: expected {VALUES} "
                f"of {width + 4} and {LABELS} of 2 numbers a row"
            )
        if not table.size:
            raise InputError(f"{name}: there are no jets in it")
    return table
