"""Find jets of another kind by a model that was trained on one kind alone.

The question of Stevenson, Kruger 2022, asked of jets: is a jet of another kind less
likely, are its latents, is it reconstructed worse? Beside each score of the model
(:mod:`.scores`) stand cuts in mass and multiplicity, which need no model. Background
are test jets of the run, which it was not trained on.
"""

import csv
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax import data
from jetvae_jax.core import configs, seeds
from jetvae_jax.core.configs import PositiveInt, versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, expanded
from jetvae_jax.core.types import Jets
from jetvae_jax.core.words import listed
from jetvae_jax.data.splits import Dataset
from jetvae_jax.data.streaming import head
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs import dataset
from jetvae_jax.runs.trained import TrainedModel, load_model
from jetvae_jax.studies.find_jets import report, scores
from jetvae_jax.studies.find_jets.verdict import verdict
from jetvae_jax.studies.signal import roc
from jetvae_jax.studies.signal.hypothesis import rank_correlation

BACKGROUND = "background"
_OF_CLASS = re.compile(r"(\w[\w-]*)=(.+)")
_Fraction = Annotated[float, configs.positive, configs.below(1)]


@configs.config
class FindConfig:
    """Which jets are to be found, and how well that is measured.

    Attributes:
        background: the file that the run was trained on, if it is no longer where it
            was; its test part is scored.
        signals: files of jets of other kinds, read like those of the training; of a
            file or folder of several classes with the name of one: t=jets.h5.
        num_jets: of each kind that are scored, at most; 0 for all.
        draws: of the posterior of each jet, for the importance-weighted likelihood.
        keep: background efficiencies of the cuts.
        floor: background jets that must be left for a result to be quoted.
        replicas: of the bootstrap that gives errors.
        seed: of all draws.
    """

    background: configs.Path = ""
    signals: Annotated[tuple[configs.Path, ...], configs.not_empty] = (
        "t.hdf5",
        "q.hdf5",
    )
    num_jets: configs.NonNegativeInt = 5000
    draws: PositiveInt = 8
    keep: Annotated[tuple[_Fraction, ...], configs.not_empty] = (0.01, 0.1)
    floor: PositiveInt = 10
    replicas: Annotated[int, configs.at_least(2)] = 200
    seed: configs.Seed = 0


class Scored(NamedTuple):
    """Scores of background and signals.

    Attributes:
        background: score to ``[J]``; higher is less like the training.
        signal: name to score to ``[M]``.
        observables: ``"background"`` and signals to mass [GeV] and multiplicity.
    """

    background: dict[str, np.ndarray]
    signal: dict[str, dict[str, np.ndarray]]
    observables: dict[str, dict[str, np.ndarray]]


def find_jets(
    workdir: str | os.PathLike, config: FindConfig, *, output: str | os.PathLike = ""
) -> tuple[pathlib.Path, str]:
    """Score background and signals by the run in ``workdir``.

    Writes ``find_jets.json``, ``.csv``, ``.html`` and its plots.

    Args:
        workdir: of a trained run of jets.
        config: which signals.
        output: folder to write to; empty for the workdir.

    Returns:
        The path of the report, and the verdict.

    Raises:
        InputError: no such run, changed data, a file of signal that is wrong, or too
            few jets.
    """
    announce_missing()
    trained = load_model(workdir)
    if trained.run.domain != "jets":
        raise InputError(
            f"{workdir}: is a run of {trained.run.domain}: find_jets takes runs of "
            "--domain=jets"
        )
    parts = background(trained, config)
    jets = {BACKGROUND: head(parts.test, config.num_jets)}
    roc.check_cuts(config.keep, len(jets[BACKGROUND].mask), config.floor, "find")
    notes, sources = _notes(trained), {}
    for name, spec in named(config.signals).items():
        loaded = _load(trained, spec, config)
        jets[name], sources[name] = loaded.jets, loaded.source
        notes += loaded.notes
    _check_different(jets)
    folder = Workdir(output or workdir)  # which stops before the work
    scored = score(trained, parts, jets, config)
    result: dict[str, Any] = {
        "settings": dataclasses.asdict(config) | {"workdir": str(workdir)},
        "versions": versions(),
        "run": trained.run.to_json(),
        "best_epoch": trained.meta["best_epoch"],
        "sources": {BACKGROUND: trained.meta["source"], **sources},
        "jets": {name: _described(scored, name) for name in jets},
        "scores": evaluate(scored, config),
        "notes": notes,
    }
    result["verdict"] = verdict(result)
    for note in notes:
        logging.info("note: %s", note)
    logging.info("drawing the report")
    with folder.alone():
        folder.write_json("find_jets.json", result)
        folder.write_text("find_jets.csv", _csv(result))
        page = report.write(
            folder / "find_jets.html", result, scored._asdict(), trained, parts
        )
    return page, " ".join(result["verdict"])


