"""What a density must do: the page to read before adding one.

Put one file into ``jetvae_jax/densities/``, or into ``densities/`` on the plug-in path.
It defines ``Config``, a frozen dataclass of documented fields that all have defaults
(they become flags, ``--my_flow.hidden``), and ``build(config, *, dim,
num_conditions=0) -> Density``: pure functions that return arrays, never distributions,
over any leading axes. ``log_prob`` is the density of what ``sample`` draws. A flow also
has ``forward``, from the standard normal ``u`` to latents ``z``, and ``inverse``.
Nothing else has to be edited.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax import densities
from jetvae_jax.core.configs import field_help
from jetvae_jax.core.errors import InputError


def is_flow(name):
    module = densities.get(name)
    return module.build(module.Config(), dim=2).forward is not None


every_density = pytest.mark.parametrize("name", densities.names())
every_flow = pytest.mark.parametrize(
    "name", [name for name in densities.names() if is_flow(name)]
)
every_dim = pytest.mark.parametrize(
    "dim", [pytest.param(d, marks=pytest.mark.slow) if d != 5 else d for d in (2, 5, 8)]
)


@functools.cache
def built(name, dim):
    """A flow, compiled, with parameters far from the start."""
    module = densities.get(name)
    flow = module.build(module.Config(), dim=dim)
    params = flow.init(jax.random.key(0))
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda a: np.asarray(a) + rng.normal(0, 0.05, a.shape).astype(np.float32),
        params,
    )
    functions = {
        field: jax.jit(getattr(flow, field))
        for field in ("init", "log_prob", "forward", "inverse")
        if getattr(flow, field) is not None
    }
    sample = jax.jit(flow.sample, static_argnums=2)
    return flow._replace(sample=sample, **functions), params


def points(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@every_density
def test_config_is_frozen_and_every_field_is_explained(name):
    config = densities.get(name).Config()
    fields = [field.name for field in dataclasses.fields(config)]
    assert list(field_help(type(config))) == fields
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, (fields or ["any"])[0], 1)


@every_flow
@every_dim
def test_inverse_undoes_forward_both_ways(name, dim):
    flow, params = built(name, dim)
    u = points(50, dim)
    z, log_det = flow.forward(params, u)
    assert np.max(np.abs(z - u)) > 0.1
    back, inverse_log_det = flow.inverse(params, z)
    np.testing.assert_allclose(back, u, atol=2e-4)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=2e-4)
    again, _ = flow.forward(params, flow.inverse(params, u)[0])
    np.testing.assert_allclose(again, u, atol=2e-4)


@every_flow
@every_dim
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_log_det_equals_that_of_the_jacobian(name, dim, direction):
    flow, params = built(name, dim)
    function = functools.partial(getattr(flow, direction), params)
    u = points(6, dim)
    jacobian = jax.jit(jax.vmap(jax.jacfwd(lambda u: function(u)[0])))(u)
    sign, expected = np.linalg.slogdet(np.float64(jacobian))
    assert np.all(sign != 0)
    np.testing.assert_allclose(function(u)[1], expected, atol=1e-4)


@every_density
@pytest.mark.parametrize("lead", [pytest.param((), marks=pytest.mark.slow), (2, 3)])
def test_any_leading_axes(name, lead):
    flow, params = built(name, 5)
    u = points(*lead, 5)
    for function in filter(None, (flow.forward, flow.inverse)):
        moved, log_det = function(params, u)
        assert moved.shape == (*lead, 5)
        assert log_det.shape == lead
    assert flow.log_prob(params, u).shape == lead
    assert flow.sample(params, jax.random.key(0), lead).shape == (*lead, 5)
    assert flow.dim == 5


@every_density
def test_plain_jit_vmap_and_ensembles_agree(name):
    flow, params = built(name, 5)
    u = points(4, 5)
    plain = densities.get(name).build(densities.get(name).Config(), dim=5)
    expected = flow.log_prob(params, u)
    np.testing.assert_allclose(plain.log_prob(params, u), expected, atol=1e-5)
    each = jax.jit(jax.vmap(flow.log_prob, (None, 0)))
    np.testing.assert_allclose(each(params, u), expected, atol=1e-5)
    other = jax.tree.map(lambda a: np.float32(0.5) * a, params)
    both = jax.tree.map(lambda a, b: np.stack([a, b]), params, other)
    ensemble = jax.jit(jax.vmap(flow.log_prob, (0, None)))(both, u)
    np.testing.assert_allclose(ensemble[0], expected, atol=1e-5)
    np.testing.assert_allclose(ensemble[1], flow.log_prob(other, u), atol=1e-5)


@every_density
def test_log_prob_is_the_density_of_the_samples(name):
    """Change of variables by hand, and the mean of exp(log q - log p) over p is 1."""
    flow, params = built(name, 2)
    if flow.forward is not None:
        u = points(7, 2)
        z, log_det = flow.forward(params, u)
        normal = -0.5 * np.sum(np.square(u), axis=-1) - np.log(2 * np.pi)
        log_p = flow.log_prob(params, z)
        np.testing.assert_allclose(log_p, normal - log_det, atol=1e-4)
    key = jax.random.key(3)
    z = flow.sample(params, key, (20_000,))
    np.testing.assert_array_equal(z, flow.sample(params, key, (20_000,)))
    spread = np.cov(z.T) / 4 + 0.01 * np.eye(2)  # narrower, so the ratio is bounded
    centred = z - np.mean(z, axis=0)
    exponent = np.einsum("ji,ik,jk->j", centred, np.linalg.inv(spread), centred)
    log_q = -0.5 * (exponent + np.linalg.slogdet(spread)[1]) - np.log(2 * np.pi)
    ratio = np.exp(log_q - flow.log_prob(params, z))
    assert np.mean(ratio) == pytest.approx(1, abs=5 * np.std(ratio) / np.sqrt(20_000))


@every_density
def test_gradients_are_finite_and_reach_every_parameter(name):
    flow, params = built(name, 5)
    z = 3 * points(64, 5)
    gradient = jax.jit(jax.grad(lambda p: -jnp.mean(flow.log_prob(p, z))))(params)
    gradient = jax.device_get(gradient)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)
        assert np.any(leaf != 0), jax.tree_util.keystr(path)


@every_flow
def test_wrong_shapes_name_both(name):
    flow, params = built(name, 5)
    for function in (flow.forward, flow.inverse, flow.log_prob):
        with pytest.raises(ValueError, match=r"\(3, 4\).* 5"):
            function(params, np.zeros((3, 4), np.float32))


def test_unknown_names_get_a_suggestion():
    with pytest.raises(InputError, match=r"'realnpv' is unknown .*mean 'realnvp'"):
        densities.get("realnpv")
