"""The search: what it reads, what it records, what it survives."""

import concurrent.futures
import dataclasses
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import faults
import pytest

from jetvae_jax import runs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.report import search as search_report
from jetvae_jax.runs.search import Outcome, run_trial

optuna = pytest.importorskip("optuna")
pytest.importorskip("plotly")
# The module: `runs.tune` is the function.
tuning = importlib.import_module("jetvae_jax.runs.search")
ANY = {"x": optuna.distributions.FloatDistribution(-1.0, 1.0)}


def write(folder, text):
    path = folder / "space.toml"
    path.write_text(text)
    return path


def test_space(tmp_path):
    path = write(
        tmp_path,
        """
        ["a.rate"]
        low = 1e-5
        high = 0.1
        log = true
        ["a.size"]
        low = 10
        high = 30
        step = 10
        ["a.layers"]
        choices = [[8], [8, 16]]
        """,
    )
    space = runs.read_space(path, lambda name: name.startswith("a."))
    kinds = optuna.distributions
    assert space == {
        "a.rate": kinds.FloatDistribution(1e-5, 0.1, log=True),
        "a.size": kinds.IntDistribution(10, 30, step=10),
        "a.layers": kinds.CategoricalDistribution(["8", "8,16"]),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("['b.rate']\nlow = 1\nhigh = 2", "'b.rate' is not a flag"),
        ("['a.rate']\nlow = 1", "a.rate: lacks 'high'"),
        ("['a.rate']\nlow = 2\nhigh = 1", "a.rate: .*low"),
        ("['a.rate']\nlow = 'x'\nhigh = 1", "a.rate"),
        ("['a.rate']\nlow = 1\nhigh = 2\nlogarithm = true", "know logarithm"),
        ("['a.rate']\nchoices = []", "a.rate"),
        ("'a.rate' = 3", "give a table"),
        ("a = [", "is not TOML"),
        ("", "names no field"),
    ],
)
def test_wrong_space(tmp_path, text, says):
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=says) as error:
        runs.read_space(path, lambda name: name.startswith("a."))
    assert "space.toml" in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="No such file"):
        runs.read_space(tmp_path / "none.toml", lambda name: True)


def fake(outcomes):
    """A run_trial that gives the square of x, or what ``outcomes`` holds for it."""

    def run_trial(workdir, run, trial, *, minutes, log):
        os.makedirs(workdir)
        return outcomes.get(trial.number) or Outcome("finished", "", run["x"] ** 2)

    return run_trial


@pytest.mark.parametrize(
    "storage", ["", pytest.param("journal", marks=pytest.mark.slow)]
)
def test_failures_are_recorded_and_passed_over(tmp_path, monkeypatch, storage):
    url = str(tmp_path / "study.journal") if storage else ""
    config = runs.TuneConfig(trials=6, sampler="random", storage=url)
    bad = {1: Outcome("failed", "loss became NaN"), 2: Outcome("pruned", "worse")}
    monkeypatch.setattr(tuning, "run_trial", fake(bad))

    def build(values):
        if values["x"] < -0.9:
            raise InputError("x: too small")
        return values

    page = runs.tune(tmp_path / "w", config, ANY, build)
    best = json.loads((tmp_path / "w" / "best.json").read_text())
    assert best["value"] == best["params"]["x"] ** 2
    text = (tmp_path / "w" / "best.flags.txt").read_text()
    assert text == f"--x={best['params']['x']}\n"
    html = page.read_text()
    assert "loss became NaN" in html and "plotly" in html
    # Only the best trial's folder is left.
    assert [p.name for p in (tmp_path / "w/trials").iterdir()] == [
        f"{best['trial']:05d}"
    ]
    # Five finished, one pruned: a second call has nothing to do, a longer one goes on.
    monkeypatch.setattr(tuning, "run_trial", None)
    runs.tune(tmp_path / "w", config, ANY, build)
    asked = []
    monkeypatch.setattr(
        tuning,
        "run_trial",
        lambda where, run, trial, minutes, log: (
            asked.append(trial.number) or Outcome("finished", "", 1.0)
        ),
    )
    longer = runs.TuneConfig(trials=8, sampler="random", storage=url)
    runs.tune(tmp_path / "w", longer, ANY, lambda values: values)
    assert len(asked) == 2


