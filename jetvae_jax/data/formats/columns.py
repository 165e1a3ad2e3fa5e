"""A user's own file, by a mapping of its columns.

    ("px=part_px", "py=part_py", "pz=part_pz")            lists or padded arrays
    ("pt=X[0]", "eta=X[1]", "phi=X[2]", "unit=MeV")       columns of [J, M, C]
    ("px=PX_*", "py=PY_*", "pz=PZ_*", "select=is_top:1")  PX_0, PX_1, ...

Left of '=' is what is read: px, py, pz or pt, eta, phi; ``mask`` (1 where a particle
exists; without it a particle exists if it is not all zero); ``unit`` (GeV, MeV or TeV);
``select`` (a column and the value that wanted jets have); ``tree`` (of ROOT files).
The same in every container. Without a mapping, files with the columns of JetClass
(arXiv:2202.03772), and what this package writes as npz, are recognised.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence

import numpy as np

from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.data import formats, validation
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.tables import Column, Ragged, Table, listing
from jetvae_jax.data.validation import Audit, Block

UNITS = {"GeV": 1.0, "MeV": 1e-3, "TeV": 1e3}
CARTESIAN, CYLINDRICAL = ("px", "py", "pz"), ("pt", "eta", "phi")
FIELDS = (*CARTESIAN, *CYLINDRICAL, "mask", "unit", "select", "tree")
EXAMPLE = "px=part_px,py=part_py,pz=part_pz"
EXPECTS = "part_px, part_py and part_pz (JetClass)"
_INDEXED = re.compile(r"(.+)\[(\d{1,4})\]")


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where the jets are in a file.

    Attributes:
        names: three of the particles: of px, py, pz, or of pt, eta, phi.
        cartesian: whether they are px, py, pz.
        mask: column that is 1 where a particle exists, or empty.
        unit: of the momenta.
        select: column and value of the jets wanted, or None for all.
        tree: of a ROOT file of several.
    """

    names: tuple[str, str, str]
    cartesian: bool = True
    mask: str = ""
    unit: str = "GeV"
    select: tuple[str, float] | None = None
    tree: str = ""


# Also what this package writes as Parquet and ROOT.
JETCLASS = Columns(("part_px", "part_py", "part_pz"))
# What this package writes as npz.
OWN_NPZ = Columns(("particles[0]", "particles[1]", "particles[2]"), mask="mask")


def parse(items: Sequence[str]) -> Columns:
    """The mapping that ``name=column`` items describe.

    Raises:
        InputError: unknown, repeated or missing names.
    """
    given: dict[str, str] = {}
    for item in items:
        name, equals, value = (part.strip() for part in item.partition("="))
        if name not in FIELDS or not equals or not value or name in given:
            hint = did_you_mean(name, FIELDS)
            raise InputError(
                f"columns: {item!r}{hint}: write name=column, each name once, of "
                f"{', '.join(FIELDS)}"
            )
        given[name] = value
    cartesian = not any(name in given for name in CYLINDRICAL)
    wanted = CARTESIAN if cartesian else CYLINDRICAL
    missing = [name for name in wanted if name not in given]
    if missing or (not cartesian and any(name in given for name in CARTESIAN)):
        raise InputError(
            "columns: give px, py and pz, or pt, eta and phi, such as "
            f"{EXAMPLE}; missing: {', '.join(missing) or 'none, but both are given'}"
        )
    unit = given.get("unit", "GeV")
    if unit not in UNITS:
        raise InputError(f"columns: unit={unit}: choose one of {', '.join(UNITS)}")
    a, b, c = (given[name] for name in wanted)
    return Columns(
        names=(a, b, c),
        cartesian=cartesian,
        mask=given.get("mask", ""),
        unit=unit,
        select=_selection(given["select"]) if "select" in given else None,
        tree=given.get("tree", ""),
    )


def _selection(text: str) -> tuple[str, float]:
    name, _, value = text.rpartition(":")
    try:
        if name:
            return name, float(value)
    except ValueError:
        pass
    raise InputError(f"columns: select={text}: write a column and a value, as label:1")


def matches(table: Table) -> bool:
    """Whether an open file has the columns of JetClass, or those of our npz."""
    return _recognised(table) is not None


def _recognised(table: Table) -> Columns | None:
    if set(JETCLASS.names) <= set(table.names):
        return JETCLASS
    return OWN_NPZ if {"particles", "mask"} <= set(table.names) else None


