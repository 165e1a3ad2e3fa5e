"""What all evaluations share: which files are judged, and their names.
What an evaluation writes and says before it draws.
"""

import pathlib
from typing import Any

from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.runs.config import EvaluateConfig
from jetvae_jax.runs.train import TrainedVAE

CANDIDATES = ("reconstruction", "prior", "flow", "copula")


def check(folder: Workdir, trained: TrainedVAE | None, config: EvaluateConfig) -> None:
    """There is a run, or there are files on both sides.

    Raises:
        InputError: neither.
    """
    if trained is None and not (config.real and config.generated):
        raise InputError(
            f"{folder.path}: holds no vae.npz: run experiments/train.py first, or "
            "compare any two files by --evaluate.real and --evaluate.generated"
        )


def found(folder: Workdir, suffix: str, what: str) -> dict[str, str]:
    """The generated files of a workdir, by what they were generated from.

    Args:
        folder: the workdir.
        suffix: of the files.
        what: they hold, for the message.

    Raises:
        InputError: there are none.
    """
    paths = {name: folder / f"generated_{name}{suffix}" for name in CANDIDATES}
    there = {name: str(path) for name, path in paths.items() if path.exists()}
    if not there:
        raise InputError(
            f"{folder.path}: holds no generated {what}: run experiments/generate.py "
            "first, or name files by --evaluate.generated"
        )
    return there


def named(paths: tuple[str, ...]) -> dict[str, str]:
    """Short names of files: the stem; where stems are equal, more of the path.

    Raises:
        InputError: a file stands there twice.
    """
    if len(set(map(pathlib.Path, paths))) < len(paths):
        raise InputError(
            f"--evaluate.generated={','.join(paths)}: a file stands there twice"
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


def record(folder: Workdir, result: dict[str, Any], table: str) -> None:
    """``evaluation.json`` and ``evaluation.txt``; the latter to the log, too.

    Args:
        folder: where to write.
        result: all figures; ``notes`` are what was found in the files and chosen.
        table: the figures as lines.
    """
    folder.write_json("evaluation.json", result)
    notes = "".join(f"note: {note}\n" for note in result["notes"])
    text = f"{table}\n{notes}" if notes else table
    folder.write_text("evaluation.txt", text)
    for line in text.splitlines():
        logging.info("%s", line)
