"""Shards: what a worker makes, alone, from settings and a seed."""

import dataclasses
import io
import json
import math
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.momenta import pt_eta_phi, wrap_phi
from jetvae_jax.making import files, pythia
from jetvae_jax.making.cluster import REASONS, leading_jets
from jetvae_jax.making.settings import Shard

# Events of a batch: enough for array code, and a second of work, for which Dask waits.
MAX_BATCH = 100
# Number of events without any row after which the settings are assumed to be wrong.
MAX_BARREN = 5_000
Task = tuple[pathlib.Path, Shard]
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
        kept: number of jets or events in the file.
        seconds: of CPU time for everything.
        pythia_seconds: of CPU time inside Pythia.
    """

    content: bytes
    events: int
    kept: int
    seconds: float
    pythia_seconds: float


def make(shard: Shard) -> Made:
    """Runs Pythia until the shard is full of jets.

    The file has the JetNet format and ``particle_p4 [J, N, 4]`` (px, py, pz, energy in
    GeV). Its bytes depend on ``shard`` and the versions of Pythia and FastJet alone.

    Raises:
        InputError: the settings do not work or give no jets.
    """

    def select(events, visible):
        rows, dropped = leading_jets(events, shard.cuts, visible)
        return {name: values.astype("<f4") for name, values in _jetnet(rows)}, dropped

    def batch_size(kept, events):
        # The last batches are smaller, so that few jets are dropped.
        missing = math.ceil((shard.num_jets - kept) * (events + 1) / (kept + 1))
        return min(missing, MAX_BATCH)

    per_event = shard.cuts.jets_per_event
    return fill(shard, COLUMNS, REASONS, select, batch_size, per_event)


def fill(
    shard: Shard,
    columns: Mapping[str, tuple[str, ...]],
    reasons: tuple[str, ...],
    select: Callable[[Any, Callable], tuple[dict[str, np.ndarray], dict[str, int]]],
    batch_size: Callable[[int, int], int],
    per_event: int = 1,
) -> Made:
    """Runs Pythia until a shard is full.

    Args:
        shard: what to make.
        columns: data sets of the file and the names of their last axis.
        reasons: why an event gives no row.
        select: ``(events, visible) -> (rows, dropped)``: the data sets, as many rows
            each, and the number of events dropped by each of the reasons; ``events``
            and ``visible`` are those of :class:`~jetvae_jax.making.pythia.Generator`.
        batch_size: ``(rows kept, events made) ->`` events to make next.
        per_event: rows of each event that is selected.

    Raises:
        InputError: the settings do not work or give no rows.
    """
    pythia.require_tools()
    start = time.process_time()
    generator = pythia.Generator(shard.pythia, shard.seed)
    counts: dict[str, int] = dict.fromkeys(("failed", *reasons, "surplus"), 0)
    parts, events, kept = [], 0, 0
    while kept < shard.num_jets:
        asked = batch_size(kept, events)
        batch = generator.batch(asked)
        rows, dropped = select(batch, generator.visible)
        events += asked
        counts["failed"] += asked - len(batch)
        for name, count in dropped.items():
            counts[name] += count
        parts.append(rows)
        kept += len(next(iter(rows.values())))
        if not kept and events >= MAX_BARREN:
            raise InputError(
                f"{shard.jet_type}: none of {events} events is selected; dropped: "
                f"{counts}; check the settings of Pythia, or the card, and the cuts"
            )
    counts["surplus"] = (kept - shard.num_jets) // per_event
    joined = {name: np.concatenate([part[name] for part in parts]) for name in columns}
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
    files.write(buffer, columns, [joined], attrs)
    seconds = time.process_time() - start
    return Made(buffer.getvalue(), events, shard.num_jets, seconds, generator.seconds)


def totals(tasks: list[Task], data: str) -> dict[str, Any]:
    """What the shards of one process share or add up to, JSON-able.

    Args:
        tasks: their files and what is in them.
        data: name of a data set of one row a jet or event.

    Raises:
        InputError: a shard is damaged.
    """
    found = [files.metadata(path, data)[0] for path, _ in tasks]
    events = np.array([shard["events"] for shard in found], np.float64)
    sigma = np.array([shard["cross_section_pb"] for shard in found])
    errors = np.array([shard["cross_section_error_pb"] for shard in found])
    dropped = [json.loads(shard["dropped"]) for shard in found]
    first = tasks[0][1]
    return {
        "process": first.jet_type,
        "cuts": _cuts(first),
        "versions": pythia.versions(),
        "units": "GeV, radians",
        "events": int(events.sum()),
        "dropped": {name: sum(d[name] for d in dropped) for name in dropped[0]},
        "cross_section_pb": float(np.average(sigma, weights=events)),
        "cross_section_error_pb": float(
            np.hypot.reduce(errors * events) / events.sum()
        ),
    }


def identity(shard: Shard) -> str:
    """All that determines the content besides the number of jets, as JSON text."""
    settings: dict[str, Any] = shard._asdict() | {"cuts": _cuts(shard)}
    del settings["num_jets"]
    return json.dumps(settings | {"versions": pythia.versions()}, sort_keys=True)


def _cuts(shard: Shard) -> dict[str, Any]:
    """The cuts by name; one jet an event is not mentioned, as in older files."""
    found = shard.cuts._asdict()
    return {k: v for k, v in found.items() if (k, v) != ("jets_per_event", 1)}


def is_done(path: pathlib.Path, shard: Shard, data: str = "jet_features") -> bool:
    """Whether ``path`` holds this shard, or more jets of it.

    Args:
        path: of its file.
        shard: settings of the shard.
        data: name of a data set of one row per jet.

    Raises:
        InputError: it is damaged, or was made by other settings or versions.
    """
    return files.rows_made(path, data, identity(shard)) >= shard.num_jets


def _jetnet(rows: dict[str, np.ndarray]):
    """The data sets of a shard, as pairs of name and float64 values."""
    p4, jet = rows["p4"], rows["jet"]
    pt, eta, phi = pt_eta_phi(p4)
    mask = pt > 0
    jet_pt, jet_eta, jet_phi, mass, energy = jet.T[..., None]
    relative = [eta - jet_eta, wrap_phi(phi - jet_phi), pt / jet_pt, mask]
    particles = np.where(mask[..., None], np.stack(relative, axis=-1), 0.0)
    stored = np.sum(mask, axis=1)[:, None]
    count, parton = rows["count"][:, None], rows["parton"][:, None]
    yield "particle_features", particles
    yield "jet_features", np.hstack([jet_pt, jet_eta, mass, stored])
    yield "jet_extra", np.hstack([jet_phi, energy, count, parton])
    yield "particle_p4", p4