def test_a_lost_trial_is_tried_again(tmp_path, monkeypatch):
    def stop(workdir, run, trial, *, minutes, log):
        # As if this process had been killed in the midst of the trial.
        trial.set_user_attr("pid", 2**22 + 1)
        raise KeyboardInterrupt

    config = runs.TuneConfig(trials=1)
    monkeypatch.setattr(tuning, "run_trial", stop)
    with pytest.raises(KeyboardInterrupt):
        runs.tune(tmp_path, config, ANY, dict)
    seen = []
    monkeypatch.setattr(
        tuning,
        "run_trial",
        lambda where, run, trial, minutes, log: (
            seen.append(run) or Outcome("finished", "", 0.0)
        ),
    )
    runs.tune(tmp_path, config, ANY, dict)
    study = optuna.load_study(
        study_name="jetvae_jax", storage=f"sqlite:///{tmp_path / 'tune.db'}"
    )
    lost, again = study.trials
    assert lost.state.name == "FAIL" and again.state.name == "COMPLETE"
    assert lost.params == again.params == seen[0]


def test_the_folder_of_a_running_trial_stays(tmp_path, monkeypatch):
    """Two processes at one study: neither deletes what the other is training."""
    url = f"sqlite:///{tmp_path / 'tune.db'}"
    other = []

    def meanwhile(workdir, run, trial, *, minutes, log):
        os.makedirs(workdir)
        if not other:
            study = optuna.load_study(study_name="jetvae_jax", storage=url)
            other.append(study.ask(ANY))
            os.makedirs(tmp_path / f"trials/{other[0].number:05d}")
        return Outcome("finished", "", float(trial.number))

    monkeypatch.setattr(tuning, "run_trial", meanwhile)
    runs.tune(tmp_path, runs.TuneConfig(trials=4), ANY, dict)
    left = sorted(path.name for path in (tmp_path / "trials").iterdir())
    assert left == ["00000", "00001"]  # the best one and the running one
    optuna.load_study(study_name="jetvae_jax", storage=url).tell(other[0], 9.0)
    runs.tune(tmp_path, runs.TuneConfig(trials=4), ANY, dict)
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["00000"]


@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_a_study_that_many_start_at_once(tmp_path, storage):
    url = {"sqlite": f"sqlite:///{tmp_path / 'x.db'}",
           "journal": str(tmp_path / "x.journal")}[storage]  # fmt: skip
    config = runs.TuneConfig(storage=url)
    folder, begin = Workdir(tmp_path / "w"), threading.Barrier(6)

    def start(_):
        begin.wait()
        study, _, past = tuning._study(folder, config)
        return study.study_name, past

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        assert set(threads.map(start, range(6))) == {("jetvae_jax", 0)}


def test_two_that_start_at_once_do_not_try_the_same_values(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'tune.db'}"
    config = runs.TuneConfig(trials=4, sampler="random", storage=url)
    # Both found an empty study.
    studies = [tuning._study(Workdir(tmp_path), config) for _ in range(2)]
    monkeypatch.setattr(tuning, "_study", lambda *_: studies.pop())

    def run_trial(workdir, run, trial, *, minutes, log):
        if studies:  # the other one, while this one is in its first trial
            two = dataclasses.replace(config, trials=2)
            runs.tune(tmp_path, two, ANY, dict)
        return Outcome("finished", "", run["x"] ** 2)

    monkeypatch.setattr(tuning, "run_trial", run_trial)
    runs.tune(tmp_path, config, ANY, dict)
    study = optuna.load_study(study_name="jetvae_jax", storage=url)
    values = [trial.params["x"] for trial in study.trials]
    assert len(set(values)) == len(values) == 4


PROCESS = """
import importlib, os, sys, optuna
from jetvae_jax import runs
tuning = importlib.import_module("jetvae_jax.runs.search")
def run_trial(workdir, run, trial, *, minutes, log):
    os.makedirs(workdir)
    return tuning.Outcome("finished", "", run["x"] ** 2)
tuning.run_trial = run_trial
print("ready", flush=True)
sys.stdin.readline()
config = runs.TuneConfig(trials=30, storage=sys.argv[1], sampler="random")
space = {"x": optuna.distributions.FloatDistribution(-1.0, 1.0)}
runs.tune(sys.argv[2], config, space, dict)
"""


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["sqlite", "journal"])
def test_a_search_that_six_processes_start_at_once(tmp_path, storage):
    """In one folder: they share best.json and the folders of the trials, too."""
    url = {"sqlite": f"sqlite:///{tmp_path / 'x.db'}",
           "journal": str(tmp_path / "x.journal")}[storage]  # fmt: skip
    folder = tmp_path / "w"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, url, str(folder)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(6)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        _, log = process.communicate()
        assert process.returncode == 0, log
    study = optuna.load_study(study_name="jetvae_jax", storage=tuning._storage(url))
    values = [trial.params["x"] for trial in study.trials]
    assert 30 <= len(values) <= 35 and len(set(values)) == len(values)
    best = json.loads((folder / "best.json").read_text())
    assert best["value"] == min(x**2 for x in values)
    assert [path.name for path in (folder / "trials").iterdir()] == [
        f"{best['trial']:05d}"
    ]


