"""Inputs of an evaluation: its settings, the files that are compared, their names."""

import os
import pathlib
from collections.abc import Callable, Iterable
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax.core import configs
from jetvae_jax.core.configs import Seed
from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.words import listed
from jetvae_jax.metrics.suite.protocols import KNOWN

CANDIDATES = ("reconstruction", "prior", "flow", "copula")


_Protocol = Annotated[str, configs.one_of(KNOWN)]


@configs.config
class EvaluateConfig:
    """Which jets are compared with which, and how.

    Attributes:
        real: file of real jets; empty for the test jets of the workdir's training.
        generated: files of jets to evaluate, any generator's; empty for those that
            generate.py left in the workdir.
        condition: the class of jets to compare, such as type=t, where the model was
            trained on several, so that generated tops are compared with test tops; the
            report is in a folder of that name. Empty compares all classes together.
        truth: file of further real jets, for the floor; empty for the training jets
            of the workdir, or for a part of the real ones.
        output: folder of the report; empty for the workdir, which may be read-only if
            this is given.
        columns: where the jets are in these files, as in data.columns; of one of
            several files after its name (real, truth, or a generated one as in the
            table): mpgan:ptrel=x[0],mpgan:etarel=x[1],...
        protocols: conventions of the field, by name.
        classify: train a classifier to tell the jets apart; a minute a sample.
        transformer: train a transformer to tell the jets apart, on up to 50,000 of each
            sample; an hour a sample on two cores. Jets only.
        fpnd: where the network of FPND lies: a folder or a wheel of the jetnet
            package; 'installed' uses that package where it is installed, empty none.
        seed: of all draws.
    """

    real: configs.Path = ""
    generated: tuple[configs.Path, ...] = ()
    condition: tuple[str, ...] = ()
    truth: configs.Path = ""
    output: configs.Path = ""
    columns: tuple[str, ...] = ()
    protocols: tuple[_Protocol, ...] = ("mpgan_10k", "jetnet_50k")
    classify: bool = False
    transformer: bool = False
    fpnd: configs.Path = "installed"
    seed: Seed = 42


def columns_of(name: str, items: tuple[str, ...]) -> tuple[str, ...]:
    """The mapping of one file: items after its name, else those without a name."""
    own, common = [], []
    for item in items:
        prefix, colon, rest = item.partition("=")[0].rpartition(":")
        if not colon:
            common.append(item)
        elif prefix.strip() == name:
            own.append(rest + item[len(item.partition("=")[0]) :])
    return tuple(own or common)


def check_columns(names: Iterable[str], items: tuple[str, ...]) -> None:
    """Every name in front of an item is that of a file.

    Raises:
        InputError: it is not.
    """
    known = list(names)
    for item in items:
        prefix, colon, _ = item.partition("=")[0].rpartition(":")
        if colon and prefix.strip() not in known:
            hint = did_you_mean(prefix.strip(), known)
            raise InputError(
                f"--evaluate.columns={item}: no file is called {prefix!r}{hint}; the "
                f"files are {', '.join(known)}"
            )


def check(workdir: str | os.PathLike, trained: Any, config: EvaluateConfig) -> None:
    """There is a run, or there are files on both sides.

    Args:
        workdir: for the message.
        trained: the run's model, or None.
        config: which files.

    Raises:
        InputError: neither.
    """
    if trained is None and not (config.real and config.generated):
        raise InputError(
            f"--workdir={os.fspath(workdir)}: holds no vae.npz: run "
            "experiments/train.py first, or compare any two files by --evaluate.real "
            "and --evaluate.generated"
        )


def no_condition(config: EvaluateConfig) -> None:
    """Check that no class is asked for, where there are none.

    Raises:
        InputError: it is.
    """
    if config.condition:
        raise InputError(
            f"--evaluate.condition={','.join(config.condition)}: only jets are "
            "compared class by class: leave it out"
        )


def found(folder: pathlib.Path, suffix: str, what: str) -> dict[str, str]:
    """The generated files of a workdir, by what they were generated from.

    Args:
        folder: the workdir; nothing is written there.
        suffix: of the files.
        what: they hold, for the message.

    Raises:
        InputError: there are none.
    """
    paths = {name: folder / f"generated_{name}{suffix}" for name in CANDIDATES}
    there = {name: str(path) for name, path in paths.items() if path.exists()}
    if not there:
        raise InputError(
            f"{folder}: holds no generated {what}: run experiments/generate.py "
            "first, or name files by --evaluate.generated"
        )
    return there


def generated(
    config: EvaluateConfig, trained: Any, suffix: str, what: str
) -> dict[str, str]:
    """Name to path of the generated files: those of the config, or of the workdir.

    Args:
        config: which files.
        trained: the run's TrainedModel; not None where the config names no file.
        suffix: of the files of the workdir.
        what: they hold, for the message.

    Raises:
        InputError: there are none, or one is listed twice.
    """
    return named(config.generated) or found(trained.folder, suffix, what)


