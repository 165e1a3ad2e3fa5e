"""Loads jets from files, folders and the embedded sample, in every known format."""

import contextlib
import hashlib
import os
import pathlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import absent
from jetvae_jax.core.types import Jets, RelativeJets
from jetvae_jax.core.words import listed
from jetvae_jax.data import containers, embedded, formats, validation
from jetvae_jax.data.formats import Wanted, jetnet
from jetvae_jax.data.formats import columns as column_mapping
from jetvae_jax.data.validation import Seen, Stated

EMBEDDED = "embedded"


@contextlib.contextmanager
def opened(
    path: str | os.PathLike, mapping: column_mapping.Columns | None = None
) -> Iterator[formats.Reader]:
    """Opens a file of any known format.

    Args:
        path: of the file.
        mapping: where the jets are in a user's own file; None to recognise it.

    Raises:
        InputError: unreadable, or of no known format.
    """
    with containers.opened(path, mapping.tree if mapping else "") as table:
        named = mapping is not None and bool(mapping.names or mapping.order)
        found = None if named else formats.reader(table)
        if mapping is None:
            assert found is not None
            yield found
        elif found is None or isinstance(found, column_mapping.Reader):
            yield column_mapping.Reader(table, mapping)
        else:  # of a known format, in a stated unit
            mapping.of_known_format(str(path))
            found.scale = mapping.scale
            yield found


