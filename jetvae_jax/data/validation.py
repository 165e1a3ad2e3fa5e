"""The checks that every data set goes through, and their messages.

Strict by default: the first kind of problem stops the reading with its first row
and its number of rows. With ``repair`` bad rows are dropped or reordered, duplicate
jets are dropped, and of a file that is damaged inside the rows before the damage are
kept; the notes count it all. A file that cannot be opened, or whose keys, shapes, types
or units are wrong, cannot be repaired. Duplicate jets are those that are equal to an
earlier one bit for bit.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers.tables import Damaged

_BLOCK = 100_000  # jets hashed at once


class Seen:
    """The jets seen so far, as 8 bytes each.

    Use one object for all files of a data set: two may hold the same jets.
    """

    def __init__(self):
        self._sorted = np.zeros(0, np.uint64)
        self._new: list[np.ndarray] = []
        self._waiting = 0

    def repeated(self, p: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Which jets ``[n]`` are the same as an earlier one; the others are remembered.

        Args:
            p: ``[n, M, 3]`` float32, particles in their order.
            mask: ``[n, M]`` bool.
        """
        found = hashes(p, mask)
        _, first = np.unique(found, return_index=True)
        again = np.ones(len(found), bool)
        again[first] = False
        for known in (self._sorted, *self._new):
            place = np.minimum(np.searchsorted(known, found), max(len(known) - 1, 0))
            again |= (known[place] == found) if len(known) else False
        self._new.append(np.sort(found[~again]))
        self._waiting += len(self._new[-1])
        # Merge rarely: few arrays to search, and few copies of each number.
        if self._waiting > len(self._sorted):
            self._sorted = np.sort(np.concatenate([self._sorted, *self._new]))
            self._new, self._waiting = [], 0
        return again


def num_repeated(p: np.ndarray, mask: np.ndarray) -> int:
    """Number of jets of a sample that are the same as an earlier one.

    Args:
        p: ``[J, M, 3]`` float32, particles in their order.
        mask: ``[J, M]`` bool.
    """
    starts = range(0, len(mask), _BLOCK)
    found = [hashes(p[i : i + _BLOCK], mask[i : i + _BLOCK]) for i in starts]
    return len(mask) - len(np.unique(np.concatenate(found))) if found else 0


