"""Every guard against NaN and cancellation: its value, its gradient, its reason."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core import numerics

pytestmark = pytest.mark.optimised  # as users compile it

EDGES = np.array([-4.0, -1e-30, 0.0, 1e-30, 1e-12, 1.0, 9.0], np.float32)


def test_safe_sqrt():
    value, grad = jax.vmap(jax.value_and_grad(numerics.safe_sqrt))(EDGES)
    np.testing.assert_allclose(value, np.sqrt(np.maximum(EDGES, 0)), rtol=1e-6)
    positive = EDGES > 0
    exact = 0.5 / np.sqrt(EDGES[positive])
    np.testing.assert_allclose(grad[positive], exact, rtol=1e-6)
    assert np.all(np.array(grad)[~positive] == 0)


@pytest.mark.parametrize("guard", ["safe_sqrt", "safe_norm", "safe_log"])
def test_what_is_no_number_is_not_taken_for_zero(guard):
    x = np.array([[np.nan], [4.0]], np.float32)
    assert np.isnan(getattr(numerics, guard)(x)).ravel().tolist() == [True, False]


def test_safe_norm():
    x = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]], np.float32)
    value, grad = jax.vmap(jax.value_and_grad(numerics.safe_norm))(x)
    np.testing.assert_allclose(value, [5, 0, 2], rtol=1e-6)
    np.testing.assert_allclose(grad, [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)


def test_safe_log():
    value, grad = jax.vmap(jax.value_and_grad(numerics.safe_log))(EDGES)
    floored = np.log(np.maximum(EDGES.astype(np.float64), 1e-30))
    np.testing.assert_allclose(value, floored, rtol=1e-5, atol=1e-6)
    assert np.all(np.isfinite(grad))
    assert np.all(np.array(grad)[EDGES <= 0] == 0)
    np.testing.assert_allclose(grad[-1], 1 / 9, rtol=1e-6)


def test_safe_divide():
    def quotient(a, b):
        return numerics.safe_divide(a, b)

    top = np.array([1.0, 0.0, -3.0, 2.0], np.float32)
    bottom = np.array([0.0, 0.0, 2.0, -4.0], np.float32)
    value, grads = jax.vmap(jax.value_and_grad(quotient, (0, 1)))(top, bottom)
    np.testing.assert_allclose(value, [0, 0, -1.5, -0.5])
    np.testing.assert_allclose(grads[0], [0, 0, 0.5, -0.25])
    np.testing.assert_allclose(grads[1], [0, 0, 0.75, -0.125])


@pytest.mark.parametrize("junk", [np.nan, np.inf, -7.0])
def test_masked_sums_see_only_the_kept(junk):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    mask = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]], bool)
    spoilt = np.where(mask, x, junk).astype(np.float32)
    np.testing.assert_allclose(numerics.masked_sum(spoilt, mask), [4, 0, 10])
    np.testing.assert_allclose(numerics.masked_mean(spoilt, mask), [4 / 3, 0, 10])
    total = numerics.masked_sum(spoilt, mask, axis=0)
    np.testing.assert_allclose(total, [0, 1, 10, 3])
    grad = jax.grad(lambda x: numerics.masked_mean(x, mask).sum())(jnp.array(spoilt))
    np.testing.assert_allclose(grad, mask / np.maximum(mask.sum(1), 1)[:, None])


def test_wrap_phi():
    turns = np.arange(-3, 4) * 2 * np.pi
    for phi in (-np.pi, -3.0, -1e-4, 0.0, 1e-4, 2.5, 3.14):
        wrapped = np.array(numerics.wrap_phi((phi + turns).astype(np.float32)))
        assert np.all((wrapped >= -np.float32(np.pi)) & (wrapped < np.float32(np.pi)))
        apart = np.abs(np.exp(1j * wrapped.astype(np.float64)) - np.exp(1j * phi))
        assert np.all(apart < 1e-5)


def test_wrap_phi_never_reaches_plus_pi():
    around = np.float32(np.pi) + np.arange(-50, 50).astype(np.float32) * 1e-7
    for phi in (around, -around, 3 * around):
        wrapped = np.array(numerics.wrap_phi(phi))
        assert np.all(wrapped < np.float32(np.pi))
        assert np.all(wrapped >= -np.float32(np.pi))


def test_wrap_phi_gradient_is_one():
    phi = np.array([-9.0, -3.1, 0.0, 3.1, 4.0], np.float32)
    np.testing.assert_allclose(jax.vmap(jax.grad(numerics.wrap_phi))(phi), 1)
