"""Between momenta in GeV and the numbers a network sees: the only unit conversion.

A particle has physical features ``v`` (:mod:`~jetvae_jax.data.features`) and scaled
ones ``x`` with ``v = offset + factor * x`` per feature, or by quantiles. Padding sits
at one known point, the ghost. In the coordinates "frame" two rows before the particles
hold the jet. :func:`scale`, :func:`unscale` and :func:`momenta` are pure jnp functions
for plain use, ``jit``, ``vmap`` and ``grad``; :func:`fit` runs on the host.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax import kinematics
from jetvae_jax.data import features, frame
from jetvae_jax.data.measuring import Source, measure
from jetvae_jax.data.preprocessing import quantiles
from jetvae_jax.data.presentation import FEATURES, Config
from jetvae_jax.numerics import safe_norm
from jetvae_jax.types import Array, Batch, Jets, Key

__all__ = [
    "FEATURES",
    "Config",
    "Scaler",
    "Source",
    "draw_axes",
    "fit",
    "momenta",
    "scale",
    "unscale",
]

# The fixed divisors of the ConVAE studies: pt by 2000 GeV, relative angles times 100.
FIXED_FACTORS = {
    "cartesian": (2000.0, 2000.0, 2000.0),
    "cylindrical": (2000.0, 1.0, 1.0),
    "relative": (1.0, 0.01, 0.01),
    "frame": (1.0, 1.0, 1.0),
}


class Scaler(NamedTuple):
    """What :func:`fit` learns from the training jets.

    Attributes:
        offset: ``[R, F]`` physical value at ``x = 0``; R is the number of rows of
            ``x``, or 1 where all rows share it.
        factor: ``[R, F]`` physical units per unit of ``x``, positive.
        ghost: ``[R, F]`` scaled position of padding.
        axes: ``[A, 3]`` (pt [GeV], eta, phi) of the first training jets, to draw
            axes from in generation; ``[0, 3]`` unless the coordinates are relative.
        knots: ``[K, F]`` of the particles' features; ``[0, F]`` unless the method is
            quantile, None in a checkpoint older than that method.
    """

    offset: Array
    factor: Array
    ghost: Array
    axes: Array
    knots: Array | None = None


def fit(config: Config, jets: Jets | Source) -> Scaler:
    """Measures offset, factor and ghost on the training jets.

    Args:
        config: what to measure.
        jets: training jets, ``[J, N, 3]``, or a source of chunks of them.

    Returns:
        Scaler of NumPy float32 arrays. The factor of a constant feature is 1.

    Raises:
        InputError: no jet has a particle.
        ValueError: the arrays are not ``[J, N, 3]`` and ``[J, N]``.
    """
    found = measure(config, jets)
    low, high, mean, deviation = found.particles
    ghost = np.zeros(3)
    if config.ghosts == "away":
        ghost = 2 * np.maximum(np.abs(low), np.abs(high)).max(axis=0)
        ghost[ghost == 0] = 1.0
        if not config.momentum_features:
            ghost[0] = 0.0

    offset, factor = np.zeros_like(mean), np.ones_like(mean)
    if config.method == "minmax":
        offset = np.minimum(low, ghost)
        factor = np.maximum(high, ghost) - offset
    elif config.method in ("standard", "slots", "log"):
        offset, factor = mean, deviation
    elif config.method == "factors":
        factor = np.array([FIXED_FACTORS[config.coordinates]])
    knots = np.zeros((0, 3))
    if config.method == "quantile":
        # Offset 0 and factor 1: the ghost is divided by them below.
        knots = quantiles.fit(found.sample)
        ghost = np.asarray(quantiles.forward(knots, ghost))
    if config.jet_rows:
        # Particles need rows of their own now; the jet's are always standardised.
        particles, jet_rows = (found.num_particles, 3), found.jet_rows[2:]
        offset = np.concatenate([jet_rows[0], np.broadcast_to(offset, particles)])
        factor = np.concatenate([jet_rows[1], np.broadcast_to(factor, particles)])
    factor = np.where(factor > 0, factor, 1.0)
    arrays = (offset, factor, (ghost - offset) / factor, found.axes, knots)
    return Scaler(*(np.asarray(a, np.float32) for a in arrays))


def scale(config: Config, scaler: Scaler, jets: Jets) -> Batch:
    """Jets in GeV to what the network sees.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        jets: ``[..., N, 3]`` and ``[..., N]``.

    Returns:
        Batch of N rows, or N + 2 with those of the jet: x is exactly ``scaler.ghost``
        on padding, with zero gradient; axis is the axis of each jet's particles.
    """
    v, axis = features.from_jets(config, jets)
    mask = jnp.asarray(jets.mask)
    if config.jet_rows:
        v = jnp.concatenate([frame.jet_rows(axis), v], axis=-2)
        exists = jnp.ones((*mask.shape[:-1], frame.ROWS), bool)
        mask = jnp.concatenate([exists, mask], axis=-1)
    x = (v - scaler.offset) / scaler.factor
    x = _through_quantiles(config, scaler, quantiles.forward, x)
    return Batch(jnp.where(mask[..., None], x, scaler.ghost), mask, axis)


def _through_quantiles(config: Config, scaler: Scaler, way: Callable, x: Array):
    """The particles' rows of x there (``forward``) or back (``inverse``)."""
    if config.method != "quantile":
        return x
    jet, particles = jnp.split(x, [config.jet_rows], axis=-2)
    return jnp.concatenate([jet, way(scaler.knots, particles)], axis=-2)


