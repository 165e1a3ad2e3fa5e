"""Which events an evaluation compares: those of a run, or of any files."""

import pathlib
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import EvaluateConfig
from jetvae_jax.runs.domains.events import SUFFIX, Data
from jetvae_jax.runs.evaluation import _candidates
from jetvae_jax.runs.train import TrainedVAE
from jetvae_jax.runs.workdir import Workdir


class Contest(NamedTuple):
    """What is compared.

    Attributes:
        names: of the C columns.
        real: ``[J, C]`` events the others are compared with.
        candidates: name to events ``[M, C]`` to judge.
        truth: ``[T, C]`` further real events, whose figures are the floor.
        notes: of the readers, and what was chosen.
        sources: name to the facts of its file.
        title: for the report.
    """

    names: tuple[str, ...]
    real: np.ndarray
    candidates: dict[str, np.ndarray]
    truth: np.ndarray
    notes: list[str]
    sources: dict[str, Any]
    title: str


def gather(
    folder: Workdir, trained: TrainedVAE | None, config: EvaluateConfig, files: Data
) -> Contest:
    """The events that the config names, from the workdir where it names none.

    Args:
        folder: of the run.
        trained: the run's VAE, if there is one.
        config: which events.
        files: how to read files; a trained VAE's own columns come first.

    Raises:
        InputError: nothing to compare, or whatever is wrong with a file.
    """
    _candidates.check(folder, trained, config)
    how = files if trained is None else trained.run.data
    notes: list[str] = []
    sources: dict[str, Any] = {}
    columns: tuple[str, ...] = how.columns

    def read(name: str, path: str, **changes: Any) -> np.ndarray:
        nonlocal columns
        # The data set or tree is that of the training's file, not of every other one.
        table = how.read(path, columns=columns, key="", **changes)
        columns = table.names
        logging.info("%s: %s events in %s", name, f"{len(table.values):,}", path)
        notes.extend(f"{name}: {note}" for note in table.notes)
        sources[name] = table.source
        return table.values

    if config.real:
        real = truth = read("real", config.real)
        if not config.truth:
            order = np.random.default_rng(config.seed).permutation(len(real))
            half = len(real) // 2
            real, truth = real[order[:half]], real[order[half:]]
            notes.append(
                "real: one half is compared with, the other gives the floor; give "
                "--evaluate.truth to compare with all"
            )
    else:
        assert trained is not None
        parts = dataset.load_same("events", trained.run.data, trained.meta["source"])
        notes += trained.meta["notes"]
        sources["real"] = trained.meta["source"]
        real, truth = parts.test, parts.train
    if config.truth:
        truth = read("truth", config.truth)
    judged = _candidates.named(config.generated) or _candidates.found(
        folder, SUFFIX, "events"
    )
    # What a model made is judged as it is; a column may be constant, by its fault.
    candidates = {
        name: read(name, path, repair=True, constant=True)
        for name, path in judged.items()
    }
    title = " and ".join(pathlib.Path(path).name for path in judged.values())
    if trained is not None:
        title = f"{trained.run.model} on {pathlib.Path(trained.run.data.path).name}"
    return Contest(columns, real, candidates, truth, notes, sources, title)
