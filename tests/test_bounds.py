"""The importance-weighted bound against models whose likelihood is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jetvae_jax.core.types import (
    Batch,
    Context,
    Decoder,
    GaussianPosterior,
    Model,
    Objective,
    Points,
)
from jetvae_jax.models import vae
from jetvae_jax.models.bounds import importance_weighted

SLOPE, NOISE = 1.5, 0.7
KEY = jax.random.key(0)


def linear(shift=0.3, logvar=-1.0):
    """x = 1.5 z + noise, with a posterior that is not quite the right one."""

    def encode(params, batch):
        mean = batch.x[:, 0] * SLOPE / (SLOPE**2 + NOISE**2) + shift
        return GaussianPosterior(mean, jnp.full_like(mean, logvar))

    def log_prob(params, z, batch):
        away = (batch.x[:, 0] - SLOPE * z) / NOISE
        log_p = jax.scipy.stats.norm.logpdf(away)[..., 0] - np.log(NOISE)
        return log_p, {"reconstruction": -log_p}

    def sample(params, key, z, context):
        return Points(SLOPE * z[:, None], jnp.ones((*z.shape[:-1], 1), bool))

    objective = Objective(lambda batch, x: (x, {}), 1.0)
    return vae.build(
        lambda key: {}, encode, Decoder(log_prob, sample), objective, latent_dim=1
    )


def batch(count=200):
    x = np.random.default_rng(0).normal(size=(count, 1, 1)) * 1.6
    context = Context(np.zeros((count, 3), np.float32))
    return Batch(x.astype(np.float32), np.ones((count, 1), bool), context)


def test_it_rises_from_the_evidence_lower_bound_to_the_likelihood():
    model, data = linear(), batch()
    exact = stats.norm.logpdf(data.x[:, 0, 0], scale=np.hypot(SLOPE, NOISE))

    @jax.jit
    def elbo(key):
        return model.log_prob({}, key, data)

    means = [np.mean([elbo(jax.random.key(i)) for i in range(200)])]
    for count in (1, 4, 2000):
        keys = jax.random.split(KEY, max(400 // count, 1))
        bound = jax.jit(
            jax.vmap(
                lambda k, n=count: importance_weighted(model, {}, k, data, n)
            )
        )(keys)  # fmt: skip
        means.append(np.mean(bound))
    np.testing.assert_allclose(means[1], means[0], atol=0.02)  # one draw: the ELBO
    assert means[1] + 0.05 < means[2] < means[3]
    np.testing.assert_allclose(bound[0], exact, atol=0.15)
    np.testing.assert_allclose(means[3], exact.mean(), atol=0.01)


def test_another_prior_may_take_the_place_of_the_models_own():
    model, data = linear(), batch()

    def prior(z, condition):
        return jax.scipy.stats.norm.logpdf(z, 1.0, 0.5)[..., 0]

    bound = jax.jit(
        lambda key: importance_weighted(model, {}, key, data, 2000, prior=prior)
    )(KEY)
    scale = np.hypot(0.5 * SLOPE, NOISE)
    exact = stats.norm.logpdf(data.x[:, 0, 0], SLOPE, scale)
    np.testing.assert_allclose(np.mean(bound), exact.mean(), atol=0.03)


def test_without_latents_it_is_the_likelihood():
    def log_prob(params, key, batch):
        return batch.x[:, 0, 0]

    model = Model(lambda key: {}, lambda *a: None, lambda *a: None, log_prob=log_prob)
    data = batch()
    found = importance_weighted(model, {}, KEY, data, 5)
    np.testing.assert_array_equal(found, data.x[:, 0, 0])
    with pytest.raises(ValueError, match="no likelihood"):
        importance_weighted(model._replace(log_prob=None), {}, KEY, data, 5)
    with pytest.raises(ValueError, match="num_draws must be positive, got 0"):
        importance_weighted(model, {}, KEY, data, 0)
