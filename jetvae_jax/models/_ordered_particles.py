"""Coordinates of particles in descending pt, for densities of one particle at a time.

A particle with (ptrel, etarel, phirel) that follows one of ptrel ``p`` has coordinates
``y = (v, a, b)``::

    v = log(-log(ptrel / p)),      (a, b) = (etarel, phirel) u / r

The first particle follows ``p = 1``. ``r`` is the distance from the axis and ``u`` its
image under the distribution function of training particles of that ptrel, such that a
and b are about standard normal. At the edge of the jet's cone the density of particles
falls by a factor of ten within 0.01, and only soft ones lie beyond. Gaussians in
(etarel, phirel) leak over that edge, Gaussians in (a, b) cannot.

:func:`describe` gives a network what is known of a jet after some particles: the last
one, and sums over all of them. The sums give the jet's mass, width and balance.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.types import Array, Params

BINS, KNOTS, STEP = 96, 161, 1 / 32
"""Bins of ptrel, at most; knots of u from 0 to 5, a step apart."""
LEAST = 2000
"""Particles of a bin, at least: fewer do not show where the edge is. It depends on
ptrel so much that 16 bins put ten times too many particles beyond it."""
GRID, SPACING = 64, 0.0125
"""Grid of sqrt(r) on which the ratio u / r is tabulated."""
EDGE = 0.05
"""Growth of r beyond the last knot, for each unit of u."""
GAP = 1e-6  # smallest distance of two knots
LEAST_RATIO = 1e-6  # of -log(ptrel / p), for particles of equal pt
LARGEST_V = 2.5
SOFTEST = 1e-7  # ptrel
DESCRIPTION = 19


def fit(x: np.ndarray, mask: np.ndarray) -> Params:
    """Measure the distribution of r in bins of ptrel.

    Args:
        x: ``[J, N, 3]`` (ptrel, etarel, phirel).
        mask: ``[J, N]``.

    Returns:
        float32 arrays: ``log_pt [BINS]`` log ptrel of the bins, ``radius [BINS,
        KNOTS]`` the distance from the axis at each knot of u, ``ratio [BINS, GRID]``
        u / r.
    """
    x = np.asarray(x, np.float64)[np.asarray(mask)]
    log_pt = np.log(np.maximum(x[:, 0], SOFTEST))
    r = np.hypot(x[:, 1], x[:, 2])
    order = np.argsort(log_pt, kind="stable")
    log_pt, r = log_pt[order], r[order]
    levels = -np.expm1(-0.5 * np.square(np.arange(KNOTS) * STEP))
    centers, radii = [], []
    for first, last in itertools.pairwise(_edges(log_pt)):
        centers.append(np.median(log_pt[first:last]))
        radii.append(_increasing(np.quantile(r[first:last], levels)))
        radii[-1] -= radii[-1][0]
    missing = BINS - len(centers)
    centers = _increasing(np.array(centers + centers[-1:] * missing))
    radius = np.array(radii + radii[-1:] * missing)
    grid = np.square((np.arange(GRID) + 0.5) * SPACING)
    u = [np.interp(grid, knots, np.arange(KNOTS) * STEP) for knots in radius]
    arrays = {"log_pt": centers, "radius": radius, "ratio": u / grid}
    return {name: np.asarray(a, np.float32) for name, a in arrays.items()}


def _edges(log_pt: np.ndarray) -> np.ndarray:
    """Rows of sorted ``log_pt`` at which bins begin and the last one ends.

    Half of the edges are quantiles, half are equally far apart; those with too few
    particles between them are left out.
    """
    total, half = len(log_pt), BINS // 2
    apart = np.searchsorted(log_pt, np.linspace(log_pt[0], log_pt[-1], half + 1)[1:-1])
    equal = np.linspace(0, total, half + 1).astype(int)[1:-1]
    least = max(1, min(LEAST, total // BINS))
    edges = [0]
    for edge in np.sort(np.concatenate([equal, apart])):
        if edge - edges[-1] >= least and total - edge >= least:
            edges.append(int(edge))
    return np.array([*edges, total])


def _increasing(values: np.ndarray) -> np.ndarray:
    """Values raised where they must be so that each exceeds the one before."""
    apart = GAP * np.arange(len(values))
    return np.maximum.accumulate(values - apart) + apart


def empty() -> Params:
    """Constants of the right shapes, to be replaced by those of a checkpoint."""
    log_pt = np.linspace(-9, 0, BINS, dtype=np.float32)
    radius = np.arange(KNOTS, dtype=np.float32) * STEP
    return {
        "log_pt": log_pt,
        "radius": np.tile(radius, (BINS, 1)),
        "ratio": np.ones((BINS, GRID), np.float32),
    }


def _between(constants: Params, pt: Array) -> tuple[Array, Array]:
    """The bin below ``pt [...]``, and how far it lies towards the next, 0 to 1."""
    log_pt = jnp.log(jnp.maximum(pt, SOFTEST))
    centers = jnp.asarray(constants["log_pt"])
    place = jnp.interp(log_pt, centers, jnp.arange(BINS, dtype=pt.dtype))
    low = jnp.clip(place.astype(jnp.int32), 0, BINS - 2)
    return low, place - low


def forward(constants: Params, x: Array) -> tuple[Array, Array]:
    """Particles to coordinates.

    Args:
        constants: from :func:`fit`.
        x: ``[..., N, 3]`` (ptrel, etarel, phirel) in descending ptrel.

    Returns:
        ``y [..., N, 3]`` and ``log |det dy/dx| [..., N]``, finite on padding, too.
    """
    pt = jnp.maximum(x[..., 0], SOFTEST)
    before = jnp.concatenate([jnp.ones_like(pt[..., :1]), pt[..., :-1]], axis=-1)
    ratio = jnp.maximum(jnp.log(before) - jnp.log(pt), LEAST_RATIO)
    v = jnp.log(ratio)
    low, part = _between(constants, pt)
    table = jnp.asarray(constants["radius"])
    part = part[..., None]
    knots = (1 - part) * table[low] + part * table[low + 1]
    r = jnp.maximum(jnp.hypot(x[..., 1], x[..., 2]), GAP)
    knot = jnp.sum(r[..., None] >= knots, axis=-1) - 1
    knot = jnp.clip(knot, 0, KNOTS - 2)[..., None]
    lower, upper = (
        jnp.take_along_axis(knots, knot + i, axis=-1)[..., 0] for i in (0, 1)
    )
    last = knots[..., -1]
    slope = jnp.where(r < last, STEP / (upper - lower), 1 / EDGE)
    inside = (knot[..., 0] + (r - lower) / (upper - lower)) * STEP
    u = jnp.where(r < last, inside, (KNOTS - 1) * STEP + (r - last) / EDGE)
    stretch = u / r
    y = jnp.stack([v, x[..., 1] * stretch, x[..., 2] * stretch], axis=-1)
    return y, jnp.log(stretch) + jnp.log(slope) - v - jnp.log(pt)


def following(v: Array, before: Array) -> Array:
    """The ptrel of a particle with ``v [...]`` after one of ``before [...]``, or 1."""
    pt = before * jnp.exp(-jnp.exp(jnp.minimum(v, LARGEST_V)))
    return jnp.maximum(pt, SOFTEST)


def particle(constants: Params, pt: Array, angles: Array) -> Array:
    """A particle from its ptrel and its coordinates a and b: undoes :func:`forward`.

    Args:
        constants: from :func:`fit`.
        pt: ``[...]`` its ptrel.
        angles: ``[..., 2]``, a and b.

    Returns:
        ``[..., 3]`` (ptrel, etarel, phirel).
    """
    u = jnp.maximum(jnp.hypot(angles[..., 0], angles[..., 1]), GAP)
    knot = jnp.clip((u / STEP).astype(jnp.int32), 0, KNOTS - 2)
    low, part = _between(constants, pt)
    table = jnp.asarray(constants["radius"]).reshape(-1)
    at = low * KNOTS + knot
    lower, upper = (
        (1 - part) * table[at + i] + part * table[at + KNOTS + i] for i in (0, 1)
    )
    beyond = jnp.maximum(u - (KNOTS - 1) * STEP, 0.0)
    r = lower + (upper - lower) * jnp.minimum(u / STEP - knot, 1.0) + EDGE * beyond
    return jnp.concatenate([pt[..., None], angles * (r / u)[..., None]], axis=-1)


class Places(NamedTuple):
    """Where points of a jet lie in the coordinates (a, b) of particles of some ptrel.

    Attributes:
        points: ``[..., M, 2]``.
        scale: ``[..., M]`` log of how much larger the coordinates are than the angles,
            across the direction from the axis.
        stretch: ``[..., M]`` log of how much more so along that direction.
    """

    points: Array
    scale: Array
    stretch: Array


def placed(constants: Params, pt: Array, points: Array) -> Places:
    """Where points of the jet lie in the coordinates (a, b) of particles of some ptrel.

    From the tabulated ratio u / r: near, but not equal, to what :func:`forward` gives.

    Args:
        constants: from :func:`fit`.
        pt: ``[...]``.
        points: ``[..., M, 2]`` (etarel, phirel).

    Returns:
        Of M points.
    """
    low, part = _between(constants, pt)
    table, part = jnp.asarray(constants["ratio"]), part[..., None]
    rows = (1 - part) * table[low] + part * table[low + 1]  # of each pt, [..., GRID]
    r = jnp.hypot(points[..., 0], points[..., 1])
    place = jnp.clip(jnp.sqrt(r) / SPACING - 0.5, 0.0, GRID - 1.001)
    shape = jnp.broadcast_shapes(place.shape, (*pt.shape, place.shape[-1]))
    near = jnp.broadcast_to(place.astype(jnp.int32), shape)
    rows = jnp.broadcast_to(rows, (*shape[:-1], GRID))
    first, second = (jnp.take_along_axis(rows, near + i, axis=-1) for i in (0, 1))
    ratio = first + (place - near) * (second - first)
    # du/dr = ratio + r dratio/dr, with d sqrt(r) = SPACING a step of the grid.
    growth = 0.5 * jnp.sqrt(r) / SPACING * (second - first) / ratio
    stretch = jnp.log(jnp.clip(1 + growth, 0.1, 10.0))
    return Places(points * ratio[..., None], jnp.log(ratio), stretch)


class Sums(NamedTuple):
    """Sums over the particles of a jet so far, each ``[...]``.

    Attributes:
        pt: of ptrel.
        eta: of ptrel etarel.
        phi: of ptrel phirel.
        square: of ptrel r^2.
        difference: of ptrel (etarel^2 - phirel^2).
        product: of 2 ptrel etarel phirel.
    """

    pt: Array
    eta: Array
    phi: Array
    square: Array
    difference: Array
    product: Array


def weighted(x: Array) -> Sums:
    """What particles ``[..., 3]`` add to the sums; nothing if ptrel is 0."""
    pt, eta, phi = x[..., 0], x[..., 1], x[..., 2]
    eta2, phi2 = jnp.square(eta), jnp.square(phi)
    return Sums(
        pt, pt * eta, pt * phi, pt * (eta2 + phi2), pt * (eta2 - phi2),
        2 * pt * eta * phi,
    )  # fmt: skip


def describe(x: Array, angles: Array, sums: Sums) -> Array:
    """What is known of a jet after a particle, as numbers of order one.

    Args:
        x: ``[..., 3]`` the particle, (ptrel, etarel, phirel).
        angles: ``[..., 2]`` its coordinates a and b.
        sums: over the particles up to this one.

    Returns:
        ``[..., DESCRIPTION]``.
    """
    pt, eta, phi = x[..., 0], x[..., 1], x[..., 2]
    left = 1 - sums.pt
    total = jnp.maximum(sums.pt, 1e-6)
    center = sums.eta / total, sums.phi / total
    eta2, phi2 = jnp.square(center[0]), jnp.square(center[1])
    # Second moments about the centre: their size, and the direction of the jet's axis.
    spread = jnp.maximum(sums.square / total - eta2 - phi2, 1e-10)
    difference = (sums.difference / total - eta2 + phi2) / spread
    product = (sums.product / total - 2 * center[0] * center[1]) / spread
    columns = [
        0.5 * jnp.log(jnp.maximum(pt, SOFTEST)) + 2,
        10 * eta,
        10 * phi,
        angles[..., 0],
        angles[..., 1],
        jnp.arcsinh(eta / 0.03),
        jnp.arcsinh(phi / 0.03),
        4 * sums.pt - 2,
        0.5 * jnp.log(jnp.maximum(left, 1e-3)),
        jnp.arcsinh(left / 0.003) - 4,
        20 * sums.eta,
        20 * sums.phi,
        jnp.arcsinh(sums.eta / 0.01),
        jnp.arcsinh(sums.phi / 0.01),
        0.5 * jnp.log(spread) + 3,
        jnp.clip(difference, -1.0, 1.0),
        jnp.clip(product, -1.0, 1.0),
        # Where the rest of the jet must be, to balance these particles.
        jnp.clip(5 * sums.eta / jnp.maximum(left, 0.01), -5.0, 5.0),
        jnp.clip(5 * sums.phi / jnp.maximum(left, 0.01), -5.0, 5.0),
    ]
    return jnp.stack(columns, axis=-1)


def describe_all(x: Array, y: Array) -> Array:
    """:func:`describe` after each particle of jets, ``[..., N, DESCRIPTION]``.

    Args:
        x: ``[..., N, 3]``, zero on padding.
        y: its coordinates, from :func:`forward`.
    """
    sums = jax.tree.map(lambda s: jnp.cumsum(s, axis=-1), weighted(x))
    return describe(x, y[..., 1:], sums)
