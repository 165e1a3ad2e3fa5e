"""One shard of Z gamma events, which a worker makes from its settings and its seed."""

import io
import time
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.making import files, pythia
from jetvae_jax.making.settings import Shard
from jetvae_jax.making.shards import Made, identity
from jetvae_jax.making.zgamma import columns
from jetvae_jax.making.zgamma.selection import REASONS, select

BATCH = 100
# Number of events without a selected one after which the settings are assumed wrong.
MAX_BARREN = 5_000
DATA = "events"
COLUMNS = {DATA: columns.NAMES}


def make(shard: Shard) -> Made:
    """Runs Pythia until the shard is full.

    Its bytes depend on ``shard`` and the versions of Pythia and FastJet alone; a
    smaller shard holds the first events of a larger one.

    Raises:
        InputError: the settings do not work or give no events.
    """
    pythia.require_tools()
    start = time.process_time()
    generator = pythia.Generator(shard.pythia, shard.seed)
    cuts: Any = shard.cuts
    rng = np.random.default_rng(shard.seed)
    counts: dict[str, int] = dict.fromkeys(("failed", *REASONS, "surplus"), 0)
    parts, events, kept = [], 0, 0
    while kept < shard.num_jets:
        batch = generator.batch(BATCH)
        rows, dropped = select(batch, cuts, generator.visible, rng)
        events += BATCH
        counts["failed"] += BATCH - len(batch)
        for name, count in dropped.items():
            counts[name] += count
        parts.append(rows)
        kept += len(rows)
        if not kept and events >= MAX_BARREN:
            raise InputError(
                f"{shard.jet_type}: no event selected of {events}; dropped: {counts}; "
                "check the settings and the cuts"
            )
    counts["surplus"] = kept - shard.num_jets
    table = np.concatenate(parts)[: shard.num_jets]
    sigma, error = generator.cross_section()
    attrs = {
        "shard": identity(shard),
        "events": events,
        "dropped": counts,
        "cross_section_pb": sigma,
        "cross_section_error_pb": error,
    }
    buffer = io.BytesIO()
    files.write(buffer, COLUMNS, [{DATA: table}], attrs)
    seconds = time.process_time() - start
    return Made(buffer.getvalue(), events, shard.num_jets, seconds, generator.seconds)
