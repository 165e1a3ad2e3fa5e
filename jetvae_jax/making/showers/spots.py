r"""Showers as energy spots, and what a calorimeter of cells sees of them.

A shower is cut into steps of 0.5 X0 along its axis. The energy of a step is the
integral of its longitudinal profile, which its spots share equally. Their number is the
integral of the spots' own profile, rounded up or down at random, at least one; they lie
uniformly in depth within the step and in azimuth, and at a radius of
``R sqrt(v / (1 - v))`` with R = R_C with probability p, else R_T, v uniform between 0
and 1 (hep-ex/0001020, eq. 28).

The calorimeter sees each spot with the sampling fluctuation, a gamma distribution of
mean E and variance ``c^2 E`` (E in GeV). Sums of such numbers have the same
distribution, so that a shower fluctuates by ``c / sqrt(E)`` whatever its spots are.

Electrons and positrons shower from the face of the calorimeter, photons from where they
convert, at depths of an exponential distribution with mean 9/7 X0. The axis is the
particle's own direction; radii are across it. Charged pions start a cascade of hadrons
(:mod:`~jetvae_jax.making.showers.cascade`): each of its neutral pions is a shower like
that of a photon, from where it is made; ionisation counts as a minimum ionising
particle's, 1/e of that of electrons.
"""

from typing import NamedTuple

import numpy as np

from jetvae_jax.making.showers import cascade, parametrisation
from jetvae_jax.making.showers.cascade import Deposits
from jetvae_jax.making.showers.media import Medium, Nuclear

PHOTON, PION = 22, 211
CONVERSION = 9 / 7  # X0, mean depth of the conversion of a photon
STEP = 0.5  # X0
_LEAST_STOCHASTIC = 0.03  # for the number of spots, were there no fluctuation
_SPOTS = 1_000_000  # at once, which take 100 MB
_LONGEST = 40.0  # X0, of electromagnetic showers in hadronic ones
_ALONG = 8  # spots of ionisation along the path of a hadron


class Particles(NamedTuple):
    """Incident particles.

    Attributes:
        energy: ``[J]`` GeV.
        kind: ``[J]`` PDG code.
        point: ``[J, 2]`` mm, where they enter the face.
        slope: ``[J, 2]`` dx/dz and dy/dz.
    """

    energy: np.ndarray
    kind: np.ndarray
    point: np.ndarray
    slope: np.ndarray

    @property
    def direction(self) -> np.ndarray:
        """``[J, 3]`` unit vectors."""
        found = np.column_stack([self.slope, np.ones(len(self.slope))])
        return found / np.linalg.norm(found, axis=1, keepdims=True)


class Grid(NamedTuple):
    """A calorimeter of cells of one size, its middle at (0, 0), its face at z = 0.

    Attributes:
        shape: layers, rows (y) and columns (x).
        side: of a cell in mm.
        depth: of the calorimeter in mm.
    """

    shape: tuple[int, int, int]
    side: float
    depth: float

    @property
    def num_cells(self) -> int:
        """C, layer by layer, x fastest."""
        return int(np.prod(self.shape))

    def cells(self, place: np.ndarray) -> np.ndarray:
        """``[S]`` numbers of the cells at places ``[3, S]`` in mm; C for outside."""
        layers, rows, columns = self.shape
        x = np.floor(place[0] / self.side + columns / 2)
        y = np.floor(place[1] / self.side + rows / 2)
        z = np.floor(place[2] * (layers / self.depth))
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        inside &= (z >= 0) & (z < layers)
        return np.where(inside, (z * rows + y) * columns + x, self.num_cells).astype(
            np.int64
        )


class Rings(NamedTuple):
    """Cells in rings around the axis of every shower, whatever its direction.

    Attributes:
        shape: layers, cells of a ring, and rings.
        width: of a ring in mm.
        depth: of the calorimeter along the axis, in mm.
    """

    shape: tuple[int, int, int]
    width: float
    depth: float

    @property
    def num_cells(self) -> int:
        """C, layer by layer, the radius fastest, the angle from -pi."""
        return int(np.prod(self.shape))

    def cells(self, place: np.ndarray) -> np.ndarray:
        """``[S]`` numbers of the cells at places ``[3, S]`` in mm; C for outside."""
        layers, angles, radii = self.shape
        ring = np.floor(np.hypot(place[0], place[1]) / self.width)
        turn = (np.arctan2(place[1], place[0]) / np.pi + 1) / 2
        angle = np.minimum(np.floor(turn * angles), angles - 1)
        z = np.floor(place[2] * (layers / self.depth))
        inside = (ring < radii) & (z >= 0) & (z < layers)
        number = (z * angles + angle) * radii + ring
        return np.where(inside, number, self.num_cells).astype(np.int64)


