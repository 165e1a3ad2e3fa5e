"""The JetNet format (Kansal et al., arXiv:2106.11535; Zenodo 6975118).

``particle_features [J, N, 3 or 4]`` = etarel, phirel, ptrel (, mask);
``jet_features [J, >=4]`` = pt [GeV], eta, mass [GeV], num_particles. The files hold
no azimuth of the jet; those of this package add ``jet_extra [J, >=1]`` with phi
first. One file is one class of jets, unless ``jet_type [J, 1]`` states the class of
each, as in files of this package.
"""

from collections.abc import Iterator

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import formats, validation
from jetvae_jax.data.containers import hdf5
from jetvae_jax.data.containers.tables import Table
from jetvae_jax.data.validation import Audit, Block, Stated

KEY, JETS, EXTRA = "particle_features", "jet_features", "jet_extra"
EXPECTS = f"{KEY} and {JETS} (JetNet)"
ETAREL, PHIREL, PTREL, MASK = range(4)
ENERGY = "energy"
"""Name of the second column of ``jet_extra`` in files of this package."""


def matches(table: Table) -> bool:
    """Whether an open file is meant to have this format."""
    return isinstance(table, hdf5.HDF5Table) and JETS in table.names


class Reader(formats.Reader):
    """Reads one file; see :class:`formats.Reader <jetvae_jax.data.formats.Reader>`.

    The azimuthal symmetry is exact: phi of a jet is uniform in [-pi, pi) where the file
    has none, and the same for the same jet and seed.
    """

    key = KEY
    table: hdf5.HDF5Table

    def __init__(self, table: hdf5.HDF5Table):
        super().__init__(table)
        self.types = formats.stated_types(table)
        self.one_class = not self.types

    @property
    def width(self) -> int | None:
        """Particles a row of the file."""
        return hdf5.dataset(self.table.file, KEY, (None, None, None)).shape[1]

    def blocks(self, wanted: formats.Wanted, audit: Audit) -> Iterator[Block]:
        """The jets, some rows at a time.

        Raises:
            InputError: keys, shapes or types are wrong.
        """
        file = self.table.file
        features = hdf5.dataset(file, KEY, (None, None, None))
        total, _, columns = features.shape
        if columns not in (3, 4):
            hint = validation.order_hint(features.shape)
            raise InputError(
                f"{audit.path}: {KEY}: shape is {features.shape}, expected (any, any, "
                f"4): etarel, phirel, ptrel, mask{hint}"
            )
        jets = hdf5.dataset(file, JETS, (total, None))
        if jets.shape[1] < 4:
            raise InputError(
                f"{audit.path}: {JETS}: shape is {jets.shape}, expected ({total}, 4): "
                "pt, eta, mass, num_particles"
            )
        extra, has_energy = None, False
        if EXTRA in hdf5.keys(file):
            extra = hdf5.dataset(file, EXTRA, (total, None))
            has_energy = extra.shape[1] > 1 and _names(extra)[1:2] == [ENERGY]
        else:
            audit.notes.append(
                f"{audit.path}: no {EXTRA}: phi of the jets drawn uniformly"
            )
        num = total if wanted.max_jets is None else min(total, wanted.max_jets)
        num = total if self.types else num
        read = 0
        for start, stop in validation.row_blocks(num, hdf5.block_rows(features)):
            p = hdf5.read(features, start, stop, slice(0, columns))
            jet = hdf5.read(jets, start, stop, slice(0, 4))
            energy = np.full(len(jet), np.nan)
            if extra is not None and has_energy:
                energy = hdf5.read(extra, start, stop, slice(1, 2))[:, 0]
            if extra is None:
                phi = azimuths(p, wanted.seed)
            else:
                phi = hdf5.read(extra, start, stop, slice(0, 1))[:, 0]
            rows = np.arange(start, stop)
            if self.types:
                chosen = self._of_type(rows, wanted, audit, read)
                p, jet, phi, rows = p[chosen], jet[chosen], phi[chosen], rows[chosen]
                energy = energy[chosen]
            read += len(rows)
            formats.clear_padding(audit, p)
            pt, eta, mass, count = jet.T.astype(np.float64)
            stated = Stated(pt, eta, energy.astype(np.float64), mass, count)
            # ptrel sums to about one, unless a model made the jets.
            block = block_of(audit, rows, p, jet, phi, check_sum=not self.generated)
            yield block._replace(stated=stated)
            if read == wanted.max_jets:
                return

    def _of_type(
        self, rows: np.ndarray, wanted: formats.Wanted, audit: Audit, read: int
    ) -> np.ndarray:
        """Which of consecutive rows are of the wanted class, of ``read`` before."""
        data = hdf5.dataset(self.table.file, formats.TYPE, (None, 1))
        labels = hdf5.read(data, rows[0], rows[-1] + 1, slice(0, 1))[:, 0]
        if len(labels) < len(rows):
            raise InputError(f"{audit.path}: {formats.TYPE}: has fewer rows than {KEY}")
        chosen = formats.of_type(self.types, labels, wanted, audit, rows)
        return wanted.limited(chosen, read)

    def classes(self) -> dict[str, int]:
        """Jets of each class, where the file states them."""
        if not self.types:
            return {}
        data = hdf5.dataset(self.table.file, formats.TYPE, (None, 1))
        labels = hdf5.read(data, 0, data.shape[0], slice(0, 1))
        return formats.count_types(self.types, labels)


