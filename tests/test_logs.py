"""Logs of a training beside its JSON lines: each epoch once, whatever happened."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import struct
import sys
import types

import jax
import pytest
from test_training import line, make_step
from walkthroughs import DOCS, commands, save

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, read_lines
from jetvae_jax.training import Config, fit, logs

SETTINGS = {"model": {"name": "line", "hidden": [3]}, "training": {"beta1": 0.9}}
BOARD = {"tensorboard": logs.get("tensorboard").Config()}
needs_board = pytest.mark.skipif(
    importlib.util.find_spec("tensorboardX") is None, reason="needs tensorboardX"
)


class Killed(Exception):
    pass


def train(tmp_path, asked, *, epochs=5, killed=0, save_seconds=0.0, settings=SETTINGS):
    """A training in tmp_path, which a kill after that epoch may end; its history."""
    folder = Workdir(tmp_path)
    with logs.opened(asked, logs.About(folder, "vae", settings)) as write:

        def after_epoch(history):
            write(history)
            if len(history) == killed:
                raise Killed

        result = fit(
            make_step(), jax.random.key(0), line(200, 1), line(70, 2),
            config=Config(num_epochs=epochs, batch_size=32, save_seconds=save_seconds),
            state_path=folder / "vae.state.npz", on_epoch=after_epoch,
        )  # fmt: skip
        write(result.history)
    return result.history


def events(tmp_path, name="vae"):
    """All events of a log, by the format of the files: length, crc, event, crc."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((tmp_path / "tensorboard" / name).iterdir()):
        content = path.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + size]))
            content = content[16 + size :]
    return found


def scalars(found):
    """``(step, name, value)`` of the scalars of events."""
    return [
        (event.step, value.tag, value.simple_value)
        for event in found
        for value in event.summary.value
        if not value.tag.startswith("_hparams_")
    ]


def is_logged(found, history):
    """Every number of a history, once, under its name."""
    wanted = [
        (row["epoch"], name, pytest.approx(value, rel=1e-6))
        for row in history
        for name, value in row.items()
        if name != "epoch"
    ]
    return found == wanted


@needs_board
def test_tensorboard_has_every_epoch_under_its_name(tmp_path):
    history = train(tmp_path, BOARD)
    found = events(tmp_path)
    assert found[0].file_version == "brain.Event:2"
    assert is_logged(scalars(found), history)
    names = {name for _, name, _ in scalars(found)}
    assert {"train/loss", "valid/loss", "valid/error", "seconds"} <= names
    times = [event.wall_time for event in found if event.step]
    assert times == sorted(times)
    tags = [value.tag for event in found for value in event.summary.value]
    assert tags.count("_hparams_/session_start_info") == 1
    assert read_lines(tmp_path / "vae.metrics.jsonl") == history


@needs_board
@pytest.mark.parametrize("save_seconds", [0.0, 1e6])
def test_an_epoch_that_is_repeated_is_there_once(tmp_path, save_seconds):
    with pytest.raises(Killed):
        train(tmp_path, BOARD, killed=3, save_seconds=save_seconds)
    before = scalars(events(tmp_path))
    assert {step for step, *_ in before} == {1, 2, 3}
    (file,) = (tmp_path / "tensorboard/vae").iterdir()
    file.write_bytes(file.read_bytes()[:-7])  # the kill came while it was written
    with pytest.raises(Killed):  # at once, as a machine that fails again
        train(tmp_path, BOARD, killed=4)
    history = train(tmp_path, BOARD)
    assert len(history) == 5 and is_logged(scalars(events(tmp_path)), history)
    # What had been written is not changed by it.
    same = [row for row in scalars(events(tmp_path)) if row[1] != "seconds"]
    assert same[: 3 * 4] == [row for row in before if row[1] != "seconds"][: 3 * 4]


@needs_board
def test_a_log_that_is_asked_for_later_has_all_epochs(tmp_path):
    history = train(tmp_path, {})
    assert not (tmp_path / "tensorboard").exists()
    assert train(tmp_path, BOARD) == history  # finished: nothing is trained
    assert is_logged(scalars(events(tmp_path)), history)


@needs_board
def test_times_of_epochs_before_are_those_at_which_they_ended(tmp_path):
    rows = [{"epoch": i, "train/loss": 1.0, "seconds": 10.0 * i} for i in (1, 2, 3)]
    with logs.opened(BOARD, logs.About(Workdir(tmp_path), "vae", {})) as write:
        write(rows)
    times = sorted({event.wall_time for event in events(tmp_path) if event.step})
    last = {event.step: event.wall_time for event in events(tmp_path)}
    assert last[2] - last[1] == pytest.approx(20, abs=1)
    assert last[3] - last[2] == pytest.approx(30, abs=1)
    assert len(times) >= 3


@needs_board
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_ends_a_log_in_one_line(tmp_path, monkeypatch):
    from tensorboardX import record_writer

    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(record_writer, "open_file", lambda path: full)
        with pytest.raises(InputError, match="tensorboard/vae: cannot be written"):
            train(tmp_path, BOARD)
    assert len(read_lines(tmp_path / "vae.metrics.jsonl")) == 1


class Wandb(types.ModuleType):
    """What the log uses of the library of Weights & Biases; runs are by id."""

    class Error(Exception):
        pass

    def __init__(self, offline=False):
        super().__init__("wandb")
        self.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
        self.runs, self.given, self.ended, self.offline = {}, [], [], offline

    def Settings(self, **settings):
        return settings

    def init(self, *, id, **given):
        self.given.append(given)
        rows = [] if self.offline else self.runs.get(id, [])
        self.runs[id] = rows

        def log(values, *, step):
            assert not rows or step > rows[-1][0], "steps of W&B only rise"
            rows.append((step, values))

        return types.SimpleNamespace(
            log=log, starting_step=rows[-1][0] + 1 if rows else 0,
            finish=lambda exit_code=0: self.ended.append(exit_code),
        )  # fmt: skip


