"""Joins the finished shards of a class to one file in a published layout."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from jetvae_jax.core.momenta import wrap_phi
from jetvae_jax.data.containers.hdf5 import PER_EVENT
from jetvae_jax.making import files, pythia
from jetvae_jax.making.settings import (
    CROSS_SECTION,
    JET_TYPES,
    NAMES,
    NARROW,
    PROCESSES,
    Config,
    Cuts,
    Shard,
    layout,
    plan,
)
from jetvae_jax.making.shards import COLUMNS, Task, totals

# The order of the published files, whose columns are often addressed by number.
CONSTITUENTS = (
    *("j1_px", "j1_py", "j1_pz", "j1_e", "j1_erel", "j1_pt", "j1_ptrel", "j1_eta"),
    *("j1_etarel", "j1_etarot", "j1_phi", "j1_phirel", "j1_phirot", "j1_deltaR"),
    *("j1_costheta", "j1_costhetarel"),
)
JETS = (
    *("j_pt", "j_eta", "j_phi", "j_mass", "j_energy", "j_multiplicity"),
    *(f"j_{name}" for name in (*JET_TYPES, "undef")),
)
ROTATION = (
    "j1_etarot, j1_phirot: relative to the hardest particle, momenta turned in the "
    "(py, pz) plane so that the hardest one farther than 0.1 is at phirot < 0, etarot "
    "= 0; eta mirrored so that more pt was at eta > 0 before the turn"
)


def path_of(folder: pathlib.Path, name: str, jet_type: str) -> pathlib.Path:
    """``jetnet150/g150.hdf5`` for gluons, the published name."""
    kind, num = layout(name)
    if kind == "hls4ml":
        return folder / name / f"{jet_type}.h5"
    return folder / name / f"{jet_type}{'' if num == 30 else num}.hdf5"


def merge(
    target: pathlib.Path,
    name: str,
    shards: list[Task],
    note: str = "",
) -> dict[str, Any]:
    """Joins shards in their order into one file.

    Args:
        target: the file, written atomically.
        name: of the layout, such as ``jetnet30``.
        shards: files of one class, all of them finished.
        note: a text for the attribute ``note``; empty for none.

    Returns:
        The attributes: settings, seeds, versions, counts and cross-section.

    Raises:
        InputError: a shard is damaged, or the file cannot be written.
    """
    kind, num = layout(name)
    attrs = provenance(shards) | ({"note": note} if note else {})
    blocks = _blocks(shards)
    if kind == "jetnet":
        columns = {k: v for k, v in COLUMNS.items() if k != "particle_p4"}
        cut = (_jetnet(block, num) for block in blocks)
        files.write_whole(target, columns, cut, attrs)
    else:
        columns = {"jetConstituentList": CONSTITUENTS, "jets": JETS}
        names = [
            ("particleFeatureNames", [*CONSTITUENTS, "j1_pdgid"]),
            ("jetFeatureNames", JETS),
        ]
        jet_type = shards[0][1].jet_type
        cut = (_hls4ml(block, num, jet_type) for block in blocks)
        files.write_whole(target, columns, cut, attrs | {"rotation": ROTATION}, names)
    return attrs


def provenance(shards: list[Task]) -> dict[str, Any]:
    """Metadata of a file of these shards, for its attributes."""
    first, versions = shards[0][1], pythia.versions()
    number = first.cuts.jets_per_event
    found = totals(shards, "jet_features")
    if number > 1:
        found[PER_EVENT] = number
    return found | {
        "generator": "pythia8mc {pythia8mc} + fastjet {fastjet}".format(**versions)
        + f", made by jetvae_jax: {title(first)}; no detector simulation",
        "title": title(first),
        "settings": "\n".join(first.pythia),
        "selection": selection(first.cuts),
        "seeds": np.array([shard.seed for _, shard in shards]),
        "shard_jets": np.array([shard.num_jets for _, shard in shards]),
        "jets": sum(shard.num_jets for _, shard in shards),
        "cross_section_of": cross_section_of(first),
    }


def cross_section_of(shard: Shard) -> str:
    """Description of the cross-section in the attributes."""
    own = set(PROCESSES.get(shard.jet_type, ())) <= set(shard.pythia)
    narrow = own and shard.jet_type in NARROW
    return CROSS_SECTION + ("; both bosons on their mass shell" if narrow else "")


def title(shard: Shard) -> str:
    """Title of the jets of a shard."""
    if shard.jet_type in NAMES:
        recipe = plan(Config(), shard.jet_type)[0]
        if (shard.pythia, shard.cuts) == (recipe.pythia, recipe.cuts):
            return f"Pythia 8 replica of JetNet: {NAMES[shard.jet_type]} jets"
    return f"Jets made by Pythia 8: {shard.jet_type}"


def selection(cuts: Cuts) -> str:
    """The cuts, in words."""
    end = f" to {cuts.jet_pt_max:g}" if cuts.jet_pt_max else ""
    which = "leading" if cuts.jets_per_event == 1 else "each of two hardest"
    return (
        f"final visible particles with pT > {cuts.particle_pt_min:g} GeV and |eta| < "
        f"{cuts.particle_eta_max:g}; {which} anti-kT jet of R = {cuts.radius:g}, from "
        f"{cuts.jet_pt_min:g}{end} GeV, within R of a hard parton, of "
        f"{cuts.min_particles} particles or more"
    )


def _blocks(shards) -> Iterator[files.Rows]:
    for path, shard in shards:
        yield from files.read(path, COLUMNS, shard.num_jets)


def _jetnet(block: files.Rows, num: int) -> files.Rows:
    """The leading ``num`` particles; the jet's features are of all particles."""
    jet = block["jet_features"].copy()
    jet[:, 3] = np.minimum(jet[:, 3], num)
    particles = block["particle_features"][:, :num]
    return {
        "particle_features": particles,
        "jet_features": jet,
        "jet_extra": block["jet_extra"],
    }


