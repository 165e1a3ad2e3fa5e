"""Conditional flows: every flow takes ``num_conditions``."""

import jax
import numpy as np
import pytest

from jetvae_jax import densities


@pytest.mark.parametrize("name", ["realnvp", "spline"])
def test_a_condition_changes_the_map_and_the_inverse_undoes_it(name):
    module = densities.get(name)
    config = module.Config(num_couplings=2, hidden=(8,))
    flow = module.build(config, dim=3, num_conditions=2)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda a: a + rng.normal(0, 0.2, a.shape).astype(np.float32),
        flow.init(jax.random.key(0)),
    )
    u, condition = (rng.normal(size=(10, n)).astype(np.float32) for n in (3, 2))
    forward, inverse = jax.jit(flow.forward), jax.jit(flow.inverse)
    z, log_det = forward(params, u, condition)
    back, inverse_log_det = inverse(params, z, condition)
    np.testing.assert_allclose(back, u, atol=2e-4)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=2e-4)
    assert np.max(np.abs(forward(params, u, condition + 1)[0] - z)) > 0.01
    # one condition for all, or one each
    one = forward(params, u, condition[0])[0]
    np.testing.assert_allclose(one[0], z[0], atol=1e-6)
    assert flow.sample(params, jax.random.key(1), (10,), condition).shape == (10, 3)
    assert flow.log_prob(params, z, condition).shape == (10,)
    with pytest.raises(ValueError, match="condition of shape None, flow of 2"):
        flow.log_prob(params, z)
    with pytest.raises(ValueError, match=r"condition of shape \(10, 2\), flow of 0"):
        module.build(config, dim=3).forward(params, u, condition)