class Compared(NamedTuple):
    """Samples that are compared, of a domain whose files hold nothing else.

    Attributes:
        real: those the others are compared with, J rows in every array.
        truth: further real ones, whose metrics are the floor.
        candidates: name to samples to evaluate.
        title: for the report.
        num_train: samples that trained the model; 0 if none did, or not known.
    """

    real: Any
    truth: Any
    candidates: dict[str, Any]
    title: str
    num_train: int


def gather(
    config: EvaluateConfig,
    trained: Any,
    read: Callable[[str, str], Any],
    read_generated: Callable[[str, str], Any],
    *,
    suffix: str,
    what: str,
    notes: list[str],
) -> Compared:
    """The samples that the config names, from the workdir where it names none.

    Args:
        config: which samples.
        trained: the run's TrainedModel, or None.
        read: ``(name, path) -> samples``, of a file of real ones.
        read_generated: the same of generated ones.
        suffix: of generated files of the workdir.
        what: they hold, for the message.
        notes: is appended to, by the readers, too.

    Raises:
        InputError: nothing to compare, or whatever is wrong with a file.
    """
    num_train = 0
    if config.real:
        real = truth = read("real", config.real)
        if not config.truth:
            rows = halves(config.real, _number(real), config.seed, notes)
            real, truth = (jax.tree.map(lambda a, r=r: a[r], real) for r in rows)
    else:
        parts = trained.data()
        notes += trained.meta["notes"]
        real, truth, num_train = parts.test, parts.train, _number(parts.train)
    if config.truth:
        truth = read("truth", config.truth)
    paths = generated(config, trained, suffix, what)
    candidates = {name: read_generated(name, path) for name, path in paths.items()}
    title = listed([pathlib.Path(path).name for path in paths.values()])
    if trained is not None:
        title = f"{trained.run.model} on {pathlib.Path(trained.run.data.path).name}"
    return Compared(real, truth, candidates, title, num_train)


def _number(samples: Any) -> int:
    return len(jax.tree.leaves(samples)[0])


def halves(
    path: str, number: int, seed: int, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of real samples that the others are compared with, and rows of the floor.

    Args:
        path: of the file of real samples, for the message.
        number: of samples in it.
        seed: of the random order.
        notes: is appended to.

    Raises:
        InputError: a half would be fewer than two.
    """
    if number < 4:
        raise InputError(
            f"{path}: too few for two halves, {number} in all: give more, or "
            "--evaluate.truth"
        )
    notes.append(
        "real: one half is compared with, the other gives the floor; give "
        "--evaluate.truth to compare with all"
    )
    order = np.random.default_rng(seed).permutation(number)
    return order[: number // 2], order[number // 2 :]


def named(paths: tuple[str, ...]) -> dict[str, str]:
    """Short names of files: the stem; where stems are equal, more of the path.

    Raises:
        InputError: a file is listed twice.
    """
    if len(set(map(pathlib.Path, paths))) < len(paths):
        raise InputError(
            f"--evaluate.generated={','.join(paths)}: a file is listed twice"
        )
    reserved = {"real", "truth", "input"}
    names = [_short(path, paths) for path in paths]
    names = [f"{name}_file" if name in reserved else name for name in names]
    if len(set(names)) < len(names):
        names = list(paths)
    return dict(zip(names, paths, strict=True))


def _short(path: str, paths: tuple[str, ...]) -> str:
    """The shortest name by which no other path would go."""

    def names(text: str) -> list[str]:
        file = pathlib.Path(text)
        folder = f"{file.parent.name}_" if file.parent.name else ""
        short = [file.stem, file.name, folder + file.stem, folder + file.name]
        return [*short, text.replace("/", "_")]

    others = [names(other) for other in paths if other != path]
    forms = zip(names(path), *others, strict=True)
    return next((mine for mine, *other in forms if mine not in other), path)


def provenance(trained: Any) -> dict[str, Any]:
    """Settings and best epoch of the evaluated model, and versions of the packages.

    Args:
        trained: the run's TrainedModel, or None.
    """
    return {
        "run": trained.run.to_json() if trained else None,
        "best_epoch": trained.meta["best_epoch"] if trained else None,
        "versions": configs.versions(),
    }


def record(folder: Workdir, result: dict[str, Any], table: str) -> None:
    """``evaluation.json`` and ``evaluation.txt``; the notes to the log, too.

    Args:
        folder: where to write.
        result: all metrics; ``notes`` are what was found in the files and chosen.
        table: the metrics as lines.
    """
    folder.write_json("evaluation.json", result)
    notes = "".join(f"note: {note}\n" for note in result["notes"])
    text = f"{table}\n{notes}" if notes else table
    path = folder.write_text("evaluation.txt", text)
    for line in notes.splitlines():
        logging.info("%s", line)
    logging.info("every metric: %s", path)
