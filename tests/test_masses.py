"""Masses of relative jets against four-momenta in float64."""

import jax
import numpy as np
import pytest

from jetvae_jax.core.types import RelativeJets
from jetvae_jax.metrics.observables import relative_mass, relative_masses

pytestmark = pytest.mark.optimised  # as users compile it


def make(num_jets, num_particles, spread, centre=0.0, seed=0):
    rng = np.random.default_rng(seed)
    angles = rng.normal(centre, spread, (num_jets, num_particles, 2))
    pt = rng.exponential(size=(num_jets, num_particles, 1)) / num_particles
    mask = rng.uniform(size=(num_jets, num_particles)) < 0.7
    mask[:, :2] = True
    particles = np.concatenate([pt, angles], axis=-1).astype(np.float32)
    return RelativeJets(np.where(mask[..., None], particles, np.nan), mask)


def four_momentum_mass(jets):
    pt, eta, phi = np.moveaxis(
        np.where(jets.mask[..., None], jets.particles, 0).astype(np.float64), -1, 0
    )
    e, x, y, z = (
        np.sum(pt * f, axis=1)
        for f in (np.cosh(eta), np.cos(phi), np.sin(phi), np.sinh(eta))
    )
    return np.sqrt((e - z) * (e + z) - x * x - y * y)


@pytest.mark.parametrize("spread", [1e-3, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_as_from_four_momenta(spread, centre):
    jets = make(300, 12, spread, centre)
    expected = four_momentum_mass(jets)
    # A shift of the whole jet is rounded with the angles: to 6e-8 of them.
    rtol = 1e-6 * (1 + spread + centre / spread)
    np.testing.assert_allclose(relative_mass(jets), expected, rtol=rtol)
    np.testing.assert_allclose(jax.jit(relative_mass)(jets), expected, rtol=rtol)


@pytest.mark.parametrize("count", [1, 1999, 4001])
@pytest.mark.parametrize("length", [1, 20])
@pytest.mark.parametrize("centre", [0.0, 0.1, 0.5])
def test_samples_as_single_jets(count, length, centre):
    """In parts, and those off the axis again, about their mean."""
    jets = make(count, length, 0.1, centre, seed=1)
    found = relative_masses(jets)
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    np.testing.assert_allclose(found, relative_mass(jets), rtol=2e-6, atol=1e-7)


def test_slope_against_finite_differences_and_none_of_a_single_particle():
    jets = make(20, 6, 0.2, seed=3)
    jets.mask[0] = [True] + [False] * 5
    turn = np.random.default_rng(0).normal(size=jets.particles.shape)

    def mass(particles):
        return jax.vmap(relative_mass)(RelativeJets(particles, jets.mask)).sum()

    slope = jax.jit(jax.grad(mass))(jets.particles)
    assert not slope[0].any() and np.isfinite(slope).all()
    p, mask = jets.particles[1:], jets.mask[1:]
    steps = (1e-5 * turn[1:], -1e-5 * turn[1:])
    up, down = (four_momentum_mass(RelativeJets(p + h, mask)) for h in steps)
    exact = np.sum(up - down) / 2e-5
    np.testing.assert_allclose(np.sum(slope * turn), exact, rtol=1e-4)


def test_what_is_no_number_stays_in_its_jet():
    jets = make(5000, 10, 0.1, seed=2)
    expected = relative_masses(jets)
    jets.particles[7, 1, 2] = np.nan  # a particle, others are without one
    found = relative_masses(jets)
    assert np.isnan(found[7])
    np.testing.assert_array_equal(np.delete(found, 7), np.delete(expected, 7))


def test_one_direction_has_no_mass():
    particles = np.tile(np.float32([0.3, 0.7, -0.4]), (3, 4, 1))
    mask = np.array([[True, False, False, False], [True] * 4, [False] * 4])
    assert not relative_mass(RelativeJets(particles, mask)).any()
