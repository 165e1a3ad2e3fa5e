"""Functions of a batch of jets that leave out most of the padding.

A batch has room for the largest jet of the sample: 150 particles, where gluon jets have
66 on the mean, so that pairs of particles are four fifths padding. Here the jets of a
batch are sorted by their numbers of particles and cut into parts, each with room for
its own jets. The sizes of the parts are fixed when the function is compiled, from a
sample. A batch that does not fit into them, one in a hundred, is computed as a whole;
so are batches that several devices divide, which sorting would gather on each.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import devices
from jetvae_jax.core.types import Array, Batch

SHARES = (1 / 2, 3 / 4, 7 / 8)  # of the jets, at which a part ends and the next begins
DEVIATIONS = (
    3  # of the multiplicity of the jet at such a place, for which there is room
)
MULTIPLE = 8  # of which sizes are multiples: others are not faster
WORTH = 0.8  # of the particles, at most, that must be left for parts to be worth it


def parts(counts: np.ndarray, num_jets: int, size: int) -> list[tuple[int, int]]:
    """Jets and particles of the parts of a batch, in ascending multiplicity.

    Args:
        counts: ``[J]`` numbers of particles of a sample of jets.
        num_jets: of a batch.
        size: N, particles for which a batch has room.

    Returns:
        One part with room for N particles where several would save little.
    """
    found, first = [], 0
    for share in (*SHARES, 1):
        last = int(share * num_jets)
        spread = math.sqrt(share * (1 - share) / num_jets)
        room = np.quantile(counts, min(share + DEVIATIONS * spread, 1))
        room = min(MULTIPLE * math.ceil(room / MULTIPLE), size) if share < 1 else size
        if found and found[-1][1] == room:
            found[-1] = (found[-1][0] + last - first, room)
        elif last > first:
            found.append((last - first, room))
        first = last
    total = sum(jets * particles for jets, particles in found)
    return found if total <= WORTH * num_jets * size else [(num_jets, size)]


def trimmed(
    function: Callable[..., Any], counts: np.ndarray | None
) -> Callable[..., Any]:
    """The same function of a batch, faster where much of the batch is padding.

    Args:
        function: ``(params, *rows, batch) -> tree``, whose arrays have the leading axes
            of the batch and no axis of particles, and in which padding after the last
            particle has no part.
        counts: ``[J]`` numbers of particles of a sample; None: nothing is left out.

    Returns:
        ``(params, *rows, batch)``. On one device batches ``[J, N, F]`` are computed in
        parts, others as they are.
    """
    if counts is None:
        return function

    def in_parts(params: Any, *args: Any) -> Any:
        args = jax.tree.map(jnp.asarray, args)
        batch: Batch = args[-1]
        several = jax.process_count() > 1 or len(devices.used()) > 1
        if several or batch.mask.ndim != 2 or not batch.mask.size:
            return function(params, *args)
        num_jets, size = batch.mask.shape
        cuts = parts(counts, num_jets, size)
        if len(cuts) == 1:
            return function(params, *args)
        places = jnp.arange(1, size + 1)
        ends = jnp.max(jnp.where(batch.mask, places, 0), axis=-1)
        order = jnp.argsort(ends)
        jets = np.cumsum([jets for jets, _ in cuts])
        room = jnp.asarray([particles for _, particles in cuts])
        fits = jnp.all(ends[order][jets - 1] <= room)
        # Nothing of the whole batch is kept for the gradient: it is rarely needed.
        return jax.lax.cond(
            fits,
            lambda: _of_parts(function, params, args, order, cuts),
            jax.checkpoint(lambda: function(params, *args)),
        )

    return in_parts


def _of_parts(
    function: Callable[..., Any],
    params: Any,
    args: Sequence[Any],
    order: Array,
    cuts: Sequence[tuple[int, int]],
) -> Any:
    found, first = [], 0
    for jets, particles in cuts:
        rows = order[first : first + jets]
        *others, batch = jax.tree.map(lambda a, rows=rows: a[rows], args)
        batch = batch._replace(x=batch.x[:, :particles], mask=batch.mask[:, :particles])
        found.append(function(params, *others, batch))
        first += jets
    back = jnp.argsort(order)
    return jax.tree.map(lambda *each: jnp.concatenate(each)[back], *found)
