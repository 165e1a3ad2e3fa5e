"""JAX functions as ONNX: each primitive, decoders, flows, and whole generators."""

import functools
import json
import sys

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax import densities, models, runs, zoo
from jetvae_jax.core.errors import InputError
from jetvae_jax.runs import export
from jetvae_jax.runs.export.onnx_graph import conversion, elementwise

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from jetvae_jax.runs.export.formats import onnx as onnx_format  # noqa: E402


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options)


def both(function, columns=6, num=7, seed=0):
    """A function of one row, mapped, by ONNX Runtime and by JAX."""
    (length,) = jax.export.symbolic_shape("J")
    shape = jax.ShapeDtypeStruct((length, columns), jnp.float32)

    def mapped(x):
        return jax.tree.leaves(jax.vmap(function)(x))

    x = np.random.default_rng(seed).normal(size=(num, columns)).astype(np.float32)
    right = jax.jit(mapped)(x)
    names = [f"y{i}" for i in range(len(right))]
    model = conversion.model(mapped, {"x": shape}, names)
    return session(model).run(names, {"x": x}), right, model


def assert_equal(function, tolerance=1e-6, **given):
    found, right, _ = both(function, **given)
    for a, b in zip(found, right, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


TABLE = np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32)


def whole(x):
    """Small whole numbers."""
    return jnp.round(3 * x).astype(jnp.int32)


