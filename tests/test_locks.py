"""One process at a time in a workdir; a lock ends with its process."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading

import pytest

from jetvae_jax.core import locks
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir

HOLD = (
    "import sys; from jetvae_jax.core.files import Workdir\n"
    "with Workdir(sys.argv[1]).locked():\n"
    "    print('there', flush=True); sys.stdin.read()"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that has locked a folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "w")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout and process.stdout.readline() == "there\n"
        yield process
        process.kill()


def test_the_second_process_hears_who_is_there(tmp_path, holder):
    before = (tmp_path / "w/.lock").read_text()
    with (
        pytest.raises(InputError) as error,
        Workdir(tmp_path / "w").locked(),
    ):
        pass
    text = str(error.value)
    assert f"--workdir={tmp_path / 'w'}: is in use by" in text and "\n" not in text
    assert f"(process {holder.pid} on " in text and "another folder" in text
    assert (tmp_path / "w/.lock").read_text() == before


@pytest.mark.parametrize("kill", [True, False])
def test_a_lock_ends_with_its_process_or_block(tmp_path, holder, kill):
    if kill:
        holder.send_signal(signal.SIGKILL)
    holder.stdin.close()
    holder.wait()
    assert (tmp_path / "w/.lock").exists() == kill
    with Workdir(tmp_path / "w").locked(), Workdir(tmp_path / "w").locked():
        assert os.listdir(tmp_path / "w") == [".lock"]  # entered twice, gone once
    assert os.listdir(tmp_path / "w") == []


def test_one_that_waits_goes_on_when_the_other_has_ended(tmp_path, holder):
    threading.Timer(0.3, lambda: holder.stdin.close()).start()
    with locks.locked(tmp_path / "w/.lock", "w", wait=True):
        assert holder.wait() == 0
        assert f"process {os.getpid()} " in (tmp_path / "w/.lock").read_text()


def test_threads_are_kept_apart(tmp_path):
    failed = []

    def second():
        try:
            with Workdir(tmp_path).locked():
                pass
        except InputError as error:
            failed.append(error)

    with Workdir(tmp_path).locked():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(failed) == 1


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_noted(tmp_path, monkeypatch, caplog, code):
    def refuse(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with caplog.at_level("INFO"), Workdir(tmp_path).locked():
        assert not os.listdir(tmp_path)
    assert "has no locks" in caplog.text


def test_a_training_is_refused_where_another_one_is(tmp_path, holder, run_script):
    smoke = "--flagfile=experiments/flagfiles/smoke.txt"
    for name in ("train", "pipeline"):
        found = run_script(name, smoke, f"--workdir={tmp_path / 'w'}")
        assert found.returncode == 2
        assert f"is in use by -c (process {holder.pid}" in found.stderr
    assert os.listdir(tmp_path / "w") == [".lock"]  # no flags.txt either
