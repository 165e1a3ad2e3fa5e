"""Each entry point as a user runs it, on the smoke flagfile."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import h5py
import jax
import numpy as np
import pytest

from jetvae_jax import data, metrics, runs

FIGURES = "none"
ROOT = pathlib.Path(__file__).parent.parent
SCRIPTS = sorted(path.stem for path in (ROOT / "experiments").glob("[!_]*.py"))
FILES = ("real", "generated")
SMOKE = "--flagfile=experiments/flagfiles/smoke.txt"
FLOW = ["--realnvp.num_couplings=4", "--realnvp.hidden=16", "--fit.num_epochs=3",
        "--fit.batch_size=50"]  # fmt: skip


def command(name, *arguments):
    return [sys.executable, f"experiments/{name}.py", *map(str, arguments)]


def start(name, *arguments):
    return subprocess.Popen(
        command(name, *arguments), cwd=ROOT, text=True, stderr=subprocess.PIPE
    )


def run(name, *arguments, code=0):
    result = subprocess.run(
        command(name, *arguments), capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == code, result.stderr
    return result


@pytest.fixture(scope="module")
def piped(tmp_path_factory, run_script):
    folder = tmp_path_factory.mktemp("smoke")
    result = run_script("pipeline", SMOKE, f"--workdir={folder}")
    assert result.returncode == 0, result.stderr
    return folder, result


@pytest.fixture(scope="module")
def workdir(piped):
    return piped[0]


def test_the_end_of_a_run_says_what_was_reached(piped):
    folder, result = piped
    lines = result.stdout.splitlines()
    assert len(lines) == 5 and lines[-1] == str(folder / "report.html")
    assert re.fullmatch(
        r"trained +conv_vae, best epoch \d of 3, in 0:\d\d:\d\d", lines[0]
    )
    evaluation = json.loads((folder / "evaluation.json").read_text())
    samples = evaluation["candidates"] | {"floor": evaluation["floor"]}
    for line, (name, scale) in zip(
        lines[1:4], (("w1efp", 1e-5), ("w1m", 1e-3), ("w1p", 1e-3)), strict=True
    ):
        assert line.startswith(f"{name.upper()} [{scale:.0e}".replace("e-0", "e-"))
        found = re.findall(r"(\w+) (\S+) ± ", line)
        assert [sample for sample, _ in found] == [*samples]
        for sample, value in found:
            exact = samples[sample]["protocols"]["epic_5k"][name]["value"] / scale
            assert float(value) == pytest.approx(exact, rel=0.1)
    # The log is not a table of everything: that is in a file.
    assert len(result.stderr.splitlines()) < 60
    assert str(folder / "evaluation.txt") in result.stderr


def test_the_report_begins_with_its_origin(workdir):
    text = (workdir / "report.html").read_text()
    top = text[: text.index("Main metrics")]
    for row in ("date", "version", "seed", "training", "command"):
        assert f'<th scope="row">{row}</th>' in top
    assert "conv_vae on 420 jets, best epoch" in top
    assert f"experiments/pipeline.py {SMOKE} --workdir={workdir}" in top


@pytest.mark.slow
def test_the_flow_of_the_quickstart_is_better_than_its_prior(tmp_path, monkeypatch):
    # Compiled as for users: faster, and with their bits.
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "0")
    monkeypatch.setenv("XLA_FLAGS", "")
    flagfile = "--flagfile=experiments/flagfiles/quickstart.txt"
    run("pipeline", flagfile, f"--workdir={tmp_path}")
    result = json.loads((tmp_path / "evaluation.json").read_text())
    prior, flow = (
        result["candidates"][name]["protocols"]["jetnet_50k"]
        for name in ("prior", "flow")
    )
    # Trainings on one and on two cores differ in their last bits, and by so much.
    for name, ratio in (("fpd", 2), ("w1efp", 1.25), ("w1m", 1)):
        assert prior[name]["value"] > ratio * flow[name]["value"], name
    assert flow["fpd"]["value"] < 20e-3
    # The ten batches of a protocol are too few to tell them apart in coverage.
    real = metrics.relative(runs.load_model(tmp_path).data().test)
    cov = {}
    for name in ("prior", "flow"):
        made = data.load(tmp_path / f"generated_{name}.hdf5").jets
        found = metrics.cov_mmd(
            jax.random.key(0), real, metrics.relative(made), num_batches=200
        )
        cov[name] = found["cov"]
    assert cov["flow"] > cov["prior"] > 0.36
    # No arms of a star: particles of generated jets are as far apart as real ones.
    for name in ("prior", "flow"):
        found = result["candidates"][name]["jet"]["tau21"]["emd"]
        assert found < 0.25, name


def test_pipeline_leaves_everything(workdir):
    for name in ("vae.npz", "flow.npz", "vae.metrics.jsonl", "flow.metrics.jsonl",
                 "config.json", "pipeline.flags.txt", "generated_prior.hdf5",
                 "generated_flow.hdf5", "generated_reconstruction.hdf5",
                 "evaluation.json", "evaluation.txt", "report.html"):  # fmt: skip
        assert (workdir / name).stat().st_size > 0, name
    assert not list(workdir.glob("*.part"))
    result = json.loads((workdir / "evaluation.json").read_text())
    assert set(result["candidates"]) == {"reconstruction", "prior", "flow"}
    assert result["floor"]["bin_height_w1_sum"] > 0
    shell = result["conditions"]["mass_shell"]["values"]
    assert shell["real"] is None and 0 < shell["flow"] < 1e-5
    assert result["conditions"]["order"]["values"] == dict.fromkeys(shell, 0)


@pytest.mark.slow
def test_steps_one_by_one_give_the_same_bits(workdir, tmp_path):
    smoke = [line for line in (ROOT / SMOKE.partition("=")[2]).read_text().splitlines()
             if line.startswith(("--data", "--conv", "--train", "--eval"))]  # fmt: skip
    run("train", *smoke, f"--workdir={tmp_path}")
    run("fit_flow", *FLOW, f"--workdir={tmp_path}")
    for latents in ("prior", "flow"):
        run("generate", f"--workdir={tmp_path}", f"--generate.latents={latents}",
            "--generate.num_jets=100")  # fmt: skip
        if latents == "prior":  # one candidate: less to draw
            result = run("evaluate", f"--workdir={tmp_path}", *smoke)
            assert result.stdout.splitlines()[-1] == str(tmp_path / "report.html")
    for name in ("vae.npz", "flow.npz", "generated_prior.hdf5", "generated_flow.hdf5"):
        assert (tmp_path / name).read_bytes() == (workdir / name).read_bytes(), name
    # The flags that were written down repeat the run: it finds itself complete.
    run("train", f"--flagfile={tmp_path / 'flags.txt'}")
    assert (tmp_path / "vae.npz").read_bytes() == (workdir / "vae.npz").read_bytes()


def test_generated_file_is_what_other_tools_read(workdir):
    with h5py.File(workdir / "generated_flow.hdf5") as file:
        particles, jets = file["particle_features"][:], file["jet_features"][:]
    assert particles.shape == (100, 30, 4) and jets.shape == (100, 4)
    mask = particles[..., 3] > 0
    assert np.isfinite(particles).all() and not particles[~mask].any()
    np.testing.assert_array_equal(mask.sum(1), jets[:, 3])


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)


LONG = [SMOKE, "--train.num_epochs=40", "--train.save_seconds=0"]
LONG_FLOW = [*FLOW, "--fit.num_epochs=40", "--fit.patience=40", "--fit.save_seconds=0"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, run_script):
    """A training without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    result = run_script("train", *LONG, f"--workdir={folder}")
    assert result.returncode == 0, result.stderr
    return folder


