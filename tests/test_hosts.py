"""Several processes that work together, as on several computers, on loopback."""

import os
import pathlib
import socket
import subprocess
import sys

import h5py
import numpy as np
import pytest

from jetvae_jax.core import devices
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import read_lines
from jetvae_jax.training import checkpoint

ROOT = pathlib.Path(__file__).parent.parent
SMOKE = ("--flagfile=experiments/flagfiles/smoke.txt", "--train.batch_size=48",
         "--fit.batch_size=48")  # fmt: skip


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def together(name, *arguments, processes=2, devices=2):
    """Runs a script in several processes of several devices; their outputs."""
    count = f"--xla_force_host_platform_device_count={devices}"
    env = {**os.environ, "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {count}"}
    address = f"127.0.0.1:{free_port()}"
    started = [
        subprocess.Popen(
            [sys.executable, f"experiments/{name}.py", *map(str, arguments),
             f"--hosts={address},{processes},{which}"],
            cwd=ROOT, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for which in range(processes)
    ]  # fmt: skip
    found = [process.communicate(timeout=540) for process in started]
    return [(p.returncode, *texts) for p, texts in zip(started, found, strict=True)]


@pytest.mark.slow
def test_one_that_fails_alone_does_not_wait_for_the_others(tmp_path):
    """It ends at once, with its own line; those that need it are ended by JAX."""
    address = f"127.0.0.1:{free_port()}"
    started = [
        subprocess.Popen(
            [sys.executable, "experiments/train.py", *SMOKE, f"--workdir={tmp_path}",
             f"--hosts={address},2,{which}", *more],
            cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for which, more in enumerate(([], ["--data.path=/missing.hdf5"]))
    ]  # fmt: skip
    try:
        _, said = started[1].communicate(timeout=120)
        assert started[1].returncode == 2
        assert "error: /missing.hdf5" in said and "Traceback" not in said
    finally:
        started[0].kill()
        started[0].communicate()


@pytest.mark.parametrize(
    "hosts",
    ["no", "node1:1234,2", "node1:1234,2,x", "auto,1,0,2", "node1,2,0", "node1:,2,0"],
)
def test_what_is_no_address_is_said(hosts):
    with pytest.raises(InputError, match=r"--hosts=.*: write auto, or address:port"):
        devices.join(hosts)


def test_processes_that_nobody_has_started(monkeypatch):
    def initialize(**given):
        assert set(given) == {"shutdown_timeout_seconds"}
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr("jax.distributed.initialize", initialize)
    with pytest.raises(InputError, match=r"defined\.: start the processes by"):
        devices.join("auto")


def test_scripts_of_one_process_refuse_it(run_script, tmp_path):
    done = run_script("evaluate", f"--workdir={tmp_path}", "--hosts=auto")
    assert done.returncode == 2
    assert "--hosts: give it to train.py, fit_flow.py or generate.py" in done.stderr


@pytest.mark.slow
def test_two_processes_train_and_generate(run_script, tmp_path):
    """As one process does, to rounding; only the first one writes and speaks."""
    one, two = tmp_path / "one", tmp_path / "two"
    for script in ("train", "fit_flow"):
        done = run_script(script, *SMOKE, f"--workdir={one}")
        assert done.returncode == 0, done.stderr
        first, second = together(script, *SMOKE, f"--workdir={two}")
        assert (first[0], second[0]) == (0, 0), first[2] + second[2]
        said = [
            [row for row in text.splitlines() if not row.startswith("[Gloo]")]
            for _, text, _ in (first, second)
        ]
        assert said[0] and not said[1]
    assert sorted(p.name for p in two.iterdir()) == sorted(
        p.name for p in one.iterdir()
    )
    for name in ("vae", "flow"):
        histories = [read_lines(w / f"{name}.metrics.jsonl") for w in (one, two)]
        for a, b in zip(*histories, strict=True):
            for term in a.keys() - {"seconds"}:
                np.testing.assert_allclose(b[term], a[term], rtol=2e-3, atol=1e-4)
    assert "--hosts" not in (two / "flags.txt").read_text()
    # A finished run is seen as such, by both.
    again = together("train", *SMOKE, f"--workdir={two}")
    assert [code for code, *_ in again] == [0, 0]
    assert "has finished before" in again[0][2]
    assert checkpoint.read_meta(two / "vae.npz")["best_epoch"] >= 1
    # One sample, made by both.
    given = ("--generate.num_jets=8001", "--generate.latents=flow",
             "--generate.shards=4", f"--workdir={two}")  # fmt: skip
    many = together("generate", *given, f"--generate.output={tmp_path / 'jets'}")
    assert [code for code, *_ in many] == [0, 0], many
    done = run_script(
        "generate", *given, "--generate.collect",
        f"--generate.output={tmp_path / 'jets'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = 0
    for path in sorted((tmp_path / "jets").glob("*.hdf5")):
        with h5py.File(path) as file:
            rows += len(np.asarray(file["jet_features"]))
    assert rows == 8001
    # One file is made by one process.
    refused = together("generate", *given[:2], given[3])
    assert [code for code, *_ in refused] == [2, 2]
    assert "--hosts: several processes make shards" in refused[0][2]


@pytest.mark.slow
def test_two_processes_stream_from_one_cache(run_script, tmp_path):
    """It is made once, by whichever is first; the training is that of one process."""
    histories, made = [], []
    for number, folder in ((1, "one"), (2, "two")):
        given = (*SMOKE, "--data.stream", f"--data.cache={tmp_path / folder / 'cache'}",
                 f"--workdir={tmp_path / folder}")  # fmt: skip
        if number == 1:
            done = run_script("train", *given)
            assert done.returncode == 0, done.stderr
        else:
            ended = together("train", *given)
            assert [code for code, *_ in ended] == [0, 0], ended
        histories.append(read_lines(tmp_path / folder / "vae.metrics.jsonl"))
        cache = tmp_path / folder / "cache"
        made.append(sorted(p.name for p in cache.iterdir()))
    assert made[0] == made[1] and len(made[0]) == 1
    for a, b in zip(*histories, strict=True):
        for term in a.keys() - {"seconds"}:
            np.testing.assert_allclose(b[term], a[term], rtol=2e-3, atol=1e-4)