class Request:
    """The jets of some files, read in one pass.

    Reading fills in the attributes.

    Args:
        spec: a file, a folder of files of one format, or "embedded".
        num_particles: N; the leading N by pt are kept, fewer are padded.
        max_jets: jets to read (of the class), from the first; None for all.
        jet_type: g, q, t, w or z, or another class by which files are named; None for
            all jets, whatever their class.
        among: all classes that are wanted, of which this is one; of several each needs
            files that are named by it, or that tell classes apart.
        repair: drop or reorder bad rows and count them in the notes, instead of
            stopping at them.
        seed: of the jets' phi where the file has none.
        columns: where the jets are in a user's own file.
        unique: look for jets that are listed twice; not in files to evaluate, where
            repeated jets are a fault of the generator.
        relative: take jets whose pt is not known, too: the particles of their rows are
            (ptrel, etarel, phirel).

    Attributes:
        paths: the files that hold the class.
        layout: name of their format.
        generated: whether a file read is of jets that this package generated.
        whole: whether the axes in the files are those of whole jets.
        is_relative: whether the jets' pt is not known.
        notes: what was repaired, chosen or cut, in words with counts.
        faults: rows by fault, as an :class:`~jetvae_jax.data.validation.Audit` counts.

    Raises:
        InputError: an argument is out of its range, or there are no files of one known
            format.
    """

    def __init__(
        self,
        spec: str,
        *,
        num_particles: int = 30,
        max_jets: int | None = None,
        jet_type: str | None = "g",
        among: Sequence[str] = (),
        repair: bool = False,
        seed: int = 0,
        columns: Sequence[str] = (),
        unique: bool = True,
        relative: bool = False,
    ):
        validation.check_request(num_particles, max_jets, seed)
        if spec == EMBEDDED and jet_type is not None:
            validation.check_jet_type(jet_type)
        if spec == EMBEDDED and jet_type not in (None, "g"):
            raise InputError(
                f"jet_type is {jet_type!r}: the embedded sample holds gluon jets (g) "
                "only; give a data file"
            )
        self._spec, self._repair, self._unique = spec, repair, unique
        self._wanted = Wanted(num_particles, max_jets, jet_type, seed)
        self._mapping = column_mapping.parse(columns) if columns else None
        self.layout, self.paths, self.is_relative = _one_layout(
            spec, find(spec), jet_type, among, self._mapping
        )
        if self.is_relative and not relative:
            with opened(self.paths[0], self._mapping) as file:
                group, _, name = file.key.rpartition("/")
            if group and name == jetnet.KEY:
                raise InputError(
                    f"{self.paths[0]}: {file.key}: JetNet's arrays are read at the top "
                    f"of a file, and these are in the group {group}: copy its arrays "
                    "there, as h5copy does"
                )
            raise InputError(
                f"{self.paths[0]}: {file.key}: relative features, and no pt of the "
                "jets (missing key jet_features): they can be evaluated, not "
                "trained on; add the jets, or name columns of momenta"
            )
        self.notes: list[str] = []
        self.faults: Counter[str] = Counter()
        self.generated, self.whole = False, True
        self._generator, self._key = None, ""

    def rows(self) -> Iterator[validation.Rows]:
        """The good jets, in the order of the files, some at a time. Call it once.

        Raises:
            InputError: one line that names file, key, first row, number of rows and
                what to do.
        """
        widths: dict[int, pathlib.Path] = {}
        seen = Seen() if self._unique else None
        left, totals = self._wanted.max_jets, [np.zeros((0, 2), np.float32)]
        for path in self.paths:
            if left == 0:
                break
            audit = validation.Audit(str(path), self._repair)
            count = 0
            with opened(path, self._mapping) as file:
                audit.seen = None if file.generated else seen
                if file.width is not None:
                    widths[file.width] = path
                for rows in self._good(file, audit, left):
                    count += len(rows.mask)
                    px, py, _ = np.moveaxis(rows.particles, -1, 0)
                    total = [p.sum(1, dtype=np.float64) for p in (px, py)]
                    totals.append(np.stack(total, axis=-1).astype(np.float32))
                    yield rows
            self.notes += audit.finish()
            self.faults += audit.faults
            if len(widths) > 1:
                first, second = widths.values()
                raise InputError(
                    f"{self._spec}: {first.name} and {second.name} hold different "
                    "numbers of particles, so they may hold the same jets; give one "
                    "of them"
                )
            left = None if left is None else left - count
        self._check(np.concatenate(totals))

    @property
    def _unit(self) -> str:
        """What the user states; it is not doubted."""
        return self._mapping.unit if self._mapping else ""

    def _good(self, file: formats.Reader, audit, left) -> Iterator[validation.Rows]:
        """Good jets of one file; the notes of its blocks are added up at the end."""
        self._key = file.key
        self.generated |= file.generated
        self.whole &= file.whole
        self._generator = self._generator or file.generator
        wanted = self._wanted._replace(max_jets=left)
        for block in file.read(wanted, audit):
            yield validation.good_rows(
                block,
                audit,
                file.key,
                wanted.num_particles,
                allow_empty=file.generated,
            )
        audit.notes[:] = _added_up(audit.path, audit.notes)

    def _check(self, totals: np.ndarray) -> None:
        """Checks all jets together; ``totals [J, 2]`` are their (px, py)."""
        if not len(totals):
            why = "no good jet is left"
            if not self._repair and self._wanted.jet_type is not None:
                why = f"no jet of type {self._wanted.jet_type!r}"
            raise InputError(
                f"{self._spec}: {self._key}: {why}; give another file or jet_type"
            )
        if not (self.generated or self.is_relative or self._unit):
            # The sum of its particles stands for each jet.
            validation.check_units(self._spec, self._key, totals[:, None])
        asked = self._wanted.max_jets
        if asked is not None and len(totals) < asked:
            self.notes.append(
                f"{self._spec}: {asked} jets asked for, {len(totals)} found"
            )

    def source(self, num_jets: int, fingerprint: str) -> dict[str, Any]:
        """JSON-able metadata of the jets that were read."""
        return {
            "path": self._spec,
            "files": [p.name for p in self.paths],
            "layout": self.layout,
            "jet_type": self._wanted.jet_type,
            "num_particles": self._wanted.num_particles,
            "jets": num_jets,
            "repaired": self._repair,
            "seed": self._wanted.seed,
            "units": "pt of the jet" if self.is_relative else "GeV",
            "generator": self._generator,
            "fingerprint": fingerprint,
        }