def test_a_search_where_everything_fails_ends(tmp_path, monkeypatch):
    bad = dict.fromkeys(range(100), Outcome("failed", "loss became NaN"))
    monkeypatch.setattr(tuning, "run_trial", fake(bad))
    monkeypatch.setattr(tuning, "_FAILURES", 3)
    with pytest.raises(InputError, match=r"3 trials failed .*: loss became NaN"):
        runs.tune(tmp_path, runs.TuneConfig(trials=3), ANY, dict)


def test_wrong_storage(tmp_path):
    config = runs.TuneConfig(storage="nosuchdatabase://x")
    with pytest.raises(InputError, match="nosuchdatabase"):
        runs.tune(tmp_path, config, ANY, dict)


class Reports:
    def __init__(self, prune_at=None):
        self.values, self.prune_at = {}, prune_at

    def report(self, value, epoch):
        self.values[epoch] = value

    def should_prune(self):
        return len(self.values) == self.prune_at


@pytest.fixture
def small():
    """A training of three short epochs."""
    from jetvae_jax import training
    from jetvae_jax.jets import domain
    from jetvae_jax.losses.distances import chamfer
    from jetvae_jax.models import conv_vae

    model = conv_vae.Config(filters=(4,), hidden=(8,), latent_dim=3)
    return runs.ModelRun(
        data=domain.Data(max_jets=300),
        scaling=domain.Scaling(),
        model="conv_vae",
        model_config=model,
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=domain.Objective(),
        training=training.Config(num_epochs=3, batch_size=50, learning_rate=1e-3),
    )


@pytest.mark.slow
def test_a_trial_reports_every_epoch(tmp_path, small):
    reports = Reports()
    outcome = run_trial(tmp_path, small, reports)
    assert outcome.kind == "finished" and list(reports.values) == [1, 2, 3]
    assert outcome.value == min(reports.values.values())


