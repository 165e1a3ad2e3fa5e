"""Streams of jets: the right number, the same for the same seed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jetvae_jax import sampling
from jetvae_jax.core.types import VAE, Batch, Flow, GaussianPosterior, Jets

L, N = 4, 5


def linear_vae():
    weight = jnp.arange(L * N * 3, dtype=jnp.float32).reshape(L, N, 3) / 50

    def encode(params, x, mask):
        mean = jnp.mean(x, axis=-2) @ jnp.ones((3, L))
        return GaussianPosterior(mean, jnp.full_like(mean, -jnp.inf))

    def decode(params, z):
        return jnp.einsum("...l,lnf->...nf", z, weight)

    return VAE(lambda key: {}, encode, decode, L)


@pytest.mark.parametrize("num_jets", [1, 499, 500, 501, 1234])
def test_decode_in_slices_equals_decode_at_once(num_jets):
    vae = linear_vae()
    z = np.random.default_rng(0).normal(size=(num_jets, L)).astype(np.float32)
    sliced = jax.jit(lambda z: sampling.decode({}, z, vae=vae))(z)
    np.testing.assert_allclose(sliced, vae.decode({}, z), rtol=1e-6)


def test_prior_and_flow_latents_have_their_moments():
    vae = linear_vae()
    z = sampling.prior_latents({}, jax.random.key(0), 20_000, vae=vae)
    np.testing.assert_allclose(np.std(z, axis=0), 1.0, atol=0.03)
    mean, std = np.arange(L, dtype=np.float32), 0.5 + np.arange(L, dtype=np.float32)

    def sample(params, key, shape):
        return jax.random.normal(key, (*shape, L))

    flow = Flow(*[lambda *a: None] * 2, sample, *[lambda *a: None] * 2, L)
    z = sampling.flow_latents(
        {}, jax.random.key(0), 20_000, flow=flow, mean=mean, std=std
    )
    np.testing.assert_allclose(np.mean(z, axis=0), mean, atol=0.12)
    np.testing.assert_allclose(np.std(z, axis=0), std, rtol=0.03)


def test_latents_beyond_reach_are_drawn_again():
    def sample(params, key, shape):
        return jax.random.normal(key, (*shape, L))

    flow = Flow(*[lambda *a: None] * 2, sample, *[lambda *a: None] * 2, L)
    reach = np.linspace(1.0, 2.0, L, dtype=np.float32)
    z = sampling.flow_latents(
        {}, jax.random.key(0), 20_000, flow=flow, mean=0.0, std=1.0, reach=reach
    )
    assert (np.abs(z) <= reach).all()
    expected = scipy.stats.truncnorm(-reach, reach).std()
    np.testing.assert_allclose(np.std(z, axis=0), expected, rtol=0.03)


def jets_of(key):
    p = jax.random.normal(key, (sampling.CHUNK, N, 3))
    return Jets(p, jnp.ones(p.shape[:-1], bool))


@pytest.mark.parametrize("num_jets", [1, sampling.CHUNK, sampling.CHUNK + 1])
def test_stream_gives_exactly_as_many(num_jets):
    chunks = list(sampling.stream(jax.jit(jets_of), jax.random.key(1), num_jets))
    assert sum(len(jets.mask) for jets in chunks) == num_jets


def test_more_jets_only_append():
    draw, key = jax.jit(jets_of), jax.random.key(1)
    few = np.concatenate([j.particles for j in sampling.stream(draw, key, 3000)])
    many = np.concatenate([j.particles for j in sampling.stream(draw, key, 5000)])
    np.testing.assert_array_equal(few, many[:3000])
    assert len(np.unique(many[:, 0], axis=0)) == 5000


def test_stream_batches_keeps_the_order_of_the_jets():
    rows = sampling.CHUNK + 7
    x = np.arange(rows, dtype=np.float32)[:, None, None] * np.ones(
        (1, N, 3), np.float32
    )
    batch = Batch(x, np.ones((rows, N), bool), np.zeros((rows, 3), np.float32))

    @jax.jit
    def echo(key, batch):
        return Jets(batch.x, batch.mask)

    jets = list(sampling.stream_batches(echo, jax.random.key(0), batch))
    np.testing.assert_array_equal(np.concatenate([j.particles for j in jets]), x)


def test_posterior_without_width_is_the_mean():
    vae = linear_vae()
    x = np.random.default_rng(1).normal(size=(6, N, 3)).astype(np.float32)
    batch = Batch(x, np.ones((6, N), bool), np.zeros((6, 3), np.float32))
    z = sampling.posterior_latents({}, jax.random.key(0), batch, vae=vae)
    np.testing.assert_allclose(z, x.mean(1).sum(-1)[:, None] * np.ones(L), rtol=1e-5)
