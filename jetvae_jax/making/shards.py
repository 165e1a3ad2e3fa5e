"""One shard, which a worker makes from its settings and its seed."""

import dataclasses
import io
import json
import math
import pathlib
import time
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.making import files, pythia
from jetvae_jax.making.cluster import REASONS, leading_jets, pt_eta_phi, wrap
from jetvae_jax.making.settings import Shard

# Events of a batch: enough for array code, and a second of work, for which Dask waits.
MAX_BATCH = 100
# Number of events without any jet after which the settings are assumed to be wrong.
MAX_BARREN = 5_000
COLUMNS = {
    "particle_features": ("etarel", "phirel", "ptrel", "mask"),
    "jet_features": ("pt", "eta", "mass", "num_particles"),
    "jet_extra": ("phi", "energy", "multiplicity", "parton_id"),
    "particle_p4": ("px", "py", "pz", "energy"),
}


@dataclasses.dataclass(frozen=True)
class Made:
    """A finished shard.

    Attributes:
        content: bytes of its HDF5 file.
        events: number of generated events, with those that failed.
        kept: number of jets in the file.
        seconds: of CPU time for everything.
        pythia_seconds: of CPU time inside Pythia.
    """

    content: bytes
    events: int
    kept: int
    seconds: float
    pythia_seconds: float


def make(shard: Shard) -> Made:
    """Runs Pythia until the shard is full.

    The file has the JetNet layout and ``particle_p4 [J, N, 4]`` (px, py, pz, energy in
    GeV). Its bytes depend on ``shard`` and the versions of Pythia and FastJet alone.

    Raises:
        InputError: the settings do not work or give no jets.
    """
    pythia.require_tools()
    start = time.process_time()
    generator = pythia.Generator(shard.pythia, shard.seed)
    counts: dict[str, int] = dict.fromkeys(("failed", *REASONS, "surplus"), 0)
    parts, events, kept = [], 0, 0
    while kept < shard.num_jets:
        # The last batches are smaller, so that few jets are dropped.
        missing = math.ceil((shard.num_jets - kept) * (events + 1) / (kept + 1))
        asked = min(missing, MAX_BATCH)
        batch = generator.batch(asked)
        rows, dropped = leading_jets(batch, shard.cuts, generator.visible)
        events += asked
        counts["failed"] += asked - len(batch)
        for name, count in dropped.items():
            counts[name] += count
        parts.append({name: values.astype("<f4") for name, values in _jetnet(rows)})
        kept += len(rows["count"])
        if not kept and events >= MAX_BARREN:
            raise InputError(
                f"{shard.jet_type}: no jet in {events} events; dropped: {counts}; "
                "check the card, the pT windows and the cuts"
            )
    counts["surplus"] = kept - shard.num_jets
    joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    joined = {name: values[: shard.num_jets] for name, values in joined.items()}
    sigma, error = generator.cross_section()
    attrs = {
        "shard": identity(shard),
        "events": events,
        "dropped": counts,
        "cross_section_pb": sigma,
        "cross_section_error_pb": error,
    }
    buffer = io.BytesIO()
    files.write(buffer, COLUMNS, [joined], attrs)
    seconds = time.process_time() - start
    return Made(buffer.getvalue(), events, shard.num_jets, seconds, generator.seconds)


def identity(shard: Shard) -> str:
    """All that determines the content besides the number of jets, as JSON text."""
    settings: dict[str, Any] = shard._asdict() | {"cuts": shard.cuts._asdict()}
    del settings["num_jets"]
    return json.dumps(settings | {"versions": pythia.versions()}, sort_keys=True)


def is_done(path: pathlib.Path, shard: Shard, data: str = "jet_features") -> bool:
    """Whether ``path`` holds this shard, or more jets of it.

    Args:
        path: of its file.
        shard: settings of the shard.
        data: name of a data set of one row per jet.

    Raises:
        InputError: it is damaged, or was made by other settings or versions.
    """
    if not path.exists():
        return False
    attrs, rows = files.metadata(path, data)
    found = json.loads(str(attrs.get("shard", "{}")))
    wanted = json.loads(identity(shard))
    for name, value in wanted.items():
        if found.get(name) != value:
            raise InputError(
                f"{path}: made with other {name}: {_difference(found.get(name), value)}"
                "; give another --workdir, or remove the shards to make them again"
            )
    return rows >= shard.num_jets


def _difference(found: Any, wanted: Any) -> str:
    """The difference of two JSON values, for a message."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        found, wanted = ([f"{k} = {v}" for k, v in x.items()] for x in (found, wanted))
    if isinstance(found, list) and isinstance(wanted, list):
        only = [x for x in found if x not in wanted] or ["nothing more"]
        new = [x for x in wanted if x not in found] or ["nothing more"]
        return f"{', '.join(only)} there, {', '.join(new)} here"
    return f"{found} there, {wanted} here"


def _jetnet(rows: dict[str, np.ndarray]):
    """The data sets of a shard, as pairs of name and float64 values."""
    p4, jet = rows["p4"], rows["jet"]
    pt, eta, phi = pt_eta_phi(p4)
    mask = pt > 0
    jet_pt, jet_eta, jet_phi, mass, energy = jet.T[..., None]
    relative = [eta - jet_eta, wrap(phi - jet_phi), pt / jet_pt, mask]
    particles = np.where(mask[..., None], np.stack(relative, axis=-1), 0.0)
    stored = np.sum(mask, axis=1)[:, None]
    count, parton = rows["count"][:, None], rows["parton"][:, None]
    yield "particle_features", particles
    yield "jet_features", np.hstack([jet_pt, jet_eta, mass, stored])
    yield "jet_extra", np.hstack([jet_phi, energy, count, parton])
    yield "particle_p4", p4