def kill_twice(arguments, metrics):
    """SIGKILL when the log has 3 lines, and again at 15, then run to the end."""
    for lines in (3, 15):
        process = start(*arguments)
        wait_for(
            lambda lines=lines: (
                metrics.exists() and len(metrics.read_text().splitlines()) >= lines
            ),
            process,
        )
        process.send_signal(signal.SIGKILL)
        process.communicate()
    run(*arguments)


@pytest.mark.slow
def test_kill_9_in_training_then_resume(whole, tmp_path):
    arguments = ["train", *LONG, f"--workdir={tmp_path}"]
    kill_twice(arguments, tmp_path / "vae.metrics.jsonl")
    assert (tmp_path / "vae.npz").read_bytes() == (whole / "vae.npz").read_bytes()


@pytest.mark.slow
def test_kill_9_in_the_fit_of_the_flow_then_resume(whole, tmp_path):
    run("fit_flow", *LONG_FLOW, f"--workdir={whole}")
    shutil.copy(whole / "vae.npz", tmp_path)
    arguments = ["fit_flow", *LONG_FLOW, f"--workdir={tmp_path}"]
    kill_twice(arguments, tmp_path / "flow.metrics.jsonl")
    assert (tmp_path / "flow.npz").read_bytes() == (whole / "flow.npz").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_polite_stop_saves_and_says_how_to_go_on(whole, tmp_path, run_script, number):
    process = start("train", *LONG, f"--workdir={tmp_path}")
    wait_for((tmp_path / "vae.metrics.jsonl").exists, process)
    process.send_signal(number)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Continue with: python experiments/train.py" in log
    assert "Traceback" not in log
    result = run_script("train", *LONG, f"--workdir={tmp_path}")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "vae.npz").read_bytes() == (whole / "vae.npz").read_bytes()


