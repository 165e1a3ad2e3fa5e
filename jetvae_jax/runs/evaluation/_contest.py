"""Which jets an evaluation compares: those of a run, or of any files."""

import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax import data
from jetvae_jax.data.duplicates import num_repeated
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import EvaluateConfig
from jetvae_jax.runs.domains.jets import SUFFIX, Data
from jetvae_jax.runs.evaluation import _candidates
from jetvae_jax.runs.train import TrainedVAE
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.types import Array, Jets

MAX_TEST, MAX_TRUTH = 1_000_000, 2_000_000  # of a stream, what memory surely holds


class Contest(NamedTuple):
    """What is compared.

    Attributes:
        real: jets the others are compared with.
        candidates: name to jets to judge.
        truth: further real jets, whose figures are the floor.
        axes: as `metrics.evaluate` takes them.
        notes: of the readers, and what was chosen.
        sources: name to the facts of its file.
        title: for the report.
    """

    real: Jets
    candidates: dict[str, Jets]
    truth: Jets
    axes: dict[str, Array] | None
    notes: list[str]
    sources: dict[str, Any]
    title: str


def gather(
    folder: Workdir,
    trained: TrainedVAE | None,
    config: EvaluateConfig,
    files: Data,
) -> Contest:
    """The jets that the config names, from the workdir where it names none.

    Args:
        folder: of the run.
        trained: the run's VAE, if there is one.
        config: which jets.
        files: how to read files; a trained VAE's own number of particles comes first.

    Raises:
        InputError: nothing to compare, or whatever is wrong with a file.
    """
    _candidates.check(folder, trained, config)
    reader = _Reader(files if trained is None else trained.run.data)
    real, truth = _real(reader, trained, config)
    judged = _candidates.named(config.generated) or _candidates.found(
        folder, SUFFIX, "jets"
    )
    candidates = {
        name: reader.read(name, path, repair=True) for name, path in judged.items()
    }
    for name, loaded in candidates.items():
        reader.notes += _repeated(name, loaded.jets)
    # Full-jet axes serve where every sample brings them; else each its particles' own.
    given = {"real": real, "truth": truth} | candidates
    axes = {n: loaded.axis for n, loaded in given.items() if loaded.axis is not None}
    title = " and ".join(pathlib.Path(path).name for path in judged.values())
    if trained is not None:
        title = f"{trained.run.model} on {pathlib.Path(trained.run.data.path).name}"
    return Contest(
        real.jets,
        {name: loaded.jets for name, loaded in candidates.items()},
        truth.jets,
        axes if len(axes) == len(given) else None,
        reader.notes,
        {name: loaded.source for name, loaded in given.items()},
        title,
    )


class _Sample(NamedTuple):
    jets: Jets
    axis: Array | None
    source: dict[str, Any]


class _Reader:
    """Reads files in one way and collects the notes."""

    def __init__(self, how: Data):
        self.how = how
        self.notes: list[str] = []

    def read(self, name: str, path: str, *, repair: bool = False) -> _Sample:
        loaded = data.load(
            path,
            num_particles=self.how.num_particles,
            max_jets=self.how.max_jets or None,
            jet_type=self.how.jet_type,
            # What a model made is judged as it is: bad jets are dropped and counted,
            # repeated ones stay.
            repair=repair or self.how.repair,
            unique=not repair,
        )
        logging.info("%s: %s jets in %s", name, f"{len(loaded.jets.mask):,}", path)
        self.notes += [f"{name}: {note}" for note in loaded.notes]
        return _Sample(loaded.jets, loaded.axis, loaded.source)


def _real(reader: _Reader, trained, config: EvaluateConfig) -> tuple[_Sample, _Sample]:
    """Real jets, and further ones for the floor."""
    if config.real:
        real = reader.read("real", config.real)
        if config.truth:
            return real, reader.read("truth", config.truth)
        count = len(real.jets.mask)
        order = np.random.default_rng(config.seed).permutation(count)
        reader.notes.append(
            "real: one half is compared with, the other gives the floor; give "
            "--evaluate.truth to compare with all"
        )
        return _rows(real, order[: count // 2]), _rows(real, order[count // 2 :])
    jets = dataset.load_same("jets", trained.run.data, trained.meta["source"])
    reader.notes += trained.meta["notes"]
    source = trained.meta["source"]
    test = dataset.head(jets.test, MAX_TEST)
    truth = _Sample(dataset.head(jets.train, MAX_TRUTH), None, source)
    if config.truth:
        truth = reader.read("truth", config.truth)
    return _Sample(test, None, source), truth


def _repeated(name: str, jets: Jets) -> list[str]:
    """A fault of a generator, which no distribution of single jets shows."""
    again = num_repeated(np.asarray(jets.particles), np.asarray(jets.mask))
    count = len(jets.mask)
    if not again:
        return []
    return [f"{name}: {again:,} of {count:,} jets are the same as an earlier one"]


def _rows(sample: _Sample, rows: np.ndarray) -> _Sample:
    jets, axis = jax.tree.map(lambda a: a[rows], (sample.jets, sample.axis))
    return _Sample(jets, axis, sample.source)
