"""The files of examples/batch: settings that the scripts know, and syntax."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
BATCH = ROOT / "examples" / "batch"
FLAG = re.compile(r"--([\w.]+)=(\S+)")


def command(name):
    """The flags of the command in a file, with the values that its variables have."""
    text = (BATCH / name).read_text().replace("\\\n", " ")
    if name.endswith(".sub"):
        values = dict(re.findall(r"^(\w+) *= (.*)$", text, re.MULTILINE))
        (line,) = re.findall(r'^arguments *= "(.*)"$', text, re.MULTILINE)
        line = re.sub(r"\$\((\w+)\)", lambda m: values.get(m[1], "{index}"), line)
    else:
        values = dict(re.findall(r"^(\w+)=\$\{\w+:-(.*)\}$", text, re.MULTILINE))
        (line,) = (row for row in text.splitlines() if "generate.py" in row)
        line = re.sub(r'"\$(\w+)"', lambda m: values.get(m[1], "{index}"), line)
    return dict(FLAG.findall(line))


def test_both_systems_run_the_same_command():
    slurm, condor = command("generate.sbatch"), command("generate.sub")
    assert slurm == condor
    assert slurm["generate.shard"] == "{index}" and slurm["generate.shards"] == "1000"
    text = (BATCH / "generate.sbatch").read_text()
    assert "#SBATCH --array=0-999%" in text
    assert "queue $(shards)" in (BATCH / "generate.sub").read_text()


def test_the_script_knows_the_flags(run_script, tmp_path):
    for name in ("generate.sbatch", "generate.sub"):
        given = command(name) | {"workdir": tmp_path / "none", "generate.shard": "7"}
        done = run_script("generate", *(f"--{k}={v}" for k, v in given.items()))
        assert done.returncode == 2 and "no such checkpoint" in done.stderr


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_the_script_of_slurm_is_one():
    subprocess.run(["bash", "-n", BATCH / "generate.sbatch"], check=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_the_script_of_the_page_is_one():
    page = (ROOT / "docs" / "practice" / "batch.md").read_text()
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", page, re.DOTALL)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.slow
def test_workers_start_and_end(tmp_path):
    pytest.importorskip("dask_jobqueue")
    with subprocess.Popen(
        [sys.executable, BATCH / "dask_workers.py", "local", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("--generate.dask_scheduler=tcp://")
        distributed = pytest.importorskip("distributed")
        address = line.strip().partition("=")[2]
        with distributed.Client(address) as client:
            client.wait_for_workers(1, timeout=120)
            assert client.submit(lambda: 1 + 1).result() == 2
        process.terminate()
        assert process.wait(60) == 0
