"""One door for all data: files, folders and the embedded sample, in known layouts."""

import hashlib
import pathlib
import re
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.data import embedded, hdf5, hls4ml, jetnet, validation
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
        axis: ``[J, 3]`` (pt in GeV, eta, phi) of the jets as the file has them. A
            JetNet file was made from all particles of a jet, of which it holds the
            leading ones: the axis is that of all.
    """

    jets: Jets
    notes: tuple[str, ...]
    source: dict[str, Any]
    axis: np.ndarray


def load(
    spec: str,
    *,
    num_particles: int = 30,
    max_jets: int | None = None,
    jet_type: str = "g",
    repair: bool = False,
    seed: int = 0,
) -> Loaded:
    """Loads jets; the layout is found from the keys in the file.

    Args:
        spec: a JetNet or hls4ml HDF5 file, a folder of either, or "embedded".
        num_particles: N; the leading N by pt are kept, fewer are padded.
        max_jets: jets to read (of the class), from the first; None for all.
        jet_type: g, q, t, w or z. Selects jets in hls4ml files, and files in a
            folder of JetNet files (``g.hdf5``, ``g150.hdf5``, ``g_0.hdf5``); a
            single JetNet file is one class already.
        repair: drop or reorder bad rows and count them in the notes, instead of
            stopping at them.
        seed: of the jets' phi where the file has none.

    Returns:
        Loaded.

    Raises:
        InputError: one line that names file, key, first row, number of rows and what
            to do.
    """
    validation.check_request(num_particles, max_jets, jet_type, seed)
    if spec == EMBEDDED:
        if jet_type != "g":
            raise InputError(
                f"jet_type is {jet_type!r}: the embedded sample holds gluon jets (g) "
                "only; give a data file"
            )
        paths = [embedded.path()]
    else:
        paths = hdf5.find(spec)
    layout, paths = _one_layout(spec, paths, jet_type)

    rng = np.random.default_rng(seed)
    parts, notes, widths = [], [], {}
    generator, left = None, max_jets
    generated = False
    for path in paths:
        if left == 0:
            break
        audit = validation.Audit(str(path), repair)
        with hdf5.open_file(path) as file:
            request = {"num_particles": num_particles, "max_jets": left}
            if layout is jetnet:
                jets = jetnet.read(file, audit, rng=rng, **request)
                generated |= jetnet.is_generated(file)
            else:
                jets = hls4ml.read(file, audit, jet_type=jet_type, **request)
            data = hdf5.dataset(file, layout.KEY, (None, None, None))
            widths[data.shape[1]] = path
            generator = generator or hdf5.text(file, "generator")
        notes += audit.finish()
        if len(widths) > 1:
            first, second = widths.values()
            raise InputError(
                f"{spec}: {first.name} and {second.name} hold different numbers of "
                "particles, so they may hold the same jets; give one of them"
            )
        parts.append(jets)
        left = None if left is None else left - len(jets.mask)
    particles, mask, axis = map(np.concatenate, zip(*parts, strict=True))
    if not len(particles):
        why = "no good jet is left" if repair else f"no jet of type {jet_type!r}"
        raise InputError(f"{spec}: {layout.KEY}: {why}; give another file or jet_type")
    if not generated:
        validation.check_units(spec, layout.KEY, particles)
    if max_jets is not None and len(particles) < max_jets:
        notes.append(f"{spec}: {max_jets} jets asked for, {len(particles)} found")
    source = {
        "path": spec,
        "files": [p.name for p in paths],
        "layout": layout.__name__.rsplit(".", 1)[-1],
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


def _one_layout(spec: str, paths: list[pathlib.Path], jet_type: str):
    """The layout module of all files, and the files that hold the class.

    Raises:
        InputError: unknown or mixed layouts, or no file of the class.
    """
    found = {}
    for path in paths:
        with hdf5.open_file(path) as file:
            keys = hdf5.keys(file)
        layouts = [layout for layout in (jetnet, hls4ml) if layout.is_layout(keys)]
        if not layouts:
            raise InputError(
                f"{path}: keys are {', '.join(sorted(keys)[:10]) or 'none'}: expected "
                f"{jetnet.KEY} and {jetnet.JETS} (JetNet) or {hls4ml.KEY} and "
                f"{hls4ml.JETS} (hls4ml)"
            )
        found.setdefault(layouts[0], path)
    if len(found) > 1:
        first, second = found.values()
        raise InputError(
            f"{spec}: {first.name} and {second.name} have different layouts; give a "
            "folder of one layout, or one file"
        )
    (layout,) = found
    if layout is jetnet and len(paths) > 1:
        named = {p: _OF_CLASS.fullmatch(p.stem) for p in paths}
        if any(named.values()):
            paths = [p for p, m in named.items() if m and m[1].lower() == jet_type]
        if not paths:
            raise InputError(
                f"{spec}: no file of class {jet_type!r} (such as {jet_type}.hdf5) "
                f"among {', '.join(p.name for p in named)}; give another jet_type"
            )
    return layout, paths
