"""Small valid data files in both layouts, scripts run in this process, compilation."""

import contextlib
import contextvars
import functools
import gc
import io
import os
import pathlib
import runpy
import sys
import tempfile
from typing import NamedTuple

import h5py
import jax
import numpy as np
import pytest
from absl import app, logging
from absl.testing import flagsaver
from jax._src import compiler
from jax._src.interpreters import mlir

from jetvae_jax.core.types import Jets

# Hardly a program of one test serves another: to keep all takes longer than is won.
# Scripts that tests start keep none either.
os.environ["JAX_COMPILATION_CACHE_DIR"] = ""
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"
jax.config.update("jax_enable_compilation_cache", False)
# Nothing goes into the home of the user who tests.
os.environ["XDG_CACHE_HOME"] = USER_CACHE = tempfile.mkdtemp(prefix="cache")

# Tracing makes many objects and few of them in cycles: looking for these after every
# 700 takes a twentieth of the time of the tests.
gc.set_threshold(100_000, 20, 20)

# Compiling is most of the time of the tests. Without XLA's optimisations and with its
# older emitters of fusions, here and in the scripts that tests start, it takes a third
# of the time. Tests of what is numerically delicate have the marker ``optimised`` and
# are compiled as users compile; the variable set to 0, all are.
PLAIN = "JAX_DISABLE_MOST_OPTIMIZATIONS"
os.environ.setdefault(PLAIN, "1")
QUICK = {"xla_cpu_use_fusion_emitters": False,
         "xla_cpu_parallel_codegen_split_count": 1}  # fmt: skip
quick = False  # whether programs are compiled with them now


def known(options):
    """Whether this XLA has these options: it may drop them."""
    try:
        jax.jit(lambda x: x).lower(0).compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        return False
    return True


@pytest.fixture(autouse=True, scope="session")
def quick_options():
    """JAX takes options for one function only; from here on they are for all."""
    if os.environ[PLAIN] == "0" or not known(QUICK):
        return
    make = compiler.get_compile_options

    def with_quick(*args, env_options_overrides=None, **given):
        options = (QUICK if quick else {}) | (env_options_overrides or {})
        return make(*args, env_options_overrides=options, **given)

    compiler.get_compile_options = with_quick
    # XLA has read its flags in this process; scripts that tests start read them now.
    flags = (f"--{name}={value}".lower() for name, value in QUICK.items())
    os.environ["XLA_FLAGS"] = " ".join([*flags, os.environ.get("XLA_FLAGS", "")])


@pytest.fixture(autouse=True, scope="module")
def quick_figures(request, monkeypatch_module):
    """Figures are drawn without their layout, a third of the time of a report.

    The scripts that tests start have it. A file with ``FIGURES = "made"`` makes the
    figures and does not draw them, one with ``"none"`` has pages without them, as
    without matplotlib.
    """
    wanted = getattr(request.module, "FIGURES", "drawn")
    if wanted == "none":
        from jetvae_jax.report import page

        monkeypatch_module.setattr(page, "missing", lambda: ["matplotlib"])
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    monkeypatch_module.setattr(
        ConstrainedLayoutEngine, "execute", lambda self, figure: {}
    )
    if wanted == "made":
        from matplotlib.artist import Artist
        from matplotlib.figure import Figure

        monkeypatch_module.setattr(Figure, "draw", Artist.draw)


@pytest.fixture(scope="module")
def monkeypatch_module():
    """``monkeypatch`` for a whole file."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


# A worker that takes one of these last would keep the others waiting.
LONGEST = (
    *("test_chamfer", "test_plugins", "test_experiments", "test_autoregressive"),
    "test_scaling",
    *("test_substructure", "test_evaluate_files", "test_models", "test_pixel"),
    *("test_efp", "test_report"),
    *("test_classify", "test_realnvp", "test_densities", "test_golden", "test_copulas"),
    *("test_metrics", "test_adversarial", "test_images", "test_fpnd", "test_sinkhorn"),
    *("test_kinematics", "test_events", "test_c2st", "test_compositions", "test_toys"),
)


def pytest_collection_modifyitems(items):
    """Files that take longest come first; ``--no-loadscope-reorder`` keeps that."""

    def place(item):
        stem = item.path.stem
        first = next((i for i, n in enumerate(LONGEST) if stem.startswith(n)), 99)
        # Within a file those that are optimised are last: what was compiled before
        # must be forgotten.
        return first, stem, item.get_closest_marker("optimised") is not None

    items.sort(key=place)


def compile_quickly(wanted):
    """Whether programs are compiled without optimisations from here on."""
    global quick
    wanted = wanted and os.environ[PLAIN] == "1"
    if wanted != quick:
        jax.clear_caches()
        jax.config.update("jax_disable_most_optimizations", wanted)
        quick = wanted


make_context = mlir.make_ir_context


@pytest.fixture(autouse=True, scope="module")
def compiled_for_this_file(request, quick_options, monkeypatch_module):
    """Programs of one file serve no other; together they fill the memory.

    For each program JAX loads the dialects of MLIR, its compiler's languages. For a
    small program this is a fifth of the compilation, so the programs of a file share
    one MLIR context.
    """
    monkeypatch_module.setattr(mlir, "make_ir_context", functools.cache(make_context))
    marks = getattr(request.module, "pytestmark", ())
    compile_quickly("optimised" not in str(marks))
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def compiled_for_this_test(request, compiled_for_this_file):
    compile_quickly(request.node.get_closest_marker("optimised") is None)


# The flags of absl itself are there before those of a script, and stay.
app.define_help_flags()
EXPERIMENTS = pathlib.Path(__file__).parent.parent / "experiments"


class Finished(NamedTuple):
    """What a script leaves, named as in ``subprocess.CompletedProcess``."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def run_script():
    """``(name, *arguments, cwd=root) -> Finished``: a script of experiments/, run here.

    It saves the seconds that a process of its own needs to import the package. Its
    flags are gone afterwards; an exception that would be a traceback is raised.
    """

    def run(name, *arguments, cwd=EXPERIMENTS.parent):
        path = EXPERIMENTS / f"{name}.py"
        out, err, code = io.StringIO(), io.StringIO(), 0
        handler = logging.get_absl_handler().python_handler
        with pytest.MonkeyPatch.context() as patch, flagsaver.flagsaver():
            patch.chdir(cwd)
            patch.setattr(sys, "argv", [str(path), *map(str, arguments)])
            patch.syspath_prepend(EXPERIMENTS)
            patch.setattr(handler, "stream", err)
            patch.setattr(gc, "freeze", lambda: None)  # the process goes on
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:  # what the script sets for its process ends with it
                    context = contextvars.copy_context()
                    context.run(runpy.run_path, str(path), run_name="__main__")
                except SystemExit as stop:
                    code = stop.code or 0
        return Finished(code, out.getvalue(), err.getvalue())

    return run


