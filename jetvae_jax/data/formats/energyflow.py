"""EnergyFlow's npz files of quark and gluon jets.

EnergyFlow (Zenodo 3164691, arXiv:1810.05165): ``X [J, M, 4]`` = pt [GeV], rapidity,
phi, PDG id, and ``y [J]``, 1 for quark and 0 for gluon jets. Padding is all zeros.
"""

from collections.abc import Iterator

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import formats, validation
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.npz import Archive
from jetvae_jax.data.containers.tables import Table
from jetvae_jax.data.validation import Audit, Block

KEY, LABEL = "X", "y"
EXPECTS = f"{KEY} and {LABEL} (EnergyFlow npz)"
# GeV (Particle Data Group): the rapidity of a particle with mass is not its eta.
MASSES = {
    11: 0.000511,
    13: 0.105658,
    130: 0.497611,
    211: 0.139570,
    310: 0.497611,
    321: 0.493677,
    2112: 0.939565,
    2212: 0.938272,
}


def matches(table: Table) -> bool:
    """Whether an open file is meant to have this format."""
    return isinstance(table, Archive) and KEY in table.names


class Reader(formats.Reader):
    """Reads one file; see :class:`formats.Reader <jetvae_jax.data.formats.Reader>`."""

    key, types = KEY, ("g", "q")
    table: Archive

    def blocks(self, wanted: formats.Wanted, audit: Audit) -> Iterator[Block]:
        """The jets of one class, g or q, some rows at a time.

        Raises:
            InputError: arrays of other shapes or types, or another class.
        """
        if wanted.jet_type not in (None, *self.types):
            raise InputError(
                f"{audit.path}: holds gluon (g) and quark (q) jets, none of type "
                f"{wanted.jet_type!r}; give another jet_type"
            )
        features, labels = _members(self.table)
        total, particles, columns = features.shape
        size = max(
            1, tables.BLOCK_BYTES // (features.dtype.itemsize * particles * columns)
        )
        read = start = 0
        pairs = zip(
            self.table.rows(features, size, total),
            self.table.rows(labels, size, total),
            strict=True,
        )
        for x, y in pairs:
            rows = np.arange(start, start + len(y))
            start += len(y)
            bad = (y != 0) & (y != 1)
            chosen = (y == (wanted.jet_type == "q")) | bad
            chosen |= wanted.jet_type is None
            chosen &= audit.flag(LABEL, "label is neither 0 nor 1", bad, rows, chosen)
            chosen = wanted.limited(chosen, read)
            read += int(chosen.sum())
            few = np.array(x[chosen])
            formats.clear_padding(audit, few[..., :3])
            p, pt, mask = momenta(few)
            keep = np.ones(len(p), bool)
            keep = audit.flag(
                KEY, "negative pt", np.any(pt < 0, axis=1), rows[chosen], keep
            )
            yield Block(rows[chosen], p, mask, pt, keep)
            if read == wanted.max_jets:
                return

    def classes(self) -> dict[str, int]:
        """Jets of each class."""
        _, labels = _members(self.table)
        quarks = 0
        for y in self.table.rows(labels, 10**6, labels.shape[0]):
            quarks += int((y == 1).sum())
        return {"g": labels.shape[0] - quarks, "q": quarks}


def momenta(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(px, py, pz) in GeV, pt and mask of ``[n, M, 3 or 4]`` EnergyFlow features.

    The longitudinal momentum is that of the particle's true mass, mT sinh(y); particles
    of unknown id are massless.
    """
    x = np.asarray(x, np.float64)
    pt, y, phi = np.moveaxis(x[..., :3], -1, 0)
    mask = validation.any_of(x[..., :3])
    mass = np.zeros_like(pt)
    if x.shape[-1] > 3:
        for pid, value in MASSES.items():
            mass[np.abs(x[..., 3]) == pid] = value
    with np.errstate(over="ignore", invalid="ignore"):
        pz = np.hypot(pt, mass) * np.sinh(y)
        p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pz], axis=-1)
        return p.astype(np.float32), pt, mask


def _members(archive: Archive):
    features, labels = archive.member(KEY), archive.member(LABEL)
    for member in (features, labels):
        if member.dtype.kind not in "fiub":
            raise InputError(
                f"{archive.path}: {member.name}: dtype is {member.dtype}, expected "
                "numbers"
            )
    shape = features.shape
    if len(shape) != 3 or shape[2] not in (3, 4) or not all(shape):
        raise InputError(
            f"{archive.path}: {KEY}: shape is {shape}, expected (any, any, 4): pt, "
            f"rapidity, phi, id{validation.order_hint(shape)}"
        )
    if labels.shape != shape[:1]:
        raise InputError(
            f"{archive.path}: {LABEL}: shape is {labels.shape}, expected ({shape[0]},)"
        )
    return features, labels
