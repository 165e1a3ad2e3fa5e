"""Symmetries of jets as random maps ``(key, jets) -> jets``, one draw a jet.

Momenta are in GeV. Pure functions of the key: they run inside the compiled epoch.
Turns and mirrors keep every jet's mass and transverse momentum.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jetvae_jax.core import kinematics
from jetvae_jax.core.numerics import safe_divide, safe_sqrt
from jetvae_jax.core.types import Array, Jets, Key
from jetvae_jax.jets.features import turn

Augmentation = Callable[[Key, Jets], Jets]


@dataclasses.dataclass(frozen=True)
class Config:
    """Symmetries applied at random to the training jets, with new draws every epoch.

    Attributes:
        permute: particles in random order; not for models that read the order.
        beam: turn jets about the beam.
        axis: turn jets about their own axis.
        mirror: mirror half of the jets in the plane of the beam and their axis.
    """

    permute: bool = False
    beam: bool = False
    axis: bool = False
    mirror: bool = False


def build(config: Config) -> Augmentation | None:
    """The chosen symmetries one after the other, or None if there are none."""
    known = {
        "axis": turn_about_axis,
        "mirror": mirror,
        "beam": turn_about_beam,
        "permute": permute,
    }
    chosen = [f for name, f in known.items() if getattr(config, name)]

    def augment(key: Key, jets: Jets) -> Jets:
        for i, step in enumerate(chosen):
            jets = step(jax.random.fold_in(key, i), jets)
        return jets

    return augment if chosen else None


def permute(key: Key, jets: Jets) -> Jets:
    """Particles in random order; those that exist come first, padding last."""
    marks = jax.random.uniform(key, jets.mask.shape)
    order = jnp.argsort(jnp.where(jets.mask, marks, 2.0), axis=-1)
    particles = jnp.take_along_axis(jets.particles, order[..., None], axis=-2)
    mask = jnp.take_along_axis(jets.mask, order, axis=-1)
    return jets._replace(particles=particles, mask=mask)


def turn_about_beam(key: Key, jets: Jets) -> Jets:
    """All particles of a jet turned in phi by one angle."""
    angles = _angles(key, jets)

    def turned(p):
        return jnp.concatenate([turn(p[..., :2], angles), p[..., 2:]], axis=-1)

    return _mapped(turned, jets)


def turn_about_axis(key: Key, jets: Jets) -> Jets:
    """Each jet turned about its own axis by one angle, which keeps its four-momentum.

    A boost along the beam by the jet's rapidity makes the plane transverse to the jet
    that of (phi, rapidity). The jet is turned there, and boosted back.
    """
    angles, axis = _angles(key, jets), _true_axis(_existing(jets))
    phi = axis[..., kinematics.PHI]
    direction = jnp.stack([jnp.cos(phi), jnp.sin(phi)], axis=-1)

    def turned(p):
        q = kinematics.to_frame(p, axis)
        q = jnp.concatenate([q[..., :1], turn(q[..., 1:], angles)], axis=-1)
        return kinematics.from_frame(q, axis[..., kinematics.ETA], direction)

    return _mapped(turned, jets)


def mirror(key: Key, jets: Jets) -> Jets:
    """Half of the jets mirrored in the plane of the beam and their axis."""
    p = _existing(jets)
    total = kinematics.jet_momentum(p)[..., :2]
    pt = kinematics.jet_pt(p)[..., None]
    normal = safe_divide(jnp.stack([-total[..., 1], total[..., 0]], axis=-1), pt)
    normal = jnp.where(jax.random.bernoulli(key, shape=pt.shape), normal, 0.0)
    normal = normal[..., None, :]

    def mirrored(p):
        across = p[..., :2]
        across = across - 2 * jnp.sum(across * normal, axis=-1, keepdims=True) * normal
        return jnp.concatenate([across, p[..., 2:]], axis=-1)

    return _mapped(mirrored, jets)


def _mapped(change: Callable[[Array], Array], jets: Jets) -> Jets:
    """A linear change of momenta ``[..., M, 3]``, of the particles and of the axis."""
    jets = jets._replace(particles=change(_existing(jets)))
    if jets.axis is None:
        return jets
    axis = change(kinematics.from_pt_eta_phi(jets.axis)[..., None, :])[..., 0, :]
    return jets._replace(axis=kinematics.to_pt_eta_phi(axis))


def _existing(jets: Jets) -> Array:
    return jnp.where(jets.mask[..., None], jets.particles, 0.0)


def _angles(key: Key, jets: Jets) -> Array:
    shape = jets.mask.shape[:-1]
    return jax.random.uniform(key, shape, minval=-jnp.pi, maxval=jnp.pi)


def _true_axis(p: Array) -> Array:
    """``[..., 3]`` (pt, rapidity, phi) of the jets: rapidity, for jets have mass."""
    total = kinematics.jet_momentum(p)
    pt, _, phi = jnp.moveaxis(kinematics.to_pt_eta_phi(total), -1, 0)
    transverse = safe_sqrt(jnp.square(pt) + kinematics.jet_mass_squared(p))
    rapidity = jnp.arcsinh(safe_divide(total[..., 2], transverse))
    return jnp.stack([pt, rapidity, phi], axis=-1)
