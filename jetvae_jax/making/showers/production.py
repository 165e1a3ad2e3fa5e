"""A production of showers: shards on several processes, then one file."""

import contextlib
import io
import multiprocessing.connection
import os
import pathlib
import signal
import threading
import time
from collections.abc import Generator, Iterable, Iterator

import numpy as np
from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.words import counted
from jetvae_jax.making import files
from jetvae_jax.making.showers import spots
from jetvae_jax.making.showers.settings import (
    RECIPE,
    Config,
    Shard,
    particles,
    plan,
)

FILE = "showers.hdf5"
BATCH = 500  # showers with a random generator of their own
COLUMNS = {
    "energies": (),
    "particles": ("energy", "kind", "x", "y", "dx", "dy", "dz"),
}
_DATA = "energies"

Task = tuple[pathlib.Path, Shard]


def run(folder: str | os.PathLike[str], config: Config) -> str:
    """Makes the missing shards and joins all of them.

    Finished shards stay in ``folder/shards`` and are not made again after any
    interruption; a larger production with the same settings uses them, too.

    Args:
        folder: of the production.
        config: numbers and settings.

    Returns:
        A line that names the file and its showers.

    Raises:
        InputError: shards that could not be made or were made by other settings, a file
            of another origin that would be replaced, or another process at work there.
    """
    workdir = Workdir(folder)
    with workdir.locked():
        target = workdir / FILE
        files.check_own(target)
        tasks = [
            (workdir.path / "shards" / f"{shard.index:05d}.hdf5", shard)
            for shard in plan(config)
        ]
        missing = [
            (path, shard)
            for path, shard in tasks
            if files.rows_made(path, _DATA, shard.identity) < shard.num_showers
        ]
        if done := len(tasks) - len(missing):
            logging.info("there already: %s", counted(done, "shard"))
        if missing:
            _make_all(missing, config)
        return _join(target, tasks, config)


