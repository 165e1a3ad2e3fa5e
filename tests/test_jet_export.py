"""A trained generator as one function of random numbers."""

import json

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax import runs, zoo
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Context
from jetvae_jax.runs import export


def inputs_of(found, num):
    """Random numbers, and the same axis and pt for every jet."""
    given = found.draw(jax.random.key(0), num)
    if "axis" in found.inputs:
        given["axis"] = jnp.tile(jnp.asarray([1000.0, 0.3, 1.0]), (num, 1))
    if "condition" in found.inputs:
        given["condition"] = jnp.full((num, 1), 1000.0)
    return [given[name] for name in found.inputs]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "convae_gluon30" else pytest.mark.slow)
        for name in zoo.names()
    ],
)
def test_a_written_function_gives_the_jets_of_the_model(name, tmp_path, run_script):
    path = tmp_path / "jets.stablehlo"
    done = run_script(
        "export", f"--workdir=zoo:{name}", f"--export.output={path}",
        "--export.platforms=cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    trained = zoo.load(name)
    found = runs.exported(trained)
    about = json.loads(export.description(path).read_text())
    assert about["inputs"] == {k: ["J", size] for k, size in found.inputs.items()}
    call = jax.export.deserialize(bytearray(path.read_bytes())).call
    arrays = inputs_of(found, 5)
    particles, mask, inside = call(*arrays)
    size = trained.run.data.num_particles
    assert particles.shape == (5, size, 3) and mask.shape == (5, size) and inside.all()
    # Independent of the export: the model's own steps, from the same numbers.
    given = dict(zip(found.inputs, arrays, strict=True))
    latents = trained.model.latent_dim
    flow = trained.density("flow")
    condition = None
    axis = jnp.zeros((5, 3))
    if "axis" in given:
        axis = given["axis"]
        center, width = trained.scaler.condition_units
        condition = (given["condition"] - center) / width
    else:
        angle = jnp.pi * (2 * given["uniform"] - 1)
        axis = jnp.concatenate([axis, angle], axis=-1)
    z, _ = flow.density.forward(flow.params, given["normal"][:, :latents], condition)
    numbers = ()
    if name.startswith("autoregressive"):
        numbers = trained.model.noise(jax.random.key(0), 5)
        uniform = given["uniform"].reshape(5, 3, size)
        pt, angles = jnp.split(given["normal"][:, latents:], [size], axis=1)
        numbers = numbers._replace(
            exists=uniform[:, 0],
            pt=numbers.pt._replace(uniform=uniform[:, 1], normal=pt[..., None]),
            angles=numbers.angles._replace(
                uniform=uniform[:, 2], normal=angles.reshape(5, size, 2)
            ),
        )
    context = Context(axis, condition)
    points = trained.model.decode_at(trained.params, numbers, z, context)
    jets = trained.unscale(points, context)
    np.testing.assert_array_equal(mask, jets.mask)
    np.testing.assert_allclose(particles, jets.particles, rtol=1e-3, atol=1e-2)
    assert call(*(a[:2] for a in arrays))[0].shape == (2, size, 3)


@pytest.mark.slow
def test_exported_jets_are_distributed_as_generated_ones():
    trained = zoo.load("convae_gluon30")
    found = runs.exported(trained)
    normal, *others = inputs_of(found, 2000)
    normal = normal.at[1].set(60.0)  # beyond any training jet
    particles, mask, inside = jax.jit(found.function)(normal, *others)
    assert inside.mean() > 0.99 and not inside[1]
    particles, mask = particles[inside], mask[inside]
    config = runs.GenerateConfig(latents="flow", num_jets=2000, seed=1)
    jets = runs.generated_samples(trained, config)
    pt = [np.hypot(*np.sum(p, axis=-2)[..., :2].T) for p in (particles, jets.particles)]
    error = np.hypot(*(values.std() / len(values) ** 0.5 for values in pt))
    assert abs(pt[0].mean() - pt[1].mean()) < 5 * error
    assert abs(np.mean(mask) - np.mean(jets.mask)) < 0.01


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workdir=zoo:convae_gluon30"], "--export.output: give a file that ends"),
        (["--workdir=zoo:convae_gluon30", "--export.output=no/jets.stablehlo"],
         "in a folder that exists"),
        (["--workdir=zoo:convae_gluon30", "--export.output=jets.txt"],
         "--export.output=jets.txt: give a file that ends in .onnx or .stablehlo"),
        (["--workdir=zoo:convae_gluon30", "--export.platforms=gpu"],
         "must be one of cpu, cuda, rocm, tpu"),
        (["--workdir=nowhere", "--export.output=a.stablehlo"], "nowhere"),
        ([], "--workdir: is missing"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(run_script, flags, message):
    done = run_script("export", *flags)
    assert done.returncode == 2 and message in done.stderr, done.stderr


def test_what_cannot_be_exported():
    trained = zoo.load("convae_gluon30")
    with pytest.raises(InputError, match="draws random numbers that cannot be inputs"):
        export.exported(trained._replace(model=trained.model._replace(decode_at=None)))


FORMAT = """
def require():
    pass


def write(exported, config, path):
    path.write_text(" ".join(exported.inputs))
    return {"words": len(exported.inputs)}
"""


def test_a_format_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "export_formats").mkdir()
    (tmp_path / "export_formats" / "words.py").write_text(FORMAT)
    monkeypatch.setenv("JETVAE_PLUGINS", str(tmp_path))
    paths = [tmp_path / "jets.words", tmp_path / "jets.stablehlo"]
    for path in paths:
        export.export("zoo:convae_gluon30", runs.ExportConfig(output=str(path)))
    assert paths[0].read_text() == "normal uniform"
    # Each has its own description.
    words, stablehlo = (json.loads(export.description(p).read_text()) for p in paths)
    assert words["words"] == 2 and "calling_convention" not in words
    assert stablehlo["platforms"] == ["cpu", "cuda", "tpu"]
    assert {"jets.words.json", "jets.stablehlo.json"} < {
        path.name for path in tmp_path.iterdir()
    }
