import functools

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.layers import MLP
from jetvae_jax.densities import coupling, realnvp
from jetvae_jax.densities.bijectors import Bijector


def moved_params(config, dim, seed=0, scale=0.2):
    """Parameters away from the identity."""
    flow = realnvp.build(config, dim=dim)
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda a: rng.normal(0, scale, a.shape).astype(np.float32),
        jax.eval_shape(flow.init, jax.random.key(seed)),
    )


def reference(config, params, u):
    """The flow of one point in float64, coordinate by coordinate.

    Coordinates keep their places; ``where`` says which of them a coupling reads
    and moves: it composes the orders.
    """
    dim = len(u)
    kept = dim - dim // 2
    rows, _ = coupling.orders(config.num_couplings, dim)
    where, z, log_det = list(range(dim)), list(np.float64(u)), 0.0
    for k, row in enumerate(rows):
        where = [where[i] for i in row]
        h = np.array([z[i] for i in where[:kept]])
        layers = [f"dense_{i}" for i in range(len(config.hidden))] + ["last"]
        for name in layers:
            layer = params[name]
            h = h @ np.float64(layer["kernel"][k]) + np.float64(layer["bias"][k])
            h = np.maximum(h, 0) if name != "last" else h
        for n, i in enumerate(where[kept:]):
            bound = config.log_scale_bound
            log_scale = bound * np.tanh(h[n] / bound)
            z[i] = z[i] * np.exp(log_scale) + h[dim // 2 + n]
            log_det += log_scale
    return np.array(z), log_det


def chain(config, params, dim):
    """The same flow from distrax's own pieces, unrolled."""
    rows, undo = coupling.orders(config.num_couplings, dim)
    mlp = MLP(config.hidden, 2 * (dim // 2), config.activation, last_scale=0.0)
    bound = config.log_scale_bound

    def affine(raw):
        log_scale, shift = jnp.split(raw, 2, axis=-1)
        return distrax.ScalarAffine(
            shift, log_scale=bound * jnp.tanh(log_scale / bound)
        )

    def reorder(row):
        back = np.argsort(row)
        return distrax.Lambda(
            forward=lambda x: x[..., row],
            inverse=lambda y: y[..., back],
            forward_log_det_jacobian=lambda x: jnp.zeros(x.shape[:-1]),
            inverse_log_det_jacobian=lambda y: jnp.zeros(y.shape[:-1]),
            event_ndims_in=1,
            event_ndims_out=1,
            is_constant_jacobian=True,
        )

    layers = []
    for k, row in enumerate(rows):
        layer = jax.tree.map(lambda a, k=k: a[k], params)
        layers += [
            reorder(row),
            distrax.SplitCoupling(
                dim - dim // 2,
                1,
                functools.partial(mlp.apply, {"params": layer}),
                affine,
            ),
        ]
    return distrax.Chain([*layers, reorder(undo)][::-1])


@pytest.mark.parametrize(
    ("dim", "couplings"),
    [
        *((2, 1), (5, 4), (6, 5)),
        *(
            pytest.param(*sizes, marks=pytest.mark.slow)
            for sizes in ((2, 4), (2, 5), (5, 1), (5, 5), (6, 1), (6, 4))
        ),
    ],
)
def test_scan_equals_float64_reference(dim, couplings):
    config = realnvp.Config(num_couplings=couplings, hidden=(9, 7))
    params = moved_params(config, dim)
    u = np.random.default_rng(2).normal(size=(3, dim)).astype(np.float32)
    forward = jax.jit(realnvp.build(config, dim=dim).forward)
    z, log_det = forward(params, u)
    for j in range(3):
        expected, expected_log_det = reference(config, params, u[j])
        np.testing.assert_allclose(z[j], expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(log_det[j], expected_log_det, atol=1e-5)


@pytest.mark.parametrize("dim", [5, 6])
def test_scan_equals_an_unrolled_distrax_chain(dim):
    config = realnvp.Config(num_couplings=3, hidden=(8,), activation="elu")
    params = moved_params(config, dim)
    u = np.random.default_rng(2).normal(size=(4, dim)).astype(np.float32)
    ours = Bijector(realnvp.build(config, dim=dim), params)
    theirs = chain(config, params, dim)
    for method in ("forward_and_log_det", "inverse_and_log_det"):
        got = jax.jit(getattr(ours, method))(u)
        expected = jax.jit(getattr(theirs, method))(u)
        np.testing.assert_allclose(got[0], expected[0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(got[1], expected[1], rtol=1e-5, atol=1e-5)


def test_density_integrates_to_one():
    config = realnvp.Config(num_couplings=4, hidden=(16,))
    params = moved_params(config, 2)
    flow = realnvp.build(config, dim=2)
    axis = np.linspace(-12, 12, 800, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    density = np.exp(np.float64(jax.jit(flow.log_prob)(params, grid)))
    assert np.max(density[[0, -1]]) < 1e-12  # the grid holds all of it
    assert np.max(density[:, [0, -1]]) < 1e-12
    total = np.sum(density) * (axis[1] - axis[0]) ** 2
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("dim", "couplings"), [(2, 1), (7, 8)])
def test_starts_as_the_identity(dim, couplings):
    config = realnvp.Config(num_couplings=couplings)
    flow = realnvp.build(config, dim=dim)
    params = flow.init(jax.random.key(0))
    u = np.random.default_rng(0).normal(size=(9, dim)).astype(np.float32)
    for function in (flow.forward, flow.inverse):
        same, log_det = jax.jit(function)(params, u)
        np.testing.assert_array_equal(same, u)
        np.testing.assert_array_equal(log_det, 0)


def equations(jaxpr):
    """Number of equations, those inside loops included."""
    count = 0
    for equation in jaxpr.eqns:
        count += 1
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", None)
            count += equations(inner) if inner is not None else 0
    return count


def test_program_size_does_not_depend_on_the_number_of_couplings():
    sizes = set()
    for couplings in (2, 10, 100):
        flow = realnvp.build(realnvp.Config(num_couplings=couplings), dim=30)
        params = jax.eval_shape(flow.init, jax.random.key(0))
        z = jax.ShapeDtypeStruct((10, 30), jnp.float32)

        def loss(params, z, flow=flow):
            return -jnp.mean(flow.log_prob(params, z))

        sizes.add(equations(jax.make_jaxpr(jax.grad(loss))(params, z).jaxpr))
    assert len(sizes) == 1
    assert sizes.pop() > 50  # and the inside of the loop was counted


def test_couplings_start_differently():
    params = realnvp.build(realnvp.Config(), dim=6).init(jax.random.key(0))
    kernel = params["dense_0"]["kernel"]
    assert kernel.shape == (8, 3, 128)
    assert len(np.unique(np.asarray(kernel)[:, 0, 0])) == 8


@pytest.mark.parametrize("dim", [2, 5, 30])
def test_orders_are_permutations_that_end_where_they_began(dim):
    rows, undo = coupling.orders(7, dim)
    for row in [*rows, undo]:
        np.testing.assert_array_equal(np.sort(row), np.arange(dim))
    x = np.arange(dim)
    for row in rows:
        x = x[row]
    np.testing.assert_array_equal(x[undo], np.arange(dim))
    np.testing.assert_array_equal(rows, coupling.orders(9, dim)[0][:7])


@pytest.mark.parametrize("dim", [2, 5, 30])
def test_few_couplings_move_every_coordinate(dim):
    """By the float64 reference: no coordinate is left standing."""
    config = realnvp.Config(num_couplings=2 if dim % 2 == 0 else 4, hidden=(4,))
    u = np.ones(dim)
    z, _ = reference(config, moved_params(config, dim), u)
    assert np.all(z != u)


def test_log_scales_are_bounded_and_wild_parameters_stay_finite():
    config = realnvp.Config(num_couplings=3, hidden=(8,), log_scale_bound=0.5)
    params = jax.tree.map(lambda a: 1e3 * a, moved_params(config, 4))
    flow = realnvp.build(config, dim=4)
    u = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    z, log_det = jax.jit(flow.forward)(params, u)
    assert np.all(np.isfinite(z))
    assert np.max(np.abs(log_det)) <= 3 * 2 * 0.5 + 1e-5
    assert np.max(np.abs(log_det)) > 0.5


def test_as_a_distrax_bijector():
    """Crosses jit as an argument, and makes the distribution that log_prob says."""
    config = realnvp.Config(num_couplings=3, hidden=(8,))
    params = moved_params(config, 4)
    flow = realnvp.build(config, dim=4)
    bijector = Bijector(flow, params)
    assert isinstance(bijector, distrax.Bijector)
    z = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)

    @jax.jit
    def log_prob(bijector, z):
        base = distrax.MultivariateNormalDiag(jnp.zeros(4), jnp.ones(4))
        return distrax.Transformed(base, bijector).log_prob(z)

    expected = jax.jit(flow.log_prob)(params, z)
    np.testing.assert_allclose(log_prob(bijector, z), expected, rtol=1e-5)


@pytest.mark.slow
def test_learns_a_crescent():
    """Its negative log-likelihood comes near the entropy, far under the Gaussian's."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=4096)
    z = np.stack([x, x**2 + 0.3 * rng.normal(size=4096)], axis=-1).astype(np.float32)
    z = (z - z.mean(0)) / z.std(0)
    entropy = 1 + np.log(2 * np.pi) + np.log(0.3) - np.log(np.sqrt(2.09))
    flow = realnvp.build(realnvp.Config(num_couplings=6, hidden=(32, 32)), dim=2)
    tx = optax.adam(2e-3)

    def step(carry, key):
        params, state = carry
        batch = jax.random.choice(key, z, (256,))
        loss = lambda params: -jnp.mean(flow.log_prob(params, batch))  # noqa: E731
        updates, state = tx.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def train(params):
        keys = jax.random.split(jax.random.key(1), 1500)
        (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), keys)
        return -jnp.mean(flow.log_prob(params, z))

    params = flow.init(jax.random.key(0))
    start = -np.mean(jax.jit(flow.log_prob)(params, z))
    assert start == pytest.approx(1 + np.log(2 * np.pi), abs=0.01)
    assert train(params) < entropy + 0.1


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"num_couplings": 0}, r"^num_couplings: must be positive, got 0"),
        ({"hidden": (8, 0)}, "^hidden: must be positive, got 0"),
        ({"log_scale_bound": 0.0}, r"^log_scale_bound: must be positive"),
        ({"activation": "swish"}, "^activation: must be one of relu, .*, got 'swish'"),
    ],
)
def test_impossible_configurations_name_the_field(fields, message):
    with pytest.raises(InputError, match=message):
        realnvp.Config(**fields)


def test_one_coordinate_cannot_be_split():
    with pytest.raises(InputError, match=r"^latent_dim: .* at least 2, got 1"):
        realnvp.build(realnvp.Config(), dim=1)
