"""Search for settings with Optuna: each trial runs in its own process.

The search asks Optuna for values, starts a process that trains with them and reports
the outcome: finished, pruned, or failed with its reason. A crash, NaN or lack of memory
in a trial therefore does not stop the search. Many such processes, on any
machines, share one study through its storage.
"""

import contextlib
import functools
import itertools
import multiprocessing
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import time
import tomllib
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple

import numpy as np
from absl import logging

from jetvae_jax.core import commands, configs
from jetvae_jax.core.configs import NonNegativeFloat, NonNegativeInt, PositiveInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, expanded
from jetvae_jax.core.locks import alive, locked
from jetvae_jax.report import search as page
from jetvae_jax.runs import training
from jetvae_jax.runs.config import ModelRun
from jetvae_jax.training.logs import NO_LOGS, Logs

INSTALL = "pip install 'jetvae_jax[tune]'"
_FAILURES = 10
"""Consecutive failed trials that end the search."""
_POLL_SECONDS = 0.2
_ATTEMPTS = 20
# What databases say when another process has just made the same table or row.
_COLLISION = re.compile(r"exists|unique|duplicate|locked|deadlock", re.IGNORECASE)


class Outcome(NamedTuple):
    """Result of a trial.

    Attributes:
        kind: whether it finished, was pruned for being worse than others, or failed.
        reason: of the pruning or failure; empty if finished.
        value: lowest value of the monitored term, if finished.
    """

    kind: Literal["finished", "pruned", "failed"]
    reason: str
    value: float = float("nan")


@configs.config
class TuneConfig:
    """Settings of a search and of its study.

    Attributes:
        space: TOML file of fields and their ranges, or the name of one of this package,
            such as convae_2022.
        trials: finished or pruned trials at which the search ends.
        storage: URL of the study: sqlite:///..., postgresql://..., or a path ending
            in .journal for a file shared by many machines; empty: tune.db in workdir.
        study: name of the study in the storage.
        sampler: 'tpe' learns from earlier trials, 'random' does not.
        pruner: 'median' stops a trial that is worse than half of the others at the
            same epoch, 'none' lets all finish.
        warmup_epochs: epochs before a trial may be pruned.
        timeout_minutes: longest time of a trial; 0 for none.
        keep: keep the folder of every trial, not only that of the best one.
        seed: of the sampler.
    """

    space: configs.Path = ""
    trials: PositiveInt = 20
    storage: str = ""
    study: str = "jetvae_jax"
    sampler: Literal["tpe", "random"] = "tpe"
    pruner: Literal["median", "none"] = "median"
    warmup_epochs: NonNegativeInt = 5
    timeout_minutes: NonNegativeFloat = 0.0
    keep: bool = False
    seed: configs.Seed = 0


def read_space(path: str | os.PathLike, known: Callable[[str], bool]) -> dict:
    """Field to Optuna distribution, from a TOML file.

    Every table is named after a flag and has ``choices = [...]``, or ``low`` and
    ``high`` with optional ``step`` or ``log = true``. Ranges of integers give integers.

    Args:
        path: of the file, or the name of one of this package.
        known: whether a flag of that name exists.

    Raises:
        InputError: no such file, invalid TOML, an unknown flag, or no range.
    """
    distributions = _optuna().distributions
    if not os.path.isfile(path):
        path = commands.shipped(os.fspath(path), "spaces", ".toml") or path
    try:
        tables = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"--tune.space={path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not TOML: {error}") from error
    space = {}
    for name, table in tables.items():
        if name == "train.monitor":
            raise InputError(
                f"{path}: {name} says what is minimised and cannot be searched for"
            )
        if not known(name):
            raise InputError(
                f"{path}: {name!r} is not a flag: write it as --help does, in quotes, "
                'such as ["train.learning_rate"]'
            )
        space[name] = _distribution(f"{path}: {name}", table, distributions)
    if not space:
        raise InputError(f"{path}: names no field to search")
    return space