def background(trained: TrainedModel, config: FindConfig) -> Dataset:
    """The parts of the data of the run, from where they are now.

    Raises:
        InputError: there is no such file, or it is not that of the training.
    """
    run = trained.run
    how = run.data
    if config.background:
        how = dataclasses.replace(how, path=config.background)
    try:
        return dataset.load_same(run.domain, how, trained.meta["source"])
    except InputError as error:
        raise InputError(f"--find.background: {error}") from error


def named(signals: tuple[str, ...]) -> dict[str, str]:
    """Short names of files of signal: the class if it is given, else the stem.

    Raises:
        InputError: two have the same name.
    """
    found: dict[str, str] = {}
    for spec in signals:
        jet_type, path = _class_and_path(spec)
        name = jet_type or pathlib.Path(path).stem
        if name in found or name == BACKGROUND:
            name = f"{pathlib.Path(path).parent.name}_{name}"
        if name in found:
            raise InputError(f"--find.signals: {spec} is listed twice")
        found[name] = spec
    return found


def _class_and_path(spec: str) -> tuple[str, str]:
    """The class that is named with a file of signal, or an empty text; and the file.

    Raises:
        InputError: a home or a variable in the path that there is not.
    """
    given = _OF_CLASS.fullmatch(spec)
    if given is None or os.path.exists(spec):
        return "", spec
    try:
        return given[1], expanded(given[2])
    except ValueError as error:
        raise InputError(f"--find.signals={spec}: {error}") from None


