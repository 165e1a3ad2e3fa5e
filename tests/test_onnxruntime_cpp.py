"""The example in C++: its jets are those of JAX, for the same random numbers.

It needs a compiler, the headers of ONNX Runtime (Debian 13: ``libonnxruntime-dev``, or
the folder that ONNXRUNTIME_INCLUDE names) and its library (that of the Python package,
a system's, or the file that ONNXRUNTIME_LIBRARY names).
"""

import csv
import ctypes.util
import importlib.util
import os
import pathlib
import shutil
import subprocess

import jax
import numpy as np
import pytest

from jetvae_jax import runs, zoo
from jetvae_jax.runs import export

pytestmark = pytest.mark.slow
EXAMPLE = pathlib.Path(__file__).parent.parent / "examples" / "onnxruntime_cpp"
SYSTEM = ("/usr/include/onnxruntime", "/usr/local/include/onnxruntime")


def compiler():
    for name in (os.environ.get("CXX"), "g++", "clang++"):
        if name and shutil.which(name):
            return name
    pytest.skip("no C++ compiler")


def headers():
    for folder in (os.environ.get("ONNXRUNTIME_INCLUDE"), *SYSTEM):
        if folder and pathlib.Path(folder, "onnxruntime_cxx_api.h").is_file():
            return folder
    pytest.skip("no headers of ONNX Runtime: set ONNXRUNTIME_INCLUDE")


def library():
    if given := os.environ.get("ONNXRUNTIME_LIBRARY"):
        return pathlib.Path(given)
    found = importlib.util.find_spec("onnxruntime")
    if found and found.origin:
        files = pathlib.Path(found.origin).parent.glob("capi/libonnxruntime.so.*")
        if file := next(files, None):
            return file
    if name := ctypes.util.find_library("onnxruntime"):
        return pathlib.Path(name)
    pytest.skip("no library of ONNX Runtime: set ONNXRUNTIME_LIBRARY")


@pytest.fixture(scope="module")
def generate(tmp_path_factory):
    """The example, compiled."""
    folder = tmp_path_factory.mktemp("cpp")
    file = library()
    if file.is_absolute():
        # The loader looks for this name, the Python package has one with a version.
        (folder / "libonnxruntime.so.1").symlink_to(file)
        file = folder / "libonnxruntime.so.1"
    program = folder / "generate"
    subprocess.run(
        [compiler(), "-std=c++17", "-Wall", "-Wextra", "-Werror", EXAMPLE / "main.cpp",
         f"-isystem{headers()}", file, f"-Wl,-rpath,{folder}", "-o", program],
        check=True,
    )  # fmt: skip
    return program


def jets_of(path, num):
    """Momenta of each jet."""
    found = [[] for _ in range(num)]
    with path.open() as lines:
        for row in csv.DictReader(lines):
            found[int(row["jet"])].append([float(row[k]) for k in ("px", "py", "pz")])
    return [np.array(rows).reshape(-1, 3) for rows in found]


@pytest.mark.parametrize("name", ["convae_gluon30", "autoregressive_gluon30"])
def test_its_jets_are_those_of_python(generate, name, tmp_path):
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    path, table, num = tmp_path / "jets.onnx", tmp_path / "jets.csv", 200
    export.export(f"zoo:{name}", runs.ExportConfig(output=str(path)))
    found = runs.exported(zoo.load(name))
    given = {k: np.asarray(v) for k, v in found.example(jax.random.key(1), num).items()}
    words = []
    for key, numbers in given.items():
        numbers.tofile(tmp_path / key)
        words.append(f"{key}=@{tmp_path / key}")
    done = subprocess.run(
        [generate, path, str(num), table, *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    session = onnxruntime.InferenceSession(path.read_bytes())
    by_python = session.run(["particles", "mask"], given)
    assert f"{num} jets in" in done.stdout
    jets = jets_of(table, num)
    for jet, p, mask in zip(jets, *by_python, strict=True):
        largest = np.abs(p).max()
        np.testing.assert_allclose(jet / largest, p[mask > 0] / largest, atol=1e-5)
    if name == "convae_gluon30":  # the other decoder makes rounding errors larger
        by_jax = jax.jit(found.function)(*given.values())[:2]
        for jet, p, mask in zip(jets, *by_jax, strict=True):
            largest = np.abs(p).max()
            np.testing.assert_allclose(jet / largest, p[mask] / largest, atol=1e-5)


def test_it_draws_its_own_numbers(generate, tmp_path):
    pytest.importorskip("onnx")
    path, table = tmp_path / "jets.onnx", tmp_path / "jets.csv"
    export.export("zoo:convae_gluon30", runs.ExportConfig(output=str(path)))
    command = [generate, path, "2000", table]
    subprocess.run(command, check=True)
    jets = [jet for jet in jets_of(table, 2000) if len(jet)]
    assert len(jets) > 1980
    pt = [np.hypot(*np.sum(jet, axis=0)[:2]) for jet in jets]
    config = runs.GenerateConfig(latents="flow", num_jets=2000)
    right = runs.generated_samples(zoo.load("convae_gluon30"), config).particles
    right = np.hypot(*np.sum(right, axis=1)[:, :2].T)
    error = np.hypot(np.std(pt), np.std(right)) / 2000**0.5
    assert abs(np.mean(pt) - np.mean(right)) < 5 * error
    phi = np.concatenate([np.arctan2(jet[:1, 1], jet[:1, 0]) for jet in jets])
    assert abs(np.mean(np.exp(1j * phi))) < 5 / 2000**0.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no.onnx", "5", "jets.csv"], "doesn't exist"),
        (["jets.onnx", "5"], "usage: generate"),
        (["jets.onnx", "5", "jets.csv", "axis"], "axis: give NAME=VALUES"),
        (["jets.onnx", "5", "jets.csv", "normal=1,2"], "normal: the model needs 20"),
        (["jets.onnx", "5", "no/jets.csv"], "no/jets.csv cannot be written"),
    ],
)
def test_mistakes_are_one_line(generate, words, message, tmp_path):
    pytest.importorskip("onnx")
    config = runs.ExportConfig(output=str(tmp_path / "jets.onnx"))
    if words[0] == "jets.onnx":
        export.export("zoo:convae_gluon30", config)
    done = subprocess.run(
        [generate, *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2 and message in done.stderr
    assert done.stderr.count("\n") == 1
