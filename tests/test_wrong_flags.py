"""Every script answers a wrong flag, path or machine with one line and exit code 2."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from jetvae_jax import runs
from jetvae_jax.core import configs, flagfiles
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, expanded
from jetvae_jax.report import page
from jetvae_jax.training import checkpoint

ROOT = pathlib.Path(__file__).parent.parent
RESULTS = ROOT / "results" / "convae_gluon30"
SCRIPTS = sorted(path.stem for path in (ROOT / "experiments").glob("[!_]*.py"))
HUGE = "99999999999999999999"


def refused(done, *words):
    """One line, exit code 2, nothing on the standard output."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("error: ") and "Traceback" not in done.stderr
    for word in words:
        assert word in lines[-1]
    return lines[-1]


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_has_a_traceback_for_a_wrong_flag(name, tmp_path, run_script):
    binary, marked, circle = (tmp_path / n for n in ("bin", "bom", "circle"))
    binary.write_bytes(bytes(range(256)))
    marked.write_bytes(b"\xef\xbb\xbf# a comment\n--no.such=1\n")
    circle.write_text(f"--flagfile={circle}\n")
    for flag, words in (
        ("--no.such_flag=1", ("unknown flag",)),
        ("positional", ("not a flag",)),
        (f"--flagfile={binary}", ("cannot be read",)),
        (f"--flagfile={marked}", ("--no.such: unknown flag",)),
        (f"--flagfile={circle}", ("contains itself",)),
        (f"--flagfile={tmp_path}", ("no such file",)),
        ("--flagfile=", ("is empty",)),
        ("--flagfile", ("is empty",)),
    ):
        # What --workdir names does not exist: nothing may be made of it.
        arguments = [f"--workdir={tmp_path}/w", flag]
        if name in ("download", "inspect_jets", "inspect_showers"):
            arguments = [flag]
        refused(run_script(name, *arguments, cwd=tmp_path), *words)
    assert not (tmp_path / "w").exists()


WRONG = {
    "train": [
        (f"--seed={HUGE}", "--seed"),
        (f"--conv_vae.latent_dim={HUGE}", "is too large"),
        (f"--train.batch_size={HUGE}", "is too large"),
        ("--train.learning_rate=nan", "learning_rate"),
        ("--train.num_epochs=1e3", "num_epochs"),
        ("--data.fractions=a,b", "fractions"),
        ("--data.path=", "must not be empty"),
        ("--data.path=$NO_SUCH_VARIABLE/x", "$NO_SUCH_VARIABLE is not set"),
        ("--data.path=~no_such_user/x", "no such home"),
        ("--data.path=" + "x" * 5000, "too long"),
        ("--workdir=", "is empty"),
        ("--workdir=~no_such_user/x", "no such home"),
        ("--model=", "--model"),
    ],
    "generate": [
        ("--generate.num_jets=-1", "num_jets"),
        ("--generate.output=/no/such/x.hdf5", "--generate.output"),
        (f"--generate.seed={HUGE}", "seed"),
        ("--generate.shards=-1", "shards"),
        ("--generate.shard=1", "--generate.shard: give one with shards"),
        ("--generate.shards=2,--generate.shard=2", "below shards = 2, got 2"),
        ("--generate.collect", "--generate.collect: give it with shards"),
        ("--workdir=", "is empty"),
    ],
    "evaluate": [
        ("--evaluate.real=/no.hdf5,--evaluate.generated=/no.hdf5", "/no.hdf5"),
        ("--evaluate.protocols=x", "protocols"),
        (f"--evaluate.seed={HUGE}", "seed"),
    ],
    "inspect_jets": [
        (f"--inspect.max_jets={HUGE}", "is too large"),
        ("--inspect.columns=px", "write name=column"),
    ],
    "download": [("--download.dataset=", "dataset")],
    "make_jets": [
        (f"--make.num_jets={HUGE}", "num_jets"),
    ],
    "decompose": [("--decompose.num_events=1", "num_events")],
    "decompose_calorimeter": [("--decompose.num_true=150", "num_true: must be twice")],
    "decompose_dijets": [
        ("--decompose.num_events=100", "--decompose.path: is missing"),
        ("--decompose.path=embedded", "both jets of each event"),
    ],
    "enforce_study": [
        ("--enforce.observables=girth", "must be of mass, pt"),
        ("--objective.gamma=0", "leaves all observables out"),
    ],
    "sample_limits": [
        ("--limits.cut=nan", "cut"),
        ("--limits.run=/no/such", "/no/such"),
        ("--limits.members=8", "members: are trainings of a run"),
    ],
    "toys": [("--toys.low=nan", "low"), ("--workdir=/no/such", "/no/such")],
    "find_jets": [
        ("--find.signals=", "signals"),
        ("--find.draws=0", "draws"),
        ("--find.keep=2", "keep"),
        ("--workdir=/no/such", "/no/such"),
    ],
    "classify": [("--workdirs=/no/such", "/no/such")],
    "tune": [("--tune.trials=0", "trials"), ("--tune.space=", "--tune.space")],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_named(name, tmp_path, run_script):
    for flag, word in WRONG[name]:
        first = [] if name in ("inspect_jets", "download") else ["--workdir=w"]
        if name == "classify" or flag.startswith("--workdir="):
            first = []
        flags = flag.split(",--")
        arguments = [flags[0], *(f"--{other}" for other in flags[1:])]
        refused(run_script(name, *first, *arguments, cwd=tmp_path), word)
    assert not [path for path in tmp_path.iterdir() if path.name != "w"]


def test_a_required_flag(run_script, tmp_path):
    refused(run_script("train", cwd=tmp_path), "--workdir: is missing")


@pytest.mark.parametrize(
    "name", ["cuda", *(pytest.param(n, marks=pytest.mark.slow) for n in ("tpu", "no"))]
)
def test_a_platform_that_is_not_there(name, tmp_path):
    """Before the data are read, whatever they are."""
    command = [sys.executable, "experiments/train.py", f"--workdir={tmp_path}/w",
               "--data.path=/no/such.hdf5"]  # fmt: skip
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "JAX_PLATFORMS": name},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "no/such.hdf5" in done.stderr:
        pytest.skip(f"this machine has {name}")
    refused(done, f"JAX_PLATFORMS={name}")
    assert not (tmp_path / "w").exists()