def score(
    trained: TrainedModel, parts: Dataset, jets: dict[str, Jets], config: FindConfig
) -> Scored:
    """All scores of all jets.

    Args:
        trained: the run.
        parts: its data.
        jets: ``"background"`` and the signals, in GeV.
        config: number of draws, seed.

    Raises:
        InputError: a score is NaN.
    """
    run = trained.run
    objective = run.pipeline.objective(run, trained.scaler, parts.train)
    if run.scaling.axis != "jet":  # files without it are as good
        jets = {name: sample._replace(axis=None) for name, sample in jets.items()}
    # All at once: compiled once.
    everything = jax.tree.map(lambda *rows: np.concatenate(rows), *jets.values())
    total = len(everything.mask)
    logging.info("scoring %s jets by %s", f"{total:,}", run.model)
    key = seeds.key(config.seed)
    values = scores.of_model(trained, objective, key, everything, config.draws)
    seen = scores.observables(everything)
    ends = np.cumsum([len(sample.mask) for sample in jets.values()])[:-1]

    def split(values: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        rows = {name: np.split(v, ends) for name, v in values.items()}
        return [{name: r[i] for name, r in rows.items()} for i in range(len(jets))]

    observables = split(seen)
    given = [
        of_model | scores.of_observables(observables[0], own)
        for of_model, own in zip(split(values), observables, strict=True)
    ]
    signals = [name for name in jets if name != BACKGROUND]
    return Scored(
        given[0],
        dict(zip(signals, given[1:], strict=True)),
        dict(zip(jets, observables, strict=True)),
    )


def evaluate(scored: Scored, config: FindConfig) -> dict[str, Any]:
    """Score to what it finds of each signal, and what it goes with; JSON-able."""
    key = seeds.key(config.seed)
    return {
        name: {
            "mean": {
                BACKGROUND: float(low.mean()),
                **{s: float(of[name].mean()) for s, of in scored.signal.items()},
            },
            # The correlations alone are used: permutations would give p-values.
            "correlation": {
                of: _number(rank_correlation(key, low, values, permutations=1).value)
                for of, values in scored.observables[BACKGROUND].items()
            },
            "signals": {s: _found(key, name, s, scored, config) for s in scored.signal},
        }
        for name, low in scored.background.items()
    }


def _found(key, name: str, signal: str, scored: Scored, config: FindConfig) -> dict:
    """How well a score finds a signal."""
    both = scored.background[name], scored.signal[signal][name]
    mass, multiplicity = (
        (scored.observables[BACKGROUND][of], scored.observables[signal][of])
        for of in scores.OBSERVABLES
    )
    cuts = roc.summary(
        key, *both, keep=config.keep, floor=config.floor, replicas=config.replicas
    )
    return {
        "auc": roc.auc(*both),
        "window": roc.auc_in_window(both, mass, config.floor),
        "equal_multiplicity": roc.auc_at_equal(both, multiplicity, config.floor),
        "kept": {
            str(share): {
                "signal": kept.plain(),
                "improvement": roc.Value(*(v / share**0.5 for v in kept[:2])).plain(),
            }
            for share, kept in cuts.kept.items()
        },
        "best_improvement": cuts.best.value.plain()
        | {"signal": cuts.best.signal, "background": cuts.best.background},
    }


def _notes(trained: TrainedModel) -> list[str]:
    notes = ["background is jets of the test part, which took no part in the training"]
    if given := trained.run.scaling.conditions:
        notes.append(
            f"the model is given the {listed(given)} of each jet: differences in "
            f"{'these' if len(given) > 1 else 'it'} alone make no jet unlikely"
        )
    return notes


def _load(trained: TrainedModel, spec: str, config: FindConfig) -> Any:
    """Jets of a signal, read with the settings of the run.

    Raises:
        InputError: whatever is wrong with the file.
    """
    how = trained.run.data
    jet_type, path = _class_and_path(spec)
    loaded = data.load(
        path,
        num_particles=how.num_particles,
        max_jets=config.num_jets or None,
        jet_type=jet_type or how.jet_type,
        repair=how.repair,
        seed=how.split_seed,
        columns=how.columns,
    )
    needs_axis = trained.run.scaling.axis == "jet"
    if needs_axis and loaded.jets.axis is None:
        raise InputError(
            f"{path}: does not contain the axis of the whole jet, which this run needs "
            "(--scaling.axis=jet): give a file that does, such as JetNet's"
        )
    return loaded


def _check_different(jets: Mapping[str, Jets]) -> None:
    """Check that no jet of a signal is among those of the background.

    Raises:
        InputError: one is, as when a file holds several classes.
    """
    known = {row.tobytes() for row in np.asarray(jets[BACKGROUND].particles)}
    for name, sample in jets.items():
        again = sum(row.tobytes() in known for row in np.asarray(sample.particles))
        if again and name != BACKGROUND:
            raise InputError(
                f"--find.signals: {name}: {again} of its jets are background jets of "
                "the run: give jets of another kind; of a file of several classes name "
                "the class, as in t=jets.h5"
            )


def _described(scored: Scored, name: str) -> dict[str, float]:
    """Number of jets of a sample, and its means."""
    seen = scored.observables[name]
    means = {f"mean_{of}": float(values.mean()) for of, values in seen.items()}
    return {"number": len(seen["mass"]), **means}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def _csv(result: Mapping[str, Any]) -> str:
    """One row a result: score, signal, metric, value, error."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("score", "signal", "metric", "value", "error"))
    for score_name, of in result["scores"].items():
        for signal, found in of["signals"].items():
            for row in _csv_rows(found):
                rows.writerow((score_name, signal, *row))
    return text.getvalue()


def _csv_rows(found: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name, label in (
        ("auc", "auc"),
        ("window", "auc_in_mass_window"),
        ("equal_multiplicity", "auc_at_equal_multiplicity"),
        ("best_improvement", "best_improvement"),
    ):
        if value := found[name]:
            yield label, value["value"], value["error"]
    for share, of in found["kept"].items():
        for name, value in of.items():
            yield f"{name}_at_background_{share}", value["value"], value["error"]
