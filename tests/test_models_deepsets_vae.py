import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.models import deepsets_vae


def small(**fields):
    config = deepsets_vae.Config(
        num_particles=8, latent_dim=4, width=16, context=6, hidden=(16,), **fields
    )
    vae = deepsets_vae.build(config)
    jitted = vae._replace(encode=jax.jit(vae.encode), decode=jax.jit(vae.decode))
    return jitted, vae.init(jax.random.key(0))


def test_the_order_of_the_particles_does_not_matter():
    vae, params = small()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 8, 3))
    mask = rng.uniform(size=(5, 8)) < 0.7
    order = rng.permutation(8)
    # In float64: sums in another order differ by rounding alone, which depends on the
    # processor.
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
        here = vae.encode(params, x, mask)
        there = vae.encode(params, x[:, order], mask[:, order])
    assert here.mean.dtype == np.float64
    np.testing.assert_allclose(there.mean, here.mean, atol=1e-14)
    np.testing.assert_allclose(there.logvar, here.logvar, atol=1e-14)


def test_slots_differ_and_all_of_them_listen_to_the_latent_vector():
    vae, params = small()
    one, other = vae.decode(params, np.eye(4, dtype=np.float32)[:2])
    assert np.min(np.ptp(one, axis=0)) > 1e-2
    assert np.all(np.max(np.abs(one - other), axis=-1) > 1e-4)


def test_multiplicity_alone_is_visible():
    vae, params = small(encoder_layers=0)
    x = np.ones((8, 3), np.float32)
    few, many = (vae.encode(params, x, np.arange(8) < n).mean for n in (2, 7))
    assert np.max(np.abs(few - many)) > 1e-3


@pytest.mark.slow
def test_it_learns_to_copy_sixteen_sets():
    vae, params = small()
    x = np.random.default_rng(1).normal(size=(16, 8, 3)).astype(np.float32)
    mask = np.ones((16, 8), bool)
    tx = optax.adam(3e-3)

    def loss_fn(params):
        decoded = vae.decode(params, vae.encode(params, x, mask).mean)
        return jnp.mean(jnp.square(decoded - x))

    def step(carry, _):
        params, state = carry
        loss, gradient = jax.value_and_grad(loss_fn)(params)
        updates, state = tx.update(gradient, state)
        return (optax.apply_updates(params, updates), state), loss

    run = jax.jit(lambda c: jax.lax.scan(step, c, length=600)[1])
    losses = run((params, tx.init(params)))
    assert losses[0] > 0.8  # the variance of the targets is 1
    assert losses[-1] < 0.1


def test_negative_layers_are_refused():
    with pytest.raises(
        InputError, match=r"^encoder_layers: must not be negative, got -1"
    ):
        deepsets_vae.Config(encoder_layers=-1)
    with pytest.raises(InputError, match=r"^hidden: must be positive, got 0"):
        deepsets_vae.Config(hidden=(4, 0))
