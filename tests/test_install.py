"""What is installed: extras that messages and pages name, versions, environments."""

import pathlib
import re
import runpy
import sys
import tomllib
import types

import pytest

ROOT = pathlib.Path(__file__).parent.parent
BEFORE = r"""(?:(?:jetvae_jax|['"]\.|(?:install|-e|--editable) \.)\[|EXTRAS=)"""
NAMED = re.compile(BEFORE + r"([\w-]+(?:,[\w-]+)*)")


@pytest.fixture(scope="module")
def metadata():
    """The arguments of ``setup``."""
    given = {}
    stand_in = types.ModuleType("setuptools")  # Python 3.12 has none of its own
    vars(stand_in).update(setup=given.update, find_packages=lambda **_: [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "setuptools", stand_in)
        runpy.run_path(str(ROOT / "setup.py"))
    return given


def texts():
    """Every text that may say how to install something."""
    for folder, pattern in (
        ("jetvae_jax", "*.py"), ("experiments", "*.py"), ("benchmarks", "*.py"),
        ("docs", "*.md"), (".", "*.md"), (".", "Makefile"), (".", "Containerfile"),
        (".", "environment*.yml"), (".github", "*.yml"), ("jetvae_jax", "*.md"),
        ("notebooks", "*.*"),
    ):  # fmt: skip
        for path in (ROOT / folder).glob(pattern if folder == "." else f"**/{pattern}"):
            yield path.relative_to(ROOT), path.read_text()


def test_every_extra_that_is_named_exists(metadata):
    extras, found = metadata["extras_require"], {}
    for path, text in texts():
        for match in NAMED.finditer(text):
            for name in match[1].split(","):
                found.setdefault(name, path)
    assert {"plot", "make-jets", "formats", "tune", "export", "wandb"} <= found.keys()
    assert {"cuda12", "cuda13", "tpu"} <= found.keys()
    assert not found.keys() - extras.keys(), found


def test_the_extra_all_holds_what_users_need(metadata):
    extras = metadata["extras_require"]
    others = {"all", "test", "docs", "benchmark", "cuda12", "cuda13", "tpu"}
    for name in extras.keys() - others:
        assert set(extras[name]) <= set(extras["all"]), name
    assert not any(need.startswith("jax[") for need in extras["all"])
    for name in ("cuda12", "cuda13", "tpu"):
        (need,) = extras[name]
        (bound,) = (n for n in metadata["install_requires"] if n.startswith("jax>"))
        assert need == bound.replace("jax", f"jax[{name}]")


def test_lower_bounds_have_a_tested_version(metadata):
    """Each requirement has a lower bound, and the tested version fulfils it."""
    pinned = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().lower().splitlines()
        if "==" in line and not line.startswith("#")
    )
    for need in metadata["install_requires"]:
        name, low = need.lower().split(">=")
        version = [int(part) for part in re.findall(r"\d+", pinned[name])]
        assert version >= [int(part) for part in low.split(".")], need


def test_the_pythons_are_those_of_the_checks(metadata):
    with (ROOT / "pyproject.toml").open("rb") as file:
        tools = tomllib.load(file)["tool"]
    lowest = metadata["python_requires"].removeprefix(">=")
    assert tools["pyright"]["pythonVersion"] == lowest
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata["classifiers"]))
    assert named[0] == lowest
    checks = (ROOT / ".github/workflows/tests.yml").read_text()
    assert all(f'"{version}"' in checks for version in named)
    for name, where in (
        ("environment.yml", r"python=([\d.]+)"),
        ("Containerfile", r"python:([\d.]+)-slim"),
    ):
        used = set(re.findall(where, (ROOT / name).read_text()))
        assert used and used <= {*named}, name


def test_the_citation_is_of_this_version(metadata):
    text = (ROOT / "CITATION.cff").read_text()
    (version,) = re.findall(r"^version: (.+)$", text, re.MULTILINE)
    assert version == metadata["version"]
    assert "authors:\n  - name: the jetvae_jax developers\n" in text
    doi = re.findall(r"doi.org/([^)\s]+)\)", (ROOT / "README.md").read_text())
    papers = re.findall(r"arxiv.org/abs/([\d.]+)", (ROOT / "README.md").read_text())
    assert doi and papers and all(paper in text for paper in [*doi, *papers])
    # And those that the code of models and densities names as its source.
    folders = (ROOT / "jetvae_jax" / name for name in ("models", "densities"))
    code = "".join(f.read_text() for folder in folders for f in folder.glob("*.py"))
    named = set(re.findall(r"\b\d{4}\.\d{4,5}\b", code))
    assert len(named) > 10
    assert not {paper for paper in named if f"abs/{paper}" not in text}
