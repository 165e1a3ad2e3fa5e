"""Generate or reconstruct samples and write them to disk, chunk by chunk."""

import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.configs import versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array, Batch, Context, Key, Points
from jetvae_jax.data import containers
from jetvae_jax.data.streaming import count, head
from jetvae_jax.densities.contexts import ContextRequest, parsed
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.trained import TrainedDensity, TrainedModel, load_model
from jetvae_jax.training.progress import Progress

GENERATOR = "jetvae_jax"
CHUNK = 2000
"""Samples in one compiled call. The key of chunk i is that of the run folded with i, so
that the same seed gives the same samples for any number of them."""


def generate(workdir: str | os.PathLike, config: GenerateConfig) -> pathlib.Path:
    """Write ``generated_<latents>`` into ``workdir`` and return the file's path.

    The same seed gives the same samples; a larger number appends to them.

    Args:
        workdir: of a finished training.
        config: how many samples, from what, and where to write them.

    Raises:
        InputError: no trained model or flow, a condition that the model does not have,
            the output cannot be written, or would replace something else.
    """
    if config.output:
        _check_output(pathlib.Path(config.output))
    trained = load_model(workdir)
    pipeline = trained.run.pipeline
    name = f"generated_{config.latents}{pipeline.SUFFIX}"
    output = pathlib.Path(config.output or Workdir(workdir) / name)
    _check_replaceable(output, trained)
    number, chunks = samples_of(trained, config)
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
    with (
        pipeline.writer(output, trained.run, attrs) as writer,
        Progress(f"generate {config.latents}", number, unit=pipeline.UNIT) as progress,
    ):
        for chunk in chunks:
            writer.append(chunk)
            progress.advance(len(jax.tree.leaves(chunk)[0]))
        progress.note(
            f"wrote {output}: {number:,} {progress.unit}, {progress.status()}"
        )
    return output


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


def samples_of(
    trained: TrainedModel, config: GenerateConfig
) -> tuple[int, Iterator[Any]]:
    """The number of samples, and an iterator over chunks of them.

    Raises:
        InputError: no flow has been fitted, the data changed, or a condition that the
            model does not have; from the iterator, if it generates nothing but NaN.
    """
    key = seeds.key(config.seed)
    if config.latents == "reconstruction":
        if config.condition:
            raise InputError(
                "--generate.condition: a reconstruction has the conditions of its "
                "test samples: give --generate.latents=prior or flow"
            )
        trained.check_encoder()
        batch = jax.jit(trained.scale)(head(_test(trained), config.num_jets))

        @jax.jit
        def draw(key, batch):
            points = trained.reconstructed_points(key, batch)
            return (
                trained.unscale(points, batch.context),
                _not_finite(trained, points, batch.context),
            )

        return len(batch.x), _reported(stream_batches(draw, key, batch))
    latents: str | TrainedDensity = config.latents
    if latents != "prior":
        trained.check_encoder()
        latents = trained.density(latents)  # stops before the data are read
    number = config.num_jets or count(_test(trained))
    return number, _drawn(trained, latents, config, key, number)


def generated_samples(trained: TrainedModel, config: GenerateConfig) -> Any:
    """Generated samples in memory, NumPy arrays, such as jets in GeV.

    Args:
        trained: the model.
        config: how many samples, from what; :func:`generate` writes the same.

    Raises:
        InputError: as :func:`samples_of`.
    """
    chunks = list(samples_of(trained, config)[1])
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


def _drawn(
    trained: TrainedModel,
    latents: str | TrainedDensity,
    config: GenerateConfig,
    key: Key,
    number: int,
) -> Iterator[Any]:
    run = trained.run
    names = run.pipeline.condition_names(run.scaling)
    asked = parsed(config.condition, names, "generate.condition")
    request = ContextRequest(config.context, asked)
    contexts = run.pipeline.contexts(run.scaling, trained.scaler, request)
    _check_reach(trained, contexts(key, 1), names, asked)
    _warn_beyond(trained, asked)

    @jax.jit
    def draw(key):
        latent_key, context_key = jax.random.split(key)
        context = contexts(context_key, CHUNK)
        points = trained.sampled_points(latent_key, context, latents)
        return (
            trained.unscale(points, context),
            _not_finite(trained, points, context),
        )

    return _reported(stream(draw, key, number))


