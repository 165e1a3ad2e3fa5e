"""The compiled parts of training: a chunk of steps and a validation pass."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.training.step import Step

NEVER = np.iinfo(np.int32).max


def num_rows(data: Any) -> int:
    """Length of the leading axis that all arrays of ``data`` share."""
    return jax.tree.leaves(data)[0].shape[0]


def compile_steps(step: Step, batch_size: int) -> Callable:
    """Any number of steps of an epoch in one call; the state is donated.

    Returns:
        ``(state, sums, data, order, key, start, stop) -> (state, sums)``: ``order``
        is the epoch's permutation of the rows; the bounds are dynamic, so there is
        one compilation. ``sums`` holds each term's total and the first step at
        which it was not finite.
    """

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def run(state, sums, data, order, key, start, stop):
        def body(i, carry):
            state, (totals, bad) = carry
            rows = jax.lax.dynamic_slice_in_dim(order, i * batch_size, batch_size)
            batch = jax.tree.map(lambda a: a[rows], data)
            state, terms = step.update(state, jax.random.fold_in(key, i), batch)
            first = {n: jnp.where(jnp.isfinite(v), NEVER, i) for n, v in terms.items()}
            totals = jax.tree.map(jnp.add, totals, terms)
            return state, (totals, jax.tree.map(jnp.minimum, bad, first))

        return jax.lax.fori_loop(start, stop, body, (state, sums))

    return run


def compile_evaluation(step: Step, batch_size: int) -> Callable:
    """The mean of each term over all rows, ``(params, data, key) -> {"name": mean}``.

    The last batch is padded with copies of the last row, which do not count.
    """

    @jax.jit
    def run(params, data, key):
        rows = num_rows(data)
        count = -(-rows // batch_size)
        index = jnp.arange(count * batch_size).reshape(count, batch_size)

        def body(_, item):
            i, index = item
            batch = jax.tree.map(lambda a: a[jnp.minimum(index, rows - 1)], data)
            terms = step.evaluate(params, jax.random.fold_in(key, i), batch)
            return None, {n: jnp.sum(v * (index < rows)) for n, v in terms.items()}

        _, sums = jax.lax.scan(body, None, (jnp.arange(count), index))
        return {n: jnp.sum(v) / rows for n, v in sums.items()}

    return run


def zero_sums(step: Step, state: Any, data: Any, batch_size: int) -> tuple:
    """The ``sums`` that an epoch starts with."""
    batch = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((batch_size, *a.shape[1:]), a.dtype), data
    )
    _, terms = jax.eval_shape(step.update, state, jax.random.key(0), batch)
    return (
        {n: np.zeros(v.shape, v.dtype) for n, v in terms.items()},
        {n: np.int32(NEVER) for n in terms},
    )
