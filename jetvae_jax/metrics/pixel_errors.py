"""How far reconstructed sets of pixels are from their originals, in pixels.

One yardstick for networks trained with different losses, on the image and not in the
space that a scaling made.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.kernels import nearest_neighbours
from jetvae_jax.numerics import masked_mean, safe_sqrt
from jetvae_jax.types import PixelSets

_CHUNK = 1000


def pixel_errors(real: PixelSets, reconstructed: PixelSets) -> dict[str, float]:
    """Distances to the nearest pixel of the other set, and what is off there.

    Args:
        real: ``[J, K, 3]``.
        reconstructed: ``[J, K', 3]``, set by set.

    Returns:
        ``distance``: mean distance in pixels, averaged over both directions;
        ``squared``: mean squared distance, both directions summed, in pixels^2, the
        Chamfer distance of Eq. 1 over its number of points; ``intensity``: root of
        the mean squared intensity gap to the nearest pixel, both directions.

    Raises:
        ValueError: other numbers of sets, or none.
    """
    if len(real.mask) != len(reconstructed.mask) or not len(real.mask):
        raise ValueError(
            f"give as many reconstructions as sets, not {len(reconstructed.mask)} for "
            f"{len(real.mask)}"
        )
    pairs = tuple(
        (jnp.asarray(s.points, jnp.float32), jnp.asarray(s.mask))
        for s in (real, reconstructed)
    )
    rows = min(_CHUNK, len(real.mask))
    distance, squared, gap = map(np.asarray, _all(rows, pairs))
    return {
        "distance": float(distance.mean(dtype=np.float64)),
        "squared": float(squared.mean(dtype=np.float64)),
        "intensity": float(np.sqrt(gap.mean(dtype=np.float64))),
    }


def _one(pair):
    (x, x_mask), (y, y_mask) = pair
    near = nearest_neighbours(x[..., :2], y[..., :2], x_mask=x_mask, y_mask=y_mask)
    ways = (
        (near.xy_sq, near.xy_index, x, x_mask, y),
        (near.yx_sq, near.yx_index, y, y_mask, x),
    )
    terms = []
    for square, index, mine, mask, others in ways:
        gap = mine[..., 2] - jnp.take_along_axis(others[..., 2], index, axis=-1)
        parts = (safe_sqrt(square) / 2, square, jnp.square(gap) / 2)
        terms.append([masked_mean(part, mask) for part in parts])
    return tuple(a + b for a, b in zip(*terms, strict=True))


def _all(rows, pairs):
    return jax.jit(lambda p: jax.lax.map(_one, p, batch_size=rows))(pairs)
