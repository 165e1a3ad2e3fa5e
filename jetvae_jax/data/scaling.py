"""Between momenta in GeV and the numbers a network sees: the only unit conversion.

A particle has physical coordinates ``v`` (see ``Config.coordinates``) and scaled
coordinates ``x`` with ``v = offset + factor * x`` per feature. Padding sits at one
known point, the ghost. In the coordinates "frame" two rows before the particles hold
the jet. :func:`scale`, :func:`unscale` and :func:`momenta` are pure jnp functions for
plain use, ``jit``, ``vmap`` and ``grad``; :func:`fit` runs on the host.
"""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax import kinematics
from jetvae_jax.data import frame
from jetvae_jax.data.moments import Moments
from jetvae_jax.errors import InputError
from jetvae_jax.types import Array, Batch, Jets

FEATURES = {
    "cartesian": ("px", "py", "pz"),
    "cylindrical": ("pt", "eta", "phi"),
    "relative": ("ptrel", "etarel", "phirel"),
    "frame": ("px", "py", "pz"),
}

# The fixed divisors of the ConVAE studies: pt by 2000 GeV, relative angles times 100.
FIXED_FACTORS = {
    "cartesian": (2000.0, 2000.0, 2000.0),
    "cylindrical": (2000.0, 1.0, 1.0),
    "relative": (1.0, 0.01, 0.01),
    "frame": (1.0, 1.0, 1.0),
}
MAX_AXES = 20_000
# A decoder may say anything, its momenta stay finite (sinh overflows at 89).
MAX_ETA = frame.MAX_ETA
_ROWS = 16_384


@dataclass(frozen=True)
class Config:
    """How momenta are presented to the network.

    Attributes:
        coordinates: features of a particle: cartesian (px, py, pz), cylindrical
            (pt, eta, phi), relative (ptrel, etarel, phirel) to the jet's axis, or
            frame (px, py, pz) turned and boosted to the jet's axis, over its pt;
            pt and axis become rows of their own.
        method: minmax maps the training range, padding included, to [0, 1];
            standard gives the existing particles mean 0 and variance 1; slots does
            so for each place in the pt order apart; factors divides momenta in GeV
            by 2000 and multiplies relative angles by 100; none changes nothing.
        ghosts: where padding sits: zero puts it at physical zero; away puts it at
            zero pt and twice the largest training |angle| (momenta: twice the
            largest |component|), where no particle is.
        min_pt: a decoded particle exists if its pt is above this many GeV.
    """

    coordinates: Literal["cartesian", "cylindrical", "relative", "frame"] = "cartesian"
    method: Literal["minmax", "standard", "slots", "factors", "none"] = "minmax"
    ghosts: Literal["zero", "away"] = "zero"
    min_pt: float = 0.25

    def __post_init__(self):
        for name, kind in get_type_hints(Config).items():
            value, known = getattr(self, name), get_args(kind)
            if known and value not in known:
                raise InputError(f"{name}: {value!r} is not one of {', '.join(known)}")
        if not 0 <= self.min_pt < float("inf"):
            raise InputError(f"min_pt: {self.min_pt} is not a number of GeV, 0 or more")

    @property
    def jet_rows(self) -> int:
        """How many rows of ``x`` describe the jet, before those of the particles."""
        return frame.ROWS if self.coordinates == "frame" else 0

    @property
    def momentum_features(self) -> bool:
        """Whether the features are the components of a momentum."""
        return self.coordinates in ("cartesian", "frame")


