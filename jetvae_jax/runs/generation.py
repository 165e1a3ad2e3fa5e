"""Generate or reconstruct samples, chunk by chunk."""

import collections
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jetvae_jax.core import devices, seeds
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Batch, Context, Key, Points
from jetvae_jax.data.streaming import count, head
from jetvae_jax.densities.contexts import ContextRequest, parsed
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.trained import TrainedDensity, TrainedModel

CHUNK = 2000
"""Samples in one compiled call. The key of chunk i is that of the run folded with i, so
that the same seed gives the same samples for any number of them."""
_REDRAWN = 64
"""Samples of a chunk that are drawn again at once."""
_MOST_DRAWS = 200
"""Of one chunk; a model that is fit for use needs two or three."""


class Made(NamedTuple):
    """J samples, and what is to be said of them.

    Attributes:
        samples: such as jets in GeV.
        lost: ``[J]`` bool, which have a point that was not finite and is left out.
        redraws: ``[J]`` int32, how often each was drawn again.
        refused: ``[J]`` bool, which are against the rule after all draws.
    """

    samples: Any
    lost: Array
    redraws: Array
    refused: Array


class Source(NamedTuple):
    """Samples that can be drawn from any place on.

    Attributes:
        number: of samples.
        draw: ``(first, stop) -> chunks`` of the samples from ``first``, a multiple of
            :data:`CHUNK`, to before ``stop``; they are the same in every range.
    """

    number: int
    draw: Callable[[int, int], Iterator[Any]]


