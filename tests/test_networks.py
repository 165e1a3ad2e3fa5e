import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jetvae_jax.core import layers
from jetvae_jax.core.errors import InputError
from jetvae_jax.models import vae


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_smooth_clip_is_the_identity_inside_bounded_outside_and_alive_at_the_edge():
    inside = np.linspace(-12, 0, 7, dtype=np.float32)
    np.testing.assert_allclose(vae.smooth_clip(inside, -20, 10), inside, atol=4e-4)
    far = np.float32([-1e30, -100, 100, 1e30])
    clipped = vae.smooth_clip(far, -20, 10)
    np.testing.assert_allclose(clipped, [-20, -20, 10, 10], atol=1e-6)
    slope = jax.vmap(jax.grad(lambda x: vae.smooth_clip(x, -20.0, 10.0)))
    assert np.all(slope(np.float32([-25, -20, 10, 15])) > 1e-3)
    assert np.all(np.isfinite(slope(far)))


def test_windows_and_overlap_add_are_transposes_of_each_other():
    x, y = normal(0, 2, 9, 3), normal(1, 2, 6, 4 * 3)
    left = np.sum(np.asarray(layers.windows(x, 4), np.float64) * y)
    right = np.sum(np.asarray(layers.overlap_add(y, 4), np.float64) * x)
    assert left == pytest.approx(right, rel=1e-5)
    gathered = layers.windows(x, 4)
    for w in range(6):
        np.testing.assert_array_equal(gathered[1, w], x[1, w : w + 4].ravel())


@pytest.mark.parametrize("points", [1, 2, 3, 7, 30])
def test_max_over_points_and_its_gradient(points):
    x = normal(points, 4, points, 5)
    np.testing.assert_array_equal(layers.max_over_points(x), x.max(axis=-2))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(layers.max_over_points(x))))(x)
    expected = np.zeros_like(x)
    for j in range(4):
        for c in range(5):
            expected[j, np.argmax(x[j, :, c]), c] = 1
    np.testing.assert_array_equal(gradient, expected)


def test_pool_equals_loops_and_an_empty_set_gives_zero():
    x, mask = normal(0, 3, 5, 2), np.zeros((3, 5), bool)
    mask[0, [1, 3, 4]] = True
    mask[1, 2] = True
    x[2] = np.nan  # nothing of a masked point may leak
    pooled = layers.pool(x, mask, 5)
    for j in range(2):
        kept = x[j, mask[j]].astype(np.float64)
        expected = [kept.mean(0), kept.sum(0) / 5, kept.max(0)]
        np.testing.assert_allclose(pooled[j], np.concatenate(expected), rtol=1e-6)
    np.testing.assert_array_equal(pooled[2], 0)
    full = np.ones((3, 5), bool)
    x[2] = 1.0
    np.testing.assert_allclose(
        layers.pool(x, None, 7), layers.pool(x, full, 7), rtol=1e-6
    )


def test_epic_layer_moves_with_the_order_of_the_points():
    layer = layers.EpicLayer(width=8, context=4, capacity=6)
    x, context, mask = normal(0, 6, 8), normal(1, 4), np.arange(6) < 4
    params = layers.init(layer, jax.random.key(0), x, context, mask)
    order = np.random.default_rng(2).permutation(6)
    y, summary = layers.apply(layer, params, x, context, mask)
    moved, same = layers.apply(layer, params, x[order], context, mask[order])
    np.testing.assert_allclose(moved, y[order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(same, summary, rtol=1e-5, atol=1e-6)
    # points hear of each other: another first point changes the second
    other, _ = layers.apply(
        layer, params, x + 1.0 * (np.arange(6) == 0)[:, None], context, mask
    )
    assert np.max(np.abs(other[1] - y[1])) > 1e-4


def test_mlp_equals_loops_and_differentiates_both_ways():
    mlp = layers.MLP((7, 5), 3, "elu")
    x = normal(0, 4, 6)
    params = layers.init(mlp, jax.random.key(0), x)
    h = x.astype(np.float64)
    for name in ("dense_0", "dense_1", "last"):
        h = h @ np.float64(params[name]["kernel"]) + np.float64(params[name]["bias"])
        if name != "last":
            h = np.where(h > 0, h, np.expm1(h))
    np.testing.assert_allclose(layers.apply(mlp, params, x), h, atol=1e-5)
    check_grads(
        lambda p: layers.apply(mlp, p, x),
        (params,),
        order=1,
        modes=["fwd", "rev"],
        atol=2e-2,
        rtol=2e-2,
    )


def test_a_zero_last_layer_starts_from_zero():
    mlp = layers.MLP((4,), 3, last_scale=0.0)
    params = layers.init(mlp, jax.random.key(0), jnp.zeros(2))
    np.testing.assert_array_equal(layers.apply(mlp, params, normal(0, 5, 2)), 0)


def test_a_fresh_network_keeps_the_size_of_its_signals():
    mlp = layers.MLP((400, 300), 200, "selu")
    x = normal(0, 500, 300)
    params = layers.init(mlp, jax.random.key(0), x)
    outputs = layers.apply(mlp, params, x)
    assert 0.8 < np.std(outputs) < 1.2
    for name in ("dense_0", "dense_1", "last"):
        np.testing.assert_array_equal(params[name]["bias"], 0)
    # no two parameters share their numbers
    kernels = [np.ravel(layer["kernel"]) for layer in params.values()]
    together = np.concatenate([a / np.max(np.abs(a)) for a in kernels])
    assert len(np.unique(together)) > 0.97 * len(together)


def test_activations_at_known_points():
    known = {
        "relu": 0,
        "leaky_relu": -0.1,
        "elu": np.expm1(-1),
        "gelu": -0.1588,
        "selu": 1.0507 * 1.6733 * np.expm1(-1),
    }
    assert set(known) == set(layers.ACTIVATIONS)
    for name, value in known.items():
        assert layers.activation(name)(-1.0) == pytest.approx(value, abs=2e-4)
    with pytest.raises(InputError, match=r"^activation: 'swish' is unknown; .*relu"):
        layers.activation("swish")