@pytest.mark.slow
def test_a_trial_is_pruned_timed_out_or_dies(tmp_path, small):
    assert run_trial(tmp_path / "a", small, Reports(prune_at=2)).kind == "pruned"
    late = run_trial(tmp_path / "b", small, Reports(), minutes=1e-3)
    assert late.kind == "failed" and "longer" in late.reason

    class Murderer(Reports):
        def report(self, value, epoch):
            found = subprocess.run(
                ["pgrep", "-P", str(os.getpid()), "-f", "spawn_main"],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
            time.sleep(0.5)

    dead = run_trial(tmp_path / "c", small, Murderer())
    assert dead.kind == "failed" and "-9" in dead.reason


def test_an_unknown_monitor_is_said_before_the_search(tmp_path, run_script):
    """With what there is to choose of, once, and without a trial."""
    path = write(tmp_path, '["train.learning_rate"]\nlow = 1e-4\nhigh = 1e-2')
    found = run_script(
        "tune", f"--workdir={tmp_path / 'w'}", "--domain=events", "--model=mlp_vae",
        "--loss=mse", "--events.path=embedded", "--events.max_events=200",
        "--train.batch_size=20", f"--tune.space={path}", "--train.monitor=kss",
    )  # fmt: skip
    assert found.returncode == 2
    last = found.stderr.splitlines()[-1]
    assert last == (
        "error: train.monitor = 'kss': choose a term of the loss: kl, loss, "
        "reconstruction; of generated events: ks, spearman, overall"
    )
    assert not (tmp_path / "w/tune.db").exists()


def test_the_page_counts_trials_from_one_and_takes_the_width_of_the_screen():
    study = optuna.create_study()
    study.set_user_attr("monitor", "emd")
    axes = {"a.x": optuna.distributions.FloatDistribution(0, 1)} | {
        f"a.y{i}": optuna.distributions.IntDistribution(1, 9) for i in range(4)
    }
    values = {"a.x": 0.123456789} | {f"a.y{i}": 3 for i in range(4)}
    states = optuna.trial.TrialState
    for value in (2.0, 1.5, None):
        trial = optuna.trial.create_trial(
            state=states.FAIL if value is None else states.COMPLETE,
            value=value, params=values, distributions=axes,
            intermediate_values={} if value is None else {1: 5.0, 2: value},
            user_attrs={"reason": "loss became NaN"},
        )  # fmt: skip
        study.add_trial(trial)
    figures = dict(search_report._figures(search_report._from_one(study), "valid/emd"))
    history = figures["History"]
    assert list(history.data[0].x) == [1, 2]
    axis = history.layout.xaxis
    assert (axis.tick0, axis.dtick, axis.tickformat) == (1, 1, "d")
    assert tuple(axis.range) == (0.5, 3.5)
    assert figures["Values by epoch"].layout.xaxis.dtick == 1
    # Four fields in a row at most, whatever the search holds.
    rows = [name for name in figures if name.startswith("Values of")]
    assert [name.count(",") for name in rows] == [3, 0]
    for name in ("History", "Values by epoch"):
        assert figures[name].layout.yaxis.title.text == "valid/emd"
    assert search_report._scale([-1.0, 1e6]) == search_report._scale([1.0, 2.0]) == {}
    assert search_report._scale([1.0, 2.0, 1e6])["type"] == "log"
    text = search_report.page(study)
    assert "Objective Value" not in text[text.rindex("</script>") - 5000 :]
    assert '<th scope="row">valid/emd</th><td>1.5</td>' in text
    assert not re.search(r'"width":\s*\d{3,}', text[text.rindex('"layout"') :])
    assert "<li>3: loss became NaN</li>" in text
    assert '<th scope="row">trial</th><td>2</td>' in text
    assert "<td>0.1235</td>" in text and text.index(">date<") < text.index("trial</th>")


def test_a_study_of_one_term_takes_no_values_of_another(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "run_trial", fake({}))
    config = runs.TuneConfig(trials=1)
    runs.tune(tmp_path, config, ANY, dict, monitor="emd")
    best = (tmp_path / "best.json").read_bytes()
    assert json.loads(best)["minimised"] == "valid/emd"
    with pytest.raises(InputError, match=r"train\.monitor=kl.* minimises emd"):
        runs.tune(tmp_path, dataclasses.replace(config, trials=2), ANY, dict,
                  monitor="kl")  # fmt: skip
    assert (tmp_path / "best.json").read_bytes() == best
    space = write(tmp_path, "['train.monitor']\nchoices = ['emd', 'kl']")
    with pytest.raises(InputError, match=r"train\.monitor says what is minimised"):
        runs.read_space(space, lambda name: True)


@pytest.mark.slow
def test_after_a_kill_anywhere_a_search_ends_as_asked(tmp_path, monkeypatch):
    """As many trials as asked for, the best one kept, nothing else left behind."""
    monkeypatch.setattr(tuning, "run_trial", fake({}))
    config, folder = runs.TuneConfig(trials=3, sampler="random"), tmp_path / "w"

    def command():
        runs.tune(folder, config, ANY, dict)

    folder.mkdir()
    with monkeypatch.context() as patch:  # a process that is not there afterwards
        patch.setattr(os, "getpid", lambda: faults.DEAD)
        states = faults.kills(folder, command, tmp_path / "states")
    assert len(states) > 10
    for state in states[:: 1 if len(states) < 20 else 2]:
        faults.renew(folder, state)
        command()
        study = optuna.load_study(
            study_name="jetvae_jax", storage=f"sqlite:///{folder / 'tune.db'}"
        )
        done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
        assert len(done) == 3, state
        assert all(trial.state.name in ("COMPLETE", "FAIL") for trial in study.trials)
        first = min(done, key=lambda trial: trial.value)
        best = json.loads((folder / "best.json").read_text())
        assert best["trial"] == first.number and best["params"] == first.params
        text = (folder / "best.flags.txt").read_text()
        assert text == f"--x={first.params['x']}\n"
        kept = [path.name for path in (folder / "trials").iterdir()]
        assert kept == [f"{first.number:05d}"]
        assert not faults.parts(folder)
