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
    """Short names of files: the stem, with the folder where two stems are equal.

    Raises:
        InputError: a file stands there twice.
    """
    stems = [pathlib.Path(path).stem for path in paths]
    names = [
        f"{pathlib.Path(path).parent.name}_{stem}" if stems.count(stem) > 1 else stem
        for path, stem in zip(paths, stems, strict=True)
    ]
    reserved = {"real", "truth", "input"}
    names = [f"{name}_file" if name in reserved else name for name in names]
    if len(set(names)) < len(names):
        raise InputError(
            f"--evaluate.generated={','.join(paths)}: a file stands there twice"
        )
    return dict(zip(names, paths, strict=True))
