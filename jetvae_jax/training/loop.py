"""The one training loop: compiled chunks of steps, early stopping, exact resume.

Shuffles and noise depend only on the key, the epoch and the step, not on when the run
was saved or how its steps were divided into compiled calls. A run that was killed and
started again therefore ends with the same bits as one that was not. Data come from a
:class:`~jetvae_jax.training.feed.Feed`: arrays on the device, or a stream of chunks.
"""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jetvae_jax.core import configs, devices
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.interrupt import Interrupt
from jetvae_jax.core.types import Key, Params
from jetvae_jax.training import checkpoint, memory
from jetvae_jax.training.compiled import (
    NEVER,
    compile_evaluation,
    compile_steps,
    traced,
    zero_sums,
)
from jetvae_jax.training.feed import Feed, feed
from jetvae_jax.training.progress import Progress, StartUp
from jetvae_jax.training.step import Config, Step

CHUNK_SECONDS = 1.0  # between checks for signals, the clock and NaN


class FitResult(NamedTuple):
    """Result of a training.

    Attributes:
        params: those of the best epoch, by the monitored validation term.
        history: one dict per epoch: epoch, train/<term>, valid/<term>, seconds.
        best_epoch: epoch of ``params``, counted from 1.
        signal_number: the signal that stopped the run early, or 0.
    """

    params: Params
    history: list[dict]
    best_epoch: int
    signal_number: int


def loss_terms(step: Step, train: Any, config: Config) -> list[str]:
    """Names of the terms that a training reports and may monitor, without training.

    Args:
        step: the algorithm.
        train: as for :func:`fit`.
        config: gives the batch size.
    """
    state = jax.eval_shape(step.init, jax.random.key(0))
    batch = feed(train).spec(config.batch_size)
    return sorted(traced(step, state, batch)[1])


def _check_settings(path: pathlib.Path, stored: dict, wanted: dict) -> None:
    def flat(tree, prefix=""):
        if not isinstance(tree, dict):
            return {prefix.rstrip("."): tree}
        return {
            k: v for n, t in tree.items() for k, v in flat(t, f"{prefix}{n}.").items()
        }

    old, new = flat(stored), flat(configs.plain(wanted))
    # Choices such as the domain come first: other settings differ with them. The
    # fingerprint of the data comes last: a path or a number of jets says more.
    names = sorted(
        old.keys() | new.keys(),
        key=lambda name: (name == "fingerprint", name.count("."), name),
    )
    for name in names:
        if old.get(name) != new.get(name):
            raise InputError(
                f"{path}: holds a run with other settings ({name}: {old.get(name)!r} "
                f"there, {new.get(name)!r} here): give another --workdir, or delete "
                "this file to start again"
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
    renew: Callable[[dict], dict] | None = None,
    on_epoch: Callable[[list[dict]], object] | None = None,
    on_save: Callable[[Params, int], object] | None = None,
    monitor: Callable[[Params], dict[str, float]] | None = None,
) -> FitResult:
    """Train until the last epoch, until patience runs out, or until a signal.

    Batches are divided among the devices of :mod:`~jetvae_jax.core.devices`.

    Args:
        step: the algorithm; see :class:`~jetvae_jax.training.Step`.
        key: seeds initialisation, shuffles and noise.
        train: pytree of arrays with leading axis J, kept on the device; or a Feed.
        valid: the same for validation; never used in a gradient.
        config: epochs, batch size, patience, and so on.
        name: for progress lines and messages.
        unit: name of the samples there.
        state_path: ``.npz`` of the resumable state; if it exists, training continues
            from it. None writes nothing to disk.
        settings: JSON-serialisable; a state with other settings is refused.
        renew: brings the settings of a state, perhaps of an earlier version, up to
            date before they are compared.
        on_epoch: called with the history after each epoch.
        on_save: called with (best params, best epoch) at each save.
        monitor: ``(params) -> {name: value}``, further validation terms of each epoch,
            such as metrics of generated samples; ``config.monitor`` may name them.

    Returns:
        A FitResult.

    Raises:
        InputError: too few jets, an unknown monitored term, a state of other
            settings, or a term that became NaN or infinite, with its step.
    """
    mesh = devices.for_batches(name, config.batch_size)
    loop = _Loop(
        step, feed(train, mesh), feed(valid, mesh), config, name, unit, settings or {},
        mesh=mesh, path=pathlib.Path(state_path) if state_path else None,
        renew=renew, on_epoch=on_epoch, on_save=on_save, monitor=monitor,
    )  # fmt: skip
    with loop.interrupt:  # while it traces and compiles, too
        loop.start(key)
        return loop.run()


@jax.jit  # in one piece: each operation by itself is compiled, or read, by itself
def _four_keys(key: Key) -> tuple[Key, ...]:
    return tuple(jax.random.split(key, 4))