class Scaler(NamedTuple):
    """What :func:`fit` learns from the training jets.

    Attributes:
        offset: ``[R, F]`` physical value at ``x = 0``; R is the number of rows of
            ``x``, or 1 where all rows share it.
        factor: ``[R, F]`` physical units per unit of ``x``, positive.
        ghost: ``[R, F]`` scaled position of padding.
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
    if coordinates == "frame":
        return frame.particle_rows(particles, axis)
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
def _features(coordinates: str, jets: Jets) -> tuple[Array, Array]:
    axis = _axis(jets)
    return _physical(coordinates, jets.particles, axis), frame.jet_rows(axis)


def _statistics(config: Config, jets: Jets):
    """Moments ``[R, 3]`` of the existing particles, ``[2, 3]`` of the jets' rows."""
    rows = jets.mask.shape[-1] if config.method == "slots" else 1
    particles, whole = Moments((rows, 3)), Moments((frame.ROWS, 3))
    for start in range(0, len(jets.mask), _ROWS):
        mask = np.asarray(jets.mask[start : start + _ROWS])
        chunk = Jets(np.asarray(jets.particles[start : start + _ROWS]), mask)
        values, jet_rows = map(np.asarray, _features(config.coordinates, chunk))
        particles.add(values, mask)
        whole.add(jet_rows, np.repeat(mask.any(-1, keepdims=True), frame.ROWS, -1))
    if not particles.count.any():
        raise InputError("scaling: the training jets hold no particle; check the data")
    return particles.finish(), whole.finish()


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
    shapes = np.shape(jets.particles), np.shape(jets.mask)
    if len(shapes[0]) != 3 or shapes[1] != shapes[0][:2]:
        raise ValueError(f"expected [J, N, 3] and [J, N], got {shapes[0]}, {shapes[1]}")
    (low, high, mean, deviation), (_, _, *jet_rows) = _statistics(config, jets)
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
    elif config.method in ("standard", "slots"):
        offset, factor = mean, deviation
    elif config.method == "factors":
        factor = np.array([FIXED_FACTORS[config.coordinates]])
    if config.jet_rows:
        # Particles need rows of their own now; the jet's are always standardised.
        particles = (jets.mask.shape[-1], 3)
        offset = np.concatenate([jet_rows[0], np.broadcast_to(offset, particles)])
        factor = np.concatenate([jet_rows[1], np.broadcast_to(factor, particles)])
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
        Batch of N rows, or N + 2 with those of the jet: x is exactly ``scaler.ghost``
        on padding, with zero gradient; axis is the axis of each jet's particles.
    """
    axis = _axis(jets)
    mask = jnp.asarray(jets.mask)
    particles = jnp.where(mask[..., None], jets.particles, 0.0)
    v = _physical(config.coordinates, particles, axis)
    if config.jet_rows:
        v = jnp.concatenate([frame.jet_rows(axis), v], axis=-2)
        exists = jnp.ones((*mask.shape[:-1], frame.ROWS), bool)
        mask = jnp.concatenate([exists, mask], axis=-1)
    x = (v - scaler.offset) / scaler.factor
    return Batch(jnp.where(mask[..., None], x, scaler.ghost), mask, axis)


def _ghostly(config: Config, scaler: Scaler, v: Array) -> Array:
    """``[..., N]`` True where a point is nearer to the ghost than to the particles.

    In units of the ghost's position, training particles reach at most 1/2 in each
    coordinate that marks ghosts, and the ghost is at 1. The mean over these
    coordinates decides, halfway: 3/4.
    """
    first = 0 if config.momentum_features else 1
    ghost = jnp.asarray(scaler.offset + scaler.factor * scaler.ghost)[-1, first:]
    return jnp.mean(v[..., first:] / ghost, axis=-1) > 0.75


def momenta(config: Config, scaler: Scaler, x: Array, axis: Array) -> Array:
    """Scaled features back to momenta, smoothly: no threshold on pt.

    Points at the "away" ghost give zero momentum and zero gradient, else their
    huge coordinates would enter every jet sum. ``|eta|`` is bounded by ``MAX_ETA``.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., N, F]`` scaled features, or N + 2 rows.
        axis: ``[..., 3]`` (pt [GeV], eta, phi); read by relative coordinates only.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV.
    """
    v = p = scaler.offset + scaler.factor * jnp.asarray(x)
    if config.coordinates == "frame":
        v = v[..., frame.ROWS :, :]
        p = frame.momenta(p[..., : frame.ROWS, :], v)
    elif config.coordinates != "cartesian":
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
    if config.momentum_features:
        pt = kinematics.to_pt_eta_phi(p)[..., 0]
    else:
        # The decoded pt with its sign, which the momenta no longer show.
        pt = scaler.offset[:, 0] + scaler.factor[:, 0] * jnp.asarray(x)[..., 0]
        if config.coordinates == "relative":
            pt = pt * jnp.asarray(axis)[..., None, 0]
    mask = (pt > config.min_pt) & jnp.all(jnp.isfinite(p), axis=-1)
    if config.ghosts == "away":
        mask &= jnp.any(p != 0, axis=-1)
    return Jets(jnp.where(mask[..., None], p, 0.0), mask)
