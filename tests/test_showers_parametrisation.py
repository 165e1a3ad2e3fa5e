"""The shape of showers: published numbers, quadrature, and moments of what is drawn."""

import math

import numpy as np
import pytest
from scipy import integrate

from jetvae_jax.making.showers import media, parametrisation, spots
from jetvae_jax.showers import geometry

CRYSTAL = media.homogeneous(media.MATERIALS["lead_tungstate"])
PLATES = media.sampling(
    media.MATERIALS["lead"], media.MATERIALS["polystyrene"], 2.0, 4.0
)
MEDIA = {"crystal": CRYSTAL, "plates": PLATES}

# Radiation length and Moliere radius in mm (Particle Data Group, Atomic and nuclear
# properties of materials).
PUBLISHED = {
    "lead": (5.612, 16.02),
    "tungsten": (3.504, 9.327),
    "iron": (17.57, 17.19),
    "copper": (14.36, 15.68),
    "silicon": (93.70, 49.44),
    "argon": (140.0, 90.43),
    "polystyrene": (413.1, 94.07),
    "lead_tungstate": (8.903, 19.59),
    "sodium_iodide": (25.88, 41.05),
}


@pytest.mark.parametrize("name", media.MATERIALS)
def test_materials(name):
    found = media.homogeneous(media.MATERIALS[name])
    length, radius = PUBLISHED[name]
    assert abs(found.radiation_length / length - 1) < 0.003
    # The formula for the critical energy is good to 17 %.
    assert abs(found.moliere_radius / radius - 1) < 0.17


def test_plates_are_as_long_as_both_of_their_materials():
    """In X0 and in R_M: both add up, whatever the order of the plates."""
    lead, plastic = (
        media.homogeneous(media.MATERIALS[n]) for n in ("lead", "polystyrene")
    )
    for name in ("radiation_length", "moliere_radius"):
        expected = 2 / getattr(lead, name) + 4 / getattr(plastic, name)
        assert math.isclose(6 / getattr(PLATES, name), expected)
    assert math.isclose(
        PLATES.critical_energy,
        1e-3 * 21.2 * PLATES.radiation_length / PLATES.moliere_radius,
    )
    frequency = PLATES.frequency
    assert frequency is not None and math.isclose(
        frequency, PLATES.radiation_length / 6
    )
    # LHCb's calorimeter: 25 X0 with 66 such pairs and what holds them, R_M 3.5 cm
    # (LHCb-TDR-2).
    assert abs(66 * 6 / PLATES.radiation_length - 25) < 1
    assert abs(PLATES.moliere_radius - 35) < 3
    alike = media.sampling(*(2 * [media.MATERIALS["iron"]]), 1.0, 3.0)
    iron = media.homogeneous(media.MATERIALS["iron"])
    np.testing.assert_allclose(alike[:4], iron[:4])
    assert alike.ratio == 1


def average(medium, energy, depth):
    """The paper's fit to average profiles (A.1.1, A.2.2), a fit of its own."""
    log_y = math.log(energy / medium.critical_energy)
    maximum = log_y - 0.858
    alpha = 0.21 + (0.492 + 2.38 / medium.number) * log_y
    if medium.frequency is not None:
        maximum -= 0.59 / medium.frequency + 0.53 * (1 - medium.ratio)
        alpha -= 0.444 / medium.frequency
    beta = (alpha - 1) / maximum

    def shape(t):
        return (beta * t) ** (alpha - 1) * math.exp(-beta * t)

    return integrate.quad(shape, 0, depth)[0] / integrate.quad(shape, 0, 200)[0]


@pytest.mark.parametrize("energy", [2.0, 20.0, 200.0])
@pytest.mark.parametrize("name", MEDIA)
def test_the_average_of_single_showers_is_the_average_shower(name, energy):
    medium = MEDIA[name]
    rng = np.random.default_rng(0)
    given = parametrisation.fluctuation(medium, np.full(5_000, energy))
    profile = parametrisation.draw(rng, given)
    for depth in (3, 6, 10, 15):
        found = profile.within(depth).mean()
        assert abs(found - average(medium, energy, depth)) < 0.02