def source(trained: TrainedModel, config: GenerateConfig) -> Source:
    """The samples that the settings describe.

    Raises:
        InputError: no flow has been fitted, the data changed, or a condition that the
            model does not have; from the chunks, if one has nothing but NaN.
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
            return _made(trained, points, batch.context)

        return Source(
            len(batch.x),
            lambda first, stop: _reported(
                stream_batches(draw, key, batch, first, stop), first
            ),
        )
    latents: str | TrainedDensity = config.latents
    if latents != "prior":
        trained.check_encoder()
        latents = trained.density(latents)  # stops before the data are read
    number = config.num_jets or count(_test(trained))
    generated = _drawn(trained, latents, config)
    return Source(
        number,
        lambda first, stop: _reported(stream(generated, key, stop, first), first),
    )


def samples_of(
    trained: TrainedModel, config: GenerateConfig
) -> tuple[int, Iterator[Any]]:
    """The number of samples, and an iterator over chunks of them.

    Raises:
        InputError: as :func:`source`.
    """
    number, draw = source(trained, config)
    return number, draw(0, number)


def generated_samples(trained: TrainedModel, config: GenerateConfig) -> Any:
    """Generated samples in memory, NumPy arrays, such as jets in GeV.

    Args:
        trained: the model.
        config: how many samples, from what; ``runs.generate`` writes the same.

    Raises:
        InputError: as :func:`samples_of`.
    """
    chunks = list(samples_of(trained, config)[1])
    return jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)


def _drawn(
    trained: TrainedModel,
    latents: str | TrainedDensity,
    config: GenerateConfig,
) -> Callable[[Key], Any]:
    """The compiled function that draws a chunk, and what is not finite in it."""
    run = trained.run
    refused = None
    if config.cluster_radius:
        refused = run.pipeline.refused(config.cluster_radius)
        if refused is None:
            raise InputError(
                f"--generate.cluster_radius: is of jets, this model is of {run.domain}"
            )
    names = run.pipeline.condition_names(run.scaling)
    asked = parsed(config.condition, names, "generate.condition")
    request = ContextRequest(config.context, asked)
    contexts = run.pipeline.contexts(run.scaling, trained.scaler, request)
    _check_reach(trained, contexts(seeds.key(config.seed), 1), names, asked)
    _warn_beyond(trained, asked)

    def sampled(key, context):
        points = trained.sampled_points(key, context, latents)
        return _made(trained, points, context)

    @jax.jit
    def draw(key):
        latent_key, context_key = jax.random.split(key)
        context = contexts(context_key, CHUNK)
        made = sampled(latent_key, context)
        if refused is None:
            return made
        return _drawn_again(sampled, refused, latent_key, context, made)

    return draw


def _drawn_again(
    sampled: Callable[[Key, Context], Made],
    refused: Callable[[Any], Array],
    key: Key,
    context: Context,
    made: Made,
) -> Made:
    """Samples of which those that are refused are drawn again, for the same contexts.

    Args:
        sampled: ``(key, context [K]) -> K`` samples.
        refused: ``(samples) -> [K]``, which of them.
        key: that of the first draw.
        context: of J samples.
        made: the first draw.

    Returns:
        The samples, with how often each was drawn again. After too many draws some are
        refused still.
    """
    number = context.axis.shape[0]

    def again(state):
        i, made, bad = state
        # Rows beyond the last stand for none: they are read as the last, not written.
        rows = jnp.nonzero(bad, size=min(_REDRAWN, number), fill_value=number)[0]
        read = jnp.minimum(rows, number - 1)
        part = jax.tree.map(lambda a: a[read], context)
        new = sampled(jax.random.fold_in(key, i), part)
        new = new._replace(redraws=made.redraws[read] + 1)
        made = jax.tree.map(lambda a, b: a.at[rows].set(b, mode="drop"), made, new)
        bad = bad.at[rows].set(refused(new.samples), mode="drop")
        return i + 1, made, bad

    def unfinished(state):
        i, _, bad = state
        return jnp.any(bad) & (i <= _MOST_DRAWS)

    start = jnp.int32(1), made, refused(made.samples)
    _, made, bad = jax.lax.while_loop(unfinished, again, start)
    return made._replace(refused=bad)


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


def _made(trained: TrainedModel, points: Points, context: Context) -> Made:
    lost = _not_finite(trained, points, context)
    samples = trained.unscale(points, context)
    return Made(samples, lost, jnp.zeros(lost.shape, jnp.int32), jnp.zeros_like(lost))


def _not_finite(trained: TrainedModel, points: Points, context: Context) -> Array:
    """``[J]``, which sets hold NaN or infinity, or do so in GeV: no sample has it."""
    run, made = trained.run, [points.x]
    if momenta := run.pipeline.momenta(run.scaling, trained.scaler):
        made.append(momenta(points.x, context))
    finite = [jnp.all(jnp.isfinite(x), axis=(-2, -1)) for x in made]
    return ~jnp.all(jnp.stack(finite), axis=0)


def _reported(chunks: Iterator[Made], first: int = 0) -> Iterator[Any]:
    """The samples; what is not finite or was drawn again is counted, not hidden.

    Args:
        chunks: of samples.
        first: number of the first sample.

    Raises:
        InputError: nothing in a chunk is finite, or samples are refused in the end.
    """
    lost = again = total = 0
    for made in chunks:
        begin, size = first + total, made.lost.size
        which = f"generated samples {begin:,} to {begin + size - 1:,}"
        if made.lost.all():
            raise InputError(
                f"{which} are all NaN or infinite: the model did not train: train it "
                "again with a smaller learning_rate or clip_norm = 1"
            )
        if number := int(made.refused.sum()):
            raise InputError(
                f"--generate.cluster_radius: {number:,} of {which} are no single jet "
                f"of their pT after {_MOST_DRAWS} draws: give a larger radius, or 0"
            )
        lost, total = lost + int(made.lost.sum()), total + size
        again += int(made.redraws.sum())
        yield made.samples
    if lost:
        logging.warning(
            "%s of %s generated samples had NaN or infinity in a point, which is left "
            "out", f"{lost:,}", f"{total:,}",
        )  # fmt: skip
    if again:
        logging.info(
            "%.2g %% of the drawn jets were no single jet for anti-kT or had more pT "
            "than their jet, and were drawn again (--generate.cluster_radius)",
            100 * again / (total + again),
        )  # fmt: skip


def _test(trained: TrainedModel) -> Any:
    return trained.data().test


def stream(
    draw: Callable[[Key], Any], key: Key, stop: int, first: int = 0
) -> Iterator[Any]:
    """Yield samples as NumPy chunks.

    Args:
        draw: compiled ``key -> samples``, :data:`CHUNK` of them.
        key: folded with the chunk's number.
        stop: the sample after the last; the last chunk is cut.
        first: sample, a multiple of :data:`CHUNK`.
    """

    def given(start):
        return (jax.random.fold_in(key, start // CHUNK),)

    return _in_flight(draw, given, first, stop)


def stream_batches(
    draw: Callable[[Key, Batch], Any],
    key: Key,
    batch: Batch,
    first: int = 0,
    stop: int | None = None,
) -> Iterator[Any]:
    """Like :func:`stream`, with one sample for each row of the batch."""
    number = batch.x.shape[0]

    def given(start):
        # One compiled shape: the last chunk repeats its last row, then is cut.
        rows = np.minimum(np.arange(start, start + CHUNK), number - 1)
        part = jax.tree.map(lambda a: a[rows], batch)
        return jax.random.fold_in(key, start // CHUNK), part

    return _in_flight(draw, given, first, number if stop is None else stop)


def _in_flight(
    draw: Callable[..., Any], given: Callable[[int], tuple], first: int, stop: int
) -> Iterator[Any]:
    """Chunks; the devices are at work on the next ones while the caller has one.

    Every device draws whole chunks, by the program of one device: to the same bits.

    Args:
        draw: compiled function of a chunk.
        given: its arguments, by the first sample of the chunk.
        first: sample.
        stop: the sample after the last.
    """
    places = devices.used()
    waiting: collections.deque[tuple[int, Any]] = collections.deque()

    def next_one():
        start, samples = waiting.popleft()
        return jax.tree.map(lambda a: np.asarray(a)[: stop - start], samples)

    for number, start in enumerate(range(first, stop, CHUNK)):
        arguments = given(start)
        if len(places) > 1:
            arguments = jax.device_put(arguments, places[number % len(places)])
        waiting.append((start, draw(*arguments)))
        if len(waiting) > len(places):
            yield next_one()
    while waiting:
        yield next_one()
