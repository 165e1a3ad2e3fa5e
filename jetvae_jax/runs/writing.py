"""Generated samples on disk: one file, or a folder of shards."""

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
from absl import logging

from jetvae_jax.core import workers
from jetvae_jax.core.configs import versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, expanded, make_folder
from jetvae_jax.core.shards import Shards, sha256, spans
from jetvae_jax.core.words import counted
from jetvae_jax.data import containers
from jetvae_jax.runs import generation
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.generation import Source, source
from jetvae_jax.runs.trained import CHECKPOINT, TrainedModel, load_model
from jetvae_jax.training.progress import Progress

GENERATOR = "jetvae_jax"


def generate(workdir: str | os.PathLike, config: GenerateConfig) -> pathlib.Path:
    """Write ``generated_<latents>`` into ``workdir`` and return its path.

    The same seed gives the same samples; a larger number appends to them. With
    ``config.shards`` it is a folder of so many files, of which those that are whole
    stay; together they hold, row for row, what the one file would.

    Args:
        workdir: of a finished training.
        config: how many samples, from what, and where to write them.

    Raises:
        InputError: no trained model or flow, a condition that the model does not have,
            the output cannot be written, or would replace something else; shards of
            other settings are there, or some are not whole where none are to be made.
    """
    if config.shards:
        return _generate_shards(workdir, config)
    if jax.process_count() > 1:
        raise InputError("--hosts: several processes make shards: --generate.shards")
    if config.output:
        _check_output(pathlib.Path(config.output))
    trained = load_model(workdir)
    pipeline = trained.run.pipeline
    name = f"generated_{config.latents}{pipeline.SUFFIX}"
    output = pathlib.Path(config.output or Workdir(workdir) / name)
    _check_replaceable(output, trained)
    samples = source(trained, config)
    with _progress(trained, config, samples.number) as progress:
        chunks = samples.draw(0, samples.number)
        _write(output, trained, attributes(trained, config), chunks, progress)
        progress.note(
            f"wrote {output}: {samples.number:,} {progress.unit}, {progress.status()}"
        )
    return output


def attributes(trained: TrainedModel, config: GenerateConfig) -> dict[str, Any]:
    """What a file of generated samples says of its origin."""
    attrs = {
        "generator": GENERATOR,
        "latents": config.latents,
        "seed": config.seed,
        "run": trained.run.to_json(),
        "best_epoch": trained.meta["best_epoch"],
        "versions": versions(),
    }
    if config.condition:
        attrs["condition"] = list(config.condition)
    if config.cluster_radius and config.latents != "reconstruction":
        attrs["cluster_radius"] = config.cluster_radius
    return attrs


def _progress(
    trained: TrainedModel, config: GenerateConfig, number: int, done: int = 0
) -> Progress:
    unit = trained.run.pipeline.UNIT
    return Progress(f"generate {config.latents}", number, done=done, unit=unit)


def _write(
    path: pathlib.Path,
    trained: TrainedModel,
    attrs: dict[str, Any],
    chunks: Iterable[Any],
    progress: Progress,
) -> None:
    with trained.run.pipeline.writer(path, trained.run, attrs) as writer:
        for chunk in chunks:
            writer.append(chunk)
            progress.advance(len(jax.tree.leaves(chunk)[0]))


class _Job(NamedTuple):
    """What shards are made from, and where they go."""

    trained: TrainedModel
    config: GenerateConfig
    samples: Source
    shards: Shards

    def progress(self, number: int, done: int = 0) -> Progress:
        return _progress(self.trained, self.config, number, done)

    def make(self, index: int, progress: Progress) -> None:
        """Write a shard and its record.

        Raises:
            InputError: as :func:`generate`.
        """
        path, rows = self.shards.path(index), self.shards.rows[index]
        place = {"index": index, "of": len(self.shards), "first": rows.start}
        attrs = attributes(self.trained, self.config) | {"shard": place}
        chunks = self.samples.draw(rows.start, rows.stop)
        _write(path, self.trained, attrs, chunks, progress)
        self.shards.complete(index)
        progress.note(
            f"wrote {path}: {len(rows):,} {progress.unit}, {progress.status()}"
        )


def _job(workdir: str | os.PathLike, config: GenerateConfig) -> _Job:
    trained = load_model(workdir)
    samples = source(trained, config)
    shards = _shards(workdir, trained, config, samples.number)
    return _Job(trained, config, samples, shards)


def _generate_shards(
    workdir: str | os.PathLike, config: GenerateConfig
) -> pathlib.Path:
    job = _job(workdir, config)
    shards, unit = job.shards, job.trained.run.pipeline.UNIT
    many = counted(len(shards), "shard")
    about = {"generator": GENERATOR, "unit": unit}
    if config.collect:
        with job.progress(job.samples.number) as progress:
            progress.name = "check"
            shards.check(progress.advance)
        logging.info("%s: all %s are whole", shards.write_manifest(about), many)
        return shards.folder
    make_folder(shards.folder)
    # Of several processes that work together each makes its part.
    own = range(jax.process_index(), len(shards), jax.process_count())
    asked = own if config.shard is None else [config.shard]
    missing = [index for index in asked if not shards.is_whole(index)]
    if done := len(asked) - len(missing):
        logging.info("there already: %s", counted(done, "shard"))
    for index in missing:
        if shards.record(index) is None:  # else it is ours, and damaged
            _check_replaceable(shards.path(index), job.trained)
    rows = [sum(len(shards.rows[i]) for i in found) for found in (asked, missing)]
    with job.progress(rows[0], rows[0] - rows[1]) as progress:
        if missing and (config.num_workers or config.dask_scheduler):
            _on_workers(job, missing, workdir, progress)
        else:
            for index in missing:
                job.make(index, progress)
    if manifest := shards.write_manifest(about):
        logging.info("%s: all %s are there", manifest, many)
    return shards.folder


