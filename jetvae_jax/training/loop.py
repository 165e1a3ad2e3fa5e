"""The one training loop: compiled chunks of steps, early stopping, exact resume.

Shuffles and noise depend only on the key, the epoch and the step, never on when
the run was saved or how its steps were cut into compiled calls. A run that was
killed and started again therefore ends with the same bits as one that was not. Data
come from a :class:`~jetvae_jax.training.feed.Feed`: all at once from arrays on the
device, or chunk by chunk from whatever else is one.
"""

import contextlib
import json
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Key, Params
from jetvae_jax.training import checkpoint
from jetvae_jax.training.compiled import (
    NEVER,
    compile_evaluation,
    compile_steps,
    zero_sums,
)
from jetvae_jax.training.feed import Feed, feed
from jetvae_jax.training.interrupt import Interrupt
from jetvae_jax.training.progress import Progress
from jetvae_jax.training.settings import Config
from jetvae_jax.training.step import Step

CHUNK_SECONDS = 1.0  # between looks at signals, the clock and NaN


class FitResult(NamedTuple):
    """What training gives.

    Attributes:
        params: those of the best epoch, by the monitored validation term.
        history: one dict an epoch: epoch, train/<term>, valid/<term>, seconds.
        best_epoch: epoch of ``params``, counted from 1.
        signal_number: the signal that stopped the run early, or 0.
    """

    params: Params
    history: list[dict]
    best_epoch: int
    signal_number: int


def loss_terms(step: Step, train: Any, config: Config) -> list[str]:
    """Names of the terms that a training reports and may monitor; nothing is trained.

    Args:
        step: the algorithm.
        train: as of :func:`fit`.
        config: how long, in which batches.
    """
    state = jax.eval_shape(step.init, jax.random.key(0))
    batch = feed(train).spec(config.batch_size)
    return sorted(zero_sums(step, state, batch)[0])


def _check_settings(path: pathlib.Path, stored: dict, wanted: dict) -> None:
    def flat(tree, prefix=""):
        if not isinstance(tree, dict):
            return {prefix.rstrip("."): tree}
        return {
            k: v for n, t in tree.items() for k, v in flat(t, f"{prefix}{n}.").items()
        }

    old, new = flat(stored), flat(json.loads(json.dumps(wanted)))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            raise InputError(
                f"{path}: holds a run with other settings ({name}: {old.get(name)!r} "
                f"there, {new.get(name)!r} here): give another --workdir, or delete "
                "the folder to start anew"
            )