def make(shard: Shard) -> bytes:
    """An HDF5 file of one shard; its bytes depend on ``shard`` alone.

    Energies in GeV ``[J, C]``, and of the particles ``[J, 7]`` energy, PDG code, point
    on the face in mm and direction.
    """
    batches = -(-shard.num_showers // BATCH)
    blocks = (batch(shard, number) for number in range(batches))
    buffer = io.BytesIO()
    attrs = {"shard": shard.identity}
    files.write(buffer, COLUMNS, _first(blocks, shard.num_showers), attrs)
    return buffer.getvalue()


def batch(shard: Shard, number: int) -> dict[str, np.ndarray]:
    """The showers of one batch of a shard: always as many, whatever is kept of them."""
    config = shard.config
    rng = np.random.default_rng([config.seed, shard.index, number])
    given = particles(rng, config, BATCH)
    seen = spots.seen(
        rng, config.medium, config.grid, given, config.stochastic, config.matter
    )
    cells = measured(rng, config, seen.cells)
    return {
        "energies": cells,
        "particles": np.column_stack(
            [given.energy, given.kind, given.point, given.direction]
        ),
    }


def measured(rng: np.random.Generator, config: Config, cells: np.ndarray) -> np.ndarray:
    """What is read out of the energies that cells see, ``[J, C]`` GeV both.

    All cells of a shower are multiplied by one number of mean 1 and deviation
    ``constant``, noise is added, and cells below the threshold are empty.
    """
    gain = 1 + config.constant * rng.standard_normal((len(cells), 1))
    cells = cells * np.maximum(gain, 0)
    if config.noise:
        cells = cells + config.noise * rng.standard_normal(cells.shape)
    return np.where(cells > config.threshold, cells, 0.0)


def _first(blocks: Iterable[dict[str, np.ndarray]], number: int) -> Iterator:
    """The first so many rows."""
    for block in blocks:
        yield {name: rows[:number] for name, rows in block.items()}
        number -= BATCH


def _make_all(tasks: list[Task], config: Config) -> None:
    """Makes shards and writes each one when it is finished.

    Raises:
        InputError: the disk does not allow it, or a process died.
    """
    start, showers = time.monotonic(), 0
    wanted = sum(shard.num_showers for _, shard in tasks)
    logging.info(
        "making %s in %s", counted(wanted, "shower"), counted(len(tasks), "shard")
    )
    with contextlib.closing(_made(tasks, config)) as finished:
        for shard, seconds in finished:
            showers += shard.num_showers
            rate = showers / (time.monotonic() - start)
            logging.info(
                "shard %d: %.0f showers/s of CPU; %s of %s showers, %.0f showers/s, "
                "%.0f s left",
                shard.index, shard.num_showers / seconds, f"{showers:,}",
                f"{wanted:,}", rate, (wanted - showers) / rate,
            )  # fmt: skip


def _made(
    tasks: list[Task], config: Config
) -> Generator[tuple[Shard, float], None, None]:
    """Makes shards; yields each when its file is there, with its seconds of CPU time.

    However it is left, no process stays.
    """
    workers = min(config.num_workers or os.cpu_count() or 1, len(tasks))
    if workers == 1:
        for task in tasks:
            yield task[1], _save(task)
        return
    context = multiprocessing.get_context("spawn")
    processes = {}
    try:
        for number in range(workers):
            receiver, sender = context.Pipe(duplex=False)
            arguments = sender, tasks[number::workers]
            process = context.Process(target=_work, args=arguments, daemon=True)
            processes[receiver] = process
            process.start()
            sender.close()
        working = set(processes)
        while working:
            for receiver in multiprocessing.connection.wait(working):
                found = _received(receiver, processes[receiver])
                if found is None:
                    working.remove(receiver)
                else:
                    yield found
    finally:
        for process in processes.values():
            if process.pid is not None:
                process.terminate()
                process.join()


def _received(receiver, process) -> tuple[Shard, float] | None:
    """What a process sends; None if it has ended well.

    Raises:
        InputError: its mistake, or it has died.
    """
    try:
        found = receiver.recv()
    except EOFError:
        process.join()
        if process.exitcode == 0:
            return None
        raise InputError(
            "a process that made showers has died, perhaps for want of memory: run "
            "again to continue, with a smaller --make.num_workers"
        ) from None
    if isinstance(found, InputError):
        raise found
    return found


def _work(sender, tasks: list[Task]) -> None:
    """A process: makes its shards one after the other, and reports each."""
    # Ctrl-C is for the main process, with which this one ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def follow():
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    for task in tasks:
        try:
            sender.send((task[1], _save(task)))
        except InputError as error:
            sender.send(error)
            return


def _save(task: Task) -> float:
    """Makes a shard and writes its file; returns the seconds of CPU time."""
    start = time.process_time()
    path, shard = task
    files.save(path, make(shard))
    return time.process_time() - start


def _join(target: pathlib.Path, tasks: list[Task], config: Config) -> str:
    """Writes the file; returns a line on it."""
    # These import JAX, which the workers do not need.
    from jetvae_jax.core.types import Showers
    from jetvae_jax.showers import geometry
    from jetvae_jax.showers.writer import Writer

    attrs = {
        "generator": "Grindhammer-Peters showers, made by jetvae_jax",
        "settings": vars(config) | {"num_workers": 0},
        "seed": config.seed,
        "recipe": RECIPE,
        "medium": config.medium._asdict(),
    }
    calorimeter = geometry.get(config.geometry)
    response = []
    with Writer(target, calorimeter, attrs) as writer:
        for path, shard in tasks:
            for block in files.read(path, COLUMNS, shard.num_showers):
                energies, rows = block["energies"], block["particles"]
                showers = Showers(energies, rows[:, 0], rows[:, 1])
                if calorimeter.form == "grid":
                    showers = showers._replace(
                        point=rows[:, 2:4], direction=rows[:, 4:]
                    )
                writer.append(showers)
                response.append(energies.sum(axis=1) / rows[:, 0])
    mean = np.concatenate(response)
    return (
        f"{target}: {len(mean):,} showers in {calorimeter.num_cells:,} cells of "
        f"{calorimeter.name}, response {mean.mean():.4f} +- {mean.std():.4f}\n"
    )
