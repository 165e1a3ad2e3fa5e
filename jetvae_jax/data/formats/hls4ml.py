"""The hls4ml LHC jet format (Zenodo 3601436, 3602254, 3602260).

``jetConstituentList [J, N, C]`` with columns named in ``particleFeatureNames``, of
which j1_px, j1_py, j1_pz (GeV) are read; ``jets [J, G]`` with columns named in
``jetFeatureNames``, of which the one-hot j_g, j_q, j_w, j_z, j_t tell the class.
Columns are found by name. Padding is all zeros.
"""

from collections.abc import Iterator

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import formats, validation
from jetvae_jax.data.containers import hdf5
from jetvae_jax.data.containers.tables import Table
from jetvae_jax.data.validation import Audit, Block

KEY, JETS = "jetConstituentList", "jets"
MOMENTUM = ("j1_px", "j1_py", "j1_pz")
EXPECTS = f"{KEY} and {JETS} (hls4ml)"
CLASSES = tuple(f"j_{name}" for name in validation.JET_TYPES)


def matches(table: Table) -> bool:
    """Whether an open file is meant to have this format."""
    hdf5_file = isinstance(table, hdf5.HDF5Table)
    return hdf5_file and (KEY in table.names or "jetFeatureNames" in table.names)


class Reader(formats.Reader):
    """Reads one file; see :class:`formats.Reader <jetvae_jax.data.formats.Reader>`."""

    key, types = KEY, validation.JET_TYPES
    table: hdf5.HDF5Table

    @property
    def width(self) -> int | None:
        """Particles a row of the file."""
        return hdf5.dataset(self.table.file, KEY, (None, None, None)).shape[1]

    def blocks(self, wanted: formats.Wanted, audit: Audit) -> Iterator[Block]:
        """The jets of one class, some rows at a time.

        Raises:
            InputError: keys, names, shapes or types are wrong.
        """
        file = self.table.file
        features = hdf5.dataset(file, KEY, (None, None, None))
        total = features.shape[0]
        jets = hdf5.dataset(file, JETS, (total, None))
        xyz = _columns(file, "particleFeatureNames", MOMENTUM, features.shape[2])
        labels = _columns(file, "jetFeatureNames", CLASSES, jets.shape[1])
        # Contiguous ranges of columns: HDF5 reads those fast.
        near = slice(min(xyz), max(xyz) + 1)
        span = slice(min(labels), max(labels) + 1)
        read = 0
        for start, stop in validation.row_blocks(total, hdf5.block_rows(features)):
            rows = np.arange(start, stop)
            classes = hdf5.read(jets, start, stop, span)
            classes = classes[:, np.subtract(labels, span.start)]
            # Jets of the class j_undef have zeros in all five.
            bad = ~(np.isin(classes, (0, 1)).all(1) & (classes.sum(1) <= 1))
            chosen = np.ones(len(rows), bool)
            if wanted.jet_type is not None:
                chosen = classes[:, CLASSES.index(f"j_{wanted.jet_type}")] == 1
            everything = np.ones(len(rows), bool)
            chosen &= audit.flag(JETS, "class is not one-hot", bad, rows, everything)
            chosen = wanted.limited(chosen, read)
            if not chosen.any():
                continue
            read += int(chosen.sum())
            p = hdf5.read(features, start, stop, near)[chosen]
            p = p[..., np.subtract(xyz, near.start)]
            formats.clear_padding(audit, p)
            pt = np.hypot(p[..., 0], p[..., 1])
            exists = validation.any_of(p)
            yield Block(rows[chosen], p, exists, pt, np.ones(len(p), bool))
            if read == wanted.max_jets:
                return

    def classes(self) -> dict[str, int]:
        """Jets of each class."""
        data = hdf5.dataset(self.table.file, JETS, (None, None))
        names = hdf5.names(self.table.file, "jetFeatureNames")[: data.shape[1]]
        counts: dict[str, int] = dict.fromkeys(validation.JET_TYPES, 0)
        for start, stop in validation.row_blocks(len(data), hdf5.block_rows(data)):
            rows = hdf5.read(data, start, stop, slice(None))
            for name in counts:
                if (label := f"j_{name}") in names:
                    counts[name] += int((rows[:, names.index(label)] == 1).sum())
        return counts


def _columns(file: h5py.File, key: str, wanted: tuple[str, ...], width: int):
    """Positions of the wanted names; width is that of the data they describe."""
    found = hdf5.names(file, key)
    if width > len(found) + 1:
        raise InputError(
            f"{file.filename}: {key}: names {len(found)} columns, the data have "
            f"{width}: jets are [jets, particles, features], np.swapaxes(x, 1, 2) "
            "exchanges the last two"
        )
    missing = [name for name in wanted if name not in found[:width]]
    if missing:
        raise InputError(
            f"{file.filename}: {key}: no column named {', '.join(missing)} among the "
            f"{width} columns of the data"
        )
    return [found.index(name) for name in wanted]
