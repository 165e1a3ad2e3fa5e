"""Integer columns: counts mapped to a standard normal distribution.

A count n becomes a normal number between the quantiles at F(n - 1) and F(n) of the
training distribution F: at random in this cell (dequantised by uniform noise) or in its
middle. The inverse depends only on the cell of a number, so it is exact and gives only
counts that occur in training.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jetvae_jax.core.types import Array, Key


class Cells(NamedTuple):
    """Cells of the I integer columns; V is the largest number of different counts.

    Attributes:
        values: ``[I, V]`` counts in rising order, padded with the last one.
        below: ``[I, V]`` share of smaller counts.
        above: ``[I, V]`` share of larger counts.
        edges: ``[I, V + 1]`` ends of the cells; infinite after the last one.
    """

    values: Array
    below: Array
    above: Array
    edges: Array


def fit(columns: np.ndarray) -> Cells:
    """Cells of training counts ``[J, I]``; runs on the host."""
    from scipy.special import ndtri as quantile

    found = [np.unique(column, return_counts=True) for column in columns.T]
    width = max((len(values) for values, _ in found), default=0)
    arrays = np.zeros((3, len(found), width))
    edges = np.full((len(found), width + 1), np.inf)
    for i, (values, count) in enumerate(found):
        share = count / count.sum()
        below = np.concatenate([[0.0], np.cumsum(share)[:-1]])
        above = np.concatenate([np.cumsum(share[::-1])[-2::-1], [0.0]])
        # The smaller of both shares is the more precise one.
        inner = np.where(below < 0.5, quantile(below), -quantile(above + share))[1:]
        end = 1 + max(5.0, np.abs(inner).max(initial=0.0))
        edges[i, : len(values) + 1] = [-end, *inner, end]
        for array, row in zip(arrays, (values, below, above), strict=True):
            array[i] = row[-1]
            array[i, : len(row)] = row
    return Cells(*(array.astype(np.float32) for array in (*arrays, edges)))


def forward(cells: Cells, counts: Array, key: Key | None) -> Array:
    """Counts to normal numbers; a count not seen in training counts as the nearest.

    Args:
        cells: from :func:`fit`.
        counts: ``[..., I]``.
        key: of the noise; None for the middle of each cell.

    Returns:
        ``[..., I]``.
    """
    # The edges of a table with fewer counts are padded beyond its last count.
    counts = jnp.minimum(jnp.asarray(counts), jnp.asarray(cells.values)[:, -1])
    u = jnp.full(counts.shape, 0.5)
    if key is not None:
        u = jax.random.uniform(key, counts.shape)
    left, right = jnp.asarray(cells.values)[:, :-1], jnp.asarray(cells.values)[:, 1:]
    between = jnp.where(right > left, (left + right) / 2, jnp.inf)  # padding repeats
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
    """Any numbers ``[..., I]`` to counts ``[..., I]`` that occur in training."""
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
