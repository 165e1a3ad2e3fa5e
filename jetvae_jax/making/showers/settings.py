"""Settings of a production of showers, and its shards.

The defaults are the calorimeter and the particles of F. Ratnikov's talk (IML workshop,
CERN 2019), after the program that simulates its data with Geant4: modules of LHCb's
calorimeter, 66 pairs of plates of 2 mm lead and 4 mm scintillator, read out as one
layer of 30 x 30 cells; photons of 1 to 100 GeV, as many in each interval of ln E;
slopes dx/dz and dy/dz normal with sigma 0.175; points uniform over a cell, 15 cm behind
the face.
"""

import json
from typing import Annotated, NamedTuple

import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeFloat, NonNegativeInt, PositiveInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.making.showers import media
from jetvae_jax.making.showers.media import MATERIALS, Medium
from jetvae_jax.making.showers.spots import PHOTON, PION, Grid, Particles, Rings
from jetvae_jax.showers import geometry

KINDS = {"photon": PHOTON, "electron": 11, "positron": -11, "pion": PION}
NONE = "none"
RECIPE = 1
"""To be raised when the same settings give other showers."""
_Length = Annotated[float, configs.positive, configs.at_most(10_000)]
_Energy = Annotated[float, configs.between(0.1, 10_000, "GeV")]
_Share = Annotated[float, configs.between(0, 1)]


@configs.config
class Config:
    """A production of showers.

    Attributes:
        num_showers: in the file.
        geometry: a calorimeter of equal layers: lhcb_ecal, calochallenge_2 or 3, or
            layers, rows, columns and the side of a cell in mm, such as 12x12x12x20.
        kinds: incident particles, as many of each: photon, electron, positron, pion
            (charged).
        energy_min: lowest energy in GeV.
        energy_max: highest energy in GeV.
        energy_power: n, where the density of energies is E^n; -1 is uniform in ln E.
        slope: sigma of the slopes dx/dz and dy/dz; 0 for perpendicular particles.
            Rings are around the particle, whatever its slope and point.
        spot: half the side in mm of the square over which particles are uniform.
        spot_depth: of that square behind the face, in mm.
        passive: material of the plates that are not read out; none for one material.
        active: material that is read out.
        passive_depth: of a plate in mm.
        active_depth: of a plate in mm.
        depth: of the calorimeter in mm.
        stochastic: a in sigma(E) / E = a / sqrt(E in GeV), of each shower's parts.
        constant: b in sigma(E) / E = b, of whole showers.
        noise: sigma in GeV, in each cell.
        threshold: in GeV; cells below it are empty.
        shard_showers: of a shard, the unit of work, which an interruption can lose.
        seed: determines all showers; another seed gives others.
        num_workers: processes; 0 for one per core.
    """

    num_showers: PositiveInt = 20_000
    geometry: str = "lhcb_ecal"
    kinds: Annotated[
        tuple[Annotated[str, configs.one_of(KINDS)], ...],
        configs.not_empty,
        configs.distinct,
    ] = ("photon",)
    energy_min: _Energy = 1.0
    energy_max: _Energy = 100.0
    energy_power: Annotated[float, configs.between(-10, 10)] = -1.0
    slope: _Share = 0.175
    spot: NonNegativeFloat = 10.1
    spot_depth: NonNegativeFloat = 150.0
    passive: Annotated[str, configs.one_of((NONE, *MATERIALS))] = "lead"
    active: Annotated[str, configs.one_of(MATERIALS)] = "polystyrene"
    passive_depth: _Length = 2.0
    active_depth: _Length = 4.0
    depth: _Length = 396.0
    stochastic: _Share = 0.1
    constant: _Share = 0.01
    noise: Annotated[NonNegativeFloat, configs.finite] = 0.0
    threshold: Annotated[NonNegativeFloat, configs.finite] = 1e-3
    shard_showers: PositiveInt = 5_000
    seed: configs.Seed = 0
    num_workers: NonNegativeInt = 0

    def __post_init__(self):
        if self.energy_max <= self.energy_min:
            raise InputError(
                f"energy_max: must be above energy_min = {self.energy_min:g}, got "
                f"{self.energy_max:g}"
            )
        if geometry.get(self.geometry).shape is None:
            raise InputError(
                "geometry: showers are made in equal layers: give lhcb_ecal, "
                "calochallenge_2 or 3, or sizes such as 45x30x30x5, got "
                f"{self.geometry!r}"
            )
        if not self.medium.critical_energy < self.energy_min / 5:
            raise InputError(
                "energy_min: showers need at least five critical energies of the "
                f"medium, {5e3 * self.medium.critical_energy:.0f} MeV; got "
                f"{self.energy_min:g} GeV"
            )

    @property
    def grid(self) -> Grid | Rings:
        """The cells."""
        found = geometry.get(self.geometry)
        assert found.shape is not None
        if found.form == "rings":
            return Rings(found.shape, 2 * float(found.radius.min()), self.depth)
        return Grid(found.shape, found.side, self.depth)

    @property
    def matter(self) -> media.Nuclear:
        """What hadrons meet."""
        plates = [(MATERIALS[self.active], self.active_depth)]
        if self.passive != NONE:
            plates.append((MATERIALS[self.passive], self.passive_depth))
        return media.nuclear(plates)

    @property
    def medium(self) -> Medium:
        """What the showers are made in."""
        active = MATERIALS[self.active]
        if self.passive == NONE:
            return media.homogeneous(active)
        passive = MATERIALS[self.passive]
        return media.sampling(passive, active, self.passive_depth, self.active_depth)


class Shard(NamedTuple):
    """All that determines the content of one shard.

    Attributes:
        index: of the shard, which its random numbers depend on.
        num_showers: to make; fewer are the first ones of more.
        config: of the production.
    """

    index: int
    num_showers: int
    config: Config

    @property
    def identity(self) -> str:
        """Settings that determine the content besides the number, as JSON text."""
        different = ("num_showers", "shard_showers", "num_workers")
        settings = {k: v for k, v in vars(self.config).items() if k not in different}
        own = {"index": self.index, "recipe": RECIPE}
        return json.dumps(settings | own, sort_keys=True)


def plan(config: Config) -> list[Shard]:
    """The shards, in order."""
    number, size = config.num_showers, config.shard_showers
    sizes = [size] * (number // size) + ([number % size] if number % size else [])
    return [Shard(index, size, config) for index, size in enumerate(sizes)]


def particles(rng: np.random.Generator, config: Config, number: int) -> Particles:
    """Incident particles at random.

    Args:
        rng: of their random numbers.
        config: see there for their distributions.
        number: of particles.
    """
    low, high, power = config.energy_min, config.energy_max, config.energy_power + 1
    share = rng.random(number)
    if power:
        energy = (low**power + share * (high**power - low**power)) ** (1 / power)
    else:
        energy = low * (high / low) ** share
    kind = np.array([KINDS[name] for name in config.kinds])
    slope = config.slope * rng.standard_normal((number, 2))
    place = config.spot * rng.uniform(-1, 1, (number, 2))
    return Particles(
        np.clip(energy, low, high),
        kind[rng.integers(len(kind), size=number)],
        place - config.spot_depth * slope,
        slope,
    )