def _distribution(where: str, table: Any, distributions: Any) -> Any:
    if not isinstance(table, dict):
        raise InputError(f"{where}: give a table with choices, or with low and high")
    if unknown := table.keys() - {"choices", "low", "high", "step", "log"}:
        raise InputError(f"{where}: does not know {', '.join(sorted(unknown))}")
    try:
        if "choices" in table:
            # Lists are what a flag takes: numbers separated by commas.
            choices = [
                ",".join(map(str, c)) if isinstance(c, list) else c
                for c in table["choices"]
            ]
            return distributions.CategoricalDistribution(choices)
        low, high = table["low"], table["high"]
        options = {k: table[k] for k in ("step", "log") if k in table}
        whole = all(isinstance(v, int) for v in (low, high, options.get("step", 1)))
        kind = "IntDistribution" if whole else "FloatDistribution"
        return getattr(distributions, kind)(low, high, **options)
    except KeyError as error:
        raise InputError(f"{where}: lacks {error}; give low and high") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from error


def tune(
    workdir: str | os.PathLike,
    config: TuneConfig,
    space: dict,
    build_run: Callable[[dict], ModelRun],
    *,
    monitor: str = "loss",
    log: Logs = NO_LOGS,
) -> pathlib.Path:
    """Search until the study has its trials; the same call continues after any stop.

    The value of a trial is the lowest value of its monitored term. A trial whose
    process was killed is recorded as failed and its values are tried again.

    Args:
        workdir: for ``tune.db``, ``tune.html``, ``best.json`` and a folder per trial.
        config: number of trials, storage, sampler and pruner.
        space: from :func:`read_space`.
        build_run: the training that values of the space describe; raises InputError
            for invalid values.
        monitor: the validation term that these trainings monitor.
        log: of each trial; see :mod:`jetvae_jax.training.logs`.

    Returns:
        The path of the HTML page of Optuna's plots.

    Raises:
        InputError: Optuna is not installed, the storage cannot be opened, its study
            minimises something else, or 10 trials fail one after the other.
    """
    folder = Workdir(workdir)
    study, sampler, next_number = _study(folder, config)
    _minimise(study, monitor)
    _mark_failed(study)
    logging.info(
        "study %s: %d trials there, %d wanted", config.study, _ended(study),
        config.trials,
    )  # fmt: skip
    outcome, failed = None, 0
    while _ended(study) < config.trials:
        if outcome and failed == _FAILURES:
            raise InputError(
                f"{failed} trials failed one after the other, the last one: "
                f"{outcome.reason}"
            )
        trial = study.ask()
        if trial.number != next_number:
            # Others are at work: the same seed would give their values again.
            study.sampler = sampler(config.seed + trial.number)
        next_number = trial.number + 1
        trial.set_user_attr("pid", os.getpid())
        trial.set_user_attr("host", socket.gethostname())
        for name, distribution in space.items():
            _suggest(trial, name, distribution)
        where = _place(folder, trial)
        try:
            run = build_run(dict(trial.params))
            minutes = config.timeout_minutes
            outcome = run_trial(where, run, trial, minutes=minutes, log=log)
        except InputError as error:
            outcome = Outcome("failed", str(error))
        except KeyboardInterrupt:
            folder.write_text("tune.html", page.page(study))
            raise
        _tell(study, trial, outcome)
        failed = failed + 1 if outcome.kind == "failed" else 0
        _write_best(folder, study, keep=config.keep)
    _write_best(folder, study, keep=config.keep)
    return folder.write_text("tune.html", page.page(study))


def _located(storage: str) -> str:
    """A storage with ``~`` and ``$HOME`` replaced in what is a path of it."""
    head, slashes, path = storage.partition("sqlite:///")
    if not slashes:
        head, path = ("", storage) if "://" not in storage else (storage, "")
    try:
        return head + slashes + expanded(path)
    except ValueError as error:
        raise InputError(f"--tune.storage={storage}: {error}") from None


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError(f"tune needs optuna: {INSTALL}") from error
    return optuna


def _suggest(trial: Any, name: str, distribution: Any) -> None:
    """Has a value chosen, as ``study.ask(space)`` does."""
    kinds = _optuna().distributions
    if isinstance(distribution, kinds.CategoricalDistribution):
        trial.suggest_categorical(name, distribution.choices)
        return
    whole = isinstance(distribution, kinds.IntDistribution)
    suggest = trial.suggest_int if whole else trial.suggest_float
    step, log = distribution.step, distribution.log
    suggest(name, distribution.low, distribution.high, step=step, log=log)


