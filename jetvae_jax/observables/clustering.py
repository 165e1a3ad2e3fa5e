"""Jets from particles, by the kT algorithms: subjets, and what is outside of a jet.

Angles are those of the relative coordinates, as in
:mod:`~jetvae_jax.observables.substructure`: a boost along the beam and a turn about it
change neither algorithm.
"""

import functools
import math

import jax
import jax.numpy as jnp

from jetvae_jax.core import kinematics
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.numerics import safe_divide
from jetvae_jax.core.types import Array, RelativeJets

AXES = 3
_AT_ONCE = 64  # jets whose N x N distances are in use at once; they stay in the cache


def checked(jets):
    """Particles and mask of relative jets, whose shapes fit together."""
    particles, mask = record(jnp, jets)
    if particles.shape[-1:] != (3,) or particles.shape[:-1] != mask.shape:
        raise ValueError(
            f"jets need particles [..., N, 3] and mask [..., N], got {particles.shape} "
            f"and {mask.shape}"
        )
    return particles, mask


def outside_share(jets: RelativeJets, *, radius: float) -> Array:
    """Share of the pT of a jet that its hardest anti-kT jet does not hold.

    The particles are clustered by the anti-kT algorithm (arXiv:0802.1189, equation 1
    with p = -1) in the E-scheme. Particles of one jet of this radius give 0.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.
        radius: R.

    Returns:
        ``[...]``: 1 - pT of the hardest jet / pT of the sum of all particles; 0 without
        particles. It has no gradient.

    Raises:
        ValueError: the shapes do not fit together.
    """
    particles, mask = checked(jets)
    lead, size = mask.shape[:-1], mask.shape[-1]
    particles = jax.lax.stop_gradient(jnp.where(mask[..., None], particles, 0.0))
    one = functools.partial(_outside, radius=radius)
    flat = particles.reshape(math.prod(lead), size, 3)
    return jax.lax.map(one, flat, batch_size=_AT_ONCE).reshape(lead)


def _outside(particles: Array, radius: float) -> Array:
    """Of one jet, ``[N, 3]``, pt zero where there is no particle."""
    size = len(particles)
    slots = jnp.arange(size)
    same = slots[:, None] == slots

    def distances(pt, angles, other_pt, other_angles):
        far = jnp.sum(jnp.square(angles - other_angles), -1) / radius**2
        return far / jnp.square(jnp.maximum(pt, other_pt))

    def step(_, state):
        momenta, pt, angles, apart, hardest = state
        i = jnp.argmin(jnp.min(apart, axis=1))
        j = jnp.argmin(apart[i])
        is_i, is_j = slots == i, slots == j
        complete = (i == j) & jnp.isfinite(apart[i, j])  # nearer to the beam: a jet
        hardest = jnp.where(complete, jnp.maximum(hardest, pt[i]), hardest)
        total = jnp.where(i == j, 0.0, momenta[i] + momenta[j])
        momenta = jnp.where(is_i[:, None], total, jnp.where(is_j[:, None], 0, momenta))
        new_pt, new_angles = jnp.hypot(total[0], total[1]), direction(total)
        pt = jnp.where(is_i, new_pt, jnp.where(is_j, 0.0, pt))
        angles = jnp.where(is_i[:, None], new_angles, angles)
        new = distances(new_pt, new_angles, pt, angles)
        new = jnp.where(is_i, 1 / jnp.square(new_pt), new)
        new = jnp.where((pt > 0) & (new_pt > 0), new, jnp.inf)
        apart = jnp.where(is_i[:, None], new, jnp.where(is_i, new[:, None], apart))
        gone = is_j & ~is_i
        apart = jnp.where(gone[:, None] | gone, jnp.inf, apart)
        return momenta, pt, angles, apart, hardest

    pt, angles = particles[:, 0], particles[:, 1:]
    apart = distances(pt[:, None], angles[:, None], pt, angles)
    apart = jnp.where(same, 1 / jnp.square(pt), apart)  # from the beam
    apart = jnp.where((pt[:, None] > 0) & (pt > 0), apart, jnp.inf)
    momenta = four_momenta(particles)
    state = momenta, pt, angles, apart, jnp.zeros((), pt.dtype)
    hardest = jax.lax.fori_loop(0, size, step, state)[-1]
    px, py, *_ = jnp.sum(momenta, axis=0)
    whole = jnp.hypot(px, py)
    return safe_divide(whole - hardest, whole)


