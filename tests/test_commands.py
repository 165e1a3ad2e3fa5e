"""The command ``jetvae``: every script by its name, and words that fit it."""

import contextlib
import contextvars
import io
import pathlib
import re
import subprocess
import sys

import pytest
from absl.testing import flagsaver

from jetvae_jax import __main__ as jetvae
from jetvae_jax.core import commands, files, flagfiles
from jetvae_jax.core.errors import InputError
from jetvae_jax.runs import summary

ROOT = pathlib.Path(__file__).parent.parent
SCRIPTS = sorted(path.stem for path in (ROOT / "experiments").glob("[!_]*.py"))

QUICK = """
import sys
from jetvae_jax.__main__ import main
sys.argv = ["jetvae", "--help"]
assert main() == 0
slow = {"jax", "numpy", "absl", "jetvae_jax.runs"} & set(sys.modules)
assert not slow, slow
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    """``(*arguments) -> (exit code, stdout, stderr)`` of jetvae, away from here."""

    def called(*arguments):
        out, err, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, flagsaver.flagsaver():
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", ["jetvae", *map(str, arguments)])
            patch.setattr(sys, "path", [*sys.path])
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = contextvars.copy_context().run(jetvae.main)
                except SystemExit as stop:
                    code = stop.code or 0
        return code, out.getvalue(), err.getvalue()

    return called


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(commands, "INSTALLED", True)


def test_the_list_of_commands_is_there_at_once():
    result = subprocess.run(
        [sys.executable, "-c", QUICK],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    listed = re.findall(r"^  (\w+)  +\S.*$", result.stdout, re.MULTILINE)
    assert sorted(listed) == SCRIPTS and listed[0] == "pipeline"
    assert max(map(len, result.stdout.splitlines())) < 80


def test_no_command_is_the_list_and_an_unknown_one_an_error(run):
    assert run()[1] == run("--help")[1] == run("help")[1]
    assert re.fullmatch(r"jetvae_jax \d+\.\d+\.\d+\n", run("--version")[1])
    code, out, err = run("fit-flwo", "--workdir=w")
    assert code == 2 and not out
    assert err == (
        "error: fit-flwo: no such command (did you mean 'fit_flow'?); "
        "see jetvae --help\n"
    )


@pytest.mark.parametrize("name", ["fit-flow", "pipeline", "tune"])
def test_help_says_what_can_be_typed(name, run):
    code, out, err = run(name, "--help")
    assert code == 0 and not err
    assert f"jetvae {name.replace('-', '_')} --workdir=" in out
    assert "experiments/" not in out and "python " not in out
    assert "experiments/" not in run(name, "--helpfull")[1]


def test_errors_and_next_steps_name_the_command(run, tmp_path):
    code, _, err = run("generate", f"--workdir={tmp_path}")
    assert code == 2 and "run jetvae train first" in err
    code, _, err = run("train", "--flagfile=quickstrat", "--workdir=w")
    assert code == 2 and "did you mean 'quickstart'?" in err


@pytest.mark.slow
def test_the_main_job_by_its_commands(run, tmp_path):
    given = ("--flagfile=smoke", "--workdir=run")
    for name, after in (
        ("train", "jetvae fit_flow --workdir=run"),
        ("fit-flow", "jetvae generate --workdir=run --generate.latents=flow"),
        ("generate", "jetvae evaluate --workdir=run"),
        ("evaluate", "run/report.html"),
    ):
        code, out, err = run(name, *given)
        assert code == 0, err
        assert out.splitlines()[-1].endswith(after)
    assert (tmp_path / "run/fit_flow.flags.txt").is_file()
    assert (
        "jetvae evaluate --flagfile=smoke" in (tmp_path / "run/report.html").read_text()
    )


def test_no_next_step_is_named_where_nothing_is_written(tmp_path):
    path = pathlib.Path("jets.hdf5")
    inside = summary.of_generation(path, files.zoo_folder("convae_gluon30"))
    assert inside == ["generated     jets.hdf5"]
    _, after = summary.of_generation(path, tmp_path)
    assert after.endswith(f"python experiments/evaluate.py --workdir={tmp_path}")


def test_a_checkout_names_its_scripts():
    text = "run experiments/train.py first"
    assert commands.worded(text) == text == str(InputError(text))


def test_an_installation_names_its_commands(installed):
    say = commands.worded
    assert say("run experiments/fit_flow.py first") == "run jetvae fit_flow first"
    assert say("next  python experiments/train.py --seed=1") == (
        "next  jetvae train --seed=1"
    )
    assert say("--flagfile=experiments/flagfiles/smoke.txt \\") == "--flagfile=smoke \\"
    assert say("see experiments/spaces/zgamma_vae.toml") == "see zgamma_vae"
    assert str(InputError("run experiments/train.py")) == "run jetvae train"
    # A user's own files keep their paths, and so do names that the package lacks.
    for own in (
        "/home/me/experiments/train.py",
        "../experiments/train.py",
        "experiments/mine.py",
        "experiments/flagfiles/mine.txt",
        "pseudo-experiments/train.py",
    ):
        assert say(own) == own


def test_flagfiles_of_the_package_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = flagfiles.inserted([f"--flagfile={ROOT}/experiments/flagfiles/smoke.txt"])
    for name in ("smoke", "smoke.txt", "experiments/flagfiles/smoke.txt"):
        assert flagfiles.inserted([f"--flagfile={name}"]) == wanted
    # Flagfiles that name others, and files of the user, which come first.
    assert "--model=deepsets_vae" in flagfiles.inserted(["--flagfile=efn_gluon30"])
    pathlib.Path("mine.txt").write_text("--flagfile=smoke\n--seed=3\n")
    assert flagfiles.inserted(["--flagfile=mine.txt"]) == [*wanted, "--seed=3"]
    pathlib.Path("smoke").write_text("--seed=4\n")
    assert flagfiles.inserted(["--flagfile=smoke"]) == ["--seed=4"]
    for wrong in ("smok", "flagfiles/smoke.txt", "../smoke", "spaces/convae_2022"):
        with pytest.raises(InputError, match="no such file"):
            flagfiles.inserted([f"--flagfile={wrong}"])
    with pytest.raises(InputError, match="did you mean 'convae_gluon30'"):
        flagfiles.inserted(["--flagfile=convae_gluon3"])


def test_search_spaces_of_the_package_are_found_by_name(tmp_path, monkeypatch):
    pytest.importorskip("optuna")
    from jetvae_jax import runs

    monkeypatch.chdir(tmp_path)
    known = {"train.learning_rate", "conv_vae.filters", "objective.beta"}
    path = ROOT / "experiments/spaces/convae_2022.toml"
    wanted = runs.read_space(path, lambda name: True)
    assert runs.read_space("convae_2022", lambda name: True) == wanted
    assert known & wanted.keys()
