"""A user's own file, by a mapping of its columns.

    ("px=part_px", "py=part_py", "pz=part_pz")            lists or padded arrays
    ("pt=X[0]", "eta=X[1]", "phi=X[2]", "unit=MeV")       columns of [J, M, C]
    ("px=X[0,:]", "py=X[1,:]", "pz=X[2,:]")               columns of [J, C, M]
    ("px=PX_*", "py=PY_*", "pz=PZ_*", "select=is_top:1")  PX_0, PX_1, ...
    ("px=jet.part.px", "py=jet.part.py", "pz=jet.part.pz", "jets=each")
    ("ptrel", "etarel", "phirel")    columns of the only array [J, M, C], in their order

Left of '=' is what is read: px, py, pz or pt, eta, phi, or, of jets whose pt is not
known, ptrel, etarel, phirel; ``mask`` (1 where a particle exists; without it a particle
exists if it is not all zero); ``unit`` (GeV, MeV or TeV: what is stated here is not
doubted); ``select`` (a column and the value that wanted jets have); ``type`` (a column
and the names of the classes for which it is 0, 1, ..., as label:qcd:top); ``tree`` (of
ROOT files); ``jets`` (of a tree of events, each a list of jets that are lists of
particles: ``each`` jet, or the ``first`` of each event); ``padding`` (the value of
particles that do not exist, as -999; NaN and -999 are recognised). The same in every
container; names in groups and of fields of records are ``group/name`` and
``record.field``. Without names of columns, a mapping holds for a file of a known
format: ("unit=GeV",).

Without a mapping, files with the columns of JetClass (arXiv:2202.03772), and what this
package writes as npz, are recognised.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence

import numpy as np

from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.data import formats, validation
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.tables import Column, Nested, Ragged, Table, listing
from jetvae_jax.data.validation import Audit, Block

UNITS = {"GeV": 1.0, "MeV": 1e-3, "TeV": 1e3}
CARTESIAN, CYLINDRICAL = ("px", "py", "pz"), ("pt", "eta", "phi")
RELATIVE = ("ptrel", "etarel", "phirel")
SYSTEMS = (CARTESIAN, CYLINDRICAL, RELATIVE)
OPTIONS = ("mask", "unit", "select", "type", "tree", "jets", "padding")
FIELDS = (*CARTESIAN, *CYLINDRICAL, *RELATIVE, *OPTIONS)
JETS = ("each", "first")
EXAMPLE = "px=part_px,py=part_py,pz=part_pz"
EXPECTS = "part_px, part_py and part_pz (JetClass)"
_MAX_PHI = 3 * np.pi  # 2 pi, and half a turn for networks that add to it
_INDEXED = re.compile(r"(.+)\[(:,)?(\d{1,4})(,:)?\]")
_ORDER = re.compile(r"\w+")


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where the jets are in a file.

    Attributes:
        names: three of the particles, in the order of ``system``; none for a file of a
            known format.
        system: what they are, one of ``SYSTEMS``.
        order: names of the columns of the only array, where no column is named.
        mask: column that is 1 where a particle exists, or empty.
        unit: of the momenta, as stated; empty for GeV, which is then checked.
        select: column and value of the jets wanted, or None for all.
        type: column of the class of a jet, and the names of the classes in their order;
            empty where all jets are of one class.
        tree: of a ROOT file of several.
        jets: of a tree of events, "each" jet or the "first" of each event; or empty.
        padding: value of particles that do not exist, besides zero; or None.
        energy: column of the energies, which are not read but show a wrong order; or
            empty.
    """

    names: tuple[str, ...] = ()
    system: tuple[str, str, str] = CARTESIAN
    order: tuple[str, ...] = ()
    mask: str = ""
    unit: str = ""
    select: tuple[str, float] | None = None
    type: tuple[str, ...] = ()
    tree: str = ""
    jets: str = ""
    padding: float | None = None
    energy: str = ""

    @property
    def scale(self) -> float:
        """The unit in GeV."""
        return UNITS[self.unit or "GeV"]

    def of_known_format(self, path: str) -> None:
        """Checks that it says nothing of columns, which a known format has already.

        Raises:
            InputError: it does.
        """
        for name in ("mask", "select", "type", "jets", "padding"):
            if getattr(self, name) not in ("", None, ()):
                raise InputError(
                    f"{path}: columns: {name}= needs the names of the columns too, as "
                    f"{EXAMPLE}"
                )


