"""Between momenta in GeV and the numbers a network sees: the only unit conversion.

A particle has physical coordinates ``v`` (see ``Config.coordinates``) and scaled
coordinates ``x`` with ``v = offset + factor * x`` per feature. Padding sits at one
known point, the ghost. :func:`scale`, :func:`unscale` and :func:`momenta` are pure
jnp functions for plain use, ``jit``, ``vmap`` and ``grad``; :func:`fit` runs on the
host.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax import kinematics
from jetvae_jax.errors import InputError
from jetvae_jax.types import Array, Batch, Jets

FEATURES = {
    "cartesian": ("px", "py", "pz"),
    "cylindrical": ("pt", "eta", "phi"),
    "relative": ("ptrel", "etarel", "phirel"),
}
METHODS = ("minmax", "standard", "factors", "none")
GHOSTS = ("zero", "away")

# The fixed divisors of the ConVAE studies: pt by 2000 GeV, relative angles times 100.
FIXED_FACTORS = {
    "cartesian": (2000.0, 2000.0, 2000.0),
    "cylindrical": (2000.0, 1.0, 1.0),
    "relative": (1.0, 0.01, 0.01),
}
MAX_AXES = 20_000
# sinh overflows float32 at 89 and detectors end at 5: a decoder may say anything,
# its momenta stay finite.
MAX_ETA = 10.0
_ROWS = 16_384


@dataclass(frozen=True)
class Config:
    """How momenta are presented to the network.

    Attributes:
        coordinates: features of a particle: cartesian (px, py, pz), cylindrical
            (pt, eta, phi) or relative (ptrel, etarel, phirel) to the jet's axis.
        method: minmax maps the training range, padding included, to [0, 1];
            standard gives the existing particles mean 0 and variance 1; factors
            divides momenta in GeV by 2000 and multiplies relative angles by 100;
            none changes nothing.
        ghosts: where padding sits: zero puts it at physical zero; away puts it at
            zero pt and twice the largest training |angle| (cartesian: twice the
            largest |component|), where no particle is.
        min_pt: a decoded particle exists if its pt is above this many GeV.
    """

    coordinates: str = "cartesian"
    method: str = "minmax"
    ghosts: str = "zero"
    min_pt: float = 0.25

    def __post_init__(self):
        for name, known in (
            ("coordinates", tuple(FEATURES)),
            ("method", METHODS),
            ("ghosts", GHOSTS),
        ):
            value = getattr(self, name)
            if value not in known:
                raise InputError(
                    f"scaling.{name} is {value!r}: choose one of {', '.join(known)}"
                )
        if not 0 <= self.min_pt < float("inf"):
            raise InputError(
                f"scaling.min_pt is {self.min_pt}: give a number of GeV, 0 or more"
            )


class Scaler(NamedTuple):
    """What :func:`fit` learns from the training jets.

    Attributes:
        offset: ``[F]`` physical value at ``x = 0``.
        factor: ``[F]`` physical units per unit of ``x``, positive.
        ghost: ``[F]`` scaled position of padding.
        axes: ``[A, 3]`` (pt [GeV], eta, phi) of the first training jets, at most
            ``MAX_AXES``, to draw axes from in generation; ``[0, 3]`` unless the
            coordinates are relative.
    """

    offset: Array
    factor: Array
    ghost: Array
    axes: Array


def _physical(coordinates: str, particles: Array, axis: Array) -> Array:
    """Momenta ``[..., N, 3]`` in GeV to unscaled features ``[..., N, F]``."""
    if coordinates == "cartesian":
        return jnp.asarray(particles)
    if coordinates == "cylindrical":
        return kinematics.to_pt_eta_phi(particles)
    return kinematics.to_relative(particles, axis)


def _axis(jets: Jets) -> Array:
    """``[..., 3]`` axis of the summed existing particles.

    Not the axis of the jet before it was cut to N particles: Jets holds only what
    is kept, and generated jets have nothing else.
    """
    return kinematics.jet_pt_eta_phi(jnp.asarray(jets.particles), jets.mask)


@functools.partial(jax.jit, static_argnums=0)
def _features(coordinates: str, jets: Jets) -> Array:
    return _physical(coordinates, jets.particles, _axis(jets))


def _statistics(config: Config, jets: Jets):
    """Minimum, maximum, mean and deviation ``[F]`` of the existing particles."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    count, total, squares = 0, np.zeros(3), np.zeros(3)
    for start in range(0, len(jets.mask), _ROWS):
        rows = Jets(
            np.asarray(jets.particles[start : start + _ROWS]),
            np.asarray(jets.mask[start : start + _ROWS]),
        )
        values = np.asarray(_features(config.coordinates, rows), np.float64)[rows.mask]
        if len(values):
            low = np.minimum(low, values.min(axis=0))
            high = np.maximum(high, values.max(axis=0))
            count += len(values)
            total += values.sum(axis=0)
            squares += np.square(values).sum(axis=0)
    if not count:
        raise InputError("scaling: the training jets hold no particle; check the data")
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 0.0))
    # A constant feature leaves only rounding: it is not a scale to divide by.
    deviation[deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)] = 0.0
    return low, high, mean, deviation