def _study(
    folder: Workdir, config: TuneConfig
) -> tuple[Any, Callable[[int], Any], int]:
    """The study, made if need be, its sampler as a function of a seed, and its trials.

    Raises:
        InputError: the storage cannot be opened.
    """
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Before version 5, features of the sampler and the plots count as experimental.
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    url = _located(config.storage) or f"sqlite:///{folder.path.resolve() / 'tune.db'}"
    sampler = (
        functools.partial(optuna.samplers.TPESampler, constant_liar=True)
        if config.sampler == "tpe"
        else optuna.samplers.RandomSampler
    )
    pruner = (
        optuna.pruners.MedianPruner(n_warmup_steps=config.warmup_epochs)
        if config.pruner == "median"
        else optuna.pruners.NopPruner()
    )

    def create() -> tuple[Any, int]:
        storage = _storage(url)
        # The seed depends on earlier trials: a resumed study must not repeat them.
        old = optuna.study.get_all_study_summaries(storage)
        past = next((s.n_trials for s in old if s.study_name == config.study), 0)
        seed = (config.seed + past) % (configs.MAX_SEED + 1)
        study = optuna.create_study(
            storage=storage, sampler=sampler(seed=seed), pruner=pruner,
            study_name=config.study, direction="minimize", load_if_exists=True,
        )  # fmt: skip
        return study, past

    try:
        study, past = _persistent(create)
        return study, lambda seed: sampler(seed=seed), past
    except Exception as error:  # each database driver has its own errors
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"--tune.storage={url}: cannot be opened: {first[:200]}"
        ) from error


def _storage(url: str) -> Any:
    storages = _optuna().storages
    if url.endswith(".journal"):
        backend = storages.journal.JournalFileBackend(url)
        return storages.JournalStorage(backend)
    # SQLite: how long a process waits for others that write. The default is 5 s.
    options = {"connect_args": {"timeout": 120}} if url.startswith("sqlite") else {}
    return storages.RDBStorage(url, engine_kwargs=options)


def _persistent(create: Callable[[], Any]) -> Any:
    """The result of ``create``, in spite of processes that do the same just now.

    Each makes the tables that it does not find; of those that look at the same time all
    but one fail, and find them when they look again.
    """
    for attempt in itertools.count(1):
        try:
            return create()
        except Exception as error:
            if attempt == _ATTEMPTS or not _COLLISION.search(str(error)):
                raise
            time.sleep(random.uniform(0.1, 0.5))


def _minimise(study: Any, monitor: str) -> None:
    """Notes what a study minimises: values of different terms are not compared.

    Raises:
        InputError: it minimises another term.
    """
    known = study.user_attrs.get(page.MONITOR)
    if known is None:  # a new one, or one of an earlier version
        _persistent(lambda: study.set_user_attr(page.MONITOR, monitor))
    elif known != monitor:
        raise InputError(
            f"--train.monitor={monitor}: the study {study.study_name} minimises "
            f"{known}: give another --tune.study or --workdir"
        )


def _ended(study: Any) -> int:
    states = _optuna().trial.TrialState
    return len(study.get_trials(False, states=(states.COMPLETE, states.PRUNED)))


def _mark_failed(study: Any) -> None:
    """Mark running trials whose process has ended as failed, and queue them again."""
    state = _optuna().trial.TrialState
    for trial in study.get_trials(False, states=(state.RUNNING,)):
        pid = trial.user_attrs.get("pid")
        if trial.user_attrs.get("host") == socket.gethostname() and not alive(pid):
            try:
                study.tell(trial.number, state=state.FAIL)
            except (ValueError, RuntimeError):  # another process has just done it
                continue
            study.enqueue_trial(trial.params)
            logging.info(
                "trial %d was lost: its values are tried again", trial.number + 1
            )


def _tell(study: Any, trial: Any, outcome: Outcome) -> None:
    state = _optuna().trial.TrialState
    if outcome.kind == "finished":
        study.tell(trial, outcome.value)
        logging.info("trial %d: %.5g", trial.number + 1, outcome.value)
        return
    trial.set_user_attr("reason", outcome.reason)
    study.tell(trial, state=state.PRUNED if outcome.kind == "pruned" else state.FAIL)
    logging.info("trial %d: %s: %s", trial.number + 1, outcome.kind, outcome.reason)


def _write_best(folder: Workdir, study: Any, *, keep: bool) -> None:
    """Write the best values so far, as JSON and as a flagfile.

    Unless ``keep``, delete the folders of all other trials that have ended.
    """
    # Whoever writes last has looked last.
    with locked(folder / ".best.lock", "best.json", wait=True):
        _write_best_alone(folder, study, keep=keep)