# Also what this package writes as Parquet and ROOT, and the same as records.
JETCLASS = Columns(("part_px", "part_py", "part_pz"))
RECORDS = Columns(("part.px", "part.py", "part.pz"))
# What this package writes as npz.
OWN_NPZ = Columns(("particles[0]", "particles[1]", "particles[2]"), mask="mask")


def parse(items: Sequence[str]) -> Columns:
    """The mapping that ``name=column`` items describe.

    Raises:
        InputError: unknown, repeated or missing names.
    """
    given: dict[str, str] = {}
    order: list[str] = []
    for item in items:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals and _ORDER.fullmatch(name):
            order.append(name)
            continue
        if name not in FIELDS or not equals or not value or name in given:
            hint = did_you_mean(name, FIELDS)
            raise InputError(
                f"columns: {item!r}{hint}: write name=column, each name once, of "
                f"{', '.join(FIELDS)}"
            )
        given[name] = value
    system, names = _system(given, order)
    return Columns(
        names=names,
        system=system,
        order=tuple(order),
        mask=given.get("mask", ""),
        unit=_choice(given, "unit", UNITS),
        select=_selection(given["select"]) if "select" in given else None,
        type=_classes(given["type"]) if "type" in given else (),
        tree=given.get("tree", ""),
        jets=_choice(given, "jets", JETS),
        padding=_number(given["padding"]) if "padding" in given else None,
    )


def _system(
    given: dict[str, str], order: list[str]
) -> tuple[tuple[str, str, str], tuple[str, ...]]:
    """Which coordinates are given, and the columns of each."""
    found = {name for name in (*given, *order) if name not in OPTIONS}
    if not found and not order:
        if given:
            return CARTESIAN, ()
        raise InputError(f"columns: is empty: write {EXAMPLE}")
    system = max(SYSTEMS, key=lambda names: len(found & set(names)))
    missing = [name for name in system if name not in found]
    if order and (missing or any(name in given for name in system)):
        raise InputError(
            f"columns: {','.join(order)}: write name=column, or the names of all "
            "columns of the array in their order, each once, such as "
            "etarel,phirel,ptrel or E,px,py,pz"
        )
    both = [n for names in SYSTEMS if names != system for n in names if n in given]
    if missing or both:
        raise InputError(
            "columns: give px, py and pz, or pt, eta and phi, or ptrel, etarel and "
            f"phirel, such as {EXAMPLE}; missing: "
            f"{', '.join(missing) or f'none, but {both[0]} is given too'}"
        )
    if order:
        if len(set(order)) < len(order):
            raise InputError(f"columns: {','.join(order)}: a name is listed twice")
        return system, ()
    return system, tuple(given[name] for name in system)