def fit(config: Config, jets: Jets) -> Scaler:
    """Measures offset, factor and ghost on the training jets.

    Args:
        config: what to measure.
        jets: training jets, ``[J, N, 3]``.

    Returns:
        Scaler of NumPy float32 arrays. The factor of a constant feature is 1.

    Raises:
        InputError: no jet has a particle.
        ValueError: the arrays are not ``[J, N, 3]`` and ``[J, N]``.
    """
    if (
        np.ndim(jets.particles) != 3
        or np.shape(jets.mask) != np.shape(jets.particles)[:2]
    ):
        raise ValueError(
            f"expected particles [J, N, 3] and mask [J, N], got "
            f"{np.shape(jets.particles)} and {np.shape(jets.mask)}"
        )
    low, high, mean, deviation = _statistics(config, jets)
    ghost = np.zeros(3)
    if config.ghosts == "away":
        ghost = 2 * np.maximum(np.abs(low), np.abs(high))
        ghost[ghost == 0] = 1.0
        if config.coordinates != "cartesian":
            ghost[0] = 0.0

    offset, factor = np.zeros(3), np.ones(3)
    if config.method == "minmax":
        offset = np.minimum(low, ghost)
        factor = np.maximum(high, ghost) - offset
    elif config.method == "standard":
        offset, factor = mean, deviation
    elif config.method == "factors":
        factor = np.array(FIXED_FACTORS[config.coordinates])
    factor = np.where(factor > 0, factor, 1.0)

    axes = np.zeros((0, 3))
    if config.coordinates == "relative":
        first = Jets(jets.particles[:MAX_AXES], jets.mask[:MAX_AXES])
        axes = np.asarray(_axis(first))
    arrays = (offset, factor, (ghost - offset) / factor, axes)
    return Scaler(*(np.asarray(a, np.float32) for a in arrays))


def scale(config: Config, scaler: Scaler, jets: Jets) -> Batch:
    """Jets in GeV to what the network sees.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        jets: ``[..., N, 3]`` and ``[..., N]``.

    Returns:
        Batch: x is exactly ``scaler.ghost`` on padding, with zero gradient; axis is
        the axis of each jet's particles.
    """
    axis = _axis(jets)
    exists = jnp.asarray(jets.mask)[..., None]
    particles = jnp.where(exists, jets.particles, 0.0)
    x = (_physical(config.coordinates, particles, axis) - scaler.offset) / scaler.factor
    return Batch(jnp.where(exists, x, scaler.ghost), jnp.asarray(jets.mask), axis)


def _ghostly(config: Config, scaler: Scaler, v: Array) -> Array:
    """``[..., N]`` True where a point is nearer to the ghost than to the particles.

    In units of the ghost's position, training particles reach at most 1/2 in each
    coordinate that marks ghosts, and the ghost is at 1. The mean over these
    coordinates decides, halfway: 3/4.
    """
    first = 0 if config.coordinates == "cartesian" else 1
    ghost = jnp.asarray(scaler.offset + scaler.factor * scaler.ghost)[first:]
    return jnp.mean(v[..., first:] / ghost, axis=-1) > 0.75


def momenta(config: Config, scaler: Scaler, x: Array, axis: Array) -> Array:
    """Scaled features back to momenta, smoothly: no threshold on pt.

    Points at the "away" ghost give zero momentum and zero gradient, else their
    huge coordinates would enter every jet sum. ``|eta|`` is bounded by ``MAX_ETA``.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., N, F]`` scaled features.
        axis: ``[..., 3]`` (pt [GeV], eta, phi); read by relative coordinates only.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV.
    """
    v = scaler.offset + scaler.factor * jnp.asarray(x)
    p = v
    if config.coordinates != "cartesian":
        pt, eta, phi = v[..., 0], v[..., 1], v[..., 2]
        if config.coordinates == "relative":
            axis = jnp.asarray(axis)[..., None, :]
            pt, eta, phi = pt * axis[..., 0], eta + axis[..., 1], phi + axis[..., 2]
        eta = jnp.clip(eta, -MAX_ETA, MAX_ETA)
        p = kinematics.from_pt_eta_phi(jnp.stack([pt, eta, phi], axis=-1))
    if config.ghosts == "away":
        p = jnp.where(_ghostly(config, scaler, v)[..., None], 0.0, p)
    return p


def unscale(config: Config, scaler: Scaler, x: Array, axis: Array) -> Jets:
    """Network output to jets; the mask rule decides which particles exist.

    A particle exists if its pt is above ``config.min_pt`` and, for ghosts "away",
    it is nearer to the training particles than to the ghost. One decision per
    particle for all three components; a negative pt and NaN never exist.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., N, F]`` scaled features.
        axis: ``[..., 3]``, see :func:`momenta`.

    Returns:
        Jets ``[..., N, 3]`` in GeV, exactly zero where they do not exist.
    """
    p = momenta(config, scaler, x, axis)
    if config.coordinates == "cartesian":
        pt = kinematics.to_pt_eta_phi(p)[..., 0]
    else:
        # The decoded pt with its sign, which the momenta no longer show.
        pt = scaler.offset[0] + scaler.factor[0] * jnp.asarray(x)[..., 0]
        if config.coordinates == "relative":
            pt = pt * jnp.asarray(axis)[..., None, 0]
    mask = (pt > config.min_pt) & jnp.all(jnp.isfinite(p), axis=-1)
    if config.ghosts == "away":
        mask &= jnp.any(p != 0, axis=-1)
    return Jets(jnp.where(mask[..., None], p, 0.0), mask)
