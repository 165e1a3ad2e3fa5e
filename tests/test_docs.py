"""The documentation: nothing is missing, and what it shows is true.

Sphinx checks the rest, with every warning an error: ``make docs``.
"""

import ast
import doctest
import importlib
import inspect
import pathlib
import re
import sys

import jax
import jax.numpy as jnp
import pytest
from test_layers import PACKAGE
from walkthroughs import DOCS, ROOT, commands, save

import jetvae_jax as jv
from jetvae_jax.core.commands import shipped

PAGES = [*DOCS.rglob("*.md"), ROOT / "README.md"]
PAGES = [page for page in PAGES if not {"_build", "generated"} & {*page.parts}]
FACE = (
    *("losses", "metrics", "data", "interplay", "runs", "training"),
    *("models", "densities", "zoo"),
)
# Described by the page of the function that returns them, or by their own module.
ELSEWHERE = {
    *("models.ConvVAEConfig", "models.DeepSetsVAEConfig", "models.MLPVAEConfig"),
    *("models.get", "models.names", "densities.get", "densities.names"),
}

SHIPPED = {"--flagfile": ("flagfiles", ".txt"), "--tune.space": ("spaces", ".toml")}
# Flags of pytest, Slurm, Podman, Apptainer, CMake, TensorBoard, examples, benchmarks.
PROGRAMS = {
    *("rm", "build", "bind", "nv", "logdir"),
    *("signal", "requeue", "array", "gres", "nodes", "time", "dist", "limit"),
    *("jetnet_python", "output", "full", "only", "cpu", "jets", "suffixes", "folder"),
    *("xla_force_host_platform_device_count", "xla_cpu_prefer_vector_width"),
}


@pytest.fixture(scope="module")
def public():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield importlib.import_module("public")
    sys.modules.pop("public")


def test_every_public_name_has_a_page(public):
    listed = {*public.listed()}
    assert len(listed) > 100
    lacking = [
        f"jetvae_jax.{room}.{name}"
        for room in FACE
        for name in getattr(jv, room).__all__
        if f"{room}.{name}" not in ELSEWHERE
        and callable(getattr(getattr(jv, room), name))
    ]
    assert not {*lacking} - listed, "add them to a list in docs/api/"
    models = {f"jetvae_jax.models.{name}" for name in jv.models.names()}
    models |= {f"jetvae_jax.densities.{name}" for name in jv.densities.names()}
    assert not models - listed, "add them to a list in docs/api/"


def test_listed_names_exist(public):
    assert [name for name in public.listed() if public.find(name) is None] == []


def modules_with_examples():
    for path in sorted(PACKAGE.rglob("*.py")):
        if re.search(r"^\s+>>> ", path.read_text(), re.MULTILINE):
            name = path.relative_to(PACKAGE.parent).with_suffix("")
            yield ".".join(name.parts).removesuffix(".__init__")


@pytest.mark.parametrize("module", [*modules_with_examples()])
def test_examples_in_docstrings(module):
    found = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    names = {"jax": jax, "jnp": jnp, "jv": jv}
    code = importlib.import_module(module)
    for test in found.find(inspect.unwrap(code), module, extraglobs=names):
        runner.run(test)
    assert runner.tries > 0
    assert runner.failures == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_commands_and_code_of_a_page(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), target
    for script, flags in commands(text):
        assert (ROOT / "experiments" / f"{script}.py").is_file(), script
        for flag in flags:
            name, _, value = flag.partition("=")
            if name in SHIPPED:
                assert (ROOT / value).is_file() or shipped(value, *SHIPPED[name]), value
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        ast.parse(block)
    for block in re.findall(r"```(?:bash|python)\n(.*?)```", text, re.DOTALL):
        # More is cut where the window is 1280 pixels wide.
        assert max(map(len, block.splitlines())) <= 90


def test_the_function_that_the_readme_imports():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    names = {}
    exec(code, names)
    assert names["distance"].shape == (100,)
    x, y = (names[name][0][:, None] for name in ("real", "fake"))
    apart = ((x - y.swapaxes(0, 1)) ** 2).sum(-1)
    wanted = apart.min(0).sum() + apart.min(1).sum()
    assert float(names["distance"][0]) == pytest.approx(float(wanted), rel=1e-5)


def test_pictures_are_small():
    files = [*pathlib.Path(DOCS / "figures").iterdir()]
    assert sum(file.stat().st_size for file in files) < 1_000_000


def test_flags_on_the_pages_exist(run_script, tmp_path, monkeypatch):
    for page in ("model", "density", "loss", "log"):
        save(f"extend/{page}.md", tmp_path)
    monkeypatch.setenv("JETVAE_PLUGINS", str(tmp_path))
    scripts = sorted((ROOT / "experiments").glob("[!_]*.py"))
    helps = "\n".join(run_script(path.stem, "--helpfull").stdout for path in scripts)
    known = {*re.findall(r"^\s+--([\w.]+)", helps, re.MULTILINE)}
    assert {"apart.weight", "train.monitor", "find.background"} <= known
    known |= {"flagfile", "help", "helpfull"} | PROGRAMS
    shown = re.compile(
        r"(?<![\w-])--(?:no(?=objective))?([a-z_]\w*(?:\.\w+)?)(?=[=`\s])"
    )
    unknown = {
        (page.name, flag)
        for page in PAGES
        for flag in shown.findall(page.read_text())
        if flag not in known
    }
    assert unknown == set()
