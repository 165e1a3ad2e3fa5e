"""Losses of GANs against their formulas, and what the energy distance promises."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jetvae_jax.losses import adversarial
from jetvae_jax.losses.adversarial import energy_distance
from jetvae_jax.metrics import wasserstein_1d


def test_losses_against_their_formulas():
    rng = np.random.default_rng(0)
    true, made = rng.normal(size=(2, 9))
    d_true, d_made = (1 / (1 + np.exp(-x)) for x in (true, made))
    critic = -np.log(d_true) - np.log(1 - d_made)
    squares = 0.5 * (true - 1) ** 2 + 0.5 * made**2
    expected = {
        "classic": (critic, -np.log(d_made)),
        "minimax": (critic, np.log(1 - d_made)),
        "least_squares": (squares, 0.5 * (made - 1) ** 2),
        "wasserstein": (made - true, -made),
    }
    for name, losses in expected.items():
        found = getattr(adversarial, name)(true, made)
        np.testing.assert_allclose(found, losses, rtol=1e-5, err_msg=name)


def test_cramer_is_the_energy_distance_of_independent_rows():
    rng = np.random.default_rng(1)
    true, made = rng.normal(size=(2, 5, 3))
    critic, generator = adversarial.cramer(true, made)
    norm = np.linalg.norm
    for i in range(5):
        j = (i + 1) % 5
        energy = 2 * norm(true[i] - made[j])
        energy -= norm(true[i] - true[j]) + norm(made[i] - made[j])
        assert float(generator[i]) == pytest.approx(energy, rel=1e-4, abs=1e-5)
    np.testing.assert_array_equal(critic, -generator)
    # f of data less f of generated samples is that distance, too.
    many, others = rng.normal(size=(40_000, 2)), rng.normal(1.0, 2.0, (40_000, 2))
    rolled = np.roll(many, 1, 0), np.roll(others, 2, 0)
    f = [adversarial.cramer_critic(x, *rolled).mean() for x in (many, others)]
    energy = adversarial.cramer(many, others).generator.mean()
    assert float(f[0] - f[1]) == pytest.approx(float(energy), abs=0.04)


def test_energy_distance_is_twice_the_cramer_distance_in_one_dimension():
    # E = 2 int (F - G)^2, by the step functions F and G themselves.
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=60), rng.exponential(size=45) - 0.4
    at = np.sort(np.concatenate([x, y]))
    f, g = (np.searchsorted(np.sort(z), at, side="right") / len(z) for z in (x, y))
    integral = np.sum(((f - g) ** 2)[:-1] * np.diff(at))
    found = float(energy_distance(x[:, None], y[:, None], unbiased=False))
    assert found == pytest.approx(2 * integral, rel=1e-4)
    assert found == pytest.approx(stats.energy_distance(x, y) ** 2, rel=1e-4)


def test_energy_terms_average_to_the_estimate_without_bias():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 7, 3))
    between = [[np.linalg.norm(a - b) for b in y] for a in x]
    own = [
        sum(np.linalg.norm(a - b) for a, b in itertools.permutations(z, 2)) / 42
        for z in (x, y)
    ]
    expected = 2 * np.mean(between) - sum(own)
    assert float(energy_distance(x, y)) == pytest.approx(expected, rel=1e-4)
    terms = adversarial.energy_terms(x, y)
    assert float(terms.mean()) == pytest.approx(expected, rel=1e-4)
    # The same point twice has no direction to move in, and no NaN.
    slope = jax.grad(lambda z: energy_distance(z, z))(jnp.zeros((3, 2)))
    np.testing.assert_array_equal(slope, 0)


def bernoulli(theta, number):
    """All samples ``[S, number]`` of 0 and 1, and their probabilities ``[S]``."""
    samples = np.array(list(itertools.product([0.0, 1.0], repeat=number)))
    ones = samples.sum(axis=1)
    return samples, theta**ones * (1 - theta) ** (number - ones)


def test_sample_gradients_of_cramer_are_unbiased_and_those_of_wasserstein_are_not():
    # The Bernoulli example of arXiv:1705.10743, summed over all samples of three: the
    # data have P(1) = 0.6, the generator theta.
    true, number = 0.6, 3
    samples, given = bernoulli(true, number)
    pairs = [(x, y) for x in samples for y in samples]
    x, y = (jnp.asarray(z)[..., None] for z in zip(*pairs, strict=True))
    energies = np.asarray(jax.jit(jax.vmap(energy_distance))(x, y))
    transport = np.array([wasserstein_1d(a, b) for a, b in pairs])

    def expected(values, theta):
        _, chance = bernoulli(theta, number)
        return float(values.reshape(8, 8).T @ given @ chance)

    def slope(values, theta, step=1e-4):
        ends = [expected(values, theta + sign * step) for sign in (1, -1)]
        return (ends[0] - ends[1]) / (2 * step)

    for theta in (0.2, 0.5, 0.6, 0.9):
        exact = 2 * (theta - true) ** 2
        assert expected(energies, theta) == pytest.approx(exact, abs=1e-6)
        assert slope(energies, theta) == pytest.approx(4 * (theta - true), abs=1e-4)
    # W1 = |theta - 0.6|: its slope at 0.5 is -1; that of samples is far from it, and
    # they are farthest from zero where theta is the truth.
    assert slope(transport, 0.5) > -0.5
    grid = np.linspace(0, 1, 101)
    best = grid[np.argmin([expected(transport, theta) for theta in grid])]
    assert abs(best - true) > 0.05
    best = grid[np.argmin([expected(energies, theta) for theta in grid])]
    assert best == pytest.approx(true)