def _names(data: h5py.Dataset) -> list[str]:
    """Names of the columns, where the file has them."""
    try:
        found = np.ravel(data.attrs.get("names", ()))
    except (OSError, RuntimeError, ValueError, TypeError):  # damaged: none are needed
        return []
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else n for n in found]


def azimuths(p: np.ndarray, seed: int) -> np.ndarray:
    """``[n]`` phi of jets that have none, uniform in [-pi, pi).

    Args:
        p: ``[n, M, 3 or 4]`` float32 particle features.
        seed: another one gives other angles; the same gives the same for the same jet.
    """
    drawn = validation.draws(p[..., :3], p[..., PTREL] > 0, seed)
    return np.pi * (2 * drawn - 1)


def block_of(
    audit: Audit,
    rows: np.ndarray,
    p: np.ndarray,
    jet: np.ndarray,
    phi: np.ndarray,
    *,
    check_sum: bool,
) -> Block:
    """Momenta of the particles, with the bad rows flagged.

    Args:
        audit: collects what is wrong.
        rows: ``[n]`` row numbers.
        p: ``[n, M, 3 or 4]`` particle features, float32.
        jet: ``[n, 2 or more]`` pt [GeV] and eta of the jets.
        phi: ``[n]`` of the jets.
        check_sum: whether ptrel must sum to about one, and jets have a pt.
    """
    keep = np.ones(len(rows), bool)

    def flag(key, problem, bad):
        return audit.flag(key, problem, bad, rows, keep)

    keep = flag(KEY, "NaN or infinite value", ~np.isfinite(p).all((1, 2)))
    keep = flag(JETS, "NaN or infinite value", ~np.isfinite(jet).all(1))
    keep = flag(EXTRA, "phi is NaN or infinite", ~np.isfinite(phi))
    ptrel = p[..., PTREL]
    if p.shape[-1] == 4:
        mask = p[..., MASK] != 0
        bad = (mask & (p[..., MASK] != 1)).any(1)
        keep = flag(KEY, "mask is neither 0 nor 1", bad)
        beside = ~mask & validation.any_of(p[..., :MASK])
        audit.faults["padding"] += int(beside.any(1).sum())
    else:
        mask = ptrel > 0
    keep = flag(KEY, "negative ptrel", (ptrel < 0).any(1))
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.where(mask, ptrel, 0).sum(1)
        if check_sum:
            bad = total > validation.MAX_PTREL_SUM
            problem = f"sum of ptrel above {validation.MAX_PTREL_SUM}, it should be 1"
            keep = flag(KEY, problem, bad)
            keep = flag(JETS, "pt is zero or negative", ~(jet[:, 0] > 0))
        else:
            keep = flag(JETS, "pt is negative", jet[:, 0] < 0)
        pt, eta = jet[:, :1].astype(np.float64), jet[:, 1:2].astype(np.float64)
        pt = ptrel * pt
        eta = p[..., ETAREL] + eta
        angle = p[..., PHIREL] + np.asarray(phi, np.float64)[:, None]
        particles = np.empty((*pt.shape, 3), np.float32)
        for i, direction in enumerate((np.cos(angle), np.sin(angle), np.sinh(eta))):
            particles[..., i] = pt * direction
    axis = np.column_stack([jet[:, :2], phi])
    return Block(rows, particles, mask, ptrel, keep, axis)