def find(spec: str) -> list[pathlib.Path]:
    """The files of ``spec``: a file, all data files of a folder, or the sample.

    Several files or folders are separated by commas.

    Raises:
        InputError: nothing there, or a folder without data files.
    """
    if spec == EMBEDDED:
        return [embedded.path()]
    path = pathlib.Path(spec).expanduser()
    if path.is_file():
        return [path]
    if "," in spec and not path.exists():
        return [file for part in spec.split(",") for file in find(part.strip())]
    if not spec or not path.is_dir():
        raise InputError(
            f"{spec}: {absent(spec)}; give a data file, a folder of them, "
            f"or {EMBEDDED!r} for the sample in the package"
        )
    known = containers.suffixes(jets=True)
    try:
        os.listdir(path)
    except OSError as error:
        raise InputError(f"{spec}: cannot list the folder ({error.strerror})") from None
    for pattern in ("*", "**/*"):  # subfolders, if there is nothing before them
        there = (p for p in path.glob(pattern) if p.suffix.lower() in known)
        files = sorted(p for p in there if p.is_file() and not _hidden(path, p))
        if files:
            # An npy file beside others is one of their labels or the like.
            return [p for p in files if p.suffix.lower() != ".npy"] or files
    raise InputError(
        f"{spec}: folder holds no {', '.join(known)} file, nor do its subfolders"
    )


def _hidden(folder: pathlib.Path, path: pathlib.Path) -> bool:
    """Whether a folder below, or the file, begins like those of unfinished writers."""
    *folders, name = path.relative_to(folder).parts
    return name[0] == "." or any(part[0] in "._" for part in folders)


def _added_up(path: str, notes: Sequence[str]) -> list[str]:
    """Notes of the blocks of a file; those that differ only in their number as one."""
    counts: dict[str, int] = {}
    for note in notes:
        text = note.removeprefix(f"{path}: ")
        number = re.match(r"\d+ ", text)
        text = text[number.end() :] if number else text
        counts[text] = counts.get(text, 0) + int(number[0] if number else 0)
    return [f"{path}: {f'{n} ' if n else ''}{text}" for text, n in counts.items()]


def _one_layout(
    spec: str,
    paths: list[pathlib.Path],
    jet_type: str | None,
    among: Sequence[str],
    mapping: column_mapping.Columns | None,
) -> tuple[str, list[pathlib.Path], bool]:
    """The format of all files, those that hold the class, whether pt is unknown.

    Raises:
        InputError: unknown or mixed formats, or no file of the class.
    """
    found: dict[str, pathlib.Path] = {}
    names = (*among, jet_type) if jet_type else among
    named = {path: _class_of(path, names) for path in paths}
    types: set[str] = set()
    one_class = relative = False
    for path in paths:
        with opened(path, mapping) as file:
            found.setdefault(file.layout, path)
            one_class, relative = file.one_class, file.relative
            types.update(file.types)
    if jet_type is not None:
        validation.check_jet_type(jet_type, (*types, *named.values()))
    if len(found) > 1:
        first, second = found.values()
        raise InputError(
            f"{spec}: {first.name} and {second.name} have different formats; give a "
            "folder of one format, or one file"
        )
    (layout,) = found
    several = len(among) > 1 and not types
    if jet_type is not None and (several or (one_class and len(paths) > 1)):
        if several or any(named.values()):
            paths = [path for path, name in named.items() if name == jet_type]
        if not paths:
            other = "a folder with a file of each" if several else "another jet_type"
            raise InputError(
                f"{spec}: no file of class {jet_type!r} (such as {jet_type}.hdf5) "
                f"among {', '.join(p.name for p in named)}; give {other}"
            )
    return layout, paths, relative


