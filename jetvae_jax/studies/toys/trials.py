"""How often chance gives an excess somewhere: pseudo-experiments of a mass spectrum.

A search looks at many windows of a histogram and quotes the largest excess. Its local
significance is that of one window; how often background alone gives as much in any of
them is found by pseudo-experiments ("toys"):

    local_z = excess.window_z(background, excess.sliding(num_bins, widths=(4, 8)))
    toys = pseudo_experiments(key, poisson(background), local_z)  # or resample(...)
    global_significance(float(local_z(data).max()), toys.max_z)

Shapes: ``B`` bins of a mass spectrum, ``T`` toys; windows as in
:mod:`~jetvae_jax.studies.toys.excess`. Everything is pure; a study is one compiled program.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri
from jax.scipy.stats import norm

from jetvae_jax.core.types import Array, Key
from jetvae_jax.studies.toys.excess import LocalZ

Draw = Callable[[Key], Array]
"""``key -> counts [B]`` of one toy."""


class Toys(NamedTuple):
    """What T pseudo-experiments gave.

    Attributes:
        max_z: ``[T]`` largest local significance.
        window: ``[T]`` where it is, a position in the flattened ``[R, W]``.
        crossings: ``[T]`` up-crossings of the level between neighbouring windows.
    """

    max_z: np.ndarray
    window: np.ndarray
    crossings: np.ndarray


class Global(NamedTuple):
    """How often background alone gives an excess as large anywhere.

    Attributes:
        p: share of the toys.
        error: binomial standard deviation of p.
        low: end of the central 68.3 % interval of p (Clopper and Pearson), which
            means something also if no toy reaches the excess.
        high: the other end.
        z: significance of p; infinite if no toy reaches the excess.
        local_p: of one window.
        trials_factor: p over local_p.
    """

    p: float
    error: float
    low: float
    high: float
    z: float
    local_p: float
    trials_factor: float


def poisson(mean: Array) -> Draw:
    """Toys of independent Poisson counts around ``mean [B]``."""
    mean = jnp.asarray(mean, jnp.float32)
    return lambda key: jax.random.poisson(key, mean).astype(jnp.float32)


def resample(values: Array, edges: Array, total: float) -> Draw:
    """Toys of events drawn with replacement from a generated or simulated sample.

    The number of events is Poisson. Toys share the events of the sample, so it should
    hold many times ``total``.

    Args:
        values: ``[J]``, one number an event; what is outside of the edges is drawn too
            but not counted.
        edges: ``[B + 1]``, rising.
        total: mean number of events of a toy, with those outside.

    Raises:
        ValueError: no event, or no finite positive total.
    """
    values, edges = np.asarray(values), np.asarray(edges)
    if not len(values) or not 0 < total < np.inf:
        raise ValueError(f"{len(values)} events to draw, mean number {total}")
    num_bins = len(edges) - 1
    bins = np.searchsorted(edges, values, side="right") - 1
    bins[values == edges[-1]] = num_bins - 1
    # One more bin takes what is outside.
    bins = jnp.asarray(np.where((bins < 0) | (bins >= num_bins), num_bins, bins))
    most = int(np.ceil(total + 8 * np.sqrt(total) + 10))

    def draw(key: Key) -> Array:
        number_key, key = jax.random.split(key)
        number = jax.random.poisson(number_key, total)
        drawn = bins[jax.random.randint(key, (most,), 0, len(bins))]
        drawn = jnp.where(jnp.arange(most) < number, drawn, num_bins)
        return jnp.zeros(num_bins + 1).at[drawn].add(1.0)[:num_bins]

    return draw


def pseudo_experiments(
    key: Key,
    draw: Draw,
    local_z: LocalZ,
    *,
    num_toys: int = 10_000,
    level: float = 1.0,
    batch_size: int = 200,
) -> Toys:
    """Draws toys and finds the largest local significance of each.

    Args:
        key: the same key gives the same toys.
        draw: from :func:`poisson` or :func:`resample`.
        local_z: from :func:`window_z` or :func:`template_z`.
        num_toys: T.
        level: significance whose up-crossings are counted.
        batch_size: toys in memory at a time.
    """

    @jax.jit
    def run(keys):
        def one(key):
            z = local_z(draw(key))
            up = (z[..., :-1] < level) & (z[..., 1:] >= level)
            return jnp.max(z), jnp.argmax(z), jnp.sum(up)

        return jax.lax.map(one, keys, batch_size=min(batch_size, num_toys))

    return Toys(*map(np.asarray, run(jax.random.split(key, num_toys))))


def local_p(z: Array) -> Array:
    """One-sided p-value of a significance."""
    return norm.sf(z)


def z_of(p: Array) -> Array:
    """Significance of a one-sided p-value."""
    return -ndtri(p)


def global_significance(z: float, max_z: np.ndarray) -> Global:
    """Local to global significance by toys.

    Args:
        z: largest local significance observed.
        max_z: ``[T]`` that of background-only toys.

    Raises:
        ValueError: there are no toys.
    """
    from scipy import stats

    max_z = np.asarray(max_z)
    if not max_z.size:
        raise ValueError("global_significance needs at least one toy")
    reached, toys = int(np.sum(max_z >= z)), max_z.size
    p, tail = reached / toys, (1 - 0.682689) / 2
    low = stats.beta.ppf(tail, reached, toys - reached + 1) if reached else 0.0
    high = 1.0
    if reached < toys:
        high = stats.beta.ppf(1 - tail, reached + 1, toys - reached)
    local = float(stats.norm.sf(z))
    return Global(
        p,
        float(np.sqrt(p * (1 - p) / toys)),
        float(low),
        float(high),
        float(stats.norm.isf(p)),
        local,
        p / local if local > 0 else float("inf"),
    )


def gross_vitells(z: Array, mean_crossings: float, level: float) -> Array:
    """Global p-value from the up-crossings of a low level.

    ``p(z) + <N> exp((z0^2 - z^2) / 2)``, an upper bound that is reached for large z if
    the significance is a smooth Gaussian function of the mass (Gross and Vitells, EPJC
    70 (2010) 525, arXiv:1005.1891, eq. 3, of a signal that is not negative). For counts
    in sliding windows, which jump, it is an estimate.

    Args:
        z: local significances, at or above the level.
        mean_crossings: <N>, mean of ``Toys.crossings``.
        level: z0 of these crossings.
    """
    return local_p(z) + mean_crossings * jnp.exp((level**2 - jnp.square(z)) / 2)
