"""Counts as numbers on a line: each has its share of a standard normal.

A count n with training share p(n) and distribution F becomes a normal number between
the quantiles F(n - 1) and F(n): at random in there (dequantised by uniform noise) or in
the middle. The way back looks only in which cell a number lies, so it is exact and
gives nothing but counts seen in training.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jetvae_jax.core.types import Array, Key


class Cells(NamedTuple):
    """The I integer columns, V the largest number of different counts.

    Attributes:
        values: ``[I, V]`` counts in rising order, the last one repeated.
        below: ``[I, V]`` share of smaller counts.
        above: ``[I, V]`` share of larger counts.
        edges: ``[I, V + 1]`` ends of the cells; infinite after the last one.
    """

    values: Array
    below: Array
    above: Array
    edges: Array


def fit(columns: np.ndarray) -> Cells:
    """Of training counts ``[J, I]``."""
    from scipy.special import ndtri as quantile

    found = [np.unique(column, return_counts=True) for column in columns.T]
    width = max((len(values) for values, _ in found), default=0)
    arrays = np.zeros((3, len(found), width))
    edges = np.full((len(found), width + 1), np.inf)
    for i, (values, count) in enumerate(found):
        share = count / count.sum()
        below = np.concatenate([[0.0], np.cumsum(share)[:-1]])
        above = np.concatenate([np.cumsum(share[::-1])[-2::-1], [0.0]])
        # Whichever side is smaller has the digits.
        inner = np.where(below < 0.5, quantile(below), -quantile(above + share))[1:]
        end = 1 + max(5.0, np.abs(inner).max(initial=0.0))
        edges[i, : len(values) + 1] = [-end, *inner, end]
        for array, row in zip(arrays, (values, below, above), strict=True):
            array[i] = row[-1]
            array[i, : len(row)] = row
    return Cells(*(array.astype(np.float32) for array in (*arrays, edges)))


def forward(cells: Cells, counts: Array, key: Key | None) -> Array:
    """Counts ``[..., I]`` to normal numbers; the nearest one seen for an unseen one.

    Args:
        cells: from :func:`fit`.
        counts: to map.
        key: of the noise; None for the middle of each cell.
    """
    # Beyond the last count of a short table lies the padding of its edges.
    counts = jnp.minimum(jnp.asarray(counts), jnp.asarray(cells.values)[:, -1])
    u = jnp.full(counts.shape, 0.5)
    if key is not None:
        u = jax.random.uniform(key, counts.shape)
    left, right = jnp.asarray(cells.values)[:, :-1], jnp.asarray(cells.values)[:, 1:]
    between = jnp.where(right > left, (left + right) / 2, jnp.inf)  # none is repeated
    index = _search(between, counts, "left")

    def at(table):
        table = jnp.asarray(table)
        return jnp.moveaxis(
            jnp.stack([row[index[..., i]] for i, row in enumerate(table)]), 0, -1
        )

    below, above = at(cells.below), at(cells.above)
    share = 1 - below - above
    left, right = below + u * share, above + (1 - u) * share
    z = jnp.where(left < 0.5, ndtri(left), -ndtri(right))
    end = jnp.nextafter(at(cells.edges[:, 1:]), jnp.float32(-jnp.inf))
    return jnp.clip(z, at(cells.edges[:, :-1]), end)


def inverse(cells: Cells, z: Array) -> Array:
    """Any numbers ``[..., I]`` to counts seen in training."""
    index = _search(jnp.asarray(cells.edges)[:, 1:-1], jnp.asarray(z), "right")
    values = jnp.asarray(cells.values)
    picked = [values[i][index[..., i]] for i in range(len(values))]
    return jnp.stack(picked, axis=-1)


def _search(tables: Array, x: Array, side: str) -> Array:
    """Positions ``[..., I]`` of ``x [..., I]`` in the rows of ``tables [I, n]``."""
    found = [
        jnp.searchsorted(table, x[..., i], side=side)
        for i, table in enumerate(jnp.asarray(tables))
    ]
    return jnp.stack(found, axis=-1)