def _class_of(path: pathlib.Path, wanted: Sequence[str]) -> str:
    """The class that a file is named by, as in ``g150.hdf5``, or an empty text."""
    for name in sorted({*wanted, *validation.JET_TYPES}, key=len, reverse=True):
        pattern = rf"{re.escape(name)}(?:[\d_-].*)?"
        if re.fullmatch(pattern, path.stem, re.IGNORECASE):
            return name
    return ""


class Loaded(NamedTuple):
    """Jets and where they come from.

    Attributes:
        jets: NumPy float32, momenta in GeV.
        notes: what was repaired, chosen or cut, in words with counts.
        source: JSON-able metadata: path, files, layout, jet_type, num_particles, jets,
            repaired, seed, units, generator (if the file says it) and fingerprint, the
            sha256 of the momenta and masks as loaded; of several classes ``jet_type``
            joins their names and ``classes`` has the number of jets of each.
        axis: that of ``jets``, ``[J, 3]``: the relative features of a JetNet file refer
            to it. None for formats without it, and for jets that this package generated
            from their particles alone.
        stated: what the file says of the jets beside their particles; None for formats
            of which that is not read, and for several classes.
        faults: rows of the file by fault, as an
            :class:`~jetvae_jax.data.validation.Audit` counts them.
    """

    jets: Jets
    notes: tuple[str, ...]
    source: dict[str, Any]
    axis: np.ndarray | None
    stated: Stated | None = None
    faults: Mapping[str, int] = {}


class LoadedRelative(NamedTuple):
    """Jets whose pt is not known; attributes as those of :class:`Loaded`."""

    jets: RelativeJets
    notes: tuple[str, ...]
    source: dict[str, Any]
    axis: None
    stated: None = None
    faults: Mapping[str, int] = {}


def load(
    spec: str | os.PathLike[str],
    *,
    num_particles: int = 30,
    max_jets: int | None = None,
    jet_type: str | Sequence[str] = "g",
    repair: bool = False,
    seed: int = 0,
    columns: Sequence[str] = (),
    unique: bool = True,
) -> Loaded:
    """Loads jets; the format is recognised by the content of the file.

    Args:
        spec: a file, a folder of files of one format, several of them separated by
            commas, or "embedded". Formats: those of :mod:`jetvae_jax.data.formats`
            (JetNet, hls4ml and top tagging HDF5, EnergyFlow npz, JetClass columns, what
            :func:`~jetvae_jax.data.writing.writer` writes) and on the plug-in path, and
            any other by ``columns``.
        num_particles: N; the leading N by pt are kept, fewer are padded.
        max_jets: jets to read of each class, from the first; None for all.
        jet_type: g, q, t, w or z. Selects jets in hls4ml files, and files in a
            folder of JetNet files (``g.hdf5``, ``g150.hdf5``, ``g_0.hdf5``); a
            single JetNet file is one class already. Several classes are read one
            after the other, and ``labels`` of the jets are places in this list; they
            may have any name by which files are named (``zprime.hdf5``).
        repair: drop or reorder bad rows and count them in the notes, instead of
            stopping at them.
        seed: of the jets' phi where the file has none.
        columns: where the jets are in a user's own file, as
            :mod:`~jetvae_jax.data.formats.columns` describes; all its jets are of one
            class.
        unique: note jets that are listed twice, and drop them in repair. Not for files
            to evaluate: repeated jets are a fault of their generator.

    Returns:
        Loaded. For jets that do not fit in memory see
        :func:`~jetvae_jax.data.streaming.streams`.

    Raises:
        InputError: one line that names file, key, first row, number of rows and what
            to do.
    """
    spec = os.fspath(spec)
    how = {
        "num_particles": num_particles,
        "max_jets": max_jets,
        "repair": repair,
        "seed": seed,
        "columns": columns,
        "unique": unique,
    }
    types = (jet_type,) if isinstance(jet_type, str) else tuple(jet_type)
    if not types:
        raise InputError(f"{spec}: jet_type is empty: name one class or several")
    requests = [Request(spec, jet_type=name, among=types, **how) for name in types]
    found = [_read(request) for request in requests]
    parts = [part for part in found if isinstance(part, Loaded)]
    return parts[0] if len(types) == 1 else _together(spec, types, parts)