class Reader(formats.Reader):
    """Reads one file; see :class:`formats.Reader <jetvae_jax.data.formats.Reader>`.

    Args:
        table: the open file.
        columns: what its columns are; None for a file that :func:`matches`.
    """

    layout = "columns"

    def __init__(self, table: Table, columns: Columns | None = None):
        super().__init__(table)
        found = columns or _recognised(table)
        assert found is not None
        self._columns = found
        self.key = found.names[0]

    def blocks(self, wanted: formats.Wanted, audit: Audit) -> Iterator[Block]:
        """The jets, some rows at a time.

        Raises:
            InputError: columns that are missing, of other types or shapes.
        """
        table, columns = self.table, self._columns
        items = [*columns.names, *([columns.mask] if columns.mask else [])]
        items += [columns.select[0]] if columns.select else []
        sources = {item: _expand(table, item) for item in items}
        names = list(
            dict.fromkeys(name for found, _ in sources.values() for name in found)
        )
        total = table.num_rows(names)
        if not total:
            raise InputError(f"{table.path}: there are no jets in it")
        read = start = 0
        # Sizes of lists are not known before they are read: 16 numbers a particle.
        size = max(1, tables.BLOCK_BYTES // (16 * 4 * max(wanted.num_particles, 64)))
        for block in table.blocks(names, size, total):
            length = _length(next(iter(block.values())))
            rows = np.arange(start, start + length)
            start += length
            chosen = np.ones(length, bool)
            if columns.select is not None:
                name, value = columns.select
                picked = _pick(table, block, sources[name], name)
                if isinstance(picked, Ragged) or picked.ndim != 1:
                    raise InputError(f"{table.path}: {name}: expected one number a jet")
                chosen = picked == value
            chosen = wanted.limited(chosen, read)
            read += int(chosen.sum())
            values, mask = _dense(table, columns, block, sources, wanted.num_particles)
            yield _block(columns, audit, rows, chosen, values, mask)
            if read == wanted.max_jets:
                return


def _expand(table: Table, item: str) -> tuple[list[str], int | None]:
    """Names of the columns that an item means, and the index into the last axis."""
    if item in table.names:
        return [item], None
    if (match := _INDEXED.fullmatch(item)) and match[1] in table.names:
        return [match[1]], int(match[2])
    if "*" in item:
        head, _, tail = item.partition("*")
        pattern = re.compile(rf"{re.escape(head)}(\d+){re.escape(tail)}")
        found = [(int(m[1]), n) for n in table.names if (m := pattern.fullmatch(n))]
        if found:
            return [name for _, name in sorted(found)], None
    hint = did_you_mean(item, table.names)
    raise InputError(
        f"{table.path}: {item}: missing column{hint}; the file has: "
        f"{listing(table.names)}"
    )


def _length(column: Column) -> int:
    return len(column.counts) if isinstance(column, Ragged) else len(column)


def _pick(table, block, source, item) -> Column:
    """One item of a block of rows."""
    names, index = source
    if len(names) > 1:
        parts = [block[name] for name in names]
        if any(isinstance(part, Ragged) or part.ndim != 1 for part in parts):
            raise InputError(f"{table.path}: {item}: expected one number a jet in each")
        return np.stack(parts, axis=-1)
    column = block[names[0]]
    if index is None:
        return column
    if isinstance(column, Ragged) or column.ndim < 2 or index >= column.shape[-1]:
        raise InputError(f"{table.path}: {item}: the column has no such index")
    return column[..., index]


def _dense(table, columns, block, sources, num_particles):
    """The three columns ``[n, M]`` in float64, and the mask of the particles."""
    items = (*columns.names, columns.mask) if columns.mask else columns.names
    found = [_pick(table, block, sources[item], item) for item in items]
    listed = [column for column in found if isinstance(column, Ragged)]
    if listed:
        counts = listed[0].counts
        same = len(listed) == len(found)
        same = same and all(np.array_equal(c.counts, counts) for c in listed)
    else:
        same = all(np.shape(c) == np.shape(found[0]) for c in found)
        same = same and np.ndim(found[0]) == 2
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
        values = [np.asarray(column) for column in found]
        mask = np.ones(np.shape(found[0]), bool)
    if columns.mask:
        mask = mask & (values.pop() != 0)
    else:  # padding is zero, in lists too
        found = values if columns.cartesian else values[:1]
        mask = mask & np.any([v != 0 for v in found], axis=0)
    return [v.astype(np.float64) for v in values], mask


def _block(columns, audit, rows, chosen, values, mask) -> Block:
    a, b, c = (v[chosen] for v in values)
    rows, mask = rows[chosen], mask[chosen]
    keep = np.ones(len(rows), bool)
    with np.errstate(over="ignore", invalid="ignore"):
        if columns.cartesian:
            pt = np.hypot(a, b)
        else:
            bad = (mask & (a < 0)).any(1)
            keep = audit.flag(columns.names[0], "negative pt", bad, rows, keep)
            pt = a
            a, b, c = pt * np.cos(c), pt * np.sin(c), pt * np.sinh(b)
        p = np.stack([a, b, c], axis=-1) * UNITS[columns.unit]
        return Block(rows, p.astype(np.float32), mask, pt, keep)
