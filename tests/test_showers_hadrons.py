"""Hadronic showers: published lengths, the power law, conserved energy, their fate."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from jetvae_jax.making.showers import Config, cascade, media, production, spots
from jetvae_jax.showers import files

# Nuclear interaction length in mm, dE/dx of a minimum ionising particle in MeV per mm
# (Particle Data Group, Atomic and nuclear properties of materials).
PUBLISHED = {
    "lead": (175.9, 1.274),
    "tungsten": (99.46, 2.210),
    "iron": (167.7, 1.143),
    "copper": (153.2, 1.257),
    "silicon": (465.2, 0.3876),
    "argon": (857.7, 0.2120),
    "polystyrene": (727.4, 0.2052),
    "lead_tungstate": (202.7, 1.020),
    "sodium_iodide": (421.6, 0.4785),
}
ALONG = np.array([0.0, 0.0, 1.0])


def incident(energy, number):
    return cascade.Deposits(
        np.arange(number),
        np.full(number, float(energy)),
        np.zeros((number, 3)),
        np.tile(ALONG, (number, 1)),
        np.zeros(number),
    )


def shares(energy, number, matter, seed=0):
    """Share of neutral pions in showers of one energy in endless matter."""
    rng = np.random.default_rng(seed)
    made = cascade.cascade(rng, matter, incident(energy, number), math.inf)
    neutral = np.bincount(made.neutral.owner, made.neutral.energy, number)
    return neutral / energy, made


@pytest.mark.parametrize("name", media.MATERIALS)
def test_materials(name):
    found = media.nuclear([(media.MATERIALS[name], 3.0)])
    length, loss = PUBLISHED[name]
    assert abs(found.interaction_length / length - 1) < 0.005
    assert abs(1e3 * found.loss / loss - 1) < 0.005


def test_plates_add_up():
    """In interaction lengths and in energy lost."""
    found = Config().matter
    lead, plastic = (PUBLISHED[name] for name in ("lead", "polystyrene"))
    assert 6 / found.interaction_length == pytest.approx(
        2 / lead[0] + 4 / plastic[0], rel=5e-3
    )
    assert 6e3 * found.loss == pytest.approx(2 * lead[1] + 4 * plastic[1], rel=5e-3)


def test_the_electromagnetic_share_follows_its_power_law():
    """``1 - f = (E / E_0)^(k - 1)`` with k = 0.82 and E_0 = 1 GeV."""
    matter = media.Nuclear(300.0, 0.0)
    energies = np.array([20.0, 60.0, 200.0, 600.0])
    found = [shares(energy, 300, matter)[0] for energy in energies]
    means = np.array([share.mean() for share in found])
    np.testing.assert_allclose(means, 1 - energies ** (0.82 - 1), atol=0.03)
    slope = np.polyfit(np.log(energies), np.log(1 - means), 1)[0]
    assert abs(slope - (0.82 - 1)) < 0.03
    # It varies from shower to shower, the less the larger the energy is.
    spread = np.array([share.std() for share in found])
    assert (np.diff(spread) < 0).all() and 0.05 < spread[-1] < spread[0] < 0.2


def test_shares_of_pions_are_those_that_the_power_law_needs():
    """``2/3 sum x^k = 1`` for shares x that are uniform on a simplex."""
    n, k = cascade.NUMBER, 0.82
    moment = integrate.quad(lambda x: x**k * (n - 1) * (1 - x) ** (n - 2), 0, 1)[0]
    assert abs(2 / 3 * n * moment - 1) < 0.005


@pytest.mark.parametrize("loss", [0.0, 1e-3])
def test_energy_is_conserved(loss):
    _, made = shares(30.0, 40, media.Nuclear(300.0, loss))
    total = sum(np.bincount(part.owner, part.energy, 40) for part in made)
    np.testing.assert_allclose(total, 30.0, rtol=1e-12)
    for part in made:
        assert (part.energy >= 0).all()
        np.testing.assert_allclose(np.linalg.norm(part.direction, axis=1), 1)
    assert (made.ionisation.length >= 0).all()


def seen(number, energy, kind: int | np.ndarray = 211, config=None, seed=0):
    config = config or Config(stochastic=0.0)
    particles = spots.Particles(
        np.full(number, float(energy)), np.zeros(number, int) + kind,
        np.zeros((number, 2)), np.zeros((number, 2)),
    )  # fmt: skip
    return spots.seen(
        np.random.default_rng(seed), config.medium, config.grid, particles,
        config.stochastic, config.matter,
    )  # fmt: skip


def test_hadrons_that_do_not_interact_are_minimum_ionising():
    """As many as fly through, each with the signal of LHCb's calorimeter, 0.34 GeV."""
    config, number = Config(stochastic=0.0, geometry="1x1x1x3000"), 1_000
    total = seen(number, 20.0, config=config).cells.sum(axis=1)
    signal = config.matter.loss * config.depth / config.medium.ratio
    assert 0.31 < signal < 0.36
    through = np.abs(total / signal - 1) < 1e-6
    chance = math.exp(-config.depth / config.matter.interaction_length)
    assert stats.binomtest(int(through.sum()), number, chance).pvalue > 1e-3
    assert (total >= signal * 0.99)[through].all() and total.max() > 8