@dataclasses.dataclass
class _Loop:
    """The state of a training, and the methods that advance it; see :func:`fit`.

    ``meta`` is the part of the resumable state that is not arrays: completed epochs and
    steps, the history, the best epoch, and whether the training has finished.
    """

    step: Step
    train: Feed
    valid: Feed
    config: Config
    name: str
    unit: str
    settings: dict
    mesh: Mesh | None
    path: pathlib.Path | None
    renew: Callable[[dict], dict] | None
    on_epoch: Callable[[list[dict]], object] | None
    on_save: Callable[[Params, int], object] | None
    monitor: Callable[[Params], dict[str, float]] | None

    def __post_init__(self):
        size = self.config.batch_size
        self.num_steps = len(self.train) // size
        if not self.num_steps:
            raise InputError(
                f"{self.name}: {len(self.train)} training {self.unit} are fewer than "
                f"batch_size = {size}: use more {self.unit} or a smaller batch"
            )
        self.interrupt = Interrupt()
        self.length = 1  # steps in the next compiled call
        self.start_up = StartUp(self.name)

    def start(self, key: Key) -> None:
        """Initialise the state, or read that of an interrupted run."""
        config = self.config
        init_key, self.order_key, self.noise_key, self.valid_key = _four_keys(key)
        mesh = self.mesh
        self.run_steps = compile_steps(self.step, config.batch_size, mesh)
        self.run_evaluation = compile_evaluation(
            self.step, max(config.batch_size, 500), mesh
        )
        init = jax.jit(self.step.init)
        shapes = memory.shapes(self.name, init)
        batch = self.train.spec(config.batch_size)
        jaxpr, terms = traced(self.step, shapes, batch)
        memory.announce(self.name, self.unit, config.batch_size, shapes, jaxpr)
        self.start_up.ended("trace")
        self.state = devices.placed(mesh, init(init_key))
        self.zeros = zero_sums(terms)
        if self.monitor is None and config.monitor not in self.zeros[0]:
            raise InputError(
                f"monitor = {config.monitor!r}: not a term of this loss; "
                f"choose one of {', '.join(sorted(self.zeros[0]))}"
            )
        self.sums, best_params = self.zeros, self.state.eval_params
        self.meta: dict[str, Any] = {
            "epoch": 0, "step": 0, "history": [], "best_epoch": 0, "finished": False,
        }  # fmt: skip
        if self.path and self.path.exists():
            meta = checkpoint.read_meta(self.path)
            with checkpoint.understood(self.path):
                stored = meta.pop("settings")
                stored = self.renew(stored) if self.renew else stored
                self.meta = {name: meta[name] for name in self.meta}
            _check_settings(self.path, stored, self.settings)
            tree = self.state, self.sums, best_params
            template = jax.eval_shape(lambda: tree)
            restored = checkpoint.restore(self.path, template)
            self.state, self.sums, best_params = devices.placed(mesh, restored)
        of_each = devices.of_all(self.meta["epoch"], self.meta["step"])
        if len(set(of_each)) > 1:
            raise InputError(
                f"{self.name}: the processes of --hosts go on from different states, "
                f"(epoch, step) = {', '.join(map(str, of_each))}: all must see the "
                "workdir of the first one"
            )
        # The loop donates its state: the best parameters need their own buffers.
        self.best_params = jax.tree.map(np.array, best_params)
        self.start_up.ended("initialise")

    def run(self) -> FitResult:
        """Train epochs until the training has finished or a signal stops it."""
        per_epoch = self.num_steps * self.config.batch_size
        done = self.meta["epoch"] * per_epoch
        done += self.meta["step"] * self.config.batch_size
        total = self.config.num_epochs * per_epoch
        self.progress = Progress(self.name, total, done=done, unit=self.unit)
        self.last_save = time.monotonic()
        with self.progress:
            if self.meta["finished"]:
                best, last = self.meta["best_epoch"], self.meta["epoch"]
                self.progress.note(
                    f"{self.name}: has finished before, best epoch {best} of {last}"
                )
            while not self.meta["finished"] and not self.stopped():
                began = time.monotonic()
                self.train_epoch()
                if self.meta["step"] < self.num_steps:
                    break
                self.end_epoch(began)
            if self.interrupt.signal_number:
                self.save()
        meta, number = self.meta, self.interrupt.signal_number
        return FitResult(self.best_params, meta["history"], meta["best_epoch"], number)

    def train_epoch(self) -> None:
        """Train the remaining steps of an epoch, or those until a signal."""
        config, meta = self.config, self.meta
        epoch = meta["epoch"]
        epoch_key = jax.jit(jax.random.fold_in)(self.noise_key, epoch)
        shuffled = self.train.shuffled(
            self.order_key, epoch, batch_size=config.batch_size, start=meta["step"]
        )
        with contextlib.closing(shuffled):
            for first, data, order in shuffled:
                chunk = devices.placed(self.mesh, (first, data, order))
                end = min(first + len(order) // config.batch_size, self.num_steps)
                while (start := meta["step"]) < end:
                    if self.stopped():
                        return
                    (stop,) = devices.agreed(min(start + self.length, end))
                    began = time.monotonic()
                    self.state, self.sums = self.run_steps(
                        self.state, self.sums, chunk, epoch_key, start, stop
                    )
                    self.check_finite(epoch)
                    self.start_up.first_step()
                    done = stop - start
                    speed = CHUNK_SECONDS / max(time.monotonic() - began, 1e-9)
                    longest = min(2 * self.length, speed * done, self.num_steps)
                    self.length = max(1, int(longest))
                    meta["step"] = stop
                    self.progress.advance(
                        done * config.batch_size, f"epoch {epoch + 1}"
                    )
                    if time.monotonic() - self.last_save > config.save_seconds:
                        self.save()

    def stopped(self) -> bool:
        """Whether a signal is to end the training, in all its processes."""
        # One may arrive meanwhile: it is not overwritten.
        if number := max(devices.of_all(self.interrupt.signal_number))[0]:
            self.interrupt.signal_number = number
        return bool(number)

    def check_finite(self, epoch: int) -> None:
        """Raise InputError if a term became NaN or infinite, with the step."""
        first = jax.device_get(self.sums[1])
        if (at := min(first.values())) != NEVER:
            terms = ", ".join(sorted(n for n, i in first.items() if i == at))
            kept = f"; the last good state is in {self.path}" if self.path else ""
            raise InputError(
                f"{self.name}: {terms} became NaN or infinite at step {at + 1} of "
                f"{self.num_steps} in epoch {epoch + 1}{kept}: try a smaller "
                "learning_rate or clip_norm = 1"
            )

    def end_epoch(self, began: float) -> None:
        """Validate, keep the best parameters, report and save."""
        config, meta = self.config, self.meta
        row = self.epoch_row(began)
        monitored = f"valid/{config.monitor}"
        if not np.isfinite(row[monitored]):
            raise InputError(
                f"{self.name}: {monitored} is NaN or infinite after epoch "
                f"{row['epoch']}: try a smaller learning_rate or clip_norm = 1"
            )
        history, best_epoch = meta["history"], meta["best_epoch"]
        history.append(row)
        if not best_epoch or row[monitored] < history[best_epoch - 1][monitored]:
            meta["best_epoch"] = row["epoch"]
            self.best_params = jax.tree.map(np.array, self.state.eval_params)
        meta |= {"epoch": row["epoch"], "step": 0}
        stale = meta["epoch"] - meta["best_epoch"]
        last = meta["epoch"] >= config.num_epochs
        # Metrics of another kind of processor may differ by rounding.
        (finished,) = devices.agreed(int(last or stale >= config.patience))
        meta["finished"] = bool(finished)
        self.sums = self.zeros
        self.report(row)
        if self.on_epoch:
            self.on_epoch(history)
        if meta["finished"] or time.monotonic() - self.last_save > config.save_seconds:
            self.save()

    def epoch_row(self, began: float) -> dict[str, Any]:
        """Mean terms of training and validation, and the time in seconds."""
        params = self.state.eval_params
        valid = self.run_evaluation(params, self.valid, self.valid_key)
        row: dict[str, Any] = {"epoch": self.meta["epoch"] + 1}
        for term, total in self.sums[0].items():
            row[f"train/{term}"] = float(total) / self.num_steps
        row |= {f"valid/{term}": value for term, value in valid.items()}
        if self.monitor:
            # What it compiles is for one device.
            host = params if self.mesh is None else jax.tree.map(np.array, params)
            found = self.monitor(host)
            row |= {f"valid/{term}": float(value) for term, value in found.items()}
        row["seconds"] = round(max(time.monotonic() - began, 1e-3), 3)
        return dict(sorted(row.items()))  # as rows of a state that was read

    def report(self, row: dict[str, Any]) -> None:
        """Print one line about an epoch."""
        terms = "  ".join(
            f"{n} {row[f'train/{n}']:.5g}/{row[f'valid/{n}']:.5g}"
            for n in self.zeros[0]
        )
        monitor = self.config.monitor
        if monitor not in self.zeros[0]:
            terms += f"  {monitor} -/{row[f'valid/{monitor}']:.5g}"
        self.progress.note(
            f"{self.name} epoch {row['epoch']}/{self.config.num_epochs}  (train/valid) "
            f"{terms}  best {self.meta['best_epoch']}  {self.progress.status()}"
        )

    def save(self) -> None:
        """Call ``on_save`` with the best parameters, and write the resumable state.

        The state comes last: it never says that a result is there which is not.
        """
        if self.on_save and self.meta["best_epoch"]:
            self.on_save(self.best_params, self.meta["best_epoch"])
        if self.path:
            tree = (self.state, self.sums, self.best_params)
            meta = self.meta | {"settings": self.settings}
            checkpoint.save(self.path, tree, meta=meta)
        self.last_save = time.monotonic()
