"""A production of Z gamma events: shards on many workers, then a file per process."""

import os
import pathlib
from typing import Any

import numpy as np

from jetvae_jax.core.files import Workdir
from jetvae_jax.making import files, pythia
from jetvae_jax.making.production import make_missing
from jetvae_jax.making.settings import Shard
from jetvae_jax.making.shards import Made, Task, fill, totals
from jetvae_jax.making.zgamma.columns import NAMES
from jetvae_jax.making.zgamma.selection import REASONS, select
from jetvae_jax.making.zgamma.settings import (
    BACKGROUND,
    CROSS_SECTION,
    NOT_NORMALISED,
    Config,
    plan,
)

DATA = "events"
BATCH = 100  # events
SUFFIX = {"hdf5": ".hdf5", "parquet": ".parquet"}


def run(folder: str | os.PathLike[str], config: Config) -> str:
    """Makes the missing shards and joins all of them.

    Finished shards stay in ``folder/shards`` and are not made again after any
    interruption; a larger production with the same settings uses them, too.

    Args:
        folder: of the production.
        config: numbers and settings.

    Returns:
        Lines that name the files, their events and cross-sections.

    Raises:
        InputError: wrong settings, missing tools, shards that could not be made, a file
            of another origin that would be replaced, or another process at work there.
    """
    pythia.require_tools()
    workdir = Workdir(folder)
    with workdir.locked():
        return _run(workdir.path, config)


def _run(folder: pathlib.Path, config: Config) -> str:
    tasks = {name: _tasks(folder, config, name) for name in config.processes}
    for name in tasks:
        for kind in config.formats:
            files.check_own(folder / f"{name}{SUFFIX[kind]}")
    make_missing(tasks, config, make, "events", DATA)
    return "".join(
        line for name in tasks for line in _join(folder, name, tasks[name], config)
    )


def make(shard: Shard) -> Made:
    """Runs Pythia until the shard is full of selected events.

    Its bytes depend on ``shard`` and the versions of Pythia and FastJet alone; a
    smaller shard holds the first events of a larger one.

    Raises:
        InputError: the settings do not work or give no events.
    """
    rng = np.random.default_rng(shard.seed)
    cuts: Any = shard.cuts

    def selected(events, visible):
        table, dropped = select(events, cuts, visible, rng)
        return {DATA: table}, dropped

    return fill(shard, {DATA: NAMES}, REASONS, selected, lambda kept, events: BATCH)


def _tasks(folder: pathlib.Path, config: Config, process: str) -> list[Task]:
    return [
        (folder / "shards" / f"{process}_{shard.index:05d}.hdf5", shard)
        for shard in plan(config, process)
    ]


def _join(folder: pathlib.Path, process: str, tasks: list[Task], config: Config):
    """Writes the files of one process; yields a line for each."""
    # Imports h5py and more, which the workers do not need.
    from jetvae_jax.events import writer

    table = np.concatenate(
        [
            block[DATA]
            for path, shard in tasks
            for block in files.read(path, [DATA], shard.num_jets)
        ]
    )
    metadata = provenance(tasks) | {"mantissa_bits": config.mantissa_bits}
    table = rounded(table, config.mantissa_bits)
    for kind in config.formats:
        target = folder / f"{process}{SUFFIX[kind]}"
        writer.write(target, table, NAMES, metadata)
        yield (
            f"{target}: {len(table):,} of {metadata['events']:,} events, cross-section "
            f"{metadata['cross_section_pb']:.4g} +- "
            f"{metadata['cross_section_error_pb']:.2g} pb "
            f"({metadata['cross_section_of']})\n"
        )


def provenance(tasks: list[Task]) -> dict[str, Any]:
    """Metadata of a file of these shards; JSON-able."""
    first, versions = tasks[0][1], pythia.versions()
    return totals(tasks, DATA) | {
        "generator": "pythia8mc {pythia8mc} + fastjet {fastjet}".format(**versions)
        + " and a parametrised detector, made by jetvae_jax",
        "settings": list(first.pythia),
        "seeds": [shard.seed for _, shard in tasks],
        "shard_events": [shard.num_jets for _, shard in tasks],
        "cross_section_of": (
            CROSS_SECTION if first.jet_type == BACKGROUND else NOT_NORMALISED
        ),
    }


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Float32 numbers with the first ``bits`` of 23 bits of the mantissa.

    Towards zero, so that no angle reaches pi and integers below 2^bits stay.
    """
    cut = np.uint32((0xFFFFFFFF << (23 - bits)) & 0xFFFFFFFF)
    return (values.astype("<f4").view("<u4") & cut).view("<f4")
