"""Batches computed in parts of jets with as many particles: the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core.types import Batch, Context, Objective, Task
from jetvae_jax.models import autoregressive_vae as ar
from jetvae_jax.models._trimmed import parts, trimmed

N, J = 64, 48
COUNTS = np.random.default_rng(0).poisson(20, 5000).clip(1, N)


def batch_of(counts, seed=1):
    """Jets of so many particles, with numbers in the padding that must not matter."""
    rng = np.random.default_rng(seed)
    mask = np.arange(N) < np.asarray(counts)[:, None]
    x = rng.normal(size=(len(counts), N, 3)).astype(np.float32)
    return Batch(x, mask, Context(np.zeros((len(counts), 3), np.float32)))


def pairs(params, z, batch):
    """A sum over pairs of particles, and the number of particles it was given."""
    x = jnp.where(batch.mask[..., None], jnp.sin(params * batch.x), 0.0)
    square = jnp.sum(x[..., None, :, :] * x[..., None, :], axis=(-1, -2, -3))
    return z * square, jnp.full(z.shape, batch.x.shape[-2])


def test_parts_have_all_jets_and_room_for_the_largest():
    found = parts(COUNTS, J, N)
    jets, room = np.array(found).T
    assert jets.sum() == J and list(room) == sorted(set(room)) and room[-1] == N
    assert sum(jets * room) < 0.8 * J * N
    # In one of a hundred batches, at most, a jet is larger than its part.
    draws = np.sort(np.random.default_rng(2).choice(COUNTS, (2000, J)), axis=-1)
    assert np.mean((draws[:, np.cumsum(jets) - 1] > room).any(axis=-1)) < 0.01


@pytest.mark.parametrize("counts", [np.full(100, N), np.full(100, N - 9)])
def test_batches_with_little_padding_stay_whole(counts):
    assert parts(counts, J, N) == [(J, N)]


@pytest.mark.parametrize("num_jets", [1, 2, 3])
def test_batches_of_few_jets(num_jets):
    assert sum(jets for jets, _ in parts(COUNTS, num_jets, N)) == num_jets


@pytest.mark.parametrize("grown", [0, 30])
def test_values_and_gradients_are_those_of_the_whole_batch(grown):
    """Also where the jets are larger than those of the sample: then none is cut."""
    batch = batch_of((COUNTS[:J] + grown).clip(1, N))
    z = np.random.default_rng(3).normal(size=J).astype(np.float32)
    (found, room), (expected, _) = (
        jax.jit(each)(1.3, z, batch) for each in (trimmed(pairs, COUNTS), pairs)
    )
    assert (room.mean() == N) == bool(grown)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def total(function):
        return jax.grad(lambda p, z: function(p, z, batch)[0].sum(), argnums=(0, 1))

    of_parts, of_whole = total(trimmed(pairs, COUNTS)), total(pairs)
    for a, b in zip(of_parts(1.3, z), of_whole(1.3, z), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_other_leading_axes_are_left_alone():
    batch = batch_of(COUNTS[:J])
    single = jax.tree.map(lambda a: a[0], batch)
    _, room = trimmed(pairs, COUNTS)(1.0, jnp.ones(()), single)
    assert room == N
    whole = jax.tree.map(lambda a: a[None], batch)
    _, room = jax.vmap(lambda b: trimmed(pairs, COUNTS)(1.0, jnp.ones(J), b))(whole)
    assert room.shape == (1, J)


def test_several_devices_divide_whole_batches(monkeypatch):
    batch = batch_of(COUNTS[:J])
    monkeypatch.setattr("jetvae_jax.core.devices.used", lambda: [None, None])
    _, room = trimmed(pairs, COUNTS)(1.0, jnp.ones(J), batch)
    assert room.min() == N


def test_the_likelihood_of_jets_is_that_of_the_decoder():
    batch = batch_of(COUNTS[:J])
    pt = np.sort(np.random.default_rng(4).uniform(1e-3, 0.1, (J, N)))[:, ::-1]
    x = np.concatenate([pt[..., None], 0.1 * batch.x[..., 1:]], axis=-1)
    x = np.where(batch.mask[..., None], x, 0).astype(np.float32)
    batch = batch._replace(x=x)
    config = ar.Config(
        num_particles=N, latent_dim=0, width=8, num_layers=1, heads=2, pt_components=2,
        angle_components=2, near=1, mirror="none",
    )  # fmt: skip
    objective = Objective(lambda batch, x: (x, {}), 1.0)
    task = Task(N, 3, objective=objective, sample=lambda n: batch)
    model = ar.model(config, task)
    params = jax.jit(model.init)(jax.random.key(0))
    found = jax.jit(model.log_prob)(params, jax.random.key(1), batch)
    nothing = jnp.zeros((J, 0))
    expected, _ = jax.jit(ar.decoder(config).log_prob)(params, nothing, batch)
    assert "cond" in str(
        jax.make_jaxpr(model.log_prob)(params, jax.random.key(1), batch)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
