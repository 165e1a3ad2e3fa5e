"""The benchmark of accelerators, in its form for a CPU."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parent.parent / "benchmarks" / "gpu.sh"
PARTS = "correctness", "chamfer", "generators", "convae"


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
    assert all(row["jets/s"] > 0 for row in found["generators"].values())


def test_a_wrong_part_is_one_line():
    done = subprocess.run(
        [sys.executable, SCRIPT.with_suffix(".py"), "--only=speed"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: --only=speed: choose from correctness")
