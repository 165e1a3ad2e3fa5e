r"""Hadronic showers: hadrons one by one, whose neutral pions start those of photons.

The model behind the power law of the electromagnetic share (T. A. Gabriel et al., NIM A
338 (1994) 336; D. E. Groom, NIM A 572 (2007) 633),

    <f_em> = 1 - (E / E_0)^(k - 1),  k = 0.82,  E_0 = 1 GeV for pions,

followed hadron by hadron, so that everything fluctuates from shower to shower: where
it starts, how much of it is electromagnetic, and how much is lost.

- A hadron flies an exponentially distributed length, with the nuclear interaction
  length as its mean, and loses energy as a minimum ionising particle does.
- Above :data:`LEAST` it then interacts: into :data:`NUMBER` pions that share its energy
  (uniformly: a Dirichlet distribution), each neutral with probability 1/3, with
  exponentially distributed transverse momenta of mean 0.35 GeV. With 13 pions the mean
  of ``2/3 sum x^k`` over shares x is 1 at k = 0.82, from which the power law follows.
- Below it stops. Of its remaining energy a share is seen that follows a beta
  distribution, 0.6 +- 0.2: the rest goes into the binding energy of nuclei, neutrons
  and neutrinos.

This is no simulation of a material: leading particles, protons and their lower
electromagnetic share, neutrons and the time of all this are left out.
"""

from typing import NamedTuple

import numpy as np

from jetvae_jax.making.showers.media import Nuclear

LEAST = 3.0  # GeV, of a hadron that makes others: then E_0 = 1 GeV
NUMBER = 13
NEUTRAL = 1 / 3
TRANSVERSE = 0.35  # GeV
SEEN = 3.0, 2.0
"""Of the beta distribution of the share that is seen where a hadron stops."""
_BEYOND = 1.0  # mm behind the calorimeter, where what leaves it is
_FORWARD = 0.3  # least z of a direction, so that every path leaves the calorimeter


class Deposits(NamedTuple):
    """Where energy goes, ``[P]`` in no order.

    Attributes:
        owner: number of the shower.
        energy: GeV.
        place: ``[P, 3]`` mm, z from the face: where it starts.
        direction: ``[P, 3]`` unit vectors.
        length: mm, along which energy is lost evenly; 0 for all of it in one place.
    """

    owner: np.ndarray
    energy: np.ndarray
    place: np.ndarray
    direction: np.ndarray
    length: np.ndarray


class Cascade(NamedTuple):
    """Energy of hadronic showers by what becomes of it.

    Attributes:
        neutral: of neutral pions, which start electromagnetic showers.
        ionisation: lost along paths of hadrons.
        stopped: of hadrons that stop, or have left behind the calorimeter.
    """

    neutral: Deposits
    ionisation: Deposits
    stopped: Deposits


def cascade(
    rng: np.random.Generator, matter: Nuclear, incident: Deposits, depth: float
) -> Cascade:
    """The cascades of incident hadrons.

    Args:
        rng: of all that is random.
        matter: in which they fly.
        incident: hadrons where they enter.
        depth: of the calorimeter in mm; those that fly beyond are not followed.
    """
    kept: dict[str, list[Deposits]] = {name: [] for name in Cascade._fields}
    flying = incident
    while True:
        length = rng.exponential(matter.interaction_length, len(flying.energy))
        reach = (depth - flying.place[:, 2]) / flying.direction[:, 2]
        leaves = length > reach
        length = np.minimum(length, reach)
        lost = np.minimum(flying.energy, matter.loss * length)
        if matter.loss:
            length = lost / matter.loss
        kept["ionisation"].append(flying._replace(energy=lost, length=length))
        gone = length + np.where(leaves, _BEYOND, 0.0)
        flying = flying._replace(
            energy=flying.energy - lost,
            place=flying.place + gone[:, None] * flying.direction,
        )
        goes_on = (flying.energy > LEAST) & ~leaves
        kept["stopped"].append(_rows(flying, ~goes_on))
        if not goes_on.any():
            break
        pions = _pions(rng, _rows(flying, goes_on))
        neutral = rng.random(len(pions.energy)) < NEUTRAL
        kept["neutral"].append(_rows(pions, neutral))
        flying = _rows(pions, ~neutral)
    return Cascade(*(_joined(kept[name], incident) for name in Cascade._fields))


def _rows(deposits: Deposits, which: np.ndarray) -> Deposits:
    return Deposits(*(field[which] for field in deposits))


def _joined(parts: list[Deposits], like: Deposits) -> Deposits:
    parts = [*parts, _rows(like, np.zeros(len(like.energy), bool))]
    return Deposits(*map(np.concatenate, zip(*parts, strict=True)))


def _pions(rng: np.random.Generator, hadrons: Deposits) -> Deposits:
    """What hadrons that interact become, where they do."""
    size = len(hadrons.energy), NUMBER
    share = rng.standard_exponential(size)
    energy = hadrons.energy[:, None] * share / share.sum(axis=1, keepdims=True)
    sine = np.minimum(TRANSVERSE * rng.standard_exponential(size) / energy, 1.0)
    azimuth = 2 * np.pi * rng.random(size)
    axis = hadrons.direction[:, None]
    first, second = across(hadrons.direction)
    direction = np.sqrt(1 - np.square(sine))[..., None] * axis
    direction = direction + (sine * np.cos(azimuth))[..., None] * first[:, None]
    direction = direction + (sine * np.sin(azimuth))[..., None] * second[:, None]
    direction[..., 2] = np.maximum(direction[..., 2], _FORWARD)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return Deposits(
        np.repeat(hadrons.owner, NUMBER),
        energy.ravel(),
        np.repeat(hadrons.place, NUMBER, axis=0),
        direction.reshape(-1, 3),
        np.zeros(energy.size),
    )


def across(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors ``[P, 3]`` across directions ``[P, 3]`` and each other.

    The first is in the plane of x and z.
    """
    x, y, z = direction.T
    flat = np.hypot(x, z)
    first = np.stack([z / flat, np.zeros_like(x), -x / flat], axis=1)
    second = np.stack([-x * y / flat, flat, -y * z / flat], axis=1)
    return first, second