# Paths.


def test_every_flag_of_a_path_replaces_the_home(tmp_path, monkeypatch):
    """Fields that are files or folders, of all Configs that flags are made from."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    monkeypatch.setenv("HOME", str(tmp_path))
    import _cli
    from absl import flags
    from absl.testing import flagsaver

    with flagsaver.flagsaver():
        _cli.define_flags()
        named = {
            "workdir", "data.path", "data.cache", "events.path", "pixels.path",
            "showers.path",
            "evaluate.real", "evaluate.generated", "evaluate.truth", "evaluate.output",
            "evaluate.fpnd", "generate.output",
        }  # fmt: skip
        for name in named:
            for text in ("~/x", "$HOME/x", "${HOME}/x"):
                flags.FLAGS[name].parse(text)
                value = flags.FLAGS[name].value
                wanted = f"{tmp_path}/x"
                assert value in (wanted, [wanted]), name
        flags.FLAGS["evaluate.generated"].parse("~/a,$HOME/b")
        assert _cli.evaluate_config().generated == (f"{tmp_path}/a", f"{tmp_path}/b")
        # A field whose help speaks of a file or a folder is one of them.
        for flag in _cli.own_flags():
            start = str(flag.help).split(";")[0].split(":")[0]
            if start.startswith(("folder", "file", "files", "a file", "where the net")):
                assert flag.name in named, flag.name


def test_expanded_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("NOT_SET", raising=False)
    assert expanded("~/a") == expanded("$HOME/a") == expanded("${HOME}/a")
    assert expanded("~/a") == "/home/me/a" and expanded("a~b") == "a~b"
    for text, word in (("$NOT_SET/a", "not set"), ("~no_such_user", "no such home")):
        with pytest.raises(ValueError, match=word):
            expanded(text)
    (tmp_path / "$NOT_SET").mkdir()
    assert expanded(tmp_path / "$NOT_SET") == str(tmp_path / "$NOT_SET")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Workdir("~/run").path == tmp_path / "run"


def test_numbers_have_an_end():
    config = runs.GenerateConfig(num_jets=configs.MAX_INT)
    assert config.num_jets == configs.MAX_INT
    with pytest.raises(InputError, match="num_jets: is too large"):
        runs.GenerateConfig(num_jets=configs.MAX_INT + 1)


# Flagfiles.


def test_flagfiles_are_found_beside_one_another(tmp_path, monkeypatch):
    inner = tmp_path / "root" / "flagfiles"
    (inner / "more").mkdir(parents=True)
    (inner / "base.txt").write_text("--a=1\n\n# comment\n// comment\n  --b=2  \n")
    (inner / "beside.txt").write_text("--flagfile=base.txt\n--a=3\n")
    (inner / "more" / "up.txt").write_text("--flagfile=../base.txt\n")
    # As earlier files name others, from the root of the repository.
    (inner / "root.txt").write_text("--flagfile=flagfiles/base.txt\n")
    (tmp_path / "elsewhere").mkdir()
    for folder in (tmp_path, tmp_path / "elsewhere", tmp_path / "root"):
        monkeypatch.chdir(folder)
        one, two = ["--a=1", "--b=2"], ["--a=1", "--b=2", "--a=3"]
        assert flagfiles.inserted([f"--flagfile={inner}/beside.txt"]) == two
        assert flagfiles.inserted(["-flagfile", f"{inner}/more/up.txt"]) == one
        assert flagfiles.inserted([f"--flagfile={inner}/root.txt", "--c"]) == [
            *one, "--c"
        ]  # fmt: skip
    # The current folder comes first.
    (tmp_path / "root" / "base.txt").write_text("--a=9\n")
    assert flagfiles.inserted([f"--flagfile={inner}/beside.txt"]) == ["--a=9", "--a=3"]
    assert flagfiles.inserted(["--", "--flagfile=no"]) == ["--", "--flagfile=no"]


@pytest.mark.parametrize("path", sorted((ROOT / "experiments/flagfiles").glob("*.txt")))
def test_flagfiles_of_the_package_are_read_from_anywhere(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = flagfiles.inserted([f"--flagfile={path}"])
    assert found and not any("flagfile" in flag for flag in found)


# Checkpoints.


def copied(folder, change):
    """The checkpoint of a result, with another description."""
    source = RESULTS / "vae.npz"
    with np.load(source) as file:
        arrays = dict(file)
    meta = json.loads(arrays[checkpoint.META].tobytes())
    text = json.dumps(change(meta)).encode()
    arrays[checkpoint.META] = np.frombuffer(text, np.uint8)
    np.savez(folder / "vae.npz", **arrays)
    return folder


def without(*keys):
    def change(meta):
        at = meta
        for key in keys[:-1]:
            at = at[key]
        del at[keys[-1]]
        return meta

    return change


CHANGES = {
    **{key: without(key) for key in ("run", "scaler_shapes", "best_epoch", "source")},
    "model": without("run", "model"),
    "data": without("run", "data"),
    "fingerprint": without("source", "fingerprint"),
    "list": lambda meta: [meta],
    "text": lambda meta: meta | {"run": "x"},
    "null": lambda meta: meta | {"scaler_shapes": None},
    "shape": lambda meta: meta | {"scaler_shapes": {"no_such": [3]}},
    "number": lambda meta: meta["run"]["data"].update(num_particles="a") or meta,
    "domain": lambda meta: meta["run"].update(domain="x") or meta,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_description_that_lacks_something(name, tmp_path, run_script):
    copied(tmp_path, CHANGES[name])
    done = run_script("generate", f"--workdir={tmp_path}", "--generate.num_jets=1",
                      "--generate.latents=prior")  # fmt: skip
    assert "vae.npz" in refused(done)


# Results that may only be read.


@pytest.fixture
def read_only(tmp_path, monkeypatch):
    """A folder in which nothing can be written, for root too."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "vae.npz").write_bytes((RESULTS / "vae.npz").read_bytes())
    access, replace, opened = os.access, os.replace, os.open

    def inside(path):
        return os.fspath(path).startswith(str(folder))

    def refuse(path):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    monkeypatch.setattr(
        os, "access", lambda p, mode, **k: not (
            inside(p) and mode & os.W_OK) and access(p, mode, **k)
    )  # fmt: skip
    monkeypatch.setattr(
        os, "replace", lambda a, b: refuse(b) if inside(b) else replace(a, b)
    )
    monkeypatch.setattr(
        os, "open", lambda p, flags, *a, **k: refuse(p) if inside(p) and flags & (
            os.O_WRONLY | os.O_RDWR) else opened(p, flags, *a, **k)
    )  # fmt: skip
    return folder