def _together(spec: str, types: Sequence[str], parts: Sequence[Loaded]) -> Loaded:
    """The jets of several classes, one class after the other.

    Raises:
        InputError: two classes are the same jets.
    """
    prints = [part.source["fingerprint"] for part in parts]
    counts = {name: len(p.jets.mask) for name, p in zip(types, parts, strict=True)}
    if len(set(prints)) < len(prints):
        same = [t for t, p in zip(types, prints, strict=True) if prints.count(p) > 1]
        raise InputError(
            f"{spec}: the jets of the classes {listed(same)} are the same: name "
            "only one of them in jet_type"
        )
    axes = [part.axis for part in parts if part.axis is not None]
    axis = np.concatenate(axes) if len(axes) == len(parts) else None
    labels = np.repeat(np.arange(len(types), dtype=np.int32), list(counts.values()))
    jets = Jets(
        np.concatenate([part.jets.particles for part in parts]),
        np.concatenate([part.jets.mask for part in parts]),
        axis,
        labels,
    )
    text = ", ".join(f"{n:,} of class {name}" for name, n in counts.items())
    notes = [*dict.fromkeys(note for part in parts for note in part.notes)]
    source = parts[0].source | {
        "files": [*dict.fromkeys(f for part in parts for f in part.source["files"])],
        "jet_type": ",".join(types),
        "jets": len(labels),
        "classes": counts,
        "fingerprint": hashlib.sha256(",".join(prints).encode()).hexdigest(),
    }
    return Loaded(jets, (*notes, f"{spec}: {text}"), source, axis)


def load_judged(spec: str, **how: Any) -> "Loaded | LoadedRelative":
    """Jets to evaluate: those whose pt is not known, too.

    Arguments as those of :func:`load`, and what it raises.
    """
    return _read(Request(spec, relative=True, **how))


def _read(request: Request) -> "Loaded | LoadedRelative":
    parts = list(request.rows())
    particles = np.concatenate([part.particles for part in parts])
    mask = np.concatenate([part.mask for part in parts])
    source = request.source(len(mask), fingerprint(len(mask), [particles], [mask]))
    notes = tuple(request.notes)
    if request.is_relative:
        jets = RelativeJets(particles, mask)
        return LoadedRelative(jets, notes, source, None, None, request.faults)
    axes = [part.axis for part in parts if part.axis is not None]
    whole = sum(map(len, axes)) == len(mask) and request.whole
    axis = np.concatenate(axes) if whole else None
    found = [part.stated for part in parts if part.stated is not None]
    stated = None
    if len(found) == len(parts):
        stated = Stated(*map(np.concatenate, zip(*found, strict=True)))
    jets = Jets(particles, mask, axis)
    return Loaded(jets, notes, source, axis, stated, request.faults)


def fingerprint(
    num_jets: int, particles: Iterable[np.ndarray], masks: Iterable[np.ndarray]
) -> str:
    """sha256 of momenta and masks: the same jets, whatever file held them.

    Args:
        num_jets: J.
        particles: ``[n, N, 3]`` parts that together are all jets, at least one.
        masks: ``[n, N]`` parts; read after the momenta.
    """
    digest = None
    for part in particles:
        if digest is None:
            shape = (num_jets, *part.shape[1:])
            digest = hashlib.sha256(repr(shape).encode())
        digest.update(np.ascontiguousarray(part, "<f4").data)
    assert digest is not None
    for part in masks:
        digest.update(np.ascontiguousarray(part, bool).data)
    return digest.hexdigest()
