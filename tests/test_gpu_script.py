"""The benchmark of accelerators, in its form for a CPU."""

import json
import os
import pathlib
import subprocess
import sys

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
