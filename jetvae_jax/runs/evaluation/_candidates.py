"""What all evaluations share: which files are judged, and their names."""

import pathlib

from jetvae_jax.errors import InputError
from jetvae_jax.runs.config import EvaluateConfig
from jetvae_jax.runs.train import TrainedVAE
from jetvae_jax.runs.workdir import Workdir

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
