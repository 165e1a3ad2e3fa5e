"""A production: shards on many workers, then one file for each class and layout."""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable

from absl import logging

from jetvae_jax.core import workers
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.words import counted
from jetvae_jax.core.workers import Workers
from jetvae_jax.making import comparison, files, layouts, pythia, shards
from jetvae_jax.making.settings import JET_TYPES, Config, Shard, layout, plan
from jetvae_jax.making.shards import Task


def run(folder: str | os.PathLike[str], config: Config) -> str:
    """Makes the missing shards, joins all of them and compares the jets with JetNet.

    Finished shards stay in ``folder/shards`` and are not made again after any
    interruption; a larger production with the same settings uses them, too. Only this
    process writes, so workers on other machines need no shared disk.

    Args:
        folder: of the production.
        config: classes, numbers and settings.

    Returns:
        The comparison with the published moments; empty if there are none.

    Raises:
        InputError: wrong settings, missing tools, shards that could not be made, a file
            of another origin that would be replaced, or another process at work there.
    """
    pythia.require_tools()
    workdir = Workdir(folder)
    with workdir.locked():
        return _run(workdir.path, config)


def _run(folder: pathlib.Path, config: Config) -> str:
    tasks = {name: _tasks(folder, config, name) for name in config.jet_types}
    for name in config.jet_types:
        for kind in config.layouts:
            files.check_own(layouts.path_of(folder, kind, name))
    make_missing(tasks, config, shards.make, "jets", "jet_features")
    return "\n".join(_finish(folder, config, name) for name in config.jet_types)


def _tasks(folder: pathlib.Path, config: Config, jet_type: str) -> list[Task]:
    return [
        (folder / "shards" / f"{jet_type}_{shard.index:05d}.hdf5", shard)
        for shard in plan(config, jet_type)
    ]


def make_missing(
    tasks: dict[str, list[Task]],
    config: Workers,
    make: Callable[[Shard], shards.Made],
    what: str,
    data: str,
) -> None:
    """Has the shards made that are not in their files yet.

    Args:
        tasks: of each process or class, files and what is to be in them.
        config: where to make them.
        make: runs on a worker.
        what: is made, for the log.
        data: name of a data set of one row a jet or event.

    Raises:
        InputError: the settings do not work, or some shards could not be made.
    """
    everything = [task for found in tasks.values() for task in found]
    missing = [task for task in everything if not shards.is_done(*task, data=data)]
    if done := len(everything) - len(missing):
        logging.info("there already: %s", counted(done, "shard"))
    for name in {shard.jet_type for _, shard in missing}:
        # A mistake in the settings is found here, before there is a cluster.
        pythia.Generator(tasks[name][0][1].pythia, seed=1)
    if missing:
        make_all(missing, config, make, what)


def make_all(
    tasks: list[Task],
    config: Workers,
    make: Callable[[Shard], shards.Made],
    what: str,
) -> None:
    """Makes shards on the workers and writes each one when it is finished.

    Args:
        tasks: files and their shards.
        config: the workers.
        make: makes a shard; runs on a worker.
        what: jets or events, for the log.

    Raises:
        InputError: the settings of a shard are wrong, or some could not be made.
    """
    start, jets = time.monotonic(), 0
    wanted = sum(shard.num_jets for _, shard in tasks)
    logging.info(
        "making %s in %s",
        counted(wanted, what.removesuffix("s")), counted(len(tasks), "shard"),
    )  # fmt: skip
    named = {f"{shard.jet_type} {shard.index}": (path, shard) for path, shard in tasks}
    given = {name: (shard,) for name, (_, shard) in named.items()}
    with contextlib.closing(workers.results(make, given, config)) as finished:
        for name, made in finished:
            files.save(named[name][0], made.content)
            jets += made.kept
            rate = jets / (time.monotonic() - start)
            logging.info(
                "shard %s: %s %s of %s events, %.0f %s/s of CPU, %.2f x Pythia's "
                "own time; %s of %s %s, %.0f %s/s, %.0f s left",
                name, f"{made.kept:,}", what, f"{made.events:,}",
                made.kept / made.seconds, what, made.seconds / made.pythia_seconds,
                f"{jets:,}", f"{wanted:,}", what, rate, what, (wanted - jets) / rate,
            )  # fmt: skip


def _finish(folder: pathlib.Path, config: Config, jet_type: str) -> str:
    """Writes the layouts of one class; returns the comparisons."""
    tasks, tables = _tasks(folder, config, jet_type), []
    for name in config.layouts:
        target = layouts.path_of(folder, name, jet_type)
        metadata = layouts.merge(target, name, tasks, config.note)
        logging.info("%s: %s jets", target, f"{metadata['jets']:,}")
        if name == config.layouts[0]:
            logging.info(
                "%s: cross-section %.4g +- %.2g pb (%s); %s events, %s jets; dropped "
                "%s",
                jet_type, metadata["cross_section_pb"],
                metadata["cross_section_error_pb"], metadata["cross_section_of"],
                f"{metadata['events']:,}", f"{metadata['jets']:,}",
                ", ".join(f"{k} {v:,}" for k, v in metadata["dropped"].items()),
            )  # fmt: skip
        kind, num = layout(name)
        real = comparison.published(jet_type, num)
        ours = not config.card and jet_type in JET_TYPES
        ours = ours and config.jets_per_event == 1
        if kind == "jetnet" and ours and real is not None:
            made = comparison.measure(target, config.num_jets)
            tables.append(comparison.table(f"{jet_type}, {name}", made, real))
    return "\n".join(tables)