def _write_best_alone(folder: Workdir, study: Any, *, keep: bool) -> None:
    state = _optuna().trial.TrialState
    trials = study.get_trials(False)
    done = [trial for trial in trials if trial.state == state.COMPLETE]
    if not done:
        return
    best = min(done, key=lambda trial: trial.value)
    values = {
        "trial": best.number, "value": best.value, "minimised": page.minimised(study),
        "params": best.params,
    }  # fmt: skip
    folder.write_json("best.json", values)
    lines = [f"--{name}={value}\n" for name, value in best.params.items()]
    folder.write_text("best.flags.txt", "".join(lines))
    for trial in trials:
        if trial.state.is_finished() and trial.number != best.number and not keep:
            # Another process may delete it at the same time.
            shutil.rmtree(_place(folder, trial), ignore_errors=True)


def _place(folder: Workdir, trial: Any) -> pathlib.Path:
    """The folder of a trial."""
    return folder / f"trials/{trial.number:05d}"


class _Pruned(Exception):
    pass


def run_trial(
    workdir: str | os.PathLike,
    run: ModelRun,
    trial: Any,
    *,
    minutes: float = 0.0,
    log: Logs = NO_LOGS,
) -> Outcome:
    """Train, report every epoch to the trial, and stop when it is to be pruned.

    Args:
        workdir: of this trial.
        run: the training.
        trial: an Optuna trial, or anything with ``report(value, epoch)`` and
            ``should_prune()``.
        minutes: longest time; 0 for none.
        log: of the training; see :mod:`jetvae_jax.training.logs`.
    """
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    with _running(_train, os.fspath(workdir), run, dict(log)) as (pipe, process):
        try:
            while True:
                if time.monotonic() > end:
                    return Outcome("failed", f"took longer than {minutes:g} minutes")
                if not pipe.poll(_POLL_SECONDS):
                    continue
                message = pipe.recv()
                if isinstance(message, Outcome):
                    return message
                epoch, value = message
                trial.report(value, epoch)
                pipe.send(not trial.should_prune())
        except (EOFError, OSError):
            process.join(10)
            return Outcome("failed", f"its process ended with code {process.exitcode}")


def check(run: ModelRun) -> None:
    """Call :func:`jetvae_jax.runs.training.check` in a process of its own.

    The process of the search uses no device, whose memory the trials need.

    Raises:
        InputError: bad data, settings or monitor.
    """
    with _running(_check, run) as (pipe, process):
        try:
            message = pipe.recv()
        except EOFError as error:
            process.join(10)
            raise InputError(
                f"the process that reads the data ended with code {process.exitcode}"
            ) from error
    if message:
        raise InputError(message)


@contextlib.contextmanager
def _running(target: Callable[..., None], *args: Any):
    """Start a process with one end of a pipe; yield the other end and the process."""
    context = multiprocessing.get_context("spawn")  # XLA hangs in a forked process
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args), daemon=True)
    # A Ctrl-C is for this process, which ends the other one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()  # so that the pipe closes when the process ends
    try:
        yield ours, process
    finally:
        process.kill()
        process.join()


def _check(pipe: Connection, run: ModelRun) -> None:
    try:
        training.check(run)
    except InputError as error:
        pipe.send(str(error))
    else:
        pipe.send("")


def _train(pipe: Connection, workdir: str, run: ModelRun, log: Logs) -> None:
    """The process of a trial."""
    monitored = f"valid/{run.training.monitor}"

    def report(history):
        pipe.send((history[-1]["epoch"], history[-1][monitored]))
        if not pipe.recv():
            raise _Pruned

    try:
        result = training.train(workdir, run, on_epoch=report, log=log)
        best = min(row[monitored] for row in result.history)
        good = not result.signal_number and np.isfinite(best)
        outcome = (
            Outcome("finished", "", best) if good else Outcome("failed", "stopped")
        )
    except _Pruned:
        outcome = Outcome("pruned", "worse than others at this epoch")
    except InputError as error:  # NaN among them
        outcome = Outcome("failed", str(error))
    except Exception as error:
        first = str(error).splitlines()[:1]
        outcome = Outcome("failed", f"{type(error).__name__}: {''.join(first)[:200]}")
    pipe.send(outcome)
