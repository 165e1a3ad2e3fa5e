"""The notebooks: both forms agree, and each runs whole at its small size."""

import ast
import importlib.util
import json
import re
import runpy

import jax
import pytest
from absl import logging
from walkthroughs import DOCS, ROOT

FOLDER = ROOT / "notebooks"
# The others take longer.
DEFAULT = "chamfer_in_your_code"
FIGURES = "made"

spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
assert spec is not None and spec.loader is not None
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
SOURCES = make.sources()
every_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)


def test_every_notebook_is_on_the_page():
    page = (DOCS / "notebooks.md").read_text()
    rows = re.findall(
        r"\(\.\./notebooks/(\w+)\.ipynb\).*{colab}`Open in Colab <(\w+)>`", page
    )
    assert all(file == link for file, link in rows)
    assert sorted(file for file, _ in rows) == [path.stem for path in SOURCES]


@every_source
def test_both_forms_agree(path):
    stored = path.with_suffix(".ipynb").read_text()
    assert stored == make.notebook(path.stem, path.read_text()), "run: make notebooks"
    assert len(stored) < 40_000


@every_source
def test_the_stored_form_is_a_notebook(path):
    found = json.loads(path.with_suffix(".ipynb").read_text())
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    badge, title, install, *rest = found["cells"]
    (line,) = badge["source"]
    link = f"https://colab.research.google.com/github/{make.REPOSITORY}/blob/main/"
    assert line.startswith("[![Open in Colab]")
    assert line.endswith(f"({link}notebooks/{path.stem}.ipynb)")
    assert title["source"][0].startswith("# ")
    assert len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
    # Text and code of the stored form are those of the script, in its order.
    code = [c for c in rest if c["cell_type"] == "code"]
    script = [*ast.parse(path.read_text()).body]
    cells = [ast.parse("".join(c["source"])).body for c in code]
    assert [ast.dump(s) for body in cells for s in body] == [*map(ast.dump, script)]
    text = "".join(line for c in rest for line in c["source"])
    assert "](../" not in text
    for target in re.findall(rf"\]\({make.FILES}/([^)]+)\)", text):
        assert (ROOT / target).is_file(), target
    assert all(c["outputs"] == [] for c in [install, *code])


def test_the_installation_does_nothing_where_the_package_is():
    _, _, install, *_ = json.loads((FOLDER / f"{DEFAULT}.ipynb").read_text())["cells"]
    code = "".join(install["source"])
    (command,) = re.findall(r"^ *%pip (.*)", code, re.MULTILINE)
    assert make.REPOSITORY in code and "{package}" in command
    exec(code.replace("%pip", "assert False #"), {})


@pytest.mark.slow  # make notebooks-test
@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setenv("SMALL", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    verbosity, cache = logging.get_verbosity(), jax.config.jax_compilation_cache_dir
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        logging.set_verbosity(verbosity)
        jax.config.update("jax_compilation_cache_dir", cache)
        pyplot.close("all")
