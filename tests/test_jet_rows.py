"""Rows that describe the jet: they skip the networks and come back."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax import models
from jetvae_jax.core.types import Jets, Task
from jetvae_jax.jets import scaling
from jetvae_jax.losses import distances
from jetvae_jax.losses import objective as objectives
from jetvae_jax.models import vae as vaes

R, F = 2, 3
every_model = pytest.mark.parametrize(
    "name", [name for name in models.names() if hasattr(models.get(name), "build")]
)


def build(name, num_particles=14, latent_dim=10):
    module = models.get(name)
    options = {"output": "linear"} if name == "conv_vae" else {}
    config = module.Config(
        num_particles=num_particles,
        num_features=F,
        latent_dim=latent_dim,
        jet_rows=R,
        **options,
    )
    vae = module.build(config)
    init, encode, decode = (jax.jit(f) for f in vae[:3])
    vae = vae._replace(init=init, encode=encode, decode=decode)
    return vae, vae.init(jax.random.key(0))


@every_model
def test_first_latents_carry_the_jet(name):
    vae, params = build(name)
    x = np.random.default_rng(0).normal(size=(5, R + 14, F)).astype(np.float32)
    mask = np.ones(x.shape[:-1], bool)
    moved = x.copy()
    moved[:, :R] += 1.0
    difference = vae.encode(params, moved, mask).mean - vae.encode(params, x, mask).mean
    # The skip adds exactly 1; what the fresh encoder adds to it is smaller.
    assert np.all(np.abs(difference[:, : R * F] - 1) < 0.9)
    assert np.abs(difference[:, : R * F] - 1).mean() < 0.3


@every_model
def test_a_fresh_decoder_gives_the_latents_as_the_jet(name):
    vae, params = build(name)
    z = np.random.default_rng(1).normal(size=(4, 10)).astype(np.float32)
    x_hat = vae.decode(params, z)
    assert x_hat.shape == (4, R + 14, F)
    np.testing.assert_allclose(x_hat[:, :R].reshape(4, -1), z[:, : R * F], atol=1e-6)


@every_model
def test_fewer_latents_than_features(name):
    vae, params = build(name, latent_dim=4)
    x_hat = vae.decode(params, jnp.ones(4))
    np.testing.assert_allclose(x_hat[:R].ravel(), [1, 1, 1, 1, 0, 0], atol=1e-6)


@every_model
def test_the_objective_of_perfect_momenta_is_the_divergence(name, make_jets):
    # Terms of a VAE whose decoder is replaced by the truth: only the KL is left.
    jets = make_jets(16, 14)
    config = scaling.Config(coordinates="frame", method="slots")
    scaler = scaling.fit(config, jets)
    batch = jax.jit(functools.partial(scaling.scale, config, scaler))(jets)
    vae, params = build(name)
    truth = vae._replace(decode=lambda params, z, condition: batch.x)

    def momenta(x, axis):
        return scaling.momenta(config, scaler, x, axis)

    objective = objectives.objective(
        objectives.Config(beta=0.5, alpha_soft=1.0),
        distances.get("chamfer").build(distances.get("chamfer").Config()),
        momenta,
    )
    task = Task(14, F, jet_rows=R, objective=objective)
    loss_fn = jax.jit(vaes.model(truth, task).loss)
    loss, terms = loss_fn(params, jax.random.key(0), batch)
    for term in ("reconstruction", "jet_pt", "jet_mass", "soft"):
        np.testing.assert_allclose(terms[term], 0, atol=1e-3)
    np.testing.assert_allclose(loss, 0.5 * terms["kl"], rtol=1e-3, atol=1e-2)


def test_compressed_momenta_weigh_soft_particles():
    axis = jnp.array([1000.0, 0.7, -2.0])
    p = jnp.array([[1.0, 0.0, 0.0], [900.0, 0.0, 0.0]])
    q = np.asarray(objectives.compressed_momenta(p, axis), np.float64)
    # In the frame, by hand: rotate, then boost by -eta.
    for row, out in zip(np.asarray(p, np.float64), q, strict=True):
        cos, sin = np.cos(-2.0), np.sin(-2.0)
        x, y = row[0] * cos + row[1] * sin, row[1] * cos - row[0] * sin
        z = row[2] * np.cosh(0.7) - np.linalg.norm(row) * np.sinh(0.7)
        frame = np.array([x, y, z])
        expected = frame / np.sqrt(np.linalg.norm(frame) + 1)
        np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_masked_rows_of_the_jet_are_no_particles(make_jets):
    jets = make_jets(8, 6)
    config = scaling.Config(coordinates="frame", method="slots")
    scaler = scaling.fit(config, jets)
    batch = jax.jit(functools.partial(scaling.scale, config, scaler))(jets)
    unscale = jax.jit(functools.partial(scaling.unscale, config, scaler))
    back = unscale(batch.x, batch.context.axis)
    assert isinstance(back, Jets) and back.particles.shape == jets.particles.shape
