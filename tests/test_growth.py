"""The benchmark of growth: its fits and verdicts, and a run at the smallest sizes."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).parent.parent / "benchmarks" / "growth.py"


@pytest.fixture(scope="module")
def growth():
    spec = importlib.util.spec_from_file_location("growth", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("power", [0.0, 1.0, 2.5])
def test_the_exponent_of_a_power_law(growth, power):
    sizes = np.array([10, 30, 100, 1000])
    values = 3e-3 * sizes**power
    assert growth.exponent(sizes, values, 0) == pytest.approx(power, abs=1e-12)
    # The last three points, without those that are noise.
    values[0] = 1e9
    assert growth.exponent(sizes, values, 0) == pytest.approx(power, abs=1e-12)
    assert growth.exponent(sizes, np.where(sizes > 100, values, 1e-5), 1e-3) is None
    assert growth.exponent(sizes[:2], [None, 1.0], 1e-3) is None


def test_what_grows_faster_than_it_must_is_named(growth):
    case = growth.Case("chamfer", "particles", (), time=2)
    points = [
        {"size": n, "time": 1e-3 * n**2.2, "compile": 0.5, "memory": 1.0 * n**1.6}
        for n in (10, 30, 100)
    ]
    found = growth.summary(case, points)
    assert found["exponents"] == {"time": 2.2, "compile": 0.0, "memory": 1.6}
    assert found["worse"] == ["memory"]
    assert "memory ^1.60! (must be 1)" in growth.line(found)
    assert "time ^2.20 (must be 2)" in growth.line(found)
    assert growth.line(growth.summary(case, []))  # of a process that died


def test_every_case_is_a_function(growth):
    for case in growth.CASES:
        assert callable(getattr(growth, case.work))
        assert [*case.sizes, *case.more] == sorted({*case.sizes, *case.more})


def run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_unknown_work_is_refused():
    result = run("--only=chamfers")
    assert result.returncode == 2
    assert "--only=chamfers: choose from chamfer, conv_vae" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "sizes"), [("realnvp", "2,4"), ("w1m", "100,200"), ("chamfer", "2,4")]
)
def test_a_run_at_the_smallest_sizes(work, sizes, tmp_path):
    files = {name: tmp_path / f"growth.{name}" for name in ("json", "picture")}
    files["picture"] = files["picture"].with_suffix(".png")
    flags = [f"--{name}={path}" for name, path in files.items()]
    result = run(f"--only={work}", f"--sizes={sizes}", "--seconds=0.01", *flags)
    assert result.returncode == 0, result.stderr
    found = json.loads(files["json"].read_text())["results"]
    assert {case["work"] for case in found} == {work}
    for case in found:
        assert [point["size"] for point in case["points"]] == [
            *map(int, sizes.split(","))
        ]
        assert all(point["time"] > 0 for point in case["points"])
    assert files["picture"].read_bytes().startswith(b"\x89PNG")
    files["picture"].unlink()
    assert run("--draw", *flags).returncode == 0 and files["picture"].exists()
