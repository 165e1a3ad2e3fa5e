"""One trial of a search: a training in a process of its own."""

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Literal, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.runs.config import VAERun

_POLL_SECONDS = 0.2


class Outcome(NamedTuple):
    """What became of a trial.

    Attributes:
        kind: it ended, was ended for being worse than others, or broke off.
        reason: in words; empty if finished.
        value: lowest value of the monitored term, if finished.
    """

    kind: Literal["finished", "pruned", "failed"]
    reason: str
    value: float = float("nan")


class _Pruned(Exception):
    pass


def run_trial(
    workdir: str | os.PathLike, run: VAERun, trial: Any, *, minutes: float = 0.0
) -> Outcome:
    """Trains, reports every epoch to the trial and stops when it should be pruned.

    Args:
        workdir: of this trial.
        run: the training.
        trial: an Optuna trial, or anything with ``report(value, epoch)`` and
            ``should_prune()``.
        minutes: longest time; 0 for none.
    """
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    with _running(_train, os.fspath(workdir), run) as (pipe, process):
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


def check(run: VAERun) -> None:
    """What :func:`jetvae_jax.runs.train.check` does, in a process that then ends.

    The one that starts trials holds no device, whose memory they need.

    Raises:
        InputError: what would stop the training at its start.
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
    """A process with one end of a pipe; the other end and the process are given."""
    context = multiprocessing.get_context("spawn")  # a forked XLA hangs
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()  # so that the end of the process is the end of the pipe
    try:
        yield ours, process
    finally:
        process.kill()
        process.join()


def _check(pipe: Connection, run: VAERun) -> None:
    from jetvae_jax.runs.train import check as check_here

    try:
        check_here(run)
    except InputError as error:
        pipe.send(str(error))
    else:
        pipe.send("")


def _train(pipe: Connection, workdir: str, run: VAERun) -> None:
    """What the process of a trial does."""
    from jetvae_jax.runs.train import train

    monitored = f"valid/{run.training.monitor}"

    def report(history):
        pipe.send((history[-1]["epoch"], history[-1][monitored]))
        if not pipe.recv():
            raise _Pruned

    try:
        result = train(workdir, run, on_epoch=report)
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