class Seen(NamedTuple):
    """What a calorimeter sees of showers, in GeV.

    Attributes:
        cells: ``[J, C]``.
        leaked: ``[J]`` beside and behind the cells, as they would have seen it.
    """

    cells: np.ndarray
    leaked: np.ndarray


def seen(
    rng: np.random.Generator,
    medium: Medium,
    grid: Grid | Rings,
    particles: Particles,
    stochastic: float,
    matter: Nuclear | None = None,
) -> Seen:
    """Energies in the cells, with the sampling fluctuation.

    Args:
        rng: of all that is random.
        medium: of the calorimeter.
        grid: its cells.
        particles: ``[J]``.
        stochastic: c; 0 for a calorimeter that sees all energy.
        matter: what pions meet; needed where there are any.
    """
    if isinstance(grid, Rings):
        nothing = np.zeros_like(particles.point)
        particles = particles._replace(point=nothing, slope=nothing)
    number = len(particles.energy)
    found = np.zeros((number, grid.num_cells + 1))
    hadron = particles.kind == PION
    if not hadron.any():
        sources = _Sources(particles, np.arange(number), np.zeros(number))
        _electromagnetic(rng, medium, grid, sources, stochastic, found)
        return Seen(found[:, :-1], found[:, -1])
    assert matter is not None
    incident = Deposits(
        np.flatnonzero(hadron),
        particles.energy[hadron],
        np.pad(particles.point[hadron], ((0, 0), (0, 1))),
        particles.direction[hadron],
        np.zeros(hadron.sum()),
    )
    made = cascade.cascade(rng, matter, incident, grid.depth)
    share = rng.beta(*cascade.SEEN, len(made.stopped.energy))
    stopped = made.stopped._replace(energy=share * made.stopped.energy)
    ionisation = made.ionisation
    ionisation = ionisation._replace(energy=ionisation.energy / medium.ratio)
    for deposits, count in ((stopped, 1), (ionisation, _ALONG)):
        _deposit(rng, grid, deposits, count, stochastic, found)
    others = _Sources(
        Particles(*(field[~hadron] for field in particles)),
        np.flatnonzero(~hadron),
        np.zeros(number - len(incident.energy)),
    )
    sources = _joined(others, _photons(made.neutral))
    _electromagnetic(rng, medium, grid, sources, stochastic, found, _LONGEST)
    return Seen(found[:, :-1], found[:, -1])


class _Sources(NamedTuple):
    """What starts electromagnetic showers, ``[P]``, in the order of their owners."""

    particles: Particles
    owner: np.ndarray  # number of the shower
    start: np.ndarray  # mm along the axis from the face


def _photons(pions: Deposits) -> _Sources:
    """Neutral pions as photons of their energy from where they are."""
    slope = pions.direction[:, :2] / pions.direction[:, 2:]
    depth = pions.place[:, 2:]
    kind = np.full(len(pions.energy), PHOTON)
    point = pions.place[:, :2] - slope * depth
    start = depth[:, 0] / pions.direction[:, 2]
    return _Sources(Particles(pions.energy, kind, point, slope), pions.owner, start)


def _joined(one: _Sources, other: _Sources) -> _Sources:
    """Both, in the order of their owners."""
    owner = np.concatenate([one.owner, other.owner])
    order = np.argsort(owner, kind="stable")
    pairs = zip(one.particles, other.particles, strict=True)
    fields = (np.concatenate(pair)[order] for pair in pairs)
    start = np.concatenate([one.start, other.start])
    return _Sources(Particles(*fields), owner[order], start[order])


def _deposit(
    rng: np.random.Generator,
    grid: Grid | Rings,
    deposits: Deposits,
    count: int,
    stochastic: float,
    found: np.ndarray,
) -> None:
    """Adds energies, in ``count`` spots each, to the cells of their showers."""
    energy = np.repeat(deposits.energy / count, count)
    way = rng.random(len(energy)) * np.repeat(deposits.length, count)
    place = np.repeat(deposits.place, count, axis=0)
    place += way[:, None] * np.repeat(deposits.direction, count, axis=0)
    number = np.repeat(deposits.owner, count) * found.shape[1] + grid.cells(place.T)
    energy = _fluctuating(rng, energy, stochastic)
    found += np.bincount(number, energy, found.size).reshape(found.shape)


