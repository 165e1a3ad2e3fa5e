"""The compiled functions of training: a chunk of steps, and a validation."""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jetvae_jax.core import devices
from jetvae_jax.core.types import Key, Params
from jetvae_jax.training.feed import Feed
from jetvae_jax.training.step import Step

NEVER = np.iinfo(np.int32).max


def compile_steps(step: Step, batch_size: int, mesh: Mesh | None = None) -> Callable:
    """Compile any number of steps of an epoch into one call; the state is donated.

    Args:
        step: the algorithm.
        batch_size: rows of a batch.
        mesh: the devices among which they are divided.

    Returns:
        ``(state, sums, chunk, key, start, stop) -> (state, sums)``: ``chunk`` is
        ``(first, data, order)`` of a :class:`~jetvae_jax.training.feed.Feed`; the
        numbers of steps are dynamic, so there is one compilation. ``sums`` holds each
        term's total and the first step at which it was not finite.
    """
    update = _update(step)

    def run(state, sums, chunk, key, start, stop):
        first, data, order = chunk

        def body(i, carry):
            state, (totals, bad) = carry
            place = (i - first) * batch_size
            rows = jax.lax.dynamic_slice_in_dim(order, place, batch_size)
            batch = devices.divided(mesh, jax.tree.map(lambda a: a[rows], data))
            state, terms = update(state, jax.random.fold_in(key, i), batch)
            here = {n: jnp.where(jnp.isfinite(v), NEVER, i) for n, v in terms.items()}
            totals = jax.tree.map(jnp.add, totals, terms)
            return state, (totals, jax.tree.map(jnp.minimum, bad, here))

        return jax.lax.fori_loop(start, stop, body, (state, sums))

    return devices.compiled(run, mesh, donate_argnums=(0, 1))


def compile_evaluation(
    step: Step, batch_size: int, mesh: Mesh | None = None
) -> Callable:
    """Compile ``(params, feed, key) -> {"name": mean}``, the mean of each term.

    The last batch is padded with copies of the last row, which do not count. Chunks
    consist of whole batches, so that the draws of a row do not depend on the chunks.
    Arguments as those of :func:`compile_steps`.
    """

    def part(params, data, key, first, total):
        rows = jax.tree.leaves(data)[0].shape[0]
        count = -(-rows // batch_size)
        index = jnp.arange(count * batch_size).reshape(count, batch_size)

        def body(_, item):
            i, index = item
            rows_of = jax.tree.map(lambda a: a[jnp.minimum(index, rows - 1)], data)
            batch = devices.divided(mesh, rows_of)
            terms = step.evaluate(params, jax.random.fold_in(key, first + i), batch)
            return None, {n: jnp.sum(v * (index < rows)) for n, v in terms.items()}

        _, sums = jax.lax.scan(body, None, (jnp.arange(count), index))
        return {n: jnp.sum(v) / total for n, v in sums.items()}

    compiled = devices.compiled(part, mesh, static_argnums=4)

    def run(params: Params, feed: Feed, key: Key) -> dict[str, float]:
        means: dict[str, float] = {}
        first = 0
        with contextlib.closing(feed.chunks(multiple_of=batch_size)) as chunks:
            for data in chunks:
                terms = jax.device_get(compiled(params, data, key, first, len(feed)))
                first += -(-jax.tree.leaves(data)[0].shape[0] // batch_size)
                means = {n: means.get(n, 0.0) + float(v) for n, v in terms.items()}
        return means

    return run


def traced(step: Step, state: Any, batch: Any) -> tuple[Any, dict[str, Any]]:
    """The jaxpr of a step, and shapes and dtypes of its terms.

    Args:
        step: the algorithm.
        state: its state, or shapes and dtypes of it.
        batch: shapes and dtypes of a batch.
    """
    make = jax.make_jaxpr(_update(step), return_shape=True)
    jaxpr, (_, terms) = make(state, jax.random.key(0), batch)
    return jaxpr, terms


def _update(step: Step) -> Callable:
    """``step.update``, traced once for all that ask for it, and part of their jaxpr."""
    return jax.jit(step.update, inline=True)


def zero_sums(terms: dict[str, Any]) -> tuple:
    """The initial ``sums`` of an epoch.

    Args:
        terms: shapes and dtypes of the terms of a step.
    """
    return (
        {n: np.zeros(v.shape, v.dtype) for n, v in terms.items()},
        {n: np.int32(NEVER) for n in terms},
    )
