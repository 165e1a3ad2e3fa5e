"""A production of Z gamma events: shards on many workers, then a file per process."""

import json
import os
import pathlib
from typing import Any

import numpy as np
from absl import logging

from jetvae_jax.making import files, pythia, shards
from jetvae_jax.making.production import Task, make_all
from jetvae_jax.making.zgamma.columns import NAMES
from jetvae_jax.making.zgamma.settings import (
    BACKGROUND,
    CROSS_SECTION,
    NOT_NORMALISED,
    Config,
    plan,
)
from jetvae_jax.making.zgamma.shards import DATA, make

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
        InputError: wrong settings, missing tools, shards that could not be made.
    """
    pythia.require_tools()
    folder = pathlib.Path(folder)
    tasks = {name: _tasks(folder, config, name) for name in config.processes}
    everything = [task for found in tasks.values() for task in found]
    missing = [task for task in everything if not shards.is_done(*task, data=DATA)]
    if done := len(everything) - len(missing):
        logging.info("%d shards exist already", done)
    for name in {shard.jet_type for _, shard in missing}:
        # A mistake in the settings is found here, before a cluster is started.
        pythia.Generator(tasks[name][0][1].pythia, seed=1)
    if missing:
        make_all(missing, config, make, "events")
    return "".join(
        line for name in tasks for line in _join(folder, name, tasks[name], config)
    )


def _tasks(folder: pathlib.Path, config: Config, process: str) -> list[Task]:
    return [
        (folder / "shards" / f"{process}_{shard.index:05d}.hdf5", shard)
        for shard in plan(config, process)
    ]


def _join(folder: pathlib.Path, process: str, tasks: list[Task], config: Config):
    """Writes the files of one process; yields a line for each."""
    # Imports jax, which the workers do not need.
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
    found = [files.metadata(path, DATA)[0] for path, _ in tasks]
    events = np.array([attrs["events"] for attrs in found], np.float64)
    sigma = np.array([attrs["cross_section_pb"] for attrs in found])
    errors = np.array([attrs["cross_section_error_pb"] for attrs in found])
    dropped = [json.loads(attrs["dropped"]) for attrs in found]
    first, versions = tasks[0][1], pythia.versions()
    return {
        "generator": "pythia8mc {pythia8mc} + fastjet {fastjet}".format(**versions)
        + " and a parametrised detector, made by jetvae_jax",
        "process": first.jet_type,
        "settings": list(first.pythia),
        "cuts": first.cuts._asdict(),
        "seeds": [shard.seed for _, shard in tasks],
        "shard_events": [shard.num_jets for _, shard in tasks],
        "versions": versions,
        "units": "GeV, radians",
        "events": int(events.sum()),
        "dropped": {name: sum(d[name] for d in dropped) for name in dropped[0]},
        "cross_section_of": (
            CROSS_SECTION if first.jet_type == BACKGROUND else NOT_NORMALISED
        ),
        "cross_section_pb": float(np.average(sigma, weights=events)),
        "cross_section_error_pb": float(
            np.hypot.reduce(errors * events) / events.sum()
        ),
    }


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Float32 numbers with the first ``bits`` of 23 bits of the mantissa.

    Towards zero, so that no angle reaches pi and integers below 2^bits stay.
    """
    cut = np.uint32((0xFFFFFFFF << (23 - bits)) & 0xFFFFFFFF)
    return (values.astype("<f4").view("<u4") & cut).view("<f4")