def _check_reach(
    trained: TrainedModel,
    context: Context,
    names: Mapping[str, tuple[str, ...]],
    asked: Mapping[str, float],
) -> None:
    """Check that the model generates at the conditions that the user gave.

    Args:
        trained: the model.
        context: of one sample that has them.
        names: of the conditions; beside that of a class its values.
        asked: name to value of those given.

    Raises:
        InputError: one is beyond what it reaches.
    """
    if trained.model.reach is None or not asked:
        return
    assert context.condition is not None
    scaled = np.asarray(context.condition)[0]
    columns = [name for name, values in names.items() for _ in values or (name,)]
    if len(scaled) != len(columns):  # the label of a digit, which the domain checks
        return
    for name, given, low, high in zip(
        columns, scaled, *trained.model.reach(trained.params), strict=True
    ):
        if name in asked and not low <= given <= high:
            side, give = ("below", "more") if given < low else ("above", "less")
            raise InputError(
                f"--generate.condition={name}={asked[name]:g}: is {side} that of every "
                f"event in the library: give {give}"
            )


def _warn_beyond(trained: TrainedModel, asked: Mapping[str, float]) -> None:
    """Say for which conditions the model was not trained, in one line."""
    run = trained.run
    ends = run.pipeline.condition_ends(run.scaling, trained.scaler)
    far = []
    for name, value in asked.items():
        low, high = ends.get(name, (-np.inf, np.inf))
        rounding = 1e-6 * max(abs(low), abs(high))
        if not low - rounding <= value <= high + rounding:
            far.append(f"{name}={value:g} is beyond {low:.4g} to {high:.4g}")
    if far:
        logging.warning(
            "--generate.condition: %s, the range of the training %s: the model "
            "extrapolates", ", ".join(far), run.pipeline.UNIT,
        )  # fmt: skip


def _not_finite(trained: TrainedModel, points: Points, context: Context) -> Array:
    """``[J]``, which sets hold NaN or infinity, or do so in GeV: no sample has it."""
    run, made = trained.run, [points.x]
    if momenta := run.pipeline.momenta(run.scaling, trained.scaler):
        made.append(momenta(points.x, context))
    finite = [jnp.all(jnp.isfinite(x), axis=(-2, -1)) for x in made]
    return ~jnp.all(jnp.stack(finite), axis=0)


def _reported(chunks: Iterator[tuple[Any, np.ndarray]]) -> Iterator[Any]:
    """The samples; what is not finite in them is counted, not dropped in silence.

    Raises:
        InputError: nothing in a chunk is finite.
    """
    lost = total = 0
    for samples, bad in chunks:
        if bad.all():
            raise InputError(
                f"generated samples {total:,} to {total + bad.size - 1:,} are all NaN "
                "or infinite: the model did not train: train it again with a smaller "
                "learning_rate or clip_norm = 1"
            )
        lost, total = lost + int(bad.sum()), total + bad.size
        yield samples
    if lost:
        logging.warning(
            "%s of %s generated samples had NaN or infinity in a point, which is left "
            "out", f"{lost:,}", f"{total:,}",
        )  # fmt: skip


def _test(trained: TrainedModel) -> Any:
    return trained.data().test


def stream(draw: Callable[[Key], Any], key: Key, number: int) -> Iterator[Any]:
    """Yield ``number`` samples as NumPy chunks.

    Args:
        draw: compiled ``key -> samples``, :data:`CHUNK` of them.
        key: folded with the chunk's number.
        number: of samples; the last chunk is cut.
    """
    for start in range(0, number, CHUNK):
        samples = draw(jax.random.fold_in(key, start // CHUNK))
        yield _first(samples, number - start)


def stream_batches(
    draw: Callable[[Key, Batch], Any], key: Key, batch: Batch
) -> Iterator[Any]:
    """Like :func:`stream`, with one sample for each row of the batch."""
    number = batch.x.shape[0]
    for start in range(0, number, CHUNK):
        # One compiled shape: the last chunk repeats its last row, then is cut.
        rows = np.minimum(np.arange(start, start + CHUNK), number - 1)
        part = jax.tree.map(lambda a, rows=rows: a[rows], batch)
        samples = draw(jax.random.fold_in(key, start // CHUNK), part)
        yield _first(samples, number - start)


def _first(samples: Any, number: int) -> Any:
    """The first ``number`` samples of a chunk, all if it has fewer, as NumPy."""
    return jax.tree.map(lambda a: np.asarray(a[:number]), samples)