@pytest.mark.parametrize("name", MEDIA)
def test_moments_of_single_showers(name):
    given = parametrisation.fluctuation(MEDIA[name], np.full(100_000, 30.0))
    profile = parametrisation.draw(np.random.default_rng(1), given)
    logs = np.log(np.stack([profile.maximum, profile.alpha]))
    np.testing.assert_allclose(logs.mean(axis=1), given.mean[0], atol=4e-3)
    np.testing.assert_allclose(logs.std(axis=1), given.sigma[0], rtol=0.02)
    assert abs(np.corrcoef(logs)[0, 1] - given.correlation[0]) < 0.01


def test_longitudinal_profile():
    profile = parametrisation.Profile(np.array(6.0), np.array(4.2))
    beta = 3.2 / 6

    def shape(t):
        return (beta * t) ** 3.2 * beta * math.exp(-beta * t) / math.gamma(4.2)

    for depth in (0.5, 6, 20):
        expected = integrate.quad(shape, 0, depth)[0]
        assert math.isclose(profile.within(np.array(depth)), expected, rel_tol=1e-9)
    mean = integrate.quad(lambda t: t * shape(t), 0, 200)[0]
    assert math.isclose(float(profile.centre), mean, rel_tol=1e-9)
    assert max(np.linspace(0.1, 20, 200), key=shape) == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize("name", MEDIA)
def test_showers_of_low_energy_have_a_shape(name):
    energy = np.array([0.05, 0.1, 0.5])
    given = parametrisation.fluctuation(MEDIA[name], energy)
    profile = parametrisation.draw(np.random.default_rng(0), given)
    tau = np.linspace(0, 8, 50)[:, None]
    found = parametrisation.radial(MEDIA[name], energy, tau)
    for array in (*given, *profile, *found):
        assert np.isfinite(array).all()
    assert (
        (profile.beta > 0).all() and (found.core > 0).all() and (found.tail > 0).all()
    )
    assert ((found.weight >= 0) & (found.weight <= 1)).all()


# Nodes and weights for means over the normal distribution of ln T and ln alpha.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(24)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def mean(medium, energy, value):
    """Mean of ``value(T, alpha)`` over showers of one energy, by quadrature."""
    given = parametrisation.fluctuation(medium, np.array(energy))
    (m_t, m_a), (s_t, s_a), rho = given.mean, given.sigma, float(given.correlation)
    total = 0.0
    for u, w in zip(NODES, WEIGHTS, strict=True):
        for v, x in zip(NODES, WEIGHTS, strict=True):
            log_t = m_t + s_t * u
            log_a = m_a + s_a * (rho * u + math.sqrt(1 - rho**2) * v)
            found = value(math.exp(log_t), max(math.exp(log_a), 1.1))
            total = total + w * x * np.asarray(found)
    return total


def simulated(
    medium, grid, energy, number, *, kind=11, seed=0, stochastic=0.0, slope=0
):
    particles = spots.Particles(
        np.full(number, float(energy)),
        np.full(number, kind),
        np.zeros((number, 2)),
        np.tile([float(slope), 0.0], (number, 1)),
    )
    rng = np.random.default_rng(seed)
    return spots.seen(rng, medium, grid, particles, stochastic)


WIDE = 1e7  # mm


