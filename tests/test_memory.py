"""Memory of a training step is estimated before it is compiled, and must be there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.training import Config, fit, memory
from jetvae_jax.training.step import configured_step

WIDTH, ROWS = 64, 256


def loss(params, key, batch):
    hidden = jnp.tanh(batch @ params["a"])
    value = jnp.mean((jnp.tanh(hidden @ params["b"]) - batch) ** 2, axis=-1)
    return value, {"mse": value}


def init(key, width=WIDTH):
    first, second = jax.random.split(key)
    return {
        "a": jax.random.normal(first, (8, width)),
        "b": jax.random.normal(second, (width, 8)),
    }


def step(width=WIDTH):
    config = Config(num_epochs=1, batch_size=ROWS)
    made = configured_step(loss, lambda key: init(key, width), config, num_jets=ROWS)
    return config, made


def jaxpr(made, rows):
    state = memory.shapes("x", made.init)
    batch = jax.ShapeDtypeStruct((rows, 8), jnp.float32)
    return state, jax.make_jaxpr(made.update)(state, jax.random.key(0), batch)


def test_peak_of_a_chain_of_products():
    """Input, and two neighbours of the chain: the third needs the first no more."""
    matrix = np.zeros((100, 100), np.float32)

    def chain(x, m):
        for _ in range(5):
            x = x @ m
        return x

    found = memory.peak_bytes(jax.make_jaxpr(chain)(matrix, matrix).jaxpr)
    # m, x of the caller, and never more than two results.
    assert found in (3 * matrix.nbytes, 4 * matrix.nbytes)


def test_a_fused_chain_needs_nothing():
    x = np.zeros(1000, np.float32)
    found = jax.make_jaxpr(lambda x: jnp.sum(jnp.exp(jnp.sin(x * 2) + 1)))(x)
    assert x.nbytes <= memory.peak_bytes(found.jaxpr) <= x.nbytes + 64


@pytest.mark.parametrize("rows", [ROWS, 40 * ROWS])
def test_the_estimate_is_near_what_xla_allocates(rows):
    _, made = step()
    state, found = jaxpr(made, rows)
    batch = jax.ShapeDtypeStruct((rows, 8), jnp.float32)
    compiled = jax.jit(made.update).lower(state, jax.random.key(0), batch).compile()
    sizes = compiled.memory_analysis()
    real = (
        sizes.temp_size_in_bytes
        + sizes.argument_size_in_bytes
        + sizes.output_size_in_bytes
    )
    assert 0.4 < memory.peak_bytes(found.jaxpr) / real < 2.5


def test_what_cannot_fit_stops_before_it_is_made(monkeypatch):
    config, made = step(width=10**9)
    data = np.zeros((ROWS, 8), np.float32)
    monkeypatch.setattr(memory, "available_bytes", lambda: 10**9)
    with pytest.raises(InputError, match=r"16 billion parameters, .* 1 GB available"):
        fit(made, jax.random.key(0), data, data, config=config, name="net")
    with pytest.raises(InputError, match="more than any memory"):
        memory.shapes("net", lambda key: np.zeros(2**62, np.int8))


@pytest.mark.parametrize("free, warned", [(10**12, 0), (None, 0), (60_000, 1)])
def test_parameters_and_memory_are_said(monkeypatch, free, warned):
    config, made = step()
    said = {"info": [], "warning": []}
    for level, lines in said.items():
        monkeypatch.setattr(
            logging, level, lambda *a, lines=lines: lines.append(a[0] % a[1:])
        )
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    data = np.ones((ROWS, 8), np.float32)
    fit(made, jax.random.key(0), data, data, config=config, name="net", unit="jets")
    lines = said["warning" if warned else "info"]
    assert lines[0].startswith("net: 1,024 parameters, about ")
    assert f"for a step of {ROWS} jets" in lines[0]
    assert ("a smaller --train.batch_size" in lines[0]) == bool(warned)
    assert len(said["warning"]) == warned


def test_memory_of_this_machine():
    free = memory.available_bytes()
    assert free is None or 10**7 < free < 10**14