def _hls4ml(block: files.Rows, num: int, jet_type: str) -> files.Rows:
    """All columns from the momenta, in float64; zero on padding."""
    p4 = block["particle_p4"][:, :num].astype(np.float64)
    etarel, phirel, ptrel, mask = np.moveaxis(
        block["particle_features"][:, :num].astype(np.float64), -1, 0
    )
    pt, eta, mass, _ = block["jet_features"].astype(np.float64).T[..., None]
    phi, energy, count, _ = block["jet_extra"].astype(np.float64).T[..., None]
    px, py, pz, e = np.moveaxis(p4, -1, 0)
    momentum = np.where(mask > 0, np.linalg.norm(p4[..., :3], axis=-1), 1.0)
    axis = np.concatenate([np.cos(phi), np.sin(phi), np.sinh(eta)], axis=1)
    along = np.einsum("jni,ji->jn", p4[..., :3], axis) / np.cosh(eta)
    rot = _rotated(np.where(mask > 0, ptrel * pt, 0.0), etarel, phirel)
    columns = [
        *(px, py, pz, e, e / energy, ptrel * pt, ptrel, etarel + eta),
        *(etarel, rot[0], wrap_phi(phirel + phi), phirel, rot[1]),
        *(np.hypot(etarel, phirel), pz / momentum, along / momentum),
    ]
    features = np.where(mask[..., None] > 0, np.stack(columns, axis=-1), 0.0)
    classes = (*JET_TYPES, "undef")
    wanted = jet_type if jet_type in classes else "undef"
    label = np.tile([float(name == wanted) for name in classes], (len(pt), 1))
    jets = np.hstack([pt, eta, phi, mass, energy, count, label])
    return {"jetConstituentList": features, "jets": jets}


def _rotated(pt, eta, phi) -> tuple[np.ndarray, np.ndarray]:
    """The rotated angles of ``ROTATION``, of particles ``[J, N]``.

    As in the public converter of the published files (``rotate_and_reflect``; the
    rotation is that of arXiv:1704.02124).

    Args:
        pt: in descending order, 0 on padding.
        eta: relative to the jet.
        phi: relative to the jet.
    """
    eta, phi = eta - eta[:, :1], wrap_phi(phi - phi[:, :1])
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    far = (np.hypot(eta, phi) > 0.1) & (pt > 0)
    hardest = np.argmax(far, axis=1)[:, None]
    y, z = (np.take_along_axis(p, hardest, axis=1) for p in (py, pz))
    angle = np.where(far.any(1, keepdims=True), np.arctan2(y, z) + np.pi / 2, 0.0)
    cos, sin = np.cos(angle), np.sin(angle)
    py, pz = cos * py - sin * pz, sin * py + cos * pz
    turned = np.where(pt > 0, np.hypot(px, py), 1.0)
    mirror = np.sum(pt * np.sign(eta), axis=1, keepdims=True) < 0
    return np.arcsinh(pz / turned) * np.where(mirror, -1, 1), np.arcsin(py / turned)