def _electromagnetic(
    rng: np.random.Generator,
    medium: Medium,
    grid: Grid | Rings,
    sources: _Sources,
    stochastic: float,
    found: np.ndarray,
    longest: float = np.inf,
) -> None:
    """Adds electromagnetic showers to the cells ``[J, C + 1]``, the last for outside.

    They are followed for up to ``longest`` X0.
    """
    particles, owner, _ = sources
    if not len(owner):
        return
    spread = max(stochastic, _LEAST_STOCHASTIC)
    steps = _steps(rng, medium, grid, sources, spread, longest)
    ends = np.cumsum(np.sum(steps.count, axis=1))
    parts = np.searchsorted(ends, np.arange(_SPOTS, ends[-1], _SPOTS))
    size = found.shape[1]
    for some in np.split(np.arange(len(ends)), np.unique(parts)):
        if not len(some):  # the first shower alone has as many
            continue
        spots = _spots(rng, medium, grid, particles, steps, some)
        energy = _fluctuating(rng, spots.energy, stochastic)
        first, last = owner[some[0]], owner[some[-1]] + 1
        number = (owner[some][spots.shower] - first) * size + spots.cell
        cells = np.bincount(number, energy, (last - first) * size)
        found[first:last] += cells.reshape(-1, size)
    np.add.at(found[:, -1], owner, _fluctuating(rng, steps.behind, stochastic))


class _Steps(NamedTuple):
    """Steps of all showers: numbers ``[J, K]`` each, depths in mm along the axis."""

    start: np.ndarray
    energy: np.ndarray  # of a spot
    count: np.ndarray  # of spots
    core: np.ndarray  # mm
    tail: np.ndarray  # mm
    weight: np.ndarray
    behind: np.ndarray  # [J], energy after the last step


class _Spots(NamedTuple):
    """Spots ``[S]`` of some showers."""

    shower: np.ndarray  # its place among them
    energy: np.ndarray
    cell: np.ndarray


def _steps(rng, medium, grid, sources, spread, most) -> _Steps:
    particles = sources.particles
    energy = particles.energy[:, None]
    given = parametrisation.fluctuation(medium, particles.energy)
    profile = parametrisation.draw(rng, given)
    profile = parametrisation.Profile(*(field[:, None] for field in profile))
    converted = rng.exponential(CONVERSION, len(energy))
    first = np.where(particles.kind == PHOTON, converted, 0.0)[:, None]
    longest = grid.depth / particles.direction[:, 2].min()
    number = int(np.ceil(min(longest / medium.radiation_length, most) / STEP))
    edges = STEP * np.arange(number + 1)
    share = profile.within(edges)
    count, along = parametrisation.spots(medium, energy, profile, spread)
    count = count * np.diff(along.within(edges))
    count = np.maximum(np.floor(count + rng.random(count.shape)), 1).astype(np.int64)
    mean_alpha = np.exp(given.mean[:, 1:])
    middle = (edges[:-1] + edges[1:]) / 2
    tau = parametrisation.relative_depth(profile, mean_alpha, middle)
    across = parametrisation.radial(medium, energy, tau)
    return _Steps(
        (first + edges[:-1]) * medium.radiation_length + sources.start[:, None],
        energy * np.diff(share) / count,
        count,
        across.core * medium.moliere_radius,
        across.tail * medium.moliere_radius,
        across.weight,
        energy[:, 0] * (1 - share[:, -1]),
    )


def _fluctuating(rng, energy: np.ndarray, stochastic: float) -> np.ndarray:
    """What is seen of energies in GeV."""
    if not stochastic:
        return energy
    return stochastic**2 * rng.standard_gamma(energy / stochastic**2)


def _spots(rng, medium, grid, particles, steps: _Steps, some: np.ndarray) -> _Spots:
    """The spots of some showers."""
    count = steps.count[some]
    step = np.repeat(np.arange(count.size), count.ravel())
    shower = step // count.shape[1]

    def of_step(values):
        return values[some].ravel()[step]

    core = rng.random(len(step)) < of_step(steps.weight)
    radius = np.where(core, of_step(steps.core), of_step(steps.tail))
    uniform = rng.random(len(step))
    radius *= np.sqrt(uniform / (1 - uniform))
    azimuth = 2 * np.pi * rng.random(len(step))
    depth = of_step(steps.start)
    depth += STEP * medium.radiation_length * rng.random(len(step))
    axis = particles.direction[some]
    first, second = (unit.T for unit in cascade.across(axis))
    place = axis.T[:, shower] * depth
    place += first[:, shower] * (radius * np.cos(azimuth))
    place += second[:, shower] * (radius * np.sin(azimuth))
    place[:2] += particles.point[some].T[:, shower]
    return _Spots(shower, of_step(steps.energy), grid.cells(place))
