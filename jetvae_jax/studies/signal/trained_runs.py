"""Trained runs that are looked at together: their folders, names and models."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence

from jetvae_jax.core.errors import InputError
from jetvae_jax.runs.config import VAERun
from jetvae_jax.runs.train import CHECKPOINT


def find(workdirs: Sequence[str | os.PathLike]) -> dict[str, str]:
    """Name to folder of every run, all different.

    Args:
        workdirs: of runs, or folders somewhere in which there are runs, such as that
            of a comparison.

    Raises:
        InputError: none, no such folder, no run in it, or one twice.
    """
    paths: list[pathlib.Path] = []
    for given in workdirs:
        folder = pathlib.Path(os.path.abspath(given))
        if not folder.is_dir():
            raise InputError(f"--workdirs: {given}: no such folder: train there first")
        inside = [folder]
        if not (folder / CHECKPOINT).exists():
            inside = sorted(path.parent for path in folder.rglob(CHECKPOINT)) or inside
        for path in inside:
            if path in paths:
                raise InputError(f"--workdirs: {path} stands there twice")
        paths += inside
    if not paths:
        raise InputError("--workdirs: name one trained run or more")
    if len(paths) == 1:
        return {paths[0].name: str(paths[0])}
    common = os.path.commonpath(paths)
    names = [os.path.relpath(path, common) for path in paths]
    return {
        path.name if name == os.curdir else name: str(path)
        for name, path in zip(names, paths, strict=True)
    }


def parts(run: VAERun) -> str:
    """What a run is made of, in short."""
    of = run.parts
    found = [run.model, *(() if of.latent == "gaussian" else (of.latent,))]
    return " + ".join(found + [p for p in (of.prior, of.discriminator) if p != "none"])


def models(folders: Mapping[str, str], settings: Mapping[str, VAERun]) -> dict:
    """The model of every run: the same for equal settings but for the seed.

    Args:
        folders: name of a run to its folder.
        settings: name to how it was trained.

    Returns:
        Name of a run to that of its model: the run's own if there is one of it, else
        the folder that holds all of them, or what they are made of.
    """
    same: dict[str, list[str]] = {}
    for name, run in settings.items():
        given = json.dumps(run.to_json() | {"seed": 0}, sort_keys=True)
        same.setdefault(given, []).append(name)
    labels: dict[str, str] = {}
    for first, *others in same.values():
        label = first
        if others:
            above = {os.path.dirname(folders[name]) for name in (first, *others)}
            label = parts(settings[first])
            if len(above) == 1:
                label = os.path.basename(above.pop())
        if label in labels.values():
            label += f" ({first})"
        labels |= dict.fromkeys((first, *others), label)
    return {name: labels[name] for name in settings}
