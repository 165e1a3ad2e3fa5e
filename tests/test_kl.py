"""The Gaussian posterior: closed form against Monte Carlo."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from jetvae_jax.core.types import GaussianPosterior
from jetvae_jax.losses import gaussian_kl, reparameterize


def test_equals_monte_carlo():
    mean = np.array([0.0, 1.5, -0.7, 0.2])
    logvar = np.array([0.0, -1.0, 0.8, -3.0])
    q = scipy.stats.norm(mean, np.exp(logvar / 2))
    z = q.rvs((1_000_000, 4), random_state=np.random.default_rng(0))
    ratio = (q.logpdf(z) - scipy.stats.norm.logpdf(z)).sum(-1)
    error = ratio.std() / 1000
    posterior = GaussianPosterior(jnp.float32(mean), jnp.float32(logvar))
    assert abs(gaussian_kl(posterior) - ratio.mean()) < 4 * error
    assert error < 2e-3


def test_zero_with_zero_gradient_at_the_prior():
    prior = GaussianPosterior(jnp.zeros((3, 5)), jnp.zeros((3, 5)))
    value, grad = jax.value_and_grad(lambda p: gaussian_kl(p).sum())(prior)
    assert value == 0
    assert all(np.all(np.array(g) == 0) for g in grad)


def test_keeps_its_digits_near_the_prior():
    for size in (1e-1, 1e-2, 1e-3):
        v = np.float32(size)
        exact = 0.5 * (np.expm1(np.float64(v)) - np.float64(v))
        value = gaussian_kl(GaussianPosterior(jnp.zeros(1), jnp.full(1, v)))
        np.testing.assert_allclose(value, exact, rtol=1e-3)


def test_shapes_and_extreme_variances():
    mean = jnp.ones((2, 3, 4))
    assert gaussian_kl(GaussianPosterior(mean, mean)).shape == (2, 3)
    for logvar in (-50.0, 50.0):
        grad = jax.grad(lambda v: gaussian_kl(GaussianPosterior(v * 0, v)).sum())(
            jnp.full(2, logvar)
        )
        assert np.all(np.isfinite(grad))


def test_reparameterize_draws_the_posterior():
    posterior = GaussianPosterior(
        jnp.tile(jnp.array([1.0, -2.0]), (100_000, 1)),
        jnp.tile(jnp.log(jnp.array([0.25, 4.0])), (100_000, 1)),
    )
    z = np.array(reparameterize(jax.random.key(0), posterior))
    np.testing.assert_allclose(z.mean(0), [1, -2], atol=4 * 2 / np.sqrt(1e5))
    np.testing.assert_allclose(z.std(0), [0.5, 2], rtol=0.02)
    again = reparameterize(jax.random.key(0), posterior)
    assert np.array_equal(z, again)
    assert not np.allclose(z, reparameterize(jax.random.key(1), posterior))


def test_reparameterize_gradients_reach_both():
    posterior = GaussianPosterior(jnp.zeros((2, 3)), jnp.zeros((2, 3)))
    key = jax.random.key(2)
    z = reparameterize(key, posterior)
    grad = jax.grad(lambda p: reparameterize(key, p).sum())(posterior)
    np.testing.assert_allclose(grad.mean, 1)
    np.testing.assert_allclose(grad.logvar, z / 2, rtol=1e-6)