def hashes(p: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """64 bits a jet, of its particles in their order, whatever the padding.

    The sum of each number's bits times a random odd constant of its place: two
    different jets agree with a probability of about 2^-60 (multilinear hashing, Carter
    and Wegman 1979), so among 1e7 jets with one of 1e-4.

    Args:
        p: ``[n, M, 3]`` float32.
        mask: ``[n, M]`` bool.

    Returns:
        ``[n]`` uint64.
    """
    num = 3 * p.shape[1]
    bits = np.where(mask[..., None], np.asarray(p, np.float32), 0).view(np.uint32)
    return bits.reshape(len(bits), num).astype(np.uint64) @ _constants(num)


def draws(p: np.ndarray, mask: np.ndarray, seed: int) -> np.ndarray:
    """One uniform number in [0, 1) for each jet, the same for the same jet.

    Args:
        p: ``[n, M, 3]`` float32.
        mask: ``[n, M]`` bool.
        seed: 0 to 2**64 - 1; another one gives other numbers.

    Returns:
        ``[n]`` float64.
    """
    mixed = _mix(hashes(p, mask) ^ _mix(np.array([seed], np.uint64)))
    return (mixed >> np.uint64(11)) * 2.0**-53


def _constants(num: int) -> np.ndarray:
    """``[num]`` odd numbers."""
    return _mix(np.arange(num, dtype=np.uint64)) | np.uint64(1)


def _mix(x: np.ndarray) -> np.ndarray:
    """Pseudorandom numbers from 0, 1, ...: SplitMix64 (Steele et al. 2014)."""
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


JET_TYPES = ("g", "q", "t", "w", "z")
MAX_PARTICLES = 10_000
# Scalar sum of ptrel: 1 for a narrow jet; 1.02 at most in 177k gluon jets of R 0.4.
MAX_PTREL_SUM = 1.5
# Jets of the data sets have 160 to 3500 GeV.
MIN_MEDIAN_PT, MAX_MEDIAN_PT = 20.0, 20_000.0
# Files store float32, whose rounding is no disorder.
_ORDER_TOLERANCE = 1e-5


class Stated(NamedTuple):
    """What a file says of each jet beside its particles; NaN where it does not.

    Attributes:
        pt: ``[n]`` in GeV.
        eta: ``[n]``.
        energy: ``[n]`` in GeV.
        mass: ``[n]`` in GeV.
        multiplicity: ``[n]``, the number of particles.
    """

    pt: np.ndarray
    eta: np.ndarray
    energy: np.ndarray
    mass: np.ndarray
    multiplicity: np.ndarray


class Block(NamedTuple):
    """Some rows of a file, as a reader returns them.

    Attributes:
        rows: ``[n]`` row numbers in the file.
        particles: ``[n, M, 3]`` (px, py, pz) in GeV, float32.
        mask: ``[n, M]`` bool.
        pt: ``[n, M]`` what orders the particles, in any unit.
        keep: ``[n]`` bool, False for rows already found bad.
        axis: ``[n, 3]`` (pt in GeV, eta, phi) of the jets as the file has them, or
            None if it does not have them.
        stated: what the file says of the jets, or None.
    """

    rows: np.ndarray
    particles: np.ndarray
    mask: np.ndarray
    pt: np.ndarray
    keep: np.ndarray
    axis: np.ndarray | None = None
    stated: Stated | None = None


class Rows(NamedTuple):
    """Good rows of one file.

    Attributes:
        particles: ``[J, N, 3]`` (px, py, pz) in GeV, float32.
        mask: ``[J, N]`` bool.
        axis: ``[J, 3]`` (pt in GeV, eta, phi) of the jets as the file has them, or
            None if it does not have them.
        stated: what the file says of the jets, or None.
    """

    particles: np.ndarray
    mask: np.ndarray
    axis: np.ndarray | None
    stated: Stated | None = None


class Audit:
    """Counts what is wrong with the rows of one file.

    Attributes:
        notes: what was done, in words with counts.
        damage: where the file is damaged, or None.
        faults: rows ``"dropped"``, of particles ``"unsorted"``, and with numbers in
            the ``"padding"``.

    Args:
        path: the file, for the messages.
        repair: drop or reorder bad rows instead of stopping.
        seen: jets of the files before, to find duplicates; None where jets may be
            alike, as those of a model.
        flag: the one that repairs, for the messages; empty where there is none.
    """

    def __init__(
        self, path: str, repair: bool, seen: Seen | None = None, flag="--data.repair"
    ):
        self.path = path
        self.repair = repair
        self.repair_flag = flag
        self.seen = seen
        self.notes: list[str] = []
        self.damage: str | None = None
        self.faults: Counter[str] = Counter()
        self._found: dict[tuple[str, str, str], list[int]] = {}

    def flag(
        self,
        key: str,
        problem: str,
        bad: np.ndarray,
        rows: np.ndarray,
        keep: np.ndarray,
        *,
        remedy: str = "drop",
    ) -> np.ndarray:
        """Records the rows that have a problem, each row for its first one only.

        Args:
            key: data set that shows the problem.
            problem: what is wrong, for the user.
            bad: ``[n]`` bool.
            rows: ``[n]`` row numbers in the file.
            keep: ``[n]`` bool, rows without a problem so far.
            remedy: what repair does with such rows, drop or reorder.

        Returns:
            ``[n]`` bool: keep, without the bad rows unless they are reordered.
        """
        bad = bad & keep
        if bad.any():
            entry = self._found.setdefault((key, problem, remedy), [rows[bad][0], 0])
            entry[1] += int(bad.sum())
        return keep if remedy == "reorder" else keep & ~bad

    def finish(self) -> tuple[str, ...]:
        """The notes of a repaired or clean file.

        Raises:
            InputError: something was found and repair is off.
        """
        for (key, problem, remedy), (row, count) in self._found.items():
            rows = "1 row" if count == 1 else f"{count} rows"
            if not self.repair:
                how = f"; pass {self.repair_flag} to {remedy} them"
                raise InputError(
                    f"{self.path}: {key}: row {row}: {problem} ({rows} in all)"
                    f"{how if self.repair_flag else ''}"
                )
            done = "reordered" if remedy == "reorder" else "dropped"
            self.faults["unsorted" if remedy == "reorder" else "dropped"] += count
            self.notes.append(f"{self.path}: {key}: {problem}: {rows} {done}")
        if self.damage:
            self.notes.append(self.damage)
        return tuple(self.notes)


def check_request(num_particles: int, max_jets: int | None, seed: int) -> None:
    """Checks the numbers a user gives.

    Raises:
        InputError: naming the flag.
    """
    if not 1 <= num_particles <= MAX_PARTICLES:
        raise InputError(f"num_particles is {num_particles}: give 1 to {MAX_PARTICLES}")
    if max_jets is not None and max_jets < 1:
        raise InputError(f"max_jets is {max_jets}: give 1 or more, or nothing for all")
    if mistake := configs.large_seed(seed):
        raise InputError(f"seed is {seed}: {mistake}")


def check_jet_type(jet_type: str, own: Iterable[str] = ()) -> None:
    """Checks the class a user wants.

    Args:
        jet_type: its name.
        own: classes of the user's files, besides those that are known everywhere.

    Raises:
        InputError: there is no such class.
    """
    known = [*JET_TYPES, *sorted({*own} - {*JET_TYPES, ""})]
    if jet_type not in known:
        raise InputError(
            f"jet_type is {jet_type!r}: choose one of {', '.join(known)}, or a "
            "class by which files are named"
        )


def check_units(path: str, key: str, particles: np.ndarray) -> None:
    """Checks that jets are in GeV.

    Args:
        path: for the message.
        key: data set that holds the momenta.
        particles: ``[J, N, 3]``.

    Raises:
        InputError: the median jet pt cannot be GeV.
    """
    total = particles[..., :2].sum(axis=-2, dtype=np.float64)
    median = float(np.median(np.hypot(total[:, 0], total[:, 1])))
    for wrong, unit in (
        (median < MIN_MEDIAN_PT, "TeV or normalised momenta"),
        (median > MAX_MEDIAN_PT, "MeV"),
    ):
        if wrong:
            raise InputError(
                f"{path}: {key}: median jet pt is {median:.4g}: looks like {unit}, "
                "expected GeV; convert the file, or state its unit in the columns: "
                "unit=GeV, MeV or TeV"
            )


def is_channel_first(shape: tuple[int, ...]) -> bool:
    """Whether the last axes of an array are features and particles, in this order.

    Three or four features before more than four of anything else.
    """
    return len(shape) > 2 and shape[-2] in (3, 4) and shape[-1] > 4


def order_hint(shape: tuple[int, ...]) -> str:
    """For messages on a shape: what to do if its last axes are exchanged."""
    hint = "; features come last: np.swapaxes(x, 1, 2)"
    return hint if is_channel_first(shape) else ""


def any_of(features: np.ndarray) -> np.ndarray:
    """Where one of few features ``[..., C]`` is not zero; there ``any(-1)`` is slow."""
    columns = np.moveaxis(features, -1, 0)
    return functools.reduce(np.logical_or, (column != 0 for column in columns))


def padding(audit: Audit, values: Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
    """Which particles are padding by NaN, or by a number such as -999 or -1.

    All their features are NaN, and no particle comes after them, nor is any place of
    the jet padded otherwise; or all are the same negative number, and no particle comes
    after them or it is -99 or less. A note counts the jets.

    Args:
        audit: for the note.
        values: features of the particles, two or more, each ``[n, M]``.
        mask: ``[n, M]`` bool, without the padding that is known already.

    Returns:
        ``[n, M]`` bool.
    """
    nan, code = mask & np.isnan(values[0]), mask & (values[0] < 0)
    for other in values[1:]:
        nan &= np.isnan(other)
        code &= other == values[0]
    if code.any():
        code &= (values[0] <= -99) | ~_before_another(mask & ~code)
    if nan.any():
        nan &= mask.all(1, keepdims=True) & ~_before_another(mask & ~nan)
    for what, found in (("NaN", nan), ("-999 or the like", code)):
        if number := int(found.any(1).sum()):
            audit.notes.append(
                f"{audit.path}: {number} jets padded by {what}: no particles there"
            )
    return nan | code


def _before_another(real: np.ndarray) -> np.ndarray:
    """Which places ``[n, M]`` have a particle at them or after them."""
    return np.flip(np.maximum.accumulate(np.flip(real, 1), axis=1), 1)


def good_rows(
    block: Block,
    audit: Audit,
    key: str,
    num_particles: int,
    *,
    allow_empty: bool = False,
) -> Rows:
    """Checks, orders and cuts some rows.

    Args:
        block: from a reader.
        audit: collects what is wrong, and notes.
        key: data set that holds the particles, for the messages.
        num_particles: N; the leading N by pt are kept, fewer are padded.
        allow_empty: keep jets without particles.

    Returns:
        The good rows, in the order of the file.
    """

    def note(text: str) -> None:
        audit.notes.append(f"{audit.path}: {text}")

    width = block.mask.shape[1]
    keep = _check_rows(block, audit, key, allow_empty)
    mask = block.mask[keep]
    (pt,) = floats(np, block.pt[keep])
    pt = np.where(mask, pt, -np.inf)
    particles = np.where(mask[..., None], block.particles[keep], np.float32(0))
    particles = particles.astype(np.float32, copy=False)
    axis = None if block.axis is None else block.axis[keep].astype(np.float32)
    stated = block.stated and Stated(*(values[keep] for values in block.stated))
    prefix = ~np.any(mask[:, 1:] & ~mask[:, :-1], axis=1)
    wrong = np.any(pt[:, 1:] > pt[:, :-1] * (1 + _ORDER_TOLERANCE), axis=1)
    if wrong.any():
        order = np.argsort(-pt[wrong], axis=1, kind="stable")
        mask[wrong] = np.take_along_axis(mask[wrong], order, 1)
        particles[wrong] = np.take_along_axis(particles[wrong], order[..., None], 1)
    if audit.seen is not None:
        again = audit.seen.repeated(particles, mask)
        if again.any():
            kept = f"kept, {audit.repair_flag} drops them"
            done = "dropped" if audit.repair else kept
            note(f"{again.sum()} duplicate jets: {done}")
        if audit.repair:
            particles, mask = particles[~again], mask[~again]
            axis = None if axis is None else axis[~again]
            stated = stated and Stated(*(values[~again] for values in stated))
    if unsorted := np.sum(wrong & prefix):
        note(f"{unsorted} jets sorted by descending pt")
        audit.faults["unsorted"] += int(unsorted)
    if cut := np.any(mask[:, num_particles:], axis=1).sum():
        note(f"{cut} jets cut to their {num_particles} leading particles")
    if width < num_particles:
        note(f"padded from {width} to {num_particles} particles")
    spare = max(0, num_particles - width)
    particles = np.pad(particles[:, :num_particles], ((0, 0), (0, spare), (0, 0)))
    mask = np.pad(mask[:, :num_particles], ((0, 0), (0, spare)))
    return Rows(particles, mask, axis, stated)


def until_damage(blocks: Iterable[Block], audit: Audit) -> Iterator[Block]:
    """The blocks; with ``repair`` only those before the first that cannot be read.

    Raises:
        Damaged: the file is damaged, in its first rows or without ``repair``.
    """
    rows = 0
    try:
        for block in blocks:
            rows = int(block.rows[-1]) + 1 if len(block.rows) else rows
            yield block
    except Damaged as error:
        if not rows:
            raise
        if not audit.repair:
            raise Damaged(
                f"{error}, or pass {audit.repair_flag} to keep {rows} rows"
            ) from error
        audit.damage = f"{error}; kept: {rows} rows before the damage"


def row_blocks(num_rows: int, size: int) -> Iterator[tuple[int, int]]:
    """``(start, stop)`` of consecutive blocks that cover ``num_rows``."""
    for start in range(0, num_rows, size):
        yield start, min(start + size, num_rows)


def _check_rows(block: Block, audit: Audit, key: str, allow_empty: bool) -> np.ndarray:
    """The checks that do not depend on the layout; ``[n]`` bool rows to keep."""
    rows, mask, keep = block.rows, block.mask, block.keep
    p = block.particles

    broken = np.any(mask & any_of(~np.isfinite(p)), axis=1)
    keep = audit.flag(key, "NaN or infinite momentum", broken, rows, keep)
    nothing = np.any(mask & (p[..., 0] == 0) & (p[..., 1] == 0), axis=1)
    keep = audit.flag(key, "a particle has zero pt", nothing, rows, keep)
    if not allow_empty:
        keep = audit.flag(
            key, "all particles are padding", ~np.any(mask, axis=1), rows, keep
        )
    hole = np.any(mask[:, 1:] & ~mask[:, :-1], axis=1)
    return audit.flag(
        key, "padding before particles", hole, rows, keep, remedy="reorder"
    )