PARTICLE_NAMES = [
    *("j1_px", "j1_py", "j1_pz", "j1_e", "j1_erel", "j1_pt", "j1_ptrel", "j1_eta"),
    *("j1_etarel", "j1_etarot", "j1_phi", "j1_phirel", "j1_phirot", "j1_deltaR"),
    *("j1_costheta", "j1_costhetarel", "j1_pdgid"),
]
JET_NAMES = [
    *("j_ptfrac", "j_pt", "j_eta", "j_mass", "j_multiplicity"),
    *("j_g", "j_q", "j_w", "j_z", "j_t", "j_undef"),
]


def jet_arrays(num_jets, num_particles, seed):
    """JetNet arrays (float32) of jets near 1 TeV with 2 or more particles each."""
    rng = np.random.default_rng(seed)
    count = rng.integers(min(2, num_particles), num_particles + 1, num_jets)
    mask = np.arange(num_particles) < count[:, None]
    share = rng.exponential(size=(num_jets, num_particles)) + 0.05
    share = np.where(mask, share, 0)
    share = -np.sort(-share / share.sum(1, keepdims=True), axis=1)
    angles = rng.normal(scale=0.08, size=(2, num_jets, num_particles)) * mask
    particles = np.stack([*angles, share, mask], axis=-1).astype(np.float32)
    jets = np.stack(
        [
            rng.normal(1100, 100, num_jets),
            rng.normal(0, 0.7, num_jets),
            rng.normal(95, 10, num_jets),
            count,
        ],
        axis=-1,
    ).astype(np.float32)
    extra = np.zeros((num_jets, 4), np.float32)
    extra[:, 0] = rng.uniform(-np.pi, np.pi, num_jets)
    extra[:, 2] = count
    return {"particle_features": particles, "jet_features": jets, "jet_extra": extra}


def momenta(arrays):
    """px, py, pz in float64 of JetNet arrays."""
    p = arrays["particle_features"].astype(np.float64)
    jet = arrays["jet_features"].astype(np.float64)[:, None]
    pt = p[..., 2] * jet[..., 0]
    phi = p[..., 1] + arrays["jet_extra"][:, None, 0].astype(np.float64)
    eta = p[..., 0] + jet[..., 1]
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)


def write(path, arrays):
    with h5py.File(path, "w") as file:
        for key, value in arrays.items():
            file[key] = value
    return path


@pytest.fixture(scope="session")
def make_jets():
    """``(num_jets=8, num_particles=6, seed=0) -> Jets`` of NumPy arrays in GeV."""

    def make(num_jets=8, num_particles=6, seed=0):
        arrays = jet_arrays(num_jets, num_particles, seed)
        mask = arrays["particle_features"][..., 3] > 0
        return Jets(momenta(arrays).astype(np.float32), mask)

    return make


@pytest.fixture
def make_jetnet(tmp_path):
    """Writes a JetNet file and returns its path.

    ``spoil`` changes the dictionary of arrays before it is written.
    """

    def make(name="g.hdf5", *, num_jets=8, num_particles=6, seed=0, spoil=None):
        arrays = jet_arrays(num_jets, num_particles, seed)
        if spoil is not None:
            spoil(arrays)
        return write(tmp_path / name, arrays)

    return make


@pytest.fixture
def make_hls4ml(tmp_path):
    """Writes a hls4ml file of the given classes and returns its path."""

    def make(
        name="jets.h5",
        *,
        classes="gqwztgqwzt",
        num_particles=6,
        seed=0,
        shuffle=False,
        spoil=None,
    ):
        rng = np.random.default_rng(seed)
        arrays = jet_arrays(len(classes), num_particles, seed)
        particles = rng.normal(size=(len(classes), num_particles, 16))
        particles[..., :3] = momenta(arrays)
        particles *= arrays["particle_features"][..., 3:]
        jets = rng.normal(size=(len(classes), len(JET_NAMES)))
        jets[:, -6:] = [[f"j_{c}" == n for n in JET_NAMES[-6:]] for c in classes]
        columns = rng.permutation(16) if shuffle else np.arange(16)
        others = (
            rng.permutation(len(JET_NAMES)) if shuffle else np.arange(len(JET_NAMES))
        )
        arrays = {
            "jetConstituentList": particles[..., columns],
            "jets": jets[:, others],
            "particleFeatureNames": np.array(
                [*(PARTICLE_NAMES[i] for i in columns), "j1_pdgid"], "S"
            ),
            "jetFeatureNames": np.array([JET_NAMES[i] for i in others], "S"),
        }
        if spoil is not None:
            spoil(arrays)
        return write(tmp_path / name, arrays)

    return make
