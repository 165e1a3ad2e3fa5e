"""One door for all data: files, folders and the embedded sample, in known layouts."""

import contextlib
import hashlib
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.data import columns as column_mapping
from jetvae_jax.data import embedded, hdf5, layouts, tables, validation
from jetvae_jax.errors import InputError
from jetvae_jax.types import Jets

EMBEDDED = "embedded"
_OF_CLASS = re.compile(r"([gqtwz])(?:[\d_-].*)?", re.IGNORECASE)


class Loaded(NamedTuple):
    """Jets and where they come from.

    Attributes:
        jets: NumPy float32, momenta in GeV.
        notes: what was repaired, chosen or cut, in words with counts.
        source: JSON-able facts: path, files, layout, jet_type, num_particles, jets,
            repaired, seed, units, generator (if the file says it) and fingerprint, the
            sha256 of the momenta and masks as loaded.
        axis: ``[J, 3]`` (pt in GeV, eta, phi) that the relative features of a JetNet
            file refer to: that of all particles of a jet, of which it holds the leading
            ones. None for other layouts, and for jets that this package generated:
            they have no other axis than that of their particles.
    """

    jets: Jets
    notes: tuple[str, ...]
    source: dict[str, Any]
    axis: np.ndarray | None


def load(
    spec: str,
    *,
    num_particles: int = 30,
    max_jets: int | None = None,
    jet_type: str = "g",
    repair: bool = False,
    seed: int = 0,
    columns: Sequence[str] = (),
) -> Loaded:
    """Loads jets; the layout is found from the content of the file.

    Args:
        spec: a file, a folder of files of one layout, or "embedded". Layouts: JetNet,
            hls4ml and top tagging HDF5, EnergyFlow npz, the Parquet, ROOT and npz of
            :mod:`~jetvae_jax.data.formats`, and any other by ``columns``.
        num_particles: N; the leading N by pt are kept, fewer are padded.
        max_jets: jets to read (of the class), from the first; None for all.
        jet_type: g, q, t, w or z. Selects jets in hls4ml files, and files in a
            folder of JetNet files (``g.hdf5``, ``g150.hdf5``, ``g_0.hdf5``); a
            single JetNet file is one class already.
        repair: drop or reorder bad rows and count them in the notes, instead of
            stopping at them.
        seed: of the jets' phi where the file has none.
        columns: where the jets are in a user's own file, as
            :mod:`~jetvae_jax.data.columns` describes; all its jets are of one class.

    Returns:
        Loaded.

    Raises:
        InputError: one line that names file, key, first row, number of rows and what
            to do.
    """
    validation.check_request(num_particles, max_jets, jet_type, seed)
    if spec == EMBEDDED and jet_type != "g":
        raise InputError(
            f"jet_type is {jet_type!r}: the embedded sample holds gluon jets (g) "
            "only; give a data file"
        )
    paths = find(spec)
    mapping = column_mapping.parse(columns) if columns else None
    layout, paths = _one_layout(spec, paths, jet_type, mapping)

    rng = np.random.default_rng(seed)
    parts, notes, widths = [], [], {}
    generator, left = None, max_jets
    generated, key = False, ""
    for path in paths:
        if left == 0:
            break
        audit = validation.Audit(str(path), repair)
        with layouts.opened(path, mapping) as file:
            blocks = file.blocks(
                audit,
                num_particles=num_particles,
                max_jets=left,
                jet_type=jet_type,
                rng=rng,
            )
            jets = validation.assemble(
                blocks, audit, file.key, num_particles, allow_empty=file.generated
            )
            key, generated = file.key, generated or file.generated
            generator = generator or file.generator
            if file.width is not None:
                widths[file.width] = path
        notes += audit.finish()
        if len(widths) > 1:
            first, second = widths.values()
            raise InputError(
                f"{spec}: {first.name} and {second.name} hold different numbers of "
                "particles, so they may hold the same jets; give one of them"
            )
        parts.append(jets)
        left = None if left is None else left - len(jets.mask)
    particles = np.concatenate([part.particles for part in parts])
    mask = np.concatenate([part.mask for part in parts])
    axis = None
    if layout == "jetnet" and not generated:
        axis = np.concatenate([part.axis for part in parts])
    if not len(particles):
        why = "no good jet is left" if repair else f"no jet of type {jet_type!r}"
        raise InputError(f"{spec}: {key}: {why}; give another file or jet_type")
    if not generated:
        validation.check_units(spec, key, particles)
    if max_jets is not None and len(particles) < max_jets:
        notes.append(f"{spec}: {max_jets} jets asked for, {len(particles)} found")
    source = {
        "path": spec,
        "files": [p.name for p in paths],
        "layout": layout,
        "jet_type": jet_type,
        "num_particles": num_particles,
        "jets": len(particles),
        "repaired": repair,
        "seed": seed,
        "units": "GeV",
        "generator": generator,
        "fingerprint": fingerprint(particles, mask),
    }
    return Loaded(Jets(particles, mask), tuple(notes), source, axis)


def fingerprint(particles: np.ndarray, mask: np.ndarray) -> str:
    """sha256 of momenta and masks: the same jets, whatever file held them."""
    digest = hashlib.sha256(repr(particles.shape).encode())
    digest.update(np.ascontiguousarray(particles, "<f4").data)
    digest.update(np.ascontiguousarray(mask, bool).data)
    return digest.hexdigest()


def find(spec: str) -> list[pathlib.Path]:
    """The files that ``spec`` means: a file, all data files of a folder, the sample.

    Raises:
        InputError: nothing there, or a folder without data files.
    """
    if spec == EMBEDDED:
        return [embedded.path()]
    path = pathlib.Path(spec)
    if spec and path.is_dir():
        with contextlib.suppress(OSError):
            files = sorted(
                p
                for p in path.iterdir()
                if p.suffix.lower() in tables.SUFFIXES and p.is_file()
            )
            if files:
                return files
    return hdf5.find(spec)  # which says what is wrong with a folder of nothing


def _one_layout(
    spec: str,
    paths: list[pathlib.Path],
    jet_type: str,
    mapping: column_mapping.Columns | None,
) -> tuple[str, list[pathlib.Path]]:
    """The layout of all files, and the files that hold the class.

    Raises:
        InputError: unknown or mixed layouts, or no file of the class.
    """
    found: dict[str, pathlib.Path] = {}
    for path in paths:
        with layouts.opened(path, mapping) as file:
            found.setdefault(file.layout, path)
    if len(found) > 1:
        first, second = found.values()
        raise InputError(
            f"{spec}: {first.name} and {second.name} have different layouts; give a "
            "folder of one layout, or one file"
        )
    (layout,) = found
    if layout == "jetnet" and len(paths) > 1:
        named = {p: _OF_CLASS.fullmatch(p.stem) for p in paths}
        if any(named.values()):
            paths = [p for p, m in named.items() if m and m[1].lower() == jet_type]
        if not paths:
            raise InputError(
                f"{spec}: no file of class {jet_type!r} (such as {jet_type}.hdf5) "
                f"among {', '.join(p.name for p in named)}; give another jet_type"
            )
    return layout, paths