def test_jets_of_a_read_only_run(read_only, tmp_path):
    """They are generated elsewhere and evaluated elsewhere; the run stays as it is."""
    before = sorted(read_only.iterdir())
    output = tmp_path / "jets.hdf5"
    config = runs.GenerateConfig(latents="prior", num_jets=20, output=str(output))
    assert runs.generate(read_only, config) == output
    with pytest.raises(InputError, match="is not writable"):
        runs.generate(read_only, runs.GenerateConfig(latents="prior", num_jets=20))
    folder = read_only / "x.hdf5"
    with pytest.raises(InputError, match="the folder is not writable"):
        runs.generate(
            read_only, runs.GenerateConfig(latents="prior", output=str(folder))
        )
    trained = runs.load_model(read_only)
    assert trained.history() == {"vae": [], "flow": []}
    with pytest.raises(InputError, match="holds no generated jets"):
        # The generated jets are looked for in the run, the report goes elsewhere.
        from jetvae_jax.metrics import inputs

        inputs.found(trained.folder, ".hdf5", "jets")
    assert sorted(read_only.iterdir()) == before


# Optional packages.


def test_without_matplotlib_a_page_has_no_figures(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    plot = page.Plot("a", "A", "caption", lambda: pytest.fail("drawn"))
    path = page.write(tmp_path / "x.html", "x", [page.Heading("A"), plot])
    assert "matplotlib is not installed" in path.read_text()
    assert os.listdir(tmp_path) == ["x.html"]
    said = []
    monkeypatch.setattr(page.logging, "warning", lambda *a: said.append(a[0] % a[1:]))
    page.announce_missing()
    assert "pip install 'jetvae_jax[plot]'" in said[0] and "without figures" in said[0]
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert page.write(tmp_path / "y.html", "y", [plot]) == tmp_path
    page.announce_missing()
    assert "no page" in said[1] and os.listdir(tmp_path) == ["x.html"]


def test_a_plot_that_is_asked_for_needs_matplotlib(run_script, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run_script("inspect_jets", "--inspect.output=a.png", cwd=tmp_path)
    refused(done, "needs matplotlib", "jetvae_jax[plot]")