@pytest.mark.parametrize(("name", "stochastic"), [("crystal", 0.0), ("plates", 0.2)])
def test_profiles_along_the_axis_and_their_fluctuations(name, stochastic):
    from scipy.special import gammainc

    medium, energy, number = MEDIA[name], 10.0, 2_000
    layers = np.arange(26)
    grid = spots.Grid((25, 1, 1), WIDE, 25 * medium.radiation_length)
    found = simulated(medium, grid, energy, number, stochastic=stochastic)

    def share(maximum, alpha):
        beta = (alpha - 1) / maximum
        inside = np.diff(gammainc(alpha, beta * layers))
        behind = 1 - gammainc(alpha, beta * 25)
        return np.concatenate([inside, inside**2, [behind]])

    *_, behind = moments = mean(medium, energy, share)
    first, second = moments[:25], moments[25:50]
    # Of the shower itself, and of what is seen of it.
    spread = np.sqrt(second - first**2 + stochastic**2 * first / energy)
    cells = found.cells / energy
    off = (cells.mean(axis=0) - first) / (spread / math.sqrt(number))
    assert np.abs(off).max() < 4
    # Energies of layers have long tails: their deviations are good to a few percent.
    np.testing.assert_allclose(cells.std(axis=0)[:15], spread[:15], rtol=0.12)
    leaked = found.leaked.mean() / energy
    assert abs(leaked - behind) < 0.1 * behind + 1e-5


def contained(medium, energy, radii):
    """Share of the energy within radii in R_M, by quadrature over all of the shower."""
    mean_alpha = math.exp(parametrisation.fluctuation(medium, energy).mean[1])
    share = (np.arange(100) + 0.5) / 100
    from scipy.special import gammaincinv

    def value(maximum, alpha):
        depth = gammaincinv(alpha, share) * maximum / (alpha - 1)
        centre = alpha * maximum / (alpha - 1)
        tau = depth / centre * mean_alpha / (mean_alpha - 1)
        r = parametrisation.radial(medium, np.array(energy), tau)
        parts = [
            w[:, None] * radii**2 / (radii**2 + size[:, None] ** 2)
            for w, size in ((r.weight, r.core), (1 - r.weight, r.tail))
        ]
        return (parts[0] + parts[1]).mean(axis=0)

    return mean(medium, energy, value)


RADII = np.array([0.25, 0.5, 1.0, 1.5, 2.0, 3.0])


