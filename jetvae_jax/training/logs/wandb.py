"""A run of Weights & Biases for each training: https://wandb.ai.

Values have the names of the history, steps are epochs, settings are the run's config. A
training that continues continues its run, whose id is kept in the workdir. Without a
network every process writes a run with all epochs: ``wandb sync`` the latest.
"""

import contextlib
import hashlib
import importlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.training.logs import About, Write, numbers

LIBRARIES = {"wandb": "pip install 'jetvae_jax[wandb]'"}


@configs.config
class Config:
    """Where the runs are.

    Attributes:
        project: name of the project at Weights & Biases.
        entity: user or team; empty for your own.
        offline: write to the workdir only, for ``wandb sync``.
    """

    project: str = "jetvae_jax"
    entity: str = ""
    offline: bool = False


@contextlib.contextmanager
def opened(config: Config, about: About) -> Iterator[Write]:
    """Send the epochs of a training to its run.

    Raises:
        InputError: no login, or no such project.
    """
    wandb: Any = importlib.import_module("wandb")
    place, run_id = about.folder.path, _id(about)
    try:
        run = wandb.init(
            project=config.project, entity=config.entity or None,
            name=f"{place.absolute().name} {about.name}", job_type=about.name,
            config=about.settings, dir=str(place), id=run_id, resume="allow",
            mode="offline" if config.offline else None,
            settings=wandb.Settings(console="off"),
        )  # fmt: skip
    except wandb.Error as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"--log=wandb: {reason}: log in by 'wandb login', correct --wandb.project, "
            "or give --wandb.offline"
        ) from error
    about.folder.write_json(_file(about), {"id": run_id, "settings": _digest(about)})
    last = run.starting_step - 1  # epoch of the run that is continued

    def write(history: list[dict]) -> None:
        nonlocal last
        for row in history:
            if row["epoch"] > last:
                run.log(numbers(row), step=row["epoch"])
                last = row["epoch"]

    try:
        yield write
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()


def _id(about: About) -> str:
    """The id of the run, as it is kept beside the training; a new one if it is not."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((about.folder / _file(about)).read_text())
        if found["settings"] == _digest(about):
            return found["id"]
    return secrets.token_hex(8)


def _file(about: About) -> str:
    return f"{about.name}.wandb.json"


def _digest(about: About) -> str:
    """Of the settings: other ones are another run."""
    text = json.dumps(about.settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
