"""Several devices, simulated on one CPU: the same jets, the same training."""

import os
import subprocess
import sys

import pytest

BEGIN = """
import os, sys
import jax, jax.numpy as jnp, numpy as np, optax
from jetvae_jax.core import devices
from jetvae_jax.core.errors import InputError

assert len(jax.devices()) == 8
"""


def in_process(code, *arguments):
    """Runs code in a process that sees eight devices."""
    flags = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    )
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, *map(str, arguments)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "XLA_FLAGS": flags},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


LINE = """
from jetvae_jax.core.types import Jets
from jetvae_jax.runs import generation
from jetvae_jax.training import Config, fit, gradient_step

folder = sys.argv[1]

# Chunks of a stream are the same to the bit, cut where it ends.
@jax.jit
def draw(key):
    p = jax.random.normal(key, (generation.CHUNK, 2, 3))
    return Jets(p @ jnp.ones((3, 3)), jnp.ones(p.shape[:-1], bool))

def drawn(first, stop):
    chunks = list(generation.stream(draw, jax.random.key(1), stop, first))
    return len(chunks), np.concatenate([jets.particles for jets in chunks])

size = generation.CHUNK
devices.NUMBER.set(1)
one = drawn(0, 9 * size + 7)[1]
for number, first, stop in ((0, 0, len(one)), (3, 2 * size, 4 * size), (8, 0, 1)):
    devices.NUMBER.set(number)
    count, found = drawn(first, stop)
    assert count == -(-(stop - first) // size)
    np.testing.assert_array_equal(found, one[first:stop])

# A training is that of one device to rounding, on any number from its middle on.
x = np.random.default_rng(0).normal(size=(250, 3)).astype(np.float32)
data = {"x": x, "y": x @ np.array([1.5, -2.0, 0.5], np.float32)}

def loss(params, key, batch):
    noise = jax.random.normal(key, batch["y"].shape)
    error = (batch["x"] @ params["w"] - batch["y"] + 0.1 * noise) ** 2
    return error, {"error": error}

step = gradient_step(loss, lambda key: {"w": jnp.zeros(3)}, optax.adam(0.1))

def trained(number, epochs, path=None):
    devices.NUMBER.set(number)
    config = Config(num_epochs=epochs, batch_size=40)
    return fit(step, jax.random.key(0), data, data, config=config, state_path=path)

wanted = trained(1, 4)
for number in (2, 0):
    found = trained(number, 4)
    np.testing.assert_allclose(found.params["w"], wanted.params["w"], rtol=1e-5)
    for a, b in zip(found.history, wanted.history, strict=True):
        np.testing.assert_allclose(a["valid/loss"], b["valid/loss"], rtol=1e-5)

# A microbatch has rows from every device.
plain, step = step, gradient_step(
    loss, lambda key: {"w": jnp.zeros(3)}, optax.adam(0.1), microbatch_size=8
)
np.testing.assert_allclose(
    trained(0, 4).params["w"], trained(1, 4).params["w"], rtol=1e-5
)
step = plain

class Stop(Exception):
    pass

def stopped(number, until, path):
    devices.NUMBER.set(number)
    config = Config(num_epochs=4, batch_size=40, save_seconds=0.0)
    def stop(history):
        if len(history) == until:
            raise Stop
    return fit(step, jax.random.key(0), data, data, config=config, state_path=path,
               on_epoch=stop)

path = folder + "/state.npz"
for number, until in ((8, 2), (1, 3)):
    try:
        stopped(number, until, path)
    except Stop:
        pass
found = stopped(4, 9, path)
np.testing.assert_allclose(found.params["w"], wanted.params["w"], rtol=1e-5)

# Numbers that do not divide the batch: fewer devices, or a line if they were asked for.
devices.NUMBER.set(0)
assert devices.for_batches("x", 36).size == 6 and devices.for_batches("x", 7).size == 7
assert devices.for_batches("x", 11) is None
for number, message in ((8, "give --devices=6"), (9, "--devices=9: there are 8")):
    devices.NUMBER.set(number)
    try:
        devices.for_batches("x", 36)
        raise AssertionError
    except InputError as error:
        assert message in str(error), error
"""


def test_chunks_and_a_training_on_eight_devices(tmp_path):
    in_process(LINE, tmp_path)


MODELS = """
import pathlib
from jetvae_jax import models, runs, training
from jetvae_jax.discriminators import deepsets
from jetvae_jax.jets import domain
from jetvae_jax.losses.distances import chamfer

folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
SIZES = {
    "mlp_vae": {"latent_dim": 3, "num_layers": 1, "nodes": 8},
    "conv_vae": {"filters": (4, 8), "hidden": (16,), "output": "linear"},
    "deepsets_vae": {"width": 8, "hidden": (8,), "latent_dim": 3},
    "autoregressive_vae": {"latent_dim": 3},
    "epic_gan": {},
}
method = "none" if name == "autoregressive_vae" else "standard"
chosen = models.get(name).Config(**SIZES[name])
run = runs.ModelRun(
    data=domain.Data(max_jets=150 if name == "epic_gan" else 300),
    scaling=domain.Scaling(coordinates="relative", method=method),
    model=name,
    model_config=chosen,
    loss="chamfer",
    loss_config=chamfer.Config(),
    objective=domain.Objective(space="scaled", gamma=0.0, beta=0.1, form="classic"),
    training=training.Config(num_epochs=2, batch_size=48, learning_rate=1e-4),
)
found = {}
for number in (1, 8):
    devices.NUMBER.set(number)
    found[number] = runs.train(folder / str(number), run)
for a, b in zip(found[8].history, found[1].history, strict=True):
    assert a.keys() == b.keys()
    for term in a.keys() - {"seconds"}:
        np.testing.assert_allclose(a[term], b[term], rtol=2e-3, atol=1e-5, err_msg=term)
# Jets are the same to the bit.
made = []
for number in (1, 8):
    devices.NUMBER.set(number)
    output = folder / f"jets{number}.hdf5"
    config = runs.GenerateConfig("prior", num_jets=4100, output=str(output))
    made.append(runs.generate(folder / "1", config).read_bytes())
assert made[0] == made[1], "generated"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mlp_vae", "conv_vae", "deepsets_vae", "autoregressive_vae", "epic_gan"]
)
def test_models_on_eight_devices(name, tmp_path):
    in_process(MODELS, tmp_path, name)