@pytest.fixture
def wandb(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", fake := Wandb())
    return fake


def asked(**settings):
    return {"wandb": logs.get("wandb").Config(**settings)}


def test_wandb_continues_its_run(tmp_path, wandb):
    with pytest.raises(Killed):
        train(tmp_path, asked(project="jets"), killed=3, save_seconds=1e6)
    history = train(tmp_path, asked(project="jets"))
    ((_, rows),) = wandb.runs.items()
    assert [step for step, _ in rows] == [1, 2, 3, 4, 5]
    assert rows[-1][1] == {k: v for k, v in history[-1].items() if k != "epoch"}
    assert wandb.ended == [1, 0]
    first, second = wandb.given
    assert first == second and first["config"] == SETTINGS
    assert first["project"] == "jets" and first["mode"] is None
    assert first["resume"] == "allow"
    # Other settings are another run.
    train(tmp_path, asked(), settings={"model": "other"})
    assert len(wandb.runs) == 2


def test_wandb_without_a_network_has_all_epochs_in_the_last_run(tmp_path, wandb):
    wandb.offline = True
    with pytest.raises(Killed):
        train(tmp_path, asked(offline=True), killed=3)
    train(tmp_path, asked(offline=True))
    ((_, rows),) = wandb.runs.items()
    assert [step for step, _ in rows] == [1, 2, 3, 4, 5]
    assert {given["mode"] for given in wandb.given} == {"offline"}


def test_without_a_login_wandb_is_refused_in_one_line(tmp_path, wandb, monkeypatch):
    def refuse(**given):
        raise Wandb.Error("api_key not configured\n(no-tty).")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(InputError, match=r"api_key not configured \(no-tty\): log in"):
        train(tmp_path, asked())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_missing_library_stops_before_any_work(
    name, tmp_path, run_script, monkeypatch
):
    found = importlib.util.find_spec
    (library,) = logs.get(name).LIBRARIES
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda n, *o: None if n == library else found(n, *o),
    )
    result = run_script(
        "train", "--flagfile=smoke", f"--workdir={tmp_path}/w", f"--log={name}",
        "--data.path=not_there.hdf5",
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == (
        f"error: --log={name}: needs {library}, which is not installed: "
        f"pip install 'jetvae_jax[{name}]'\n"
    )
    assert not (tmp_path / "w").exists()


def test_an_unknown_log_is_answered_by_the_nearest(tmp_path, run_script):
    result = run_script(
        "fit_flow", "--flagfile=smoke", f"--workdir={tmp_path}/w", "--log=tensorbord"
    )
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert "did you mean 'tensorboard'?" in result.stderr


@pytest.mark.slow
def test_a_log_is_one_file(tmp_path, run_script, monkeypatch):
    """That of the page on logs, by the command there at the smallest size."""
    save("extend/log.md", tmp_path)
    monkeypatch.setenv("JETVAE_PLUGINS", str(tmp_path))
    ((script, flags),) = commands((DOCS / "extend/log.md").read_text())
    asked = [f for f in flags if not f.startswith(("--flagfile", "--workdir"))]
    assert script == "train" and asked == ["--log=table", "--table.column=train/loss"]
    workdir = tmp_path / "w"
    result = run_script(script, "--flagfile=smoke", f"--workdir={workdir}", *asked)
    assert result.returncode == 0, result.stderr
    history = read_lines(workdir / "vae.metrics.jsonl")
    lines = (workdir / "vae.csv").read_text().splitlines()
    assert lines == [f"{row['epoch']},{row['train/loss']!r}" for row in history]
    assert len(history) == 3
    assert "table" in run_script("train", "--help").stdout
    assert "--log=table" in (workdir / "flags.txt").read_text()


def test_no_log_is_imported_or_written_unless_it_is_asked_for(tmp_path):
    train(tmp_path, {})
    assert {path.name for path in tmp_path.iterdir()} == {
        "vae.state.npz", "vae.metrics.jsonl",
    }  # fmt: skip
    assert json.loads((tmp_path / "vae.metrics.jsonl").read_text().splitlines()[0])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="needs wandb")
def test_the_library_of_wandb_without_a_network(tmp_path):
    history = train(tmp_path, asked(offline=True), epochs=3)
    (file,) = pathlib.Path(tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert file.stat().st_size > 0 and len(history) == 3


@needs_board
@pytest.mark.slow
@pytest.mark.parametrize(
    ("flagfile", "changes"),
    [
        ("smoke", ()),
        ("digits_sparse", ("--pixels.max_images=300", "--realnvp.num_couplings=2")),
        ("zgamma_vae_nf", ("--events.max_events=600", "--fit.batch_size=50")),
    ],
)
def test_every_training_is_logged(flagfile, changes, tmp_path, run_script):
    given = (
        f"--flagfile={flagfile}", *changes, f"--workdir={tmp_path}",
        "--train.num_epochs=2", "--fit.num_epochs=2", "--log=tensorboard",
    )  # fmt: skip
    for script, name in (("train", "vae"), ("fit_flow", "flow")):
        result = run_script(script, *given)
        assert result.returncode == 0, result.stderr
        history = read_lines(tmp_path / f"{name}.metrics.jsonl")
        assert len(history) == 2
        assert is_logged(scalars(events(tmp_path, name)), history)
