"""The architecture: imports point down, libraries are fenced, importing is free.

A room is a folder of the package (or a module beside them). Seen are imports at the top
of a file and inside functions, modules named by a string (``import_module``, the table
of the domains), public names that are attached lazily, and plug-ins.
"""

import ast
import functools
import graphlib
import pathlib
import re
import subprocess
import sys

from jetvae_jax.core.moved import MOVED

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "jetvae_jax"

# Each row may import from the rows above it, and no room from one beside it.
ROWS = (
    ("core",),
    ("observables",),
    ("losses", "densities", "data"),
    ("discriminators", "interplay"),
    ("models",),
    ("training",),
    ("metrics",),
    ("report",),
    ("jets", "images", "events", "showers"),
    ("runs",),
    ("zoo",),
    ("studies",),
    ("__main__",),
)
BELOW = {room: {r for row in ROWS[:i] for r in row}
         for i, row in enumerate(ROWS) for room in row}  # fmt: skip
# Jets, events and showers are made beside all this; tests of their own say that the
# workers do so without JAX.
BELOW["making"] = {"core", "data", "jets", "events", "showers"}
BELOW["studies"] = BELOW["studies"] | {"making"}  # one makes its showers itself
# Imports that point up, still. Break them, and take them from this list.
UPWARD: set[tuple[str, str]] = set()
CIRCULAR: set[tuple[str, str]] = set()

# Where a library may be imported: folders or files of the package.
ANYWHERE = ("jax", "numpy", "scipy", "optax", "absl.logging")
FENCES = {
    "absl.flags": ("core/configs.py", "runs/settings.py"),
    "awkward": ("data/", "events/", "interplay/", "making/"),
    "coffea": ("interplay/",),
    "dask": ("core/workers.py",),
    "distrax": ("densities/",),
    "distributed": ("core/workers.py",),
    "fastjet": ("making/",),
    "flatbuffers": ("runs/export/",),
    "flax": (
        *("core/layers.py", "models/", "discriminators/"),
        *("metrics/frechet/", "metrics/classifier/"),
    ),
    "h5py": ("data/", "events/", "making/", "showers/"),
    "hdf5plugin": ("data/",),
    "hist": ("report/",),
    "jinja2": ("report/",),
    "matplotlib": ("report/", "images/", "showers/", "studies/"),
    "mplhep": ("report/",),
    "onnx": ("runs/export/",),
    "onnxruntime": ("runs/export/",),
    "optuna": ("runs/", "report/"),
    "ot": ("metrics/transport/",),
    "ott": ("losses/distances/sinkhorn.py",),
    "pandas": ("interplay/",),
    # An unpickler that knows nothing but arrays, for the weights of FPND.
    "pickle": ("metrics/frechet/",),
    "plotly": ("report/",),
    "pooch": ("data/",),
    "pyarrow": ("data/", "events/"),
    "pythia8mc": ("making/",),
    "rich": ("training/",),
    "tensorboardX": ("training/logs/tensorboard.py",),
    "threadpoolctl": ("metrics/",),
    "uproot": ("data/", "events/"),
    "vector": ("interplay/",),
    "wandb": ("training/logs/wandb.py",),
}
# Imported inside functions only: slow to import, or an extra that may be missing.
LAZY = set(FENCES) - {"distrax", "flax", "h5py", "pickle"} | {"scipy"}


def module_name(path):
    """Dotted name below the package; a package has that of its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts).removesuffix("__init__").removesuffix(".")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def names_in(node, module):
    """Dotted names that a node of the syntax tree imports, now or later."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module}: relative import"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).rpartition(".")[2]
        text = node.args and isinstance(node.args[0], ast.Constant)
        if called == "import_module" and text:
            return [node.args[0].value]
        if called == "attach":
            inside = [
                f"jetvae_jax.{module}.{word}"
                for part in ast.walk(node)
                if isinstance(part, ast.Constant)
                for word in [part.value.partition(":")[0]]
            ]
            return [name for name in inside if place(name) != module]
        if called == "Registry":
            found = (m for m in MODULES if m.rpartition(".")[0] == module)
            return [f"jetvae_jax.{m}" for m in found if "._" not in m]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        # Not the package that a file lies in: that is where its data is.
        named = re.fullmatch(r"jetvae_jax\.([\w.]+)", node.value)
        if named and not f"{module}.".startswith(f"{named[1]}."):
            return [node.value]
    return []


@functools.cache
def imports(module):
    """Imported names of a module, with whether they are at the top of the file."""
    tree = ast.parse(MODULES[module].read_text())
    top = {id(node) for node in tree.body}
    return [
        (name, id(node) in top)
        for node in ast.walk(tree)
        for name in names_in(node, module)
    ]


def place(name):
    """The module of this package that an imported name is, or is in; None if other."""
    package, _, name = name.partition(".")
    if package != "jetvae_jax":
        return None
    while name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def room(module):
    return module.partition(".")[0]


def is_registry(module):
    return "= Registry(" in MODULES[module].read_text()


def test_imports_point_down_and_run_in_no_circle():
    graph = {
        module: {place(name) for name, _ in imports(module)} - {None, module, ""}
        for module in MODULES
        if module
    }
    rooms = {room(module) for module in graph}
    assert rooms == set(BELOW), "give every room its row"
    upward = {
        (module, target)
        for module, targets in graph.items()
        for target in targets
        if room(target) not in BELOW[room(module)] | {room(module)}
    }
    assert upward == UPWARD, (upward - UPWARD, UPWARD - upward)
    for module, target in CIRCULAR:
        assert target in graph[module], f"{module} imports {target} no more: strike it"
        graph[module].remove(target)
    # A folder of plug-ins finds them by name, and they may use what stands in its
    # __init__: the base class of a reader, say. Every other circle is one.
    for module, targets in graph.items():
        if is_registry(module):
            targets -= {t for t in targets if t.rpartition(".")[0] == module}
    for one in rooms:
        inside = {m: {t for t in graph[m] if room(t) == one} for m in graph}
        tuple(graphlib.TopologicalSorter(inside).static_order())  # raises CycleError


def test_libraries_are_imported_in_their_rooms():
    own = sys.stdlib_module_names - set(FENCES)
    for module, path in MODULES.items():
        where = path.relative_to(PACKAGE).as_posix()
        for name, top in imports(module):
            assert not name.startswith(("jax._src", "jax.config")), where
            parts = name.split(".")
            if parts[0] == "jetvae_jax" or parts[0] in own:
                continue
            library = ".".join(parts[: 2 if parts[0] == "absl" else 1])
            assert library in FENCES or library in ANYWHERE, f"{library}: fence it"
            fence = FENCES.get(library, ("",))
            assert where.startswith(fence), f"{where} must not import {library}"
            if library in LAZY:
                assert not top, f"{where}: import {library} inside the function"


IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        assert public in dir(module), f"{name}: {public} is not in dir()"
        getattr(module, public)
# The only public trace of a started backend is the compiled constants it holds;
# the private table of backends is read here, in a test, and nowhere else.
from jax._src import xla_bridge
assert not xla_bridge._backends
"""


def test_everything_imports_and_starts_no_backend():
    names = [f"jetvae_jax.{module}".rstrip(".") for module in MODULES]
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_ALL, *names],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    for old, new in MOVED.items():
        assert new in MODULES, f"{old} moved to {new}, which is not there"
