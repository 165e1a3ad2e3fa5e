"""Event files for TensorBoard, without TensorFlow: ``tensorboard --logdir WORKDIR``.

Scalars have the names of the history, steps are epochs, settings are hyperparameters.
When a training is resumed, the event file is rewritten from the history, which holds
all epochs; each scalar keeps the time at which its epoch ended.
"""

import contextlib
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from jetvae_jax.core import configs
from jetvae_jax.core.files import make_folder, reported
from jetvae_jax.training.logs import About, Write, flat, numbers

LIBRARIES = {"tensorboardX": "pip install 'jetvae_jax[tensorboard]'"}


@configs.config
class Config:
    """Nothing is to be set: the files are in ``tensorboard/`` in the workdir."""


@contextlib.contextmanager
def opened(config: Config, about: About) -> Iterator[Write]:
    """Write the epochs of a training to an event file.

    Raises:
        InputError: on writing, if the disk does not allow it.
    """
    folder = make_folder(about.folder / "tensorboard" / about.name)
    writer: Any = None
    written = 0

    def write(history: list[dict]) -> None:
        nonlocal writer, written
        if not (new := history[written:]):
            return
        later = sum(row["seconds"] for row in new)
        with reported(folder):
            if writer is None:
                writer = _begun(folder, about.settings, new[-1])
            for row in new:
                later -= row["seconds"]
                _add_epoch(writer, row, time.time() - later)
            writer.flush()
        written = len(history)

    try:
        yield write
    finally:
        if writer is not None:
            with reported(folder):
                writer.close()


def _begun(folder: pathlib.Path, settings: dict, row: dict) -> Any:
    """A new file in place of those that are there, with the hyperparameters."""
    from tensorboardX import summary
    from tensorboardX.event_file_writer import EventsWriter

    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    writer = EventsWriter(str(folder.absolute() / "events"))
    values = {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in flat(settings).items()
    }
    metrics = {name: value for name, value in numbers(row).items() if "/" in name}
    for part in summary.hparams(values, metrics)[:2]:  # the third says it has ended
        writer.write_event(_event(wall_time=time.time(), summary=part))
    return writer


def _add_epoch(writer: Any, row: dict, moment: float) -> None:
    from tensorboardX import summary

    for name, value in numbers(row).items():
        part = summary.scalar(name, value)
        writer.write_event(_event(wall_time=moment, step=row["epoch"], summary=part))


def _event(**fields: Any) -> Any:
    from tensorboardX.proto import event_pb2

    return getattr(event_pb2, "Event")(**fields)  # noqa: B009 (made at run time)