def subjets(particles: Array) -> Array:
    """Exclusive kT clustering of one jet into at most one, two and three subjets.

    The two pseudojets with the smallest ``min(pt_i, pt_j)^2 R_ij^2`` become the sum of
    their four-momenta (E-scheme), until as many are left as asked for (hep-ph/9305266,
    with a radius beyond the jet's: no particle is lost to the beam).

    Args:
        particles: ``[N, 3]`` (ptrel, etarel, phirel), pt zero where there is none.

    Returns:
        ``[3, N]`` int32 for one, two and three subjets: equal for particles of the same
        subjet, the index of one of them.
    """
    particles = jax.lax.stop_gradient(*floats(jnp, particles))
    size = len(particles)
    slots = jnp.arange(size)
    present = particles[:, 0] > 0
    asked = jnp.arange(1, AXES + 1)

    def merge(_, state):
        owners, momenta, pt, angles, apart, count = state
        i = jnp.argmin(jnp.min(apart, axis=1))
        j = jnp.argmin(apart[i])
        is_i, is_j = slots == i, slots == j
        total = momenta[i] + momenta[j]
        towards = direction(total)
        total_pt = jnp.sqrt(jnp.square(total[0]) + jnp.square(total[1]))
        momenta = jnp.where(is_i[:, None], total, momenta)
        angles = jnp.where(is_i[:, None], towards, angles)
        pt = jnp.where(is_i, total_pt, jnp.where(is_j, 0.0, pt))
        new = _kt(pt, angles, total_pt, towards)
        new = jnp.where((pt > 0) & ~is_i, new, jnp.inf)
        apart = jnp.where(is_i[:, None], new, jnp.where(is_i, new[:, None], apart))
        apart = jnp.where(is_j[:, None] | is_j, jnp.inf, apart)
        # Whoever has few enough subjets keeps them; with one left, none changes.
        merged = jnp.where(owners == j, i, owners)
        owners = jnp.where((count > asked)[:, None], merged, owners)
        return owners, momenta, pt, angles, apart, count - 1

    pt, angles = particles[:, 0], particles[:, 1:]
    apart = _kt(pt[:, None], angles[:, None], pt, angles)
    both = present[:, None] & present & (slots[:, None] != slots)
    apart = jnp.where(both, apart, jnp.inf)
    owners = jnp.broadcast_to(slots, (AXES, size))
    state = owners, four_momenta(particles), pt, angles, apart, jnp.sum(present)
    return jax.lax.fori_loop(0, size - 1, merge, state)[0]


def _kt(pt, angles, other_pt, other_angles):
    """Squared kT distance, without the common square of the radius."""
    square = jnp.square(angles - other_angles)
    return jnp.square(jnp.minimum(pt, other_pt)) * (square[..., 0] + square[..., 1])


def four_momenta(particles):
    """``[N, 3]`` (pt, eta, phi) of massless particles to ``[N, 4]`` (px, py, pz, E)."""
    momenta = kinematics.from_pt_eta_phi(particles)
    energy = particles[:, :1] * jnp.cosh(particles[:, 1:2])
    return jnp.concatenate([momenta, energy], axis=1)


def direction(momentum):
    """Rapidity and azimuth of a four-momentum ``[4]``; zeros if it has no pt."""
    px, py, pz, energy = momentum
    moves = (jnp.abs(px) + jnp.abs(py) > 0) & (energy > jnp.abs(pz))
    rapidity = jnp.arctanh(jnp.where(moves, pz / jnp.where(moves, energy, 1.0), 0.0))
    phi = jnp.arctan2(jnp.where(moves, py, 0.0), jnp.where(moves, px, 1.0))
    return jnp.stack([rapidity, phi])