def test_along_the_axis_hadrons_are_deeper_than_photons_and_symmetric():
    config = Config(stochastic=0.0, geometry="20x31x31x40", depth=3_000.0,
                    passive="none", active="iron")  # fmt: skip
    mean = {}
    for kind, number in ((211, 100), (22, 20)):
        cells = seen(number, 50.0, kind, config).cells
        layers = cells.reshape(number, 20, -1).sum(axis=2)
        mean[kind] = layers.mean(axis=0) @ (np.arange(20) + 0.5) * 150.0
        mean[kind] /= layers.mean(axis=0).sum()
        if kind == 211:
            place = (np.arange(31) - 15) * 40.0
            image = cells.reshape(number, 20, 31, 31).sum(axis=1)
            for profile in (image.sum(axis=1), image.sum(axis=2)):
                centre = profile @ place / profile.sum(axis=1)
                assert abs(centre.mean()) < 4 * centre.std() / math.sqrt(number)
                width = np.sqrt(profile.mean(axis=0) @ place**2 / profile.mean(0).sum())
                assert 30 < width < 150  # mm: less than an interaction length
    # R. K. Bock et al., NIM 186 (1981) 533: the mean depth of the two parts, in X0 and
    # interaction lengths, behind the first interaction.
    length, a = 167.7, 0.6165 + 0.3183 * math.log(50)
    soft, hard = a / 0.2198 * 17.57, a / (0.9099 - 0.0237 * math.log(50)) * length
    bock = length + 0.4634 * soft + (1 - 0.4634) * hard
    assert mean[22] < 0.5 * mean[211] and abs(mean[211] / bock - 1) < 0.25


def test_photons_beside_hadrons_are_as_they_are_alone():
    number = 300
    kinds = np.where(np.arange(number) % 2, 22, 211)
    both = seen(number, 10.0, kinds)
    total = both.cells.sum(axis=1) / 10
    assert (total + both.leaked / 10 < 1 + 1e-9)[kinds == 22].all()
    np.testing.assert_allclose((total + both.leaked / 10)[kinds == 22], 1, rtol=1e-9)
    assert total[kinds == 22].min() > 0.9 and total[kinds == 211].mean() < 0.7
    assert total[kinds == 211].std() > 0.15


def test_a_file_of_photons_and_pions(tmp_path):
    config = Config(num_showers=60, kinds=("photon", "pion"), num_workers=1)
    production.run(tmp_path, config)
    found = files.read(tmp_path / production.FILE).showers
    assert found.kind is not None and set(found.kind) == {22, 211}
    response = found.energies.sum(1) / found.energy
    pions = found.kind == 211
    assert np.median(response[~pions]) > 0.9 > 0.7 > np.median(response[pions])
    again = Config(num_showers=60, kinds=("photon", "pion"), num_workers=1)
    production.run(tmp_path / "again", again)
    assert (tmp_path / "again" / production.FILE).read_bytes() == (
        tmp_path / production.FILE
    ).read_bytes()
