"""The benchmark of accelerators, in its form for a CPU."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).parent.parent / "benchmarks" / "gpu.sh"
PARTS = "correctness", "chamfer", "generators", "convae", "record"


@pytest.mark.slow
def test_every_part_runs_and_what_is_computed_is_right(tmp_path):
    output = tmp_path / "cpu.json"
    done = subprocess.run(
        [SCRIPT, "--small", f"--output={output}", f"--workdir={tmp_path}",
         f"--only={','.join(PARTS)}"],
        env={**os.environ, "PYTHON": sys.executable, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    assert found["correctness"]["right"]
    assert found["convae"]["epochs"] == 2 and found["convae"]["ended"]
    assert found["record"]["epochs"] == 1 and found["record"]["ended"]
    assert all(row["jets/s"] > 0 for row in found["generators"].values())


@pytest.mark.parametrize(
    "flag, says",
    [
        ("--only=speed", "error: --only=speed: choose from correctness"),
        ("--output=/none/gpu.json", "error: --output=/none/gpu.json: its folder"),
        ("--only=chamfer", "error: JAX finds no accelerator here"),
    ],
)
def test_a_mistake_is_one_line(flag, says, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT.with_suffix(".py"), f"--output={tmp_path}/gpu.json",
         flag],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(says) and done.stderr.count("\n") == 1


@pytest.mark.parametrize("sizes", [(30, 30), (7, 100), (150, 64)])
def test_the_pallas_kernel_finds_the_nearest(sizes):
    spec = importlib.util.spec_from_file_location(
        "pallas_chamfer", SCRIPT.with_name("pallas_chamfer.py")
    )
    assert spec is not None and spec.loader is not None
    kernel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kernel)
    x, y = (
        np.asarray(jax.random.normal(jax.random.key(i), (3, n, 3)))
        for i, n in enumerate(sizes)
    )
    squared = ((x[:, :, None].astype(float) - y[:, None]) ** 2).sum(-1)
    found = kernel.nearest_indices(x, y, interpret=True)
    np.testing.assert_array_equal(found[0], squared.argmin(2))
    np.testing.assert_array_equal(found[1], squared.argmin(1))