def _choice(given: dict[str, str], name: str, known: Sequence[str] | dict) -> str:
    value = given.get(name, "")
    if value and value not in known:
        raise InputError(f"columns: {name}={value}: choose one of {', '.join(known)}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"columns: padding={text}: write a number or nan") from None


def _selection(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition(":")
    try:
        if name:
            return name, float(value)
    except ValueError:
        pass
    raise InputError(f"columns: select={text}: write a column and a value, as label:1")


def _classes(text: str) -> tuple[str, ...]:
    column, *names = text.split(":")
    if len(set(names)) < max(len(names), 1) or not all((column, *names)):
        raise InputError(
            f"columns: type={text}: write a column and the names of the classes for "
            "which it is 0, 1 and so on, each once, as label:qcd:top"
        )
    return column, *names


def matches(table: Table) -> bool:
    """Whether an open file has the columns of JetClass, or those of our npz."""
    return _recognised(table) is not None


def _recognised(table: Table) -> Columns | None:
    for known in (JETCLASS, RECORDS):
        if set(known.names) <= set(table.names):
            return known
    return OWN_NPZ if {"particles", "mask"} <= set(table.names) else None


class Reader(formats.Reader):
    """Reads one file; see :class:`formats.Reader <jetvae_jax.data.formats.Reader>`.

    Args:
        table: the open file.
        columns: what its columns are; None for a file that :func:`matches`. Without
            names, it is about such a file.

    Raises:
        InputError: columns are to be those of the only array, and there is none or
            there are several.
    """

    layout = "columns"

    def __init__(self, table: Table, columns: Columns | None = None):
        super().__init__(table)
        known = _recognised(table)
        if columns is None:
            assert known is not None
            columns = known
        elif columns.order:
            columns = _ordered(table, columns)
        elif not columns.names:
            assert known is not None
            mask = columns.mask or known.mask
            columns = dataclasses.replace(columns, names=known.names, mask=mask)
        self._columns = columns
        self.types, self._type = columns.type[1:], formats.TYPE
        if self.types:
            self._type = columns.type[0]
        elif columns.select is None:
            self.types = formats.stated_types(table)
        self.relative = columns.system == RELATIVE
        self.key = columns.names[0]

    def classes(self) -> dict[str, int]:
        """Jets of each class, where the file states them; not of trees of events."""
        if not self.types or self._columns.jets:
            return {}
        source = _expand(self.table, self._type)
        total = self.table.num_rows(source.names)
        labels = [np.zeros(0)]
        for block in self.table.blocks(source.names, total, total):
            picked = _pick(self.table, block, source, self._type)
            labels.append(_number_a_jet(self.table, {self._type: picked}, self._type))
        return formats.count_types(self.types, np.concatenate(labels))

    def blocks(self, wanted: formats.Wanted, audit: Audit) -> Iterator[Block]:
        """The jets, some rows at a time.

        Raises:
            InputError: columns that are missing, of other types or shapes.
        """
        table, columns = self.table, self._columns
        items = [*columns.names, *([columns.mask] if columns.mask else [])]
        items += [columns.select[0]] if columns.select else []
        items += [self._type] if self.types else []
        items += [columns.energy] if columns.energy else []
        sources = {item: _expand(table, item) for item in items}
        names = list(dict.fromkeys(name for s in sources.values() for name in s.names))
        total = table.num_rows(names)
        if not total:
            raise InputError(f"{table.path}: there are no jets in it")
        read = start = 0
        # Sizes of lists are not known before they are read: 16 numbers a particle.
        size = max(1, tables.BLOCK_BYTES // (16 * 4 * max(wanted.num_particles, 64)))
        for block in table.blocks(names, size, total):
            found = {item: _pick(table, block, s, item) for item, s in sources.items()}
            found = _jets(table.path, columns, found)
            length = tables.length(next(iter(found.values())))
            rows = np.arange(start, start + length)
            start += length
            chosen = np.ones(length, bool)
            if columns.select is not None:
                name, value = columns.select
                chosen = _number_a_jet(table, found, name) == value
            if self.types:
                labels = _number_a_jet(table, found, self._type)[chosen]
                chosen[chosen] = formats.of_type(
                    self.types, labels, wanted, audit, rows[chosen]
                )
            chosen = wanted.limited(chosen, read)
            read += int(chosen.sum())
            values, mask = _dense(table, columns, found, wanted.num_particles)
            values, mask = [v[chosen] for v in values], mask[chosen]
            mask = _without_padding(columns, audit, values, mask)
            if columns.energy:
                energy = np.asarray(found[columns.energy])[chosen]
                _check_energy(table.path, columns, energy, values, mask)
            yield block_of(columns, audit, rows[chosen], values, mask)
            if read == wanted.max_jets:
                return


def _number_a_jet(table: Table, found: dict[str, Column], name: str) -> np.ndarray:
    """A column ``[n]`` of jets.

    Raises:
        InputError: it is no such column.
    """
    picked = found[name]
    if not isinstance(picked, np.ndarray) or picked.ndim != 1:
        raise InputError(f"{table.path}: {name}: expected one number a jet")
    return picked


@dataclasses.dataclass(frozen=True)
class _Source:
    """Columns of a table that an item means, and an index into one of them."""

    names: list[str]
    index: int | None = None
    axis: str = ""  # of the index: "last", "second", or whichever holds the features


def _expand(table: Table, item: str) -> _Source:
    known = (*table.names, *tables.nested(table))
    if item in known:
        return _Source([item])
    if (match := _INDEXED.fullmatch(item)) and match[1] in known:
        axis = "second" if match[4] else "last" if match[2] else ""
        return _Source([match[1]], int(match[3]), axis)
    if "*" in item:
        head, _, tail = item.partition("*")
        pattern = re.compile(rf"{re.escape(head)}(\d+){re.escape(tail)}")
        found = [(int(m[1]), n) for n in known if (m := pattern.fullmatch(n))]
        if found:
            return _Source([name for _, name in sorted(found)])
    hint = did_you_mean(item, known)
    raise InputError(
        f"{table.path}: {item}: missing column{hint}; the file has: {listing(known)}"
    )


def _ordered(table: Table, columns: Columns) -> Columns:
    """Columns named by their order in the only array of the file."""
    name, shape = formats.only_array(table)
    width = len(columns.order)
    if width not in shape[-2:]:
        raise InputError(
            f"{table.path}: {name}: shape is {shape}, but {width} columns are named: "
            f"{', '.join(columns.order)}; name all columns in their order, _ for others"
        )
    index = "{}" if shape[-1] == width else "{},:"
    place = {n: f"{name}[{index.format(i)}]" for i, n in enumerate(columns.order)}
    names = tuple(place[n] for n in columns.system)
    energy = [at for n, at in place.items() if n.lower() in ("e", "energy")]
    return dataclasses.replace(
        columns, names=names, mask=columns.mask or place.get("mask", ""), order=(),
        energy=energy[0] if energy and columns.system != RELATIVE else "",
    )  # fmt: skip


def _pick(table: Table, block: dict[str, Column], source: _Source, item: str) -> Column:
    """One item of a block of rows."""
    if len(source.names) > 1:
        parts = [block[name] for name in source.names]
        if any(not isinstance(part, np.ndarray) or part.ndim != 1 for part in parts):
            raise InputError(f"{table.path}: {item}: expected one number a jet in each")
        return np.stack(parts, axis=-1)
    column = block[source.names[0]]
    if source.index is None:
        return column
    axis = -2 if source.axis == "second" else -1
    if (
        not isinstance(column, np.ndarray)
        or column.ndim < 2
        or (column.ndim < 3 and axis == -2)
        or source.index >= column.shape[axis]
    ):
        raise InputError(f"{table.path}: {item}: the column has no such index")
    if not source.axis and validation.is_channel_first(column.shape):
        name, (rows, columns) = source.names[0], column.shape[-2:]
        raise InputError(
            f"{table.path}: {item}: a jet has {rows} x {columns} numbers: write "
            f"{name}[{source.index},:] if they are features of {columns} particles, or "
            f"{name}[:,{source.index}] if there are {rows} particles"
        )
    return np.take(column, source.index, axis=axis)


def _jets(path: str, columns: Columns, found: dict[str, Column]) -> dict[str, Column]:
    """Columns of jets: of events, those of each jet or of the first of each event."""
    if not columns.jets:
        for item, column in found.items():
            if isinstance(column, Nested):
                raise InputError(
                    f"{path}: {item}: each row is a list of jets, which are lists of "
                    "particles: add jets=each to the columns to take every jet, or "
                    "jets=first for the first one of each event"
                )
        return found
    first = found[columns.names[0]]
    if isinstance(first, np.ndarray) and first.ndim == 3:  # padded
        there = [np.asarray(found[name]) for name in columns.names]
        exists = np.any([(v != 0) & np.isfinite(v) for v in there], axis=(0, -1))
        exists &= np.cumsum(exists, 1) == 1 if columns.jets == "first" else True
    elif isinstance(first, Nested):
        most = max(np.max(first.counts, initial=0), 1)
        wanted = 1 if columns.jets == "first" else most
        exists = np.arange(most) < np.minimum(first.counts, wanted)[:, None]
    else:
        raise InputError(
            f"{path}: {columns.names[0]}: jets={columns.jets}: each row must be a list "
            "of jets, which are lists of particles; leave jets= out"
        )
    return {
        item: _of_jets(path, item, column, first, exists)
        for item, column in found.items()
    }


def _of_jets(
    path: str, item: str, column: Column, first: Column, exists: np.ndarray
) -> Column:
    """A column of events ``[E]`` as one of the jets that exist ``[E, jets]``."""
    if isinstance(column, np.ndarray):
        if column.shape[:2] == exists.shape:
            return column[exists]
        if column.ndim == 1:  # of the event
            return np.broadcast_to(column[:, None], exists.shape)[exists]
    elif not isinstance(first, np.ndarray) and np.array_equal(
        column.counts, first.counts
    ):
        every = np.arange(exists.shape[1]) < column.counts[:, None]
        kept = exists[every]
        if isinstance(column, Ragged):  # a number of each jet
            return column.values[kept]
        counts = column.inner.counts
        return Ragged(column.inner.values[np.repeat(kept, counts)], counts[kept])
    raise InputError(
        f"{path}: {item}: is not a list of as many jets in each event as the others"
    )


def _dense(
    table: Table, columns: Columns, found: dict[str, Column], num_particles: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """The three columns ``[n, M]`` in float64, and the mask of the particles."""
    items = (*columns.names, columns.mask) if columns.mask else columns.names
    picked = [found[item] for item in items]
    listed = [column for column in picked if isinstance(column, Ragged)]
    if listed:
        counts = listed[0].counts
        same = len(listed) == len(picked)
        same = same and all(np.array_equal(c.counts, counts) for c in listed)
    else:
        same = all(np.shape(c) == np.shape(picked[0]) for c in picked)
        same = same and np.ndim(picked[0]) == 2
    if not same:
        raise InputError(
            f"{table.path}: {', '.join(items)}: expected lists of the same lengths, or "
            "arrays [J, M] of one shape"
        )
    if listed:
        longest = int(np.max(listed[0].counts, initial=0))
        if longest > validation.MAX_PARTICLES:
            raise InputError(f"{table.path}: a jet of {longest} particles")
        width = max(num_particles, longest)
        mask = np.arange(width) < listed[0].counts[:, None]
        values = [column.padded(width)[0] for column in listed]
    else:
        values = [np.asarray(column) for column in picked]
        mask = np.ones(np.shape(picked[0]), bool)
    if columns.mask:
        there = values.pop()
        mask = mask & (there != 0) & ~np.isnan(there)
    else:  # padding is zero, in lists too
        sizes = values if columns.system == CARTESIAN else values[:1]
        mask = mask & np.any([v != 0 for v in sizes], axis=0)
    return [v.astype(np.float64) for v in values], mask


def _without_padding(
    columns: Columns, audit: Audit, values: list[np.ndarray], mask: np.ndarray
) -> np.ndarray:
    """The mask without the padding that is no zero."""
    if columns.padding is None:
        return mask & ~validation.padding(audit, values, mask)
    same = np.isnan if np.isnan(columns.padding) else (lambda v: v == columns.padding)
    return mask & ~np.all([same(v) for v in values], axis=0)


def _check_energy(
    path: str, columns: Columns, energy: np.ndarray, values: list, mask: np.ndarray
) -> None:
    """Checks that columns are named in their order: energies are not below momenta.

    Raises:
        InputError: those of most particles are.
    """
    a, b, c = values
    with np.errstate(over="ignore", invalid="ignore"):
        if columns.system == CARTESIAN:
            momentum = np.sqrt(a**2 + b**2 + c**2)
        else:
            momentum = a * np.cosh(b)
        below = mask & (energy < 0.99 * momentum)
    if 2 * below.sum() > mask.sum():
        raise InputError(
            f"{path}: {columns.energy}: energies are below the momenta of "
            f"{below.sum() / mask.sum():.0%} of the particles: name the columns in the "
            "order of the file, such as E,px,py,pz or px,py,pz,E"
        )


def block_of(
    columns: Columns,
    audit: Audit,
    rows: np.ndarray,
    values: Sequence[np.ndarray],
    mask: np.ndarray,
) -> Block:
    """Momenta of particles in the coordinates of a mapping, with the bad rows flagged.

    Args:
        columns: of which the names, the system and the unit are read.
        audit: collects rows of negative pt or of angles that are none.
        rows: ``[n]`` row numbers.
        values: the three coordinates, each ``[n, M]`` float64.
        mask: ``[n, M]`` bool.

    Raises:
        InputError: phi is in degrees.
    """
    a, b, c = values
    keep = np.ones(len(rows), bool)
    with np.errstate(over="ignore", invalid="ignore"):
        if columns.system == RELATIVE:
            return formats.relative_block(audit, columns.names[0], rows, values, mask)
        if columns.system == CARTESIAN:
            pt = np.hypot(a, b)
        else:
            bad = np.any(mask & (a < 0), axis=1)
            keep = audit.flag(columns.names[0], "negative pt", bad, rows, keep)
            far = np.any(mask & (np.abs(c) > _MAX_PHI), axis=1)
            if far.sum() > len(rows) / 2:
                raise InputError(
                    f"{audit.path}: {columns.names[2]}: phi of most jets is beyond "
                    f"{_MAX_PHI:.3g}: is it in degrees? write it in radians"
                )
            keep = audit.flag(
                columns.names[2],
                "phi beyond 3 pi: no angle in radians",
                far,
                rows,
                keep,
            )
            pt = a
            a, b, c = pt * np.cos(c), pt * np.sin(c), pt * np.sinh(b)
        p = np.stack([a, b, c], axis=-1) * columns.scale
        return Block(rows, p.astype(np.float32), mask, pt, keep)
