"""The help of the scripts: short by default, the rest by topic, each in one screen."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SCRIPTS = sorted(path.stem for path in (ROOT / "experiments").glob("[!_]*.py"))
# Flags that belong to the script alone, the first to be shown after --workdir.
OWN = {
    "calibrate": "calibrate.output",
    "classify": "classify.signal",
    "compare_digits": "losses",
    "compare_jets": "compare.flagfiles",
    "compare_zgamma": "compare.models",
    "compare_libraries": "library_study.k",
    "decompose": "decompose.path",
    "decompose_calorimeter": "decompose.num_particles",
    "decompose_dijets": "decompose.path",
    "enforce_study": "enforce.observables",
    "download": "download.dataset",
    "evaluate": "evaluate.real",
    "find_jets": "find.background",
    "export": "export.latents",
    "fit_copula": "copula.dependence",
    "fit_flow": "flow",
    "gan_toys": "gan_toys.objectives",
    "generate": "generate.latents",
    "inspect_jets": "inspect.path",
    "inspect_showers": "inspect.path",
    "make_jets": "make.jet_types",
    "make_zgamma": "make.num_background",
    "make_showers": "make.num_showers",
    "pipeline": "data.path",
    "sample_limits": "limits.run",
    "toys": "toys.mass",
    "train": "data.path",
    "tune": "tune.space",
}
GENERAL = ("workdir", "workdirs", "output", "seed")


@pytest.fixture(autouse=True)
def screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def shown(text):
    """The flags of a help, in their order."""
    return re.findall(r"^  --([\w.]+)=", text, re.MULTILINE)


def topics(text):
    """The topics that a short help lists."""
    _, _, listed = text.partition("--help=TOPIC")
    return re.findall(r"\w+", " ".join(line[20:] for line in listed.splitlines()[1:]))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_short_help_is_of_the_script(name, run_script):
    result = run_script(name, "--help")
    assert result.returncode == 0 and not result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) <= 42
    assert max(len(line) for line in lines if "python " not in line) < 88
    flags = shown(result.stdout)
    assert next(flag for flag in flags if flag not in GENERAL) == OWN[name]
    assert f"experiments/{name}.py" in result.stdout


@pytest.mark.parametrize("name", ["tune", "make_jets"])
def test_every_topic_fits_on_a_screen(name, run_script):
    listed = topics(run_script(name, "--help").stdout)
    everything = set()
    for topic in listed:
        text = run_script(name, f"--help={topic}").stdout
        assert text.count("\n") <= (45 if topic == "examples" else 30), topic
        assert topic == "examples" or shown(text)
        everything |= set(shown(text))
    assert everything == set(shown(run_script(name, "--helpfull").stdout))


def test_topics_of_the_script_come_first(run_script):
    flags = shown(run_script("generate", "--helpfull").stdout)
    found = list(dict.fromkeys(f.partition(".")[0] for f in flags if "." in f))
    assert found[:2] == ["generate", "data"]
    assert topics(run_script("tune", "--help").stdout)[0] == "tune"


def test_a_flag_has_its_default_its_text_and_its_choices(run_script):
    text = run_script("train", "--help", "train").stdout
    assert "--train.batch_size=100          jets per step" in text
    assert re.search(r"--train\.schedule=constant .*\n? *.*cosine", text)
    text = run_script("train", "--help=run").stdout
    domains = "jets, pixels, events, showers"
    assert re.search(rf"--domain=jets +kind of data: {domains}\n", text)
    assert "--data.repair=false" in run_script("train", "--help=data").stdout
    assert run_script("train", "--help=train.patience").stdout == (
        run_script("train", "--help=train").stdout
    )


def test_jets_come_before_images_events_and_showers(run_script):
    text = run_script("train", "--helpfull").stdout
    names = ("data", "pixels", "events", "showers")
    places = [text.index(f"--{name}.path") for name in names]
    assert places == sorted(places)
    listed = topics(run_script("evaluate", "--help").stdout)
    places = [listed.index(name) for name in names]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("topic", "near"),
    [("trian", "train"), ("eventz", "events"), ("conv_vae.latent", "conv_vae.latent_")],
)
def test_a_mistyped_topic_is_answered_by_the_nearest(topic, near, run_script):
    result = run_script("train", f"--help={topic}")
    assert result.returncode == 2 and not result.stdout
    assert f"did you mean '{near}" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_group_is_shown_with_all_its_topics(run_script):
    text = run_script("train", "--help=Jets").stdout
    assert {"data.path", "scaling.rotate", "objective.beta"} <= set(shown(text))
    assert not any(flag.startswith(("pixel", "event", "train")) for flag in shown(text))


def test_help_comes_first_whatever_else_is_wrong(run_script):
    result = run_script("train", "--no_such_flag", "--help")
    assert result.returncode == 0 and "--workdir" in result.stdout


def test_help_is_kept_until_a_file_changes(tmp_path):
    """The second call imports no JAX; a plug-in that is new is in the next one."""

    def asked(*options):
        return subprocess.run(
            [sys.executable, *options, ROOT / "experiments" / "fit_flow.py", "--help"],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path),
                 "JETVAE_PLUGINS": str(tmp_path / "plugins")},
            capture_output=True, text=True, check=True,
        )  # fmt: skip

    (tmp_path / "plugins" / "densities").mkdir(parents=True)
    first = asked().stdout
    again = asked("-X", "importtime")
    assert again.stdout == first
    assert "jetvae_jax" in again.stderr and " jax" not in again.stderr
    source = ROOT / "jetvae_jax" / "densities" / "realnvp.py"
    shutil.copy(source, tmp_path / "plugins" / "densities" / "new_one.py")
    assert "jax" in asked("-X", "importtime").stderr
