"""The VAE of tables, and conditions for any model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.models import mlp_vae


def rows(num=8, seed=0):
    x = np.random.default_rng(seed).normal(size=(num, 1, 18)).astype(np.float32)
    return x, np.ones((num, 1), bool)


def test_layers_and_nodes_are_as_asked():
    config = mlp_vae.Config(num_layers=2, nodes=7, latent_dim=3)
    params = mlp_vae.build(config).init(jax.random.key(0))
    shapes = jax.tree.map(lambda a: a.shape, params)
    assert shapes["encoder"]["dense_0"]["kernel"] == (18, 7)
    assert shapes["encoder"]["dense_1"]["kernel"] == (7, 7)
    assert shapes["encoder"]["posterior"]["kernel"] == (7, 6)
    assert shapes["decoder"]["last"]["kernel"] == (7, 18)
    assert "dense_2" not in shapes["decoder"]


def test_encoder_is_the_matrix_product_written_out():
    config = mlp_vae.Config(num_layers=1, nodes=5, latent_dim=2, activation="relu")
    vae = mlp_vae.build(config)
    params = vae.init(jax.random.key(0))
    x, mask = rows()
    layers = jax.tree.map(np.float64, params["encoder"])
    hidden = x[:, 0] @ layers["dense_0"]["kernel"] + layers["dense_0"]["bias"]
    out = np.maximum(hidden, 0) @ layers["posterior"]["kernel"]
    np.testing.assert_allclose(vae.encode(params, x, mask).mean, out[:, :2], atol=1e-5)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
def test_conditions_reach_encoder_and_decoder(lead):
    vae = mlp_vae.build(mlp_vae.Config(num_conditions=2, nodes=16, latent_dim=3))
    params = vae.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(*lead, 1, 18)).astype(np.float32)
    mask, condition = np.ones((*lead, 1), bool), rng.normal(size=(*lead, 2))
    z = rng.normal(size=(*lead, 3)).astype(np.float32)
    encode, decode = jax.jit(vae.encode), jax.jit(vae.decode)
    posterior, x_hat = encode(params, x, mask, condition), decode(params, z, condition)
    assert posterior.mean.shape == (*lead, 3)
    assert x_hat.shape == (*lead, 1, 18)
    assert np.all(encode(params, x, mask, condition + 1).mean != posterior.mean)
    assert np.any(decode(params, z, condition + 1) != x_hat)
    if lead:
        each = jax.vmap(lambda *args: vae.encode(params, *args).mean)
        got = each(x, mask, condition)
        np.testing.assert_allclose(got, posterior.mean, atol=1e-5)
        got = jax.vmap(lambda *args: vae.decode(params, *args))(z, condition)
        np.testing.assert_allclose(got, x_hat, atol=1e-5)


def test_conditions_missing_or_too_many_are_told():
    x, mask = rows()
    with_two = mlp_vae.build(mlp_vae.Config(num_conditions=2))
    params = with_two.init(jax.random.key(0))
    with pytest.raises(ValueError, match="condition has shape None, expected 2"):
        with_two.encode(params, x, mask)
    without = mlp_vae.build(mlp_vae.Config())
    params = without.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"condition has shape \(8, 2\), expected 0"):
        without.encode(params, x, mask, jnp.zeros((8, 2)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("num_layers", 0, "^num_layers: must be positive"),
        ("nodes", -1, "^nodes: must be positive"),
        ("output", "tanh", "^output: must be one of sigmoid, linear, got 'tanh'"),
        ("num_conditions", -1, "^num_conditions: must not be negative, got -1"),
    ],
)
def test_bad_fields(field, value, message):
    with pytest.raises(InputError, match=message):
        mlp_vae.Config(**{field: value})