def _unscaled(config: Config, scaler: Scaler, x: Array) -> Array:
    """Features ``[..., N, F]`` before scaling, with the rows of the jet if any."""
    x = _through_quantiles(config, scaler, quantiles.inverse, jnp.asarray(x))
    return scaler.offset + scaler.factor * x


def _ghostly(config: Config, scaler: Scaler, v: Array) -> Array:
    """``[..., N]`` True where a point is nearer to the ghost than to the particles.

    In units of the ghost's position, training particles reach at most 1/2 in each
    coordinate that marks ghosts, and the ghost is at 1. The mean over these
    coordinates decides, halfway: 3/4.
    """
    first = 0 if config.momentum_features else 1
    ghost = jnp.asarray(_unscaled(config, scaler, scaler.ghost))[-1, first:]
    return jnp.mean(v[..., first:] / ghost, axis=-1) > 0.75


def _physical(config: Config, scaler: Scaler, x: Array, axis: Array):
    """Momenta ``[..., N, 3]`` and the decoded pt with its sign, or that of momenta."""
    v = _unscaled(config, scaler, x)
    jet, v = v[..., : config.jet_rows, :], v[..., config.jet_rows :, :]
    u = features.to_physical(config, v, jnp.asarray(axis))
    p = features.to_momenta(config, u, jnp.asarray(axis), jet)
    if config.ghosts == "away":
        p = jnp.where(_ghostly(config, scaler, v)[..., None], 0.0, p)
    return p, u


def momenta(config: Config, scaler: Scaler, x: Array, axis: Array) -> Array:
    """Scaled features back to momenta, smoothly: no threshold on pt.

    Points at the "away" ghost give zero momentum and zero gradient, else their
    huge coordinates would enter every jet sum. ``|eta|`` is bounded by
    ``features.MAX_ETA``.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., N, F]`` scaled features, or N + 2 rows.
        axis: ``[..., 3]`` (pt [GeV], eta, phi), read by relative coordinates only;
            ``[..., 4]`` with the angle of the principal axis where jets are turned.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV.
    """
    return _physical(config, scaler, x, axis)[0]


def unscale(config: Config, scaler: Scaler, x: Array, axis: Array) -> Jets:
    """Network output to jets; the mask rule decides which particles exist.

    A particle exists if its pt is above ``config.min_pt`` and, for ghosts "away",
    it is nearer to the training particles than to the ghost. One decision per
    particle for all three components; a negative pt and NaN never exist, nor does
    what lies farther than ``config.max_angle`` from the axis of the decoded jet.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., N, F]`` scaled features.
        axis: ``[..., 3]`` or ``[..., 4]``, see :func:`momenta`.

    Returns:
        Jets ``[..., N, 3]`` in GeV, exactly zero where they do not exist.
    """
    p, v = _physical(config, scaler, x, axis)
    if config.momentum_features:
        pt = kinematics.to_pt_eta_phi(p)[..., 0]
    else:
        # The decoded pt with its sign, which the momenta no longer show.
        pt = v[..., 0]
        if config.coordinates == "relative":
            pt = pt * jnp.asarray(axis)[..., None, 0]
    mask = (pt > config.min_pt) & jnp.all(jnp.isfinite(p), axis=-1)
    if config.ghosts == "away":
        mask &= jnp.any(p != 0, axis=-1)
    if config.max_angle:
        q = jnp.where(mask[..., None], p, 0.0)
        distance = kinematics.to_relative(q, kinematics.jet_pt_eta_phi(q, mask))
        mask &= safe_norm(distance[..., 1:]) < config.max_angle
    return Jets(jnp.where(mask[..., None], p, 0.0), mask)


def draw_axes(config: Config, scaler: Scaler, key: Key, num_jets: int) -> Array:
    """What generated jets take in place of a true jet's ``Batch.axis``.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        key: seeds the draw.
        num_jets: J.

    Returns:
        ``[J, 3]``: axes of training jets drawn anew for relative coordinates, zeros
        for others, which do not read them; ``[J, 4]`` with a uniform angle last where
        jets were turned to their principal axis.
    """
    axes_key, angle_key = key, key
    if config.rotate == "principal":
        axes_key, angle_key = jax.random.split(key)
    library = jnp.asarray(scaler.axes)
    axes = jnp.zeros((num_jets, 3))
    if len(library):
        axes = library[jax.random.randint(axes_key, (num_jets,), 0, len(library))]
    if config.rotate == "none":
        return axes
    angle = jax.random.uniform(angle_key, (num_jets, 1), minval=-jnp.pi, maxval=jnp.pi)
    return jnp.concatenate([axes, angle], axis=-1)