@pytest.mark.parametrize("name", MEDIA)
def test_energy_within_radii(name):
    medium, energy, number = MEDIA[name], 20.0, 200
    size = 121
    side = 8 * medium.moliere_radius / size
    grid = spots.Grid((1, size, size), side, 60 * medium.radiation_length)
    found = simulated(medium, grid, energy, number)
    middle = (np.arange(size) - size // 2) * side / medium.moliere_radius
    radius = np.hypot(middle[:, None], middle).ravel()
    cells = found.cells.mean(axis=0) / energy
    inside = np.array([cells[radius < r].sum() for r in RADII])
    expected = contained(medium, energy, RADII)
    np.testing.assert_allclose(inside, expected, atol=0.012)
    # One Moliere radius holds 90 % of the energy by its definition.
    assert 0.82 < expected[2] < 0.95 and np.all(np.diff(expected) > 0)


@pytest.mark.parametrize("slope", [0.0, 0.8])
def test_rings_are_around_the_axis(slope):
    """Whatever the direction, all around alike, and as deep as a grid sees it."""
    energy, number = 10.0, 400
    width = 0.5 * CRYSTAL.moliere_radius
    rings = spots.Rings((10, 8, 6), width, 20 * CRYSTAL.radiation_length)
    found = simulated(CRYSTAL, rings, energy, number, slope=slope)
    np.testing.assert_allclose(found.cells.sum(axis=1) + found.leaked, energy)
    cells = found.cells.reshape(number, *rings.shape) / energy
    inside = np.cumsum(cells.sum(axis=(1, 2)), axis=1).mean(axis=0)
    expected = contained(CRYSTAL, energy, 0.5 * np.arange(1, 7))
    np.testing.assert_allclose(inside, expected, atol=0.015)
    around = cells.sum(axis=(1, 3))
    error = around.std(axis=0) / math.sqrt(number)
    assert (np.abs(around.mean(axis=0) - around.mean()) < 4 * error).all()
    grid = spots.Grid((10, 1, 1), WIDE, rings.depth)
    straight = simulated(CRYSTAL, grid, energy, number).cells.mean(axis=0) / energy
    along = cells.sum(axis=(2, 3)).mean(axis=0)
    assert np.abs(along / along.sum() - straight).max() < 0.02


def test_numbers_of_cells():
    """The centre of a cell is in that cell, and points outside are in none."""
    for name, depth in (("2x3x4x5", 8.0), ("calochallenge_2", 45.0)):
        found = geometry.get(name)
        assert found.shape is not None
        if found.form == "grid":
            cells = spots.Grid(found.shape, found.side, depth)
        else:
            cells = spots.Rings(found.shape, 4.65, depth)
        z = (found.layer + 0.5) * depth / found.num_layers
        places = np.stack([found.x, found.y, z])
        np.testing.assert_array_equal(cells.cells(places), np.arange(found.num_cells))
        for far in ([99, 0, 1], [0, -99, 1], [1, 1, -0.1], [1, 1, depth + 0.1]):
            outside = np.array(far, float)[:, None]
            assert cells.cells(outside) == cells.num_cells


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("slope", [0.0, 0.4])
def test_no_energy_is_lost_or_made(name, slope):
    grid = spots.Grid((4, 5, 6), 30.0, 150.0)
    found = simulated(MEDIA[name], grid, 5.0, 50, slope=slope, kind=22)
    np.testing.assert_allclose(found.cells.sum(axis=1) + found.leaked, 5.0, rtol=1e-9)
    assert (found.cells >= 0).all() and (found.leaked > 0).all()


@pytest.mark.parametrize("energy", [1.0, 16.0])
def test_response_is_linear_and_its_resolution_that_of_the_sampling(energy):
    grid, number = spots.Grid((1, 1, 1), WIDE, 1e3), 2_000
    found = simulated(PLATES, grid, energy, number, stochastic=0.1)
    total = found.cells[:, 0] / energy
    sigma = 0.1 / math.sqrt(energy)
    assert abs(total.mean() - 1) < 4 * sigma / math.sqrt(number)
    assert abs(total.std() / sigma - 1) < 4 / math.sqrt(2 * number)


def test_showers_are_symmetric():
    grid = spots.Grid((1, 20, 20), 15.0, 400.0)
    found = simulated(PLATES, grid, 10.0, 1_000, stochastic=0.1)
    image = found.cells.mean(axis=0).reshape(20, 20)
    spread = found.cells.reshape(-1, 20, 20).std(axis=0) / math.sqrt(1_000)
    for other in (image[::-1], image[:, ::-1], image.T):
        off = (image - other)[6:14, 6:14] / (spread * math.sqrt(2))[6:14, 6:14]
        assert np.abs(off).max() < 4.5


@pytest.mark.parametrize("kind", [11, 22])
def test_a_slope_moves_the_centre_by_depth_times_slope(kind):
    medium, energy, slope, number = CRYSTAL, 10.0, 0.5, 300
    layers = spots.Grid((150, 1, 1), WIDE, 600.0)
    face = spots.Grid((1, 151, 151), 8.0, 600.0)
    depth_x0 = mean(medium, energy, lambda t, a: a * t / (a - 1))
    depth_x0 = float(depth_x0) + (9 / 7 if kind == 22 else 0)
    along_z = depth_x0 * medium.radiation_length / math.sqrt(1 + slope**2)
    z = simulated(medium, layers, energy, number, kind=kind, slope=slope).cells
    depths = (z * ((np.arange(150) + 0.5) * 4.0)).sum(axis=1) / z.sum(axis=1)
    assert abs(depths.mean() - along_z) < 4 * depths.std() / math.sqrt(number) + 0.2
    x = simulated(medium, face, energy, number, kind=kind, slope=slope).cells
    image = x.sum(axis=0).reshape(151, 151) / x.sum()
    places = (np.arange(151) - 75) * 8.0
    centre = (image * places).sum(), (image * places[:, None]).sum()
    error = slope * depths.std() / math.sqrt(number)
    # The far tail is cut, which pulls the centre to the middle.
    assert abs(centre[0] - slope * along_z) < 4 * error + 0.03 * slope * along_z
    assert abs(centre[1]) < 4 * error