FUNCTIONS = {
    "angles": lambda x: (
        jnp.arctan2(x[:, None], x), jnp.arctan2(whole(x), whole(x[::-1])),
        jnp.arctan2(0.0 * x, 0.0), jnp.sin(x), jnp.cos(x), jnp.tan(x),
    ),
    "small numbers": lambda x: (
        jnp.log1p(1e-6 * x**2), jnp.expm1(1e-5 * x), jnp.log1p(jnp.exp(9 * x)),
        jnp.expm1(x), jax.nn.softplus(30 * x), jnp.log1p(jnp.exp(200 * jnp.abs(x))),
    ),
    "hyperbolic": lambda x: (
        jnp.sinh(x), jnp.cosh(x), jnp.tanh(x), jnp.arcsinh(x),
        jax.scipy.special.erf(x), jax.nn.sigmoid(x), jax.nn.gelu(x),
    ),
    "powers": lambda x: (
        x**2, x**3, x**5, jnp.abs(x) ** 0.3, jnp.sqrt(jnp.abs(x)),
        jax.lax.rsqrt(x**2 + 1), jnp.square(x), jnp.sign(x), -x, jnp.log(jnp.abs(x)),
    ),
    "whole numbers": lambda x: (
        jnp.round(x * 2.5), jnp.floor(x), jnp.ceil(x), whole(x) // 2, whole(x) % 3,
        jax.lax.rem(whole(x), jnp.int32(2)), jnp.fmod(x, 0.4), whole(x),
        (jnp.abs(whole(x)).astype(jnp.uint32) // 2).astype(jnp.float32),
        (x > 0).astype(jnp.float32),
    ),
    "choices": lambda x: (
        jnp.where(x > 0, x, 2.0), jnp.clip(x, -0.5, 0.5), jnp.maximum(x, 0.1),
        jnp.where(x > 0, x > 1, x < -1), ~(x >= 0), (x > 0) ^ (x < 1),
        jnp.isfinite(jnp.log(x)), x == x[0], x != x[0], whole(x) <= 1,
        jnp.isfinite(x / (x - x[0])), jnp.minimum(whole(x), 1),
    ),
    "sums": lambda x: (
        jnp.sum(x), jnp.prod(x), jnp.max(x), jnp.min(x), jnp.all(x > -1),
        jnp.any(x > 1), jnp.argmax(x), jnp.argmin(x), jnp.cumsum(x),
        jnp.cumsum(x[::-1])[::-1], jnp.mean(x.reshape(2, 3), axis=0),
        jax.nn.logsumexp(x), jax.nn.softmax(x),
    ),
    "shapes": lambda x: (
        x.reshape(3, 2).T, x[1:5:2], x[::-1], jnp.pad(x, (1, 2), constant_values=3.0),
        jnp.stack([x, 2 * x], axis=-1), jnp.split(x, 3)[1], jnp.concatenate([x, x]),
        jnp.broadcast_to(x[:, None], (6, 4)), jnp.zeros((2, 3)) + x[0],
        jnp.tile(x, 2), jnp.roll(x, 2), jnp.ones(3), jnp.repeat(x, 2),
    ),
    "products": lambda x: (
        x @ TABLE[:6], jnp.outer(x, x), x @ x, TABLE @ x[:4],
        jnp.einsum("i,ij->j", x, TABLE[:6]),
        jnp.einsum("hc,hmc->hm", x.reshape(2, 3), jnp.outer(x, x).reshape(2, 6, 3)),
        jnp.einsum("hm,hmc->hc", x.reshape(2, 3), jnp.outer(x, x).reshape(2, 3, 6)),
        x.reshape(2, 3).T @ jnp.outer(x[:2], x), x.reshape(3, 2) @ x.reshape(2, 3),
    ),
    "rows of tables": lambda x: (
        jnp.asarray(TABLE)[jnp.abs(whole(x))], jnp.asarray(TABLE)[jnp.abs(whole(x)), 1],
        jnp.take_along_axis(x, jnp.abs(whole(x)) % 6, axis=0),
        jnp.take_along_axis(jnp.outer(x, x), jnp.abs(whole(x))[:, None] % 6, axis=1),
        jnp.take(x, whole(4 * x)), jnp.take(x, whole(4 * x), mode="clip"),
        x[jnp.array([4, 0, 4])], jnp.outer(x, x)[:, jnp.array([1, 3])],
        jnp.interp(x, jnp.arange(5.0), jnp.asarray(TABLE[:5, 0])),
    ),
    # The tables before are indexed by rows, these by the step of a loop.
    "variable places": lambda x: jax.lax.scan(
        lambda rows, i: (
            jax.lax.dynamic_update_index_in_dim(rows, x * i, i, 0),
            jax.lax.dynamic_index_in_dim(jnp.asarray(TABLE), i - 1, 0, keepdims=False),
        ),
        jnp.zeros((4, 6)), jnp.arange(5),
    ),
    "loops": lambda x: (
        jax.lax.scan(lambda s, y: (s + y, s * y), 0.5, x),
        jax.lax.scan(lambda s, y: (s + y, s - y), x[:2], x.reshape(3, 2), reverse=True),
        jax.lax.fori_loop(0, 4, lambda i, s: 0.5 * s + i, x),
        jax.lax.scan(
            lambda s, y: (jax.lax.fori_loop(0, 3, lambda i, t: t * y, s), None), x[0], x
        ),
        jax.lax.scan(lambda s, y: ((s[1], s[0]), s[1]), (x[0], x[1]), x[:3]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numbers_are_those_of_jax(name):
    assert_equal(FUNCTIONS[name])


def test_numbers_are_those_of_jax_whatever_the_number_of_rows():
    _, _, model = both(FUNCTIONS["shapes"])
    names = [output.name for output in model.graph.output]
    for num in (1, 12):
        x = np.ones((num, 6), np.float32)
        found = session(model).run(names, {"x": x})
        right = jax.tree.leaves(jax.jit(jax.vmap(FUNCTIONS["shapes"]))(x))
        jax.tree.map(np.testing.assert_array_equal, found, list(map(np.asarray, right)))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (jnp.sort, "the primitive 'sort'"),
        (lambda x: x.at[jnp.array([1, 1])].set(0.0), "a scatter to several places"),
        (lambda x: jnp.zeros(6).at[whole(x)].add(1.0), "the primitive 'scatter-add'"),
    ],
)
def test_what_is_not_converted_is_named(function, message):
    with pytest.raises(InputError, match=f"ONNX: {message}.*is not converted"):
        both(function)


def test_known_parts_are_computed_once_and_equal_weights_stored_once():
    def function(x):
        table = jnp.cumsum(jnp.exp(jnp.asarray(TABLE)), axis=0)[:6]
        return x @ table, x @ (table + 0.0), jax.lax.scan(
            lambda s, y: (s + y @ table[0], None), x[0], TABLE
        )[0]  # fmt: skip

    found, right, model = both(function)
    for a, b in zip(found, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    sizes = [np.prod(weights.dims) for weights in model.graph.initializer]
    assert sizes.count(24) == 1
    assert {node.op_type for node in model.graph.node}.isdisjoint({"Exp", "CumSum"})


def test_a_model_is_of_the_opset_that_frameworks_read():
    _, _, model = both(lambda x: x + 1)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert model.ir_version == 8


FLOWS = [
    name
    for name in densities.names()
    if densities.get(name).build(densities.get(name).Config(), dim=2).forward
]


@pytest.mark.parametrize("name", FLOWS)
def test_flows_are_converted(name):
    module = densities.get(name)
    flow = module.build(module.Config(), dim=5, num_conditions=1)
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda a: a + rng.normal(0, 0.05, a.shape).astype(np.float32),
        flow.init(jax.random.key(0)),
    )

    def forward(x):
        return flow.forward(params, x[None, :5], x[None, 5:])[0]

    assert_equal(forward, tolerance=2e-5)


DECODERS = [name for name in models.names() if hasattr(models.get(name), "build")]


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_are_converted(name):
    module = models.get(name)
    config = module.Config(num_particles=14, num_features=3, latent_dim=6)
    vae = module.build(config)
    params = jax.jit(vae.init)(jax.random.key(0))

    def decode(z):
        return vae.decode(params, z[None])

    assert_equal(decode, tolerance=2e-5)


@pytest.fixture(scope="module")
def convae():
    return runs.exported(zoo.load("convae_gluon30"))


def test_a_file_gives_the_jets_of_the_model(convae, tmp_path):
    path = tmp_path / "jets.onnx"
    config = runs.ExportConfig(output=str(path))
    assert export.export("zoo:convae_gluon30", config) == path
    about = json.loads(export.description(path).read_text())
    assert (about["opset"], about["ir_version"]) == (17, 8)
    assert max(about["check"]["deviations"]) < 1e-5
    run = session(path.read_bytes())
    names = [put.name for put in (*run.get_inputs(), *run.get_outputs())]
    assert names == [*about["inputs"], *about["outputs"]]
    given = convae.example(jax.random.key(3), 20)
    particles, mask, inside = run.run(
        None, {k: np.asarray(v) for k, v in given.items()}
    )
    assert particles.dtype == mask.dtype == inside.dtype == np.float32
    right = jax.jit(convae.function)(*given.values())
    np.testing.assert_array_equal(mask, right[1])
    np.testing.assert_array_equal(inside, right[2])
    largest = np.max(np.abs(right[0]), axis=(1, 2), keepdims=True)
    assert np.max(np.abs(particles - right[0]) / largest) < 1e-5


@pytest.fixture
def wrong_sine(monkeypatch):
    """A conversion with a fault."""
    sine = functools.partial(elementwise.each, dtype=np.float32)

    def cosine(graph, values, params, dtype):
        return sine(graph, "Cos", *values)

    monkeypatch.setitem(elementwise.OPERATORS, "sin", cosine)


def test_a_file_that_gives_other_jets_is_not_written(wrong_sine, tmp_path):
    path = tmp_path / "jets.onnx"
    path.write_text("what was there")
    with pytest.raises(InputError, match="gives other jets than JAX"):
        export.export("zoo:convae_gluon30", runs.ExportConfig(output=str(path)))
    assert path.read_text() == "what was there" and len(list(tmp_path.iterdir())) == 1


def test_deviations_are_of_jets_in_units_of_their_largest_momentum():
    rng = np.random.default_rng(0)
    particles = rng.normal(size=(1000, 4, 3))
    particles *= 100 / np.abs(particles).max(axis=(1, 2), keepdims=True)
    right = [particles, np.ones((1000, 4)), np.ones(1000)]
    moved = particles + 0.0
    moved[:, 2, 1] += 1e-2 * np.arange(1000) / 1000  # up to 1e-4 of 100
    found = onnx_format.deviations([moved, *right[1:]], right)
    np.testing.assert_allclose(found, 1e-4 * np.array(onnx_format.QUANTILES), rtol=2e-3)
    mask = np.where(np.arange(4) == 1, rng.random((1000, 1)) < 0.8, 1.0)
    found = onnx_format.deviations([particles, mask, right[2]], right)
    assert found[0] == 0 and found[1:] == [np.inf, np.inf]
    gone = np.where(rng.random((1000, 1, 1)) < 0.2, np.nan, particles)
    assert onnx_format.deviations([gone, *right[1:]], right)[1] == np.inf


def test_without_the_libraries(convae, monkeypatch, tmp_path):
    config = runs.ExportConfig(output=str(tmp_path / "jets.onnx"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    export.export("zoo:convae_gluon30", config)
    about = json.loads((tmp_path / "jets.onnx.json").read_text())
    assert "not compared with JAX: pip install" in about["check"]
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        InputError, match=r"needs onnx: pip install 'jetvae_jax\[onnx\]'"
    ):
        export.export("zoo:convae_gluon30", config)


@pytest.mark.slow
@pytest.mark.optimised
@pytest.mark.parametrize("name", ["autoregressive_gluon30", "autoregressive_quark30"])
def test_the_decoder_of_one_particle_after_the_other(name, run_script, tmp_path):
    path = tmp_path / "jets.onnx"
    done = run_script("export", f"--workdir=zoo:{name}", f"--export.output={path}")
    assert done.returncode == 0, done.stderr
    found = runs.exported(zoo.load(name))
    given = found.example(jax.random.key(3), onnx_format.JETS)
    particles, mask, _ = session(path.read_bytes()).run(
        None, {k: np.asarray(v) for k, v in given.items()}
    )
    right = jax.jit(found.function)(*given.values())
    largest = np.max(np.abs(right[0]), axis=(1, 2))
    off = np.max(np.abs(particles - right[0]), axis=2) / largest[:, None]
    # What comes first is not rounded much yet; later, choices fall otherwise.
    assert np.quantile(off[:, 0], 0.9) < 1e-5
    assert np.median(off) < 1e-3 and np.mean(off > 0.01) < 0.1
    assert np.mean(mask != right[1]) < 1e-3


def doubled(monkeypatch):
    """ONNX Runtime has these functions of float32 only."""

    def half_sum(op):
        def convert(graph, values, params, dtype):
            (x,) = values
            back = elementwise.each(graph, "Exp", elementwise.each(graph, "Neg", x))
            both = elementwise.each(graph, op, elementwise.each(graph, "Exp", x), back)
            return elementwise.each(graph, "Mul", both, elementwise.like(x, 0.5))

        return convert

    def asinh(graph, values, params, dtype):
        (x,) = values
        square = elementwise.each(graph, "Mul", x, x)
        root = elementwise.each(graph, "Add", square, elementwise.like(x, 1))
        root = elementwise.each(graph, "Sqrt", root)
        sum_ = elementwise.each(graph, "Add", elementwise.each(graph, "Abs", x), root)
        log = elementwise.each(graph, "Log", sum_)
        return elementwise.each(graph, "Mul", elementwise.each(graph, "Sign", x), log)

    monkeypatch.setitem(elementwise.OPERATORS, "asinh", asinh)
    monkeypatch.setitem(elementwise.OPERATORS, "sinh", half_sum("Sub"))
    monkeypatch.setitem(elementwise.OPERATORS, "cosh", half_sum("Add"))


@pytest.mark.slow
def test_without_rounding_every_jet_is_that_of_jax(monkeypatch):
    """In double precision no choice falls otherwise: what differs in float32 is
    rounding."""
    doubled(monkeypatch)
    found = runs.exported(zoo.load("autoregressive_gluon30"))
    example = found.example(jax.random.key(3), 100)
    given = {name: np.asarray(x, np.float64) for name, x in example.items()}
    shapes = {
        name: jax.ShapeDtypeStruct(x.shape, jnp.float64)
        for name, x in found.shapes().items()
    }
    with jax.enable_x64():
        model = conversion.model(found.function, shapes, found.outputs)
        right = list(map(np.asarray, jax.jit(found.function)(*given.values())))
    particles, mask, inside = session(model).run(None, given)
    assert particles.dtype == right[0].dtype == np.float64
    np.testing.assert_array_equal(mask, right[1])
    np.testing.assert_array_equal(inside, right[2])
    np.testing.assert_allclose(particles, right[0], rtol=0, atol=1e-6)  # GeV
