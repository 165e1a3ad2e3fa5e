"""Reader of the hls4ml LHC jet layout (Zenodo 3601436, 3602254, 3602260).

``jetConstituentList [J, N, C]`` with columns named in ``particleFeatureNames``, of
which j1_px, j1_py, j1_pz (GeV) are read; ``jets [J, G]`` with columns named in
``jetFeatureNames``, of which the one-hot j_g, j_q, j_w, j_z, j_t tell the class.
Columns are found by name. Padding is all zeros.
"""

from collections.abc import Iterator

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import validation
from jetvae_jax.data.containers import hdf5
from jetvae_jax.data.validation import Audit, Block

KEY, JETS = "jetConstituentList", "jets"
MOMENTUM = ("j1_px", "j1_py", "j1_pz")
CLASSES = tuple(f"j_{name}" for name in validation.JET_TYPES)


def is_layout(keys: list[str]) -> bool:
    """Whether a file with these keys is meant to have this layout."""
    return KEY in keys or "jetFeatureNames" in keys


def _columns(file: h5py.File, key: str, wanted: tuple[str, ...], width: int):
    """Positions of the wanted names; width is that of the data they describe."""
    found = hdf5.names(file, key)
    missing = [name for name in wanted if name not in found[:width]]
    if missing:
        raise InputError(
            f"{file.filename}: {key}: no column named {', '.join(missing)} among the "
            f"{width} columns of the data"
        )
    return [found.index(name) for name in wanted]


def blocks(
    file: h5py.File, audit: Audit, max_jets: int | None, jet_type: str
) -> Iterator[Block]:
    """Reads the jets of one class from one file, some rows at a time.

    Args:
        file: an open file.
        audit: collects what is wrong.
        max_jets: jets of the class to read, from the first; None for all.
        jet_type: class, one of ``validation.JET_TYPES``.

    Raises:
        InputError: keys, names, shapes or types are wrong.
    """
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
        classes = hdf5.read(jets, start, stop, span)[:, np.subtract(labels, span.start)]
        # Jets of the class j_undef have zeros in all five.
        bad = ~(np.isin(classes, (0, 1)).all(1) & (classes.sum(1) <= 1))
        wanted = classes[:, CLASSES.index(f"j_{jet_type}")] == 1
        everything = np.ones(len(rows), bool)
        wanted &= audit.flag(JETS, "class is not one-hot", bad, rows, everything)
        if max_jets is not None:
            wanted &= np.cumsum(wanted) <= max_jets - read
        if not wanted.any():
            continue
        read += int(wanted.sum())
        p = hdf5.read(features, start, stop, near)[wanted]
        p = p[..., np.subtract(xyz, near.start)]
        pt = np.hypot(p[..., 0], p[..., 1])
        yield Block(rows[wanted], p, (p != 0).any(-1), pt, np.ones(len(p), bool))
        if read == max_jets:
            return
