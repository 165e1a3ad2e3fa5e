"""Our one-dimensional layout against the two-dimensional textbook network."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.layers import ACTIVATIONS
from jetvae_jax.models import conv_vae


def small(**fields):
    fields = {
        "num_particles": 12,
        "latent_dim": 4,
        "filters": (4, 6, 8),
        "kernel": 3,
        "hidden": (10,),
    } | fields
    config = conv_vae.Config(**fields)
    vae = conv_vae.build(config)
    params = vae.init(jax.random.key(3))
    jitted = vae._replace(encode=jax.jit(vae.encode), decode=jax.jit(vae.decode))
    return config, jitted, params


def textbook(config, params, x, z):
    """Raw posterior outputs and images by flax's 2-D layers (NHWC, C = 1).

    Every layer sees our numbers in its own layout: kernels [3, k, C, C'], and the
    flattened image in the order channel, row, particle, as in PyTorch.
    """
    act = ACTIVATIONS[config.activation]
    width = conv_vae.width(config)
    flat = (config.filters[-1], width)

    def torch_order(kernel):
        """Rows of a kernel [width * C, out] from ours to channel-major."""
        kernel = kernel.reshape(width, config.filters[-1], -1)
        return kernel.transpose(1, 0, 2).reshape(math.prod(flat), -1)

    def dense(layer, h):
        return h @ layer["kernel"] + layer["bias"]

    p = params["encoder"]
    h = x.swapaxes(-1, -2)[..., None]  # [B, F, N, 1]
    for i, channels in enumerate(config.filters):
        kernel = p[f"conv_{i}"]["kernel"]
        kernel = kernel.transpose(1, 0, 2)[:, :, None] if i == 0 else kernel[None]
        conv = nn.Conv(channels, kernel.shape[:2], padding="VALID")
        h = act(
            conv.apply(
                {"params": {"kernel": kernel, "bias": p[f"conv_{i}"]["bias"]}}, h
            )
        )
    h = h.transpose(0, 3, 1, 2).reshape(len(x), -1)
    names = [*(f"dense_{i}" for i in range(len(config.hidden))), "posterior"]
    for i, name in enumerate(names):
        layer = dict(p[name])
        if i == 0:
            layer["kernel"] = torch_order(layer["kernel"])
        h = dense(layer, h)
        h = act(h) if name != "posterior" else h
    outputs = h

    p, h = params["decoder"], z
    for i in range(len(config.hidden) + 1):
        layer = dict(p[f"dense_{i}"])
        if i == len(config.hidden):
            layer["kernel"] = torch_order(layer["kernel"].T).T
            layer["bias"] = torch_order(layer["bias"][:, None])[:, 0]
        h = act(dense(layer, h))
    h = h.reshape(-1, flat[0], 1, flat[1]).transpose(0, 2, 3, 1)
    layers = [f"conv_{i}" for i in range(len(config.filters) - 1)] + ["last"]
    for name in layers:
        kernel = p[name]["kernel"].transpose(1, 0, 2)[::-1]  # [k, C, C'], flax flips
        kernel = kernel[None]
        if name == "last":  # [1, k, C, F] -> [F, k, C, 1]
            kernel = kernel.transpose(3, 1, 2, 0)[::-1]
        layer = nn.ConvTranspose(kernel.shape[-1], kernel.shape[:2], padding="VALID")
        h = layer.apply({"params": {"kernel": kernel, "bias": p[name]["bias"]}}, h)
        h = act(h) if name != "last" else h
    h = h[..., 0].swapaxes(-1, -2)
    return outputs, jax.nn.sigmoid(h) if config.output == "sigmoid" else h


CASES = [
    {},
    {"activation": "gelu"},
    {"activation": "leaky_relu", "output": "linear"},
    {"activation": "selu", "filters": (5,)},
    {"activation": "elu", "filters": (3, 4, 5, 6), "kernel": 2},
    {"filters": (4, 8), "kernel": 5, "hidden": (9, 7)},
    {"num_features": 4, "kernel": 1, "hidden": ()},
    {"num_particles": 7},
]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(case, marks=pytest.mark.slow) if i % 2 else case
        for i, case in enumerate(CASES)
    ],
    ids=str,
)
def test_equals_two_dimensional_convolutions(fields):
    config, vae, params = small(**fields)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, config.num_particles, config.num_features))
    x, z = x.astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    mask = np.ones(x.shape[:2], bool)
    posterior = vae.encode(params, x, mask)
    outputs, image = jax.jit(functools.partial(textbook, config))(params, x, z)
    np.testing.assert_allclose(posterior.mean, outputs[:, :4], atol=1e-5)
    raw = np.float64(outputs[:, 4:])
    logvar = -20 + np.log1p(np.exp(30 - np.log1p(np.exp(10 - raw))))
    np.testing.assert_allclose(posterior.logvar, logvar, atol=1e-5)
    np.testing.assert_allclose(vae.decode(params, z), image, atol=1e-5)


def test_gradients_equal_those_of_two_dimensional_convolutions():
    config, vae, params = small()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 12, 3)).astype(np.float32)
    z = rng.normal(size=(5, 4)).astype(np.float32)
    weights = rng.normal(size=(5, 12, 3)).astype(np.float32)
    mask = np.ones((5, 12), bool)

    @jax.jit
    @jax.grad
    def ours(params):
        return jnp.sum(vae.encode(params, x, mask).mean) + jnp.sum(
            weights * vae.decode(params, z)
        )

    @jax.jit
    @jax.grad
    def theirs(params):
        outputs, image = textbook(config, params, x, z)
        return jnp.sum(outputs[:, :4]) + jnp.sum(weights * image)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        ours(params),
        theirs(params),
    )


def loops(config, params, x, z):
    """The definition in float64: one multiplication at a time, but for channels."""
    p64 = jax.tree.map(np.float64, params)
    k = config.kernel
    h, p = np.float64(x), p64["encoder"]
    for i in range(len(config.filters)):
        kernel, bias = p[f"conv_{i}"]["kernel"], p[f"conv_{i}"]["bias"]
        out = np.tile(bias, (len(h) - k + 1, 1))
        for w in range(len(out)):
            for n in range(k):
                out[w] += h[w + n] @ kernel[n]
        h = np.maximum(out, 0)
    h = h.ravel()
    h = np.maximum(h @ p["dense_0"]["kernel"] + p["dense_0"]["bias"], 0)
    outputs = h @ p["posterior"]["kernel"] + p["posterior"]["bias"]
    h, p = np.float64(z), p64["decoder"]
    for name in ("dense_0", "dense_1"):
        h = np.maximum(h @ p[name]["kernel"] + p[name]["bias"], 0)
    h = h.reshape(-1, config.filters[-1])
    for name in ("conv_0", "conv_1", "last"):
        kernel, bias = p[name]["kernel"], p[name]["bias"]
        out = np.tile(np.broadcast_to(bias, kernel.shape[-1:]), (len(h) + k - 1, 1))
        for w in range(len(h)):
            for n in range(k):
                out[w + n] += h[w] @ kernel[:, n]
        h = np.maximum(out, 0) if name != "last" else out
    return outputs, 1 / (1 + np.exp(-h))


def test_equals_float64_loops():
    config, vae, params = small()
    rng = np.random.default_rng(5)
    x, z = rng.normal(size=(12, 3)), rng.normal(size=4)
    outputs, image = loops(config, params, x, z)
    posterior = vae.encode(params, np.float32(x), np.ones(12, bool))
    np.testing.assert_allclose(posterior.mean, outputs[:4], atol=1e-5)
    np.testing.assert_allclose(posterior.logvar, outputs[4:], atol=1e-4)
    np.testing.assert_allclose(vae.decode(params, np.float32(z)), image, atol=1e-5)


def sizes(**fields):
    vae = conv_vae.build(conv_vae.Config(**fields))
    shapes = jax.eval_shape(vae.init, jax.random.key(0))
    return {
        part: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for part, tree in shapes.items()
    }


def test_the_published_network_has_the_published_number_of_parameters():
    # github.com/borzari/ConVAE_Jet, config/config_default.json
    assert sizes() == {"encoder": 5_617_660, "decoder": 5_576_001}


@pytest.mark.parametrize("particles", [30, 50, 100, 150])
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_every_size_in_use_fits(particles, layers):
    config = conv_vae.Config(
        num_particles=particles,
        filters=(8, 16, 32, 64)[:layers],
        latent_dim=20,
        hidden=(16,),
        output="linear",
    )
    vae = conv_vae.build(config)
    params = jax.eval_shape(vae.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((2, particles, 3), jnp.float32)
    mask = jax.ShapeDtypeStruct((2, particles), jnp.bool_)
    assert jax.eval_shape(vae.encode, params, x, mask).mean.shape == (2, 20)
    z = jax.ShapeDtypeStruct((2, 20), jnp.float32)
    assert jax.eval_shape(vae.decode, params, z).shape == (2, particles, 3)


def test_output_ranges():
    z = 1e3 * np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    _, vae, params = small(output="sigmoid")
    image = vae.decode(params, z)
    assert np.min(image) >= 0
    assert np.max(image) <= 1
    _, vae, params = small(output="linear")
    image = vae.decode(params, z)
    assert np.min(image) < 0 < 1 < np.max(image)


def test_a_fresh_decoder_starts_in_the_middle():
    _, vae, params = small()
    z = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    assert np.all(np.abs(vae.decode(params, z) - 0.5) < 0.2)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"filters": ()}, "^filters: must not be empty"),
        ({"filters": (8, -1)}, "^filters: must be positive, got -1"),
        ({"kernel": 0}, "^kernel: must be positive"),
        ({"output": "tanh"}, "^output: must be one of sigmoid, linear, got 'tanh'"),
        ({"kernel": 11}, "^kernel, filters: 3 .* kernel 11 need num_particles > 30"),
    ],
)
def test_impossible_configurations_name_the_field(fields, message):
    with pytest.raises(InputError, match=message):
        conv_vae.build(conv_vae.Config(**fields))