@pytest.mark.slow
def test_kill_9_in_writing_then_again(workdir, tmp_path):
    output = tmp_path / "jets.hdf5"
    arguments = [
        f"--workdir={workdir}",
        "--generate.num_jets=60000",
        f"--generate.output={output}",
    ]
    process = start("generate", *arguments)
    wait_for(lambda: list(tmp_path.glob("jets.hdf5.*.part")), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not output.exists()
    run("generate", *arguments)
    first = output.read_bytes()
    run("generate", *arguments)
    assert output.read_bytes() == first
    assert os.listdir(tmp_path) == ["jets.hdf5"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_explains_its_flags(name, run_script):
    result = run_script(name, "--helpshort")
    own = {"download": "--download.folder"}
    own |= dict.fromkeys(("inspect_jets", "inspect_showers"), "--inspect.path")
    assert result.returncode == 0 and own.get(name, "--workdir") in result.stdout
    wrong = run_script(name, "--no_such_flag", "--workdir=unused")
    assert wrong.returncode == 2 and "no_such_flag" in wrong.stderr


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("train", ["--conv_vae.latent_dm=3"], "conv_vae.latent_dim"),
        ("train", ["--data.path=/no/such/file.hdf5"], "/no/such/file.hdf5"),
        ("train", ["--model=conv_va"], "conv_vae"),
        (
            "train",
            ["--train.batch_size=0"],
            "--train.batch_size: must be positive, got 0",
        ),
        ("train", ["--conv_vae.filters=a"], "--conv_vae.filters=a"),
        ("train", ["--seed=-1"], "--seed=-1"),
        ("train", ["--data.path="], "--data.path: must not be empty"),
        (
            "train",
            ["--data.fractions=0.5,0.6,0.2"],
            "--data.fractions: must sum to 1, got (0.5, 0.6, 0.2)",
        ),
        (
            "train",
            ["--data.max_jets=3"],
            "fractions: 0.7, 0.15, 0.15 of a sample of 3 leave 2, 1, 0 for training",
        ),
        (
            "generate",
            ["--generate.seed=99999999999999999999"],
            "--generate.seed: must be between 0 and 4294967295",
        ),
        ("tune", ["--tune.seed=-1"], "--tune.seed: must be between 0 and 4294967295"),
        ("train", ["stray"], "stray"),
        ("train", ["--flagfile=/no/such.txt"], "/no/such.txt"),
        ("fit_flow", [], "vae.npz"),
        (
            "generate",
            ["--generate.num_jets=-1"],
            "--generate.num_jets: must not be negative, got -1",
        ),
        ("evaluate", [], "vae.npz"),
    ],
)
def test_mistakes_are_answered_in_one_line(
    tmp_path, run_script, name, arguments, message
):
    result = run_script(name, *arguments, f"--workdir={tmp_path / 'w'}")
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    # A mistyped folder is not left behind with a file in it, by some not at all.
    assert not list(tmp_path.rglob("*.*"))
    assert name not in ("generate", "evaluate") or not os.listdir(tmp_path)


