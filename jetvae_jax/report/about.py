"""What every report says on top: its date, version, seed, training data and command.

The date is that of writing, or that of the environment variable ``SOURCE_DATE_EPOCH``
(seconds since 1970), with which the same inputs give the same report to the byte.
"""

import contextvars
import datetime
import importlib.metadata
import os
from typing import Any

from jetvae_jax.core.errors import InputError
from jetvae_jax.report import page

COMMAND: contextvars.ContextVar[str] = contextvars.ContextVar("command", default="")
"""The command that runs; set by the scripts, empty in a notebook."""


def table(
    *, seed: object = "", training: str = "", command: str | None = None
) -> page.Table:
    """Names and values for the top of a page; what is empty is left out.

    Args:
        seed: or seeds, in words.
        training: how many samples trained the model, and how long.
        command: None for :data:`COMMAND`.
    """
    values = {
        "date": date(),
        "version": f"jetvae_jax {importlib.metadata.version('jetvae_jax')}, "
        f"jax {importlib.metadata.version('jax')}",
        "seed": str(seed),
        "training": training,
        "command": COMMAND.get() if command is None else command,
    }
    return page.pairs({name: value for name, value in values.items() if value})


def date() -> str:
    """The date of the report in UTC, to the minute.

    Raises:
        InputError: ``SOURCE_DATE_EPOCH`` is not a number of seconds.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    zone = datetime.UTC
    try:
        now = (
            datetime.datetime.fromtimestamp(int(given), zone)
            if given
            else datetime.datetime.now(zone)
        )
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f"SOURCE_DATE_EPOCH={given}: must be seconds since 1970"
        ) from error
    return f"{now:%Y-%m-%d %H:%M} UTC"


def training(trained: Any, number: int, unit: str) -> str:
    """How a model was trained, in a line.

    Args:
        trained: the run's TrainedModel.
        number: of training samples; 0 if it is not known.
        unit: their name.
    """
    epochs = len(trained.history()["vae"])
    best = f"best epoch {trained.meta['best_epoch']}"
    best = f"{best} of {epochs}" if epochs else best
    return f"{trained.run.model} on {number:,} {unit}, {best}" if number else best


def of_evaluation(generator: Any, config: Any, number: int, unit: str) -> page.Table:
    """The table of an evaluation.

    Args:
        generator: the TrainedModel that generated the samples, or None.
        config: the EvaluateConfig.
        number: of training samples; 0 if it is not known.
        unit: their name.
    """
    if generator is None:
        return table(seed=f"{config.seed} of the metrics")
    return table(
        seed=f"{generator.run.seed} of the training, {config.seed} of the metrics",
        training=training(generator, number, unit),
    )
