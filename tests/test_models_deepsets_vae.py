"""VAEs of sets: their encoders by name, and what these must not see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets, Task
from jetvae_jax.jets import scaling
from jetvae_jax.models import deepsets_vae
from jetvae_jax.models._set_encoders import ENCODERS

every_encoder = pytest.mark.parametrize("encoder", ENCODERS)


@functools.cache
def small(**fields):
    config = deepsets_vae.Config(
        num_particles=8, latent_dim=4, width=16, context=6, hidden=(16,), **fields
    )
    vae = deepsets_vae.build(config)
    jitted = vae._replace(encode=jax.jit(vae.encode), decode=jax.jit(vae.decode))
    return jitted, vae.init(jax.random.key(0))


@every_encoder
def test_neither_the_order_of_the_particles_nor_padding_matters(encoder):
    vae, params = small(encoder=encoder)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 8, 3))
    mask = rng.uniform(size=(5, 8)) < 0.7
    mask[0] = False
    order = rng.permutation(8)
    # In float64: sums in another order differ by rounding alone, which depends on the
    # processor.
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
        here = vae.encode(params, x, mask)
        there = vae.encode(params, x[:, order], mask[:, order])
        filled = vae.encode(params, np.where(mask[..., None], x, np.nan), mask)
        more = np.concatenate([x, np.full((5, 3, 3), 7.0)], axis=1)
        longer = vae.encode(params, more, np.pad(mask, [(0, 0), (0, 3)]))
        other = vae.encode(params, x + np.eye(8, 3), mask)
    assert here.mean.dtype == np.float64
    np.testing.assert_array_equal(filled.mean, here.mean)
    np.testing.assert_allclose(longer.mean, here.mean, atol=1e-14)
    assert np.all(np.max(np.abs(other.mean - here.mean)[1:], axis=1) > 1e-4)
    np.testing.assert_allclose(there.mean, here.mean, atol=1e-14)
    np.testing.assert_allclose(there.logvar, here.logvar, atol=1e-14)


@every_encoder
def test_gradients_reach_every_parameter_and_no_padding(encoder):
    vae, params = small(encoder=encoder)
    x = np.random.default_rng(1).normal(size=(16, 8, 3)).astype(np.float32)
    mask = np.arange(8) < np.arange(16)[:, None]  # none, one, ... particles

    def total(params, x):
        mean, logvar = vae.encode(params, x, mask)
        return jnp.sum(jnp.square(mean) + logvar)

    by_params, by_x = jax.jit(jax.grad(total, (0, 1)))(params, x)
    for path, leaf in jax.tree_util.tree_leaves_with_path(by_params["encoder"]):
        assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)
        assert np.any(leaf != 0), jax.tree_util.keystr(path)
    assert np.all(np.isfinite(by_x)) and np.all(by_x[~mask] == 0)


@pytest.mark.parametrize(
    "method", ["standard", pytest.param("quantile", marks=pytest.mark.slow)]
)
def test_an_energy_flow_network_is_infrared_and_collinear_safe(method, make_jets):
    """From momenta in GeV: through the scaling, whose pt has an offset or is bent."""
    jets = make_jets(num_jets=12, num_particles=7)
    jets = Jets(*(np.concatenate([a, a[:, :1] * 0], 1) for a in jets[:2]))
    config = scaling.Config(coordinates="relative", method=method)
    fitted = scaling.fit(config, jets)
    relative = functools.partial(scaling.relative, config, fitted)

    def encoded(encoder, jets):
        sizes = {"num_particles": 8, "latent_dim": 4, "width": 16, "hidden": (16,)}
        vae = deepsets_vae.build(
            deepsets_vae.Config(encoder=encoder, **sizes), relative
        )
        batch = scaling.scale(config, fitted, jets)
        return np.asarray(
            jax.jit(vae.encode)(vae.init(jax.random.key(0)), batch.x, batch.mask).mean
        )

    split, soft = (Jets(*map(np.array, jets[:2])) for _ in range(2))
    for j, count in enumerate(jets.mask.sum(axis=1)):
        hard = jets.particles[j, 0]
        split.particles[j, 0], split.particles[j, count] = 0.3 * hard, 0.7 * hard
        soft.particles[j, count] = 1e-6 * np.linalg.norm(hard) * np.array([1, 0, 2])
    for changed in (split, soft):
        np.put_along_axis(changed.mask, jets.mask.sum(axis=1)[:, None], True, axis=1)
        gaps = {
            name: np.abs(encoded(name, changed) - encoded(name, jets)).max()
            for name in ENCODERS
        }
        assert gaps["efn"] < 2e-5
        assert min(gaps["deepsets"], gaps["interaction"]) > 1e-3


def test_an_energy_flow_network_needs_relative_features():
    config = deepsets_vae.Config(encoder="efn")
    with pytest.raises(InputError, match=r"^--deepsets_vae.encoder=efn: needs pt and"):
        deepsets_vae.model(config, Task(30, 3))
    deepsets_vae.model(config, Task(30, 3, relative=lambda x: x))


def test_the_interaction_network_is_a_sum_over_pairs():
    """By loops over particles, in float64."""
    vae, params = small(encoder="interaction", encoder_layers=1)
    x = np.random.default_rng(2).normal(size=(3, 3))
    with jax.enable_x64(True):
        p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)["encoder"]
        mask = np.ones(3, bool)
        found = np.asarray(vae.encode({"encoder": p, "decoder": {}}, x, mask).mean)

    def act(v):
        return np.where(v > 0, v, 0.1 * v)

    def dense(p, v):
        return v @ p["kernel"] + p.get("bias", 0)

    points = []
    for i in range(3):
        effect = sum(
            act(dense(p["receiver"], x[i]) + dense(p["sender"], x[j]))
            for j in range(3)
            if j != i
        )
        point = act(dense(p["points"]["dense_0"], np.concatenate([x[i], effect / 8])))
        points.append(act(dense(p["points"]["last"], point)))
    points = np.array(points)
    pooled = [points.mean(0), points.sum(0) / 8, points.max(0)]
    hidden = act(dense(p["posterior"]["dense_0"], np.concatenate(pooled)))
    expected = dense(p["posterior"]["last"], hidden)[:4]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


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