def _on_workers(
    job: _Job, missing: list[int], workdir: str | os.PathLike, progress: Progress
) -> None:
    """Have shards made by workers, which write them into the folder themselves."""
    run, shards = os.fspath(workdir), job.shards
    run = run if run.startswith("zoo:") else os.path.abspath(expanded(run))
    output = os.path.abspath(shards.folder)
    config = dataclasses.replace(job.config, output=output)
    weights = tuple(_weights(workdir, config.latents).items())
    tasks = {str(index): (run, config, weights, index) for index in missing}
    with contextlib.closing(workers.results(_on_worker, tasks, config)) as finished:
        for name, _ in finished:
            progress.advance(len(shards.rows[int(name)]))
            progress.note(f"wrote {shards.path(int(name))}: {progress.status()}")


def _on_worker(
    workdir: str, config: GenerateConfig, weights: tuple, index: int
) -> None:
    """Make a shard in this process, which keeps the compiled model for the next one."""
    job = _kept_job(workdir, config, weights)
    with job.progress(len(job.shards.rows[index])) as progress:
        job.make(index, progress)


@functools.lru_cache(maxsize=1)
def _kept_job(workdir: str, config: GenerateConfig, weights: tuple) -> _Job:
    del weights  # of another training, it is another job
    return _job(workdir, config)


def _shards(
    workdir: str | os.PathLike,
    trained: TrainedModel,
    config: GenerateConfig,
    number: int,
) -> Shards:
    """The shards that the settings describe.

    Raises:
        InputError: there are too many of them, no folder can be there, or it has
            shards of other settings.
    """
    unit, suffix = trained.run.pipeline.UNIT, trained.run.pipeline.SUFFIX
    chunk = generation.CHUNK
    if config.shards > (most := max(1, -(-number // chunk))):
        raise InputError(
            f"--generate.shards={config.shards}: {number:,} {unit} fill at most {most} "
            f"shards of {chunk:,}: give --generate.shards={most} or fewer"
        )
    folder = pathlib.Path(
        config.output or Workdir(workdir) / f"generated_{config.latents}"
    )
    what = f"--generate.output={folder}"
    if not folder.parent.is_dir() or (folder.exists() and not folder.is_dir()):
        raise InputError(
            f"{what}: shards are files of a folder: name one in a folder that exists"
        )
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        raise InputError(f"{what}: the folder is not writable: give another one")
    if folder.suffix.lower() in containers.suffixes(written=True):
        suffix = folder.suffix.lower()
    shards = Shards(
        folder,
        suffix,
        spans(number, config.shards, chunk),
        {
            "latents": config.latents,
            unit: number,
            "seed": config.seed,
            "context": config.context,
            "condition": list(config.condition),
            "cluster_radius": config.cluster_radius,
            "shards": config.shards,
            "chunk": chunk,
            "suffix": suffix,
            "model": _weights(workdir, config.latents),
            "versions": versions(),
        },
        "give another --generate.output, or remove that folder",
    )
    shards.check_settings()
    return shards


def _weights(workdir: str | os.PathLike, latents: str) -> dict[str, str]:
    """Names and sha256 of the files of parameters that samples come from."""
    path = pathlib.Path(expanded(workdir))
    path = path if path.suffix == ".npz" else path / CHECKPOINT
    files = [path]
    if latents not in ("prior", "reconstruction"):
        files.append(path.with_name(f"{latents}.npz"))
    return {file.name: sha256(file) for file in files}


def _check_output(output: pathlib.Path) -> None:
    """A file can be written there.

    Raises:
        InputError: it cannot.
    """
    if not output.parent.is_dir() or output.is_dir():
        raise InputError(
            f"--generate.output={output}: give a file in a folder that exists"
        )
    if not os.access(output.parent, os.W_OK):
        raise InputError(
            f"--generate.output={output}: the folder is not writable: give another one"
        )


def _check_replaceable(output: pathlib.Path, trained: TrainedModel) -> None:
    """Check that a file may be replaced: generated samples may, all else may not.

    Raises:
        InputError: it is the data of the run, or anything else of worth.
    """
    what = f"--generate.output={output}"
    given = trained.run.data.path  # one, or several separated by commas
    for data in (given, *given.split(",")):
        if not (output.exists() and os.path.exists(data)):
            continue
        inside = pathlib.Path(data).resolve() in output.resolve().parents
        if inside or os.path.samefile(data, output):
            raise InputError(f"{what}: is data of this run: give another name")
    containers.check_replaceable(output, what, GENERATOR)