def fit(
    step: Step,
    key: Key,
    train: Any | Feed,
    valid: Any | Feed,
    *,
    config: Config,
    name: str = "fit",
    unit: str = "jets",
    state_path: str | os.PathLike | None = None,
    settings: dict | None = None,
    on_epoch: Callable[[list[dict]], object] | None = None,
    on_save: Callable[[Params, int], object] | None = None,
    monitor: Callable[[Params], dict[str, float]] | None = None,
) -> FitResult:
    """Train until the epochs, the patience or the user end it.

    Args:
        step: the algorithm; see :class:`~jetvae_jax.training.Step`.
        key: seeds initialisation, shuffles and noise.
        train: pytree of arrays with leading axis J, kept on the device; or a Feed.
        valid: the same for validation; never used in a gradient.
        config: epochs, batch size, patience, and so on.
        name: for progress lines and messages.
        unit: what samples are called there.
        state_path: ``.npz`` of the resumable state; when it exists the run goes on
            from there. None keeps nothing on disk.
        settings: JSON-serialisable; a state of other settings is refused.
        on_epoch: called with the history after each epoch.
        on_save: called with (best params, best epoch) at each save.
        monitor: gives further validation terms of each epoch's parameters, such as
            metrics of generated samples, which ``config.monitor`` may name.

    Returns:
        A FitResult.

    Raises:
        InputError: too few jets, an unknown monitored term, a state of other
            settings, or a term that became NaN or infinite, with its step.
    """
    train, valid = feed(train), feed(valid)
    num_steps = len(train) // config.batch_size
    if not num_steps:
        raise InputError(
            f"{name}: {len(train)} training {unit} are fewer than "
            f"batch_size = {config.batch_size}: use more {unit} or a smaller batch"
        )
    init_key, order_key, noise_key, valid_key = jax.random.split(key, 4)
    run_steps = compile_steps(step, config.batch_size)
    run_evaluation = compile_evaluation(step, max(config.batch_size, 500))

    state = jax.jit(step.init)(init_key)
    zeros = zero_sums(step, state, train.spec(config.batch_size))
    if monitor is None and config.monitor not in zeros[0]:
        raise InputError(
            f"monitor = {config.monitor!r}: not a term of this loss; "
            f"choose one of {', '.join(sorted(zeros[0]))}"
        )
    sums, best_params = zeros, state.eval_params
    meta = {"epoch": 0, "step": 0, "history": [], "best_epoch": 0, "finished": False}
    settings = settings or {}
    path = pathlib.Path(state_path) if state_path else None
    if path and path.exists():
        meta = checkpoint.read_meta(path)
        _check_settings(path, meta.pop("settings"), settings)
        template = jax.eval_shape(lambda: (state, sums, best_params))
        state, sums, best_params = checkpoint.restore(path, template)
    # The loop donates its state; the best parameters must be buffers of their own.
    best_params = jax.tree.map(np.array, best_params)
    history: list[dict] = meta["history"]

    def save():
        if path:
            tree = (state, sums, best_params)
            checkpoint.save(path, tree, meta=meta | {"settings": settings})
        if on_save and meta["best_epoch"]:
            on_save(best_params, meta["best_epoch"])
        return time.monotonic()

    def check_finite(epoch, sums):
        first = jax.device_get(sums[1])
        if (at := min(first.values())) != NEVER:
            terms = ", ".join(sorted(n for n, i in first.items() if i == at))
            kept = f"; the last good state is in {path}" if path else ""
            raise InputError(
                f"{name}: {terms} became NaN or infinite at step {at + 1} of "
                f"{num_steps} in epoch {epoch + 1}{kept}: try a smaller learning_rate "
                "or clip_norm = 1"
            )

    jets_per_epoch = num_steps * config.batch_size
    done = (meta["epoch"] * num_steps + meta["step"]) * config.batch_size
    total = config.num_epochs * jets_per_epoch
    progress = Progress(name, total, done=done, unit=unit)
    interrupt = Interrupt()
    last_save, length = time.monotonic(), 1

    def train_epoch(epoch):
        """The steps that are left of it, or those until a signal."""
        nonlocal state, sums, last_save, length
        epoch_key = jax.random.fold_in(noise_key, epoch)
        shuffled = train.shuffled(
            order_key, epoch, batch_size=config.batch_size, start=meta["step"]
        )
        with contextlib.closing(shuffled):
            for first, data, order in shuffled:
                end = min(first + len(order) // config.batch_size, num_steps)
                while (start := meta["step"]) < end:
                    if interrupt.signal_number:
                        return
                    stop = min(start + length, end)
                    began = time.monotonic()
                    chunk = first, data, order
                    state, sums = run_steps(state, sums, chunk, epoch_key, start, stop)
                    check_finite(epoch, sums)
                    done = stop - start
                    speed = CHUNK_SECONDS / max(time.monotonic() - began, 1e-9)
                    length = max(1, int(min(2 * length, speed * done, num_steps)))
                    meta["step"] = stop
                    progress.advance(done * config.batch_size, f"epoch {epoch + 1}")
                    if time.monotonic() - last_save > config.save_seconds:
                        last_save = save()

    with interrupt, progress:
        while not meta["finished"] and not interrupt.signal_number:
            epoch, epoch_start = meta["epoch"], time.monotonic()
            train_epoch(epoch)
            if meta["step"] < num_steps:
                break
            valid_terms = run_evaluation(state.eval_params, valid, valid_key)
            row = {"epoch": epoch + 1}
            row |= {f"train/{n}": float(v) / num_steps for n, v in sums[0].items()}
            row |= {f"valid/{n}": v for n, v in valid_terms.items()}
            if monitor:
                found = monitor(state.eval_params)
                row |= {f"valid/{n}": float(v) for n, v in found.items()}
            row["seconds"] = round(max(time.monotonic() - epoch_start, 1e-3), 3)
            history.append(row)
            monitored = f"valid/{config.monitor}"
            if not np.isfinite(row[monitored]):
                raise InputError(
                    f"{name}: {monitored} is NaN or infinite after epoch {epoch + 1}: "
                    "try a smaller learning_rate or clip_norm = 1"
                )
            best_epoch = meta["best_epoch"]
            if not best_epoch or row[monitored] < history[best_epoch - 1][monitored]:
                meta["best_epoch"] = epoch + 1
                best_params = jax.tree.map(np.array, state.eval_params)
            meta |= {"epoch": epoch + 1, "step": 0}
            stale = meta["epoch"] - meta["best_epoch"]
            meta["finished"] = (
                meta["epoch"] >= config.num_epochs or stale >= config.patience
            )
            sums = zeros
            terms = "  ".join(
                f"{n} {row[f'train/{n}']:.5g}/{row[f'valid/{n}']:.5g}" for n in zeros[0]
            )
            if config.monitor not in zeros[0]:
                terms += f"  {config.monitor} -/{row[monitored]:.5g}"
            progress.note(
                f"{name} epoch {epoch + 1}/{config.num_epochs}  (train/valid) {terms}"
                f"  best {meta['best_epoch']}  {progress.status()}"
            )
            if on_epoch:
                on_epoch(history)
            if meta["finished"] or time.monotonic() - last_save > config.save_seconds:
                last_save = save()
        if interrupt.signal_number:
            save()
    return FitResult(best_params, history, meta["best_epoch"], interrupt.signal_number)
