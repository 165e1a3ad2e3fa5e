"""The architecture: imports point down, fences hold, importing costs nothing."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "jetvae_jax"
LAYER = {
    "types": 0, "errors": 0, "files": 0, "plugins": 0, "numerics": 0, "flags": 0,
    "kinematics": 1, "networks": 1, "kernels": 1, "particlenet": 1,
    "splines": 1, "priors": 1,
    "data": 2, "models": 2, "flows": 2, "losses": 2, "metrics": 2,
    "discriminators": 2, "copulas": 2,
    "training": 3, "sampling": 3, "report": 3, "making": 3,
    "runs": 4,
}  # fmt: skip
# Layer 0 modules stand in this order; each may use those before it.
BASE_ORDER = ["types", "errors", "files", "plugins", "numerics", "flags"]
FENCES = {
    "distrax": ["flows/"],
    "tensorflow_probability": [],
    "ott": ["losses/reconstruction/sinkhorn.py"],
    "ot": ["metrics/emd.py"],
    "h5py": ["data/", "making/files.py"],
    "pyarrow": ["data/"],
    "uproot": ["data/"],
    "pythia8mc": ["making/"],
    "fastjet": ["making/"],
    "awkward": ["making/", "data/"],
    "hdf5plugin": ["data/"],
    "distributed": ["making/"],
    "flax": ["networks.py", "particlenet.py", "models/", "discriminators/"],
    "matplotlib": ["report/"],
    "mplhep": ["report/"],
    "absl.flags": ["flags.py"],
    "rich": ["training/progress.py"],
    "optuna": ["runs/tune.py", "report/search.py"],
    "plotly": ["report/search.py"],
    "chex": [],
    # An unpickler that knows nothing but arrays, for the weights of FPND.
    "pickle": ["metrics/torch_archive.py"],
    "torch": [],
    "threadpoolctl": ["metrics/threads.py"],
}
# Imported inside functions only.
LAZY = ("matplotlib", "mplhep", "ott", "ot", "rich", "scipy", "pyarrow",
        "uproot", "pythia8mc", "fastjet", "awkward", "distributed", "optuna",
        "plotly", "threadpoolctl")  # fmt: skip

FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """Every imported dotted name of a file, with whether it is at module level."""
    tree = ast.parse(path.read_text())
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) in top


def unit(path):
    """The first part below the package: a subpackage or a module."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    me = unit(path)
    for name, _ in imports(path):
        parts = name.split(".")
        if parts[0] != "jetvae_jax" or len(parts) == 1 or me == "__init__":
            continue
        other = parts[1]
        if other == me or other == "__version__":
            continue
        assert other in LAYER, f"{other} has no layer: give it one here"
        below = LAYER[other] < LAYER[me]
        base = LAYER[me] == LAYER[other] == 0 and (
            BASE_ORDER.index(other) < BASE_ORDER.index(me)
        )
        assert below or base, f"{path.name}: {me} must not import {other}"


def test_every_unit_has_a_layer():
    assert {unit(path) for path in FILES} - {"__init__"} == set(LAYER)


def test_no_cycles_between_modules():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in FILES
    }
    graph = {}
    for module, path in modules.items():
        targets = set()
        for name, top in imports(path):
            while name and name not in modules:
                name = name.rpartition(".")[0]
            if top and name and name != module:
                targets.add(name)
        graph[module] = targets
    # A package's __init__ re-exports its own modules, and they may name it.
    done, path_now = set(), []

    def visit(module):
        assert module not in path_now, f"cycle: {[*path_now, module]}"
        if module in done:
            return
        path_now.append(module)
        for target in graph[module]:
            if not module.startswith(target + "."):
                visit(target)
        path_now.pop()
        done.add(module)

    for module in modules:
        visit(module)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_fences(path):
    relative = path.relative_to(PACKAGE).as_posix()
    for name, top in imports(path):
        assert "jax._src" not in name and not name.startswith("jax.config"), relative
        for fenced, allowed in FENCES.items():
            if name == fenced or name.startswith(fenced + "."):
                assert any(relative.startswith(a) for a in allowed), (
                    f"{relative} must not import {name}"
                )
        if name.split(".")[0] in LAZY:
            assert not top, f"{relative}: import {name} inside the function"


def test_no_file_is_long():
    for path in FILES:
        lines = len(path.read_text().splitlines())
        assert lines <= 300, f"{path}: {lines} lines: one concept a file"


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")))
def test_entry_points_are_short(path):
    if not path.name.startswith("_"):
        assert len(path.read_text().splitlines()) <= 80


def run(code):
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_everything_starts_no_backend():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in FILES
    ]
    code = "\n".join(f"import {module}" for module in modules)
    # The only public trace of a started backend is the compiled constants it holds;
    # the private table of backends is read here, in a test, and nowhere else.
    code += "\nfrom jax._src import xla_bridge\nprint(len(xla_bridge._backends))"
    assert run(code).strip() == "0"


def test_losses_import_is_light():
    heavy = ["distrax", "tensorflow_probability", "ott", "h5py", "matplotlib", "flax"]
    code = (
        "import sys, jetvae_jax.losses\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert run(code).strip() == "[]"
