"""What every reconstruction loss must do; a new one is tested by being there."""

import dataclasses

import jax
import numpy as np
import pytest

from jetvae_jax.core.configs import field_help
from jetvae_jax.core.errors import InputError
from jetvae_jax.losses import distances

NAMES = distances.names()
# These compare points of the same rank.
ORDERED = ("mse",)


SLOW = ("sinkhorn",)


@pytest.fixture(
    params=[pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NAMES]
)
def name(request):
    return request.param


def build(name):
    module = distances.get(name)
    return module.build(module.Config())


def clouds(*lead, n=6, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(*lead, n, 3)).astype(np.float32) for _ in range(2))


def test_config_is_frozen_with_documented_defaults(name):
    config = distances.get(name).Config
    config()
    assert config.__dataclass_params__.frozen
    fields = [field.name for field in dataclasses.fields(config)]
    assert sorted(field_help(config)) == sorted(fields)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_one_value_a_jet(name, lead):
    x, y = clouds(*lead)
    value = jax.jit(build(name))(x, y)
    assert value.shape == lead
    assert value.dtype == np.float32
    assert np.all(value > 0)


def test_plain_jit_and_vmap_agree(name):
    loss = build(name)
    x, y = clouds(3)
    mask = np.arange(6) < np.array([[6], [4], [1]])

    def masked(x, y, mask):
        return loss(x, y, x_mask=mask, y_mask=mask)

    plain = masked(x, y, mask)
    np.testing.assert_allclose(jax.jit(masked)(x, y, mask), plain, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(masked)(x, y, mask), plain, rtol=1e-5)


def test_least_at_identity(name):
    loss = jax.jit(build(name))
    x, y = clouds(4)
    same = np.array(loss(x, x))
    np.testing.assert_allclose(same, 0, atol=1e-5)
    for step in (1e-2, 1e-1, 1):
        assert np.all(loss(x, x + step * (y - x)) > same)


def test_padding_changes_nothing(name):
    loss = jax.jit(build(name))
    x, y = clouds(3)
    mask = np.tile(np.arange(6) < 4, (3, 1))

    def total(x, y):
        value = loss(x, y, x_mask=mask, y_mask=mask)
        return value.sum(), value

    (_, value), grads = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(x, y)
    np.testing.assert_allclose(value, loss(x[:, :4], y[:, :4]), rtol=1e-5)
    for grad in map(np.array, grads):
        assert np.all(np.isfinite(grad))
        assert np.all(grad[:, 4:] == 0)
        assert np.all(np.any(grad[:, :4] != 0, axis=(1, 2)))
    spoilt = [np.where(mask[..., None], p, np.nan).astype(np.float32) for p in (x, y)]
    assert np.array_equal(loss(*spoilt, x_mask=mask, y_mask=mask), value)


def test_empty_jets_give_zero_and_finite_gradients(name):
    loss = build(name)
    x, y = clouds(2)
    empty = np.zeros((2, 6), bool)

    def total(x, y):
        return loss(x, y, x_mask=empty, y_mask=empty).sum()

    value, grads = jax.jit(jax.value_and_grad(total, (0, 1)))(x, y)
    assert value == 0
    assert all(np.all(np.array(grad) == 0) for grad in grads)


def test_gradient_finite_where_all_points_coincide(name):
    loss = build(name)
    x = np.zeros((2, 6, 3), np.float32)
    value, grad = jax.jit(jax.value_and_grad(lambda x: loss(x, x * 0).sum()))(x)
    assert abs(value) < 1e-6
    assert np.all(np.isfinite(grad))


def test_order_of_the_particles(name):
    loss = jax.jit(build(name))
    x, y = clouds(3)
    shuffled = y[:, [3, 1, 5, 0, 2, 4]]
    same = np.allclose(loss(x, shuffled), loss(x, y), rtol=1e-4)
    assert same == (name not in ORDERED)


def test_unknown_name_lists_the_known():
    with pytest.raises(InputError, match=r"did you mean 'chamfer'.*mse.*sinkhorn"):
        distances.get("chamfre")


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("chamfer", "reduction", "median"),
        ("mse", "reduction", "median"),
        ("sinkhorn", "epsilon", 0.0),
        ("sinkhorn", "max_iterations", 0),
    ],
)
def test_bad_settings_name_the_field(name, field, value):
    with pytest.raises(InputError, match=f"^{field}: must be"):
        distances.get(name).Config(**{field: value})