def test_workdir_that_cannot_be(tmp_path, run_script):
    (tmp_path / "file").write_text("")
    result = run_script("train", SMOKE, f"--workdir={tmp_path / 'file' / 'sub'}")
    assert result.returncode == 2 and "--workdir" in result.stderr
    result = run_script("train", "--workdir=", cwd=tmp_path)
    assert result.returncode == 2 and "--workdir: is empty" in result.stderr
    assert os.listdir(tmp_path) == ["file"]


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("pipeline", [SMOKE, "--seed=3"], "vae.state.npz: .* (seed: 0 there, 3 here)"),
        ("pipeline", ["--domain=pixels"], "(domain: 'jets' there, 'pixels' here)"),
        (
            "generate",
            ["--generate.latents=copula"],
            "copula.npz: no such file: run experiments/fit_copula.py first",
        ),
        (
            "generate",
            ["--generate.output=nowhere/x.hdf5"],
            "--generate.output=nowhere/x.hdf5: give a file in a folder that exists",
        ),
        ("generate", ["--generate.output=x.foo"], "x.foo: unknown suffix"),
    ],
)
def test_a_refused_command_leaves_a_run_as_it_was(
    workdir, run_script, name, arguments, message
):
    before = contents(workdir)
    result = run_script(name, *arguments, f"--workdir={workdir}")
    assert result.returncode == 2, result.stderr
    assert re.search(message.replace("(", r"\(").replace(")", r"\)"), result.stderr)
    assert contents(workdir) == before


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("train", [SMOKE, "--data.path=not_there.hdf5"]),
        ("pipeline", [SMOKE, "--data.path=not_there.hdf5"]),
        ("evaluate", [f"--evaluate.{each}=not_there.hdf5" for each in FILES]),
    ],
)
def test_a_refused_command_leaves_no_empty_folder(
    tmp_path, run_script, name, arguments
):
    (tmp_path / "mine").mkdir()
    for workdir in ("mine/runs/w", "mine"):
        given = f"--workdir={tmp_path / workdir}"
        result = run_script(name, *arguments, given)
        assert result.returncode == 2 and "not_there.hdf5" in result.stderr
        assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


@pytest.mark.parametrize("name", ["vae.metrics.jsonl", "flow.npz"])
def test_damage_is_found_before_metrics_are_computed(
    workdir, tmp_path, run_script, name
):
    folder = shutil.copytree(workdir, tmp_path / "copy")
    file = folder / name
    file.write_bytes(file.read_bytes()[:-40])
    before = contents(folder)
    result = run_script("evaluate", f"--workdir={folder}")
    assert result.returncode == 2 and f"error: {file}: " in result.stderr
    assert "delete it" in result.stderr and contents(folder) == before


@pytest.mark.slow
def test_a_finished_training_says_so_and_replaces_what_was_deleted(
    workdir, tmp_path, run_script
):
    folder = shutil.copytree(workdir, tmp_path / "copy")
    for name in ("vae.npz", "flow.npz"):
        (folder / name).unlink()
    for script in ("train", "fit_flow"):
        done = run_script(script, SMOKE, f"--workdir={folder}")
        assert done.returncode == 0 and "has finished before" in done.stderr
        lines = done.stdout.splitlines()
        assert 3 < len(lines) <= 5 and str(folder) in lines[-1]
        assert lines[-1].split()[:2] == ["next", "python"]
        assert any(re.match("loss +[0-9.e+]+ in training", line) for line in lines)
    for name in ("vae.npz", "flow.npz"):
        assert (folder / name).read_bytes() == (workdir / name).read_bytes()
