"""The data set of a run, read once and kept for the next step."""

import contextlib
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.splits import Dataset
from jetvae_jax.data.streaming import Stream, count
from jetvae_jax.runs import domains


def mapped(function: Callable[[Any], Any], part: Any) -> Any:
    """Apply a function to all samples: in memory at once, else when a chunk is read."""
    if isinstance(part, Stream):
        return part.map(function)
    return jax.jit(function)(part)


def load(domain: str, config: Any) -> Dataset:
    """Read and split; the last data set is kept until one of its files changes.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    return _load(domain, config, _files(config.path))


def _files(path: str) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of the files of a data set, wherever it is."""
    found = []
    for given in dict.fromkeys((path, *path.split(","))):
        place = pathlib.Path(given.strip()).absolute()
        with contextlib.suppress(OSError, ValueError):
            for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
                seen = file.stat()
                found.append((str(file), seen.st_size, seen.st_mtime_ns))
    return tuple(found)


@functools.lru_cache(maxsize=1)
def _load(domain: str, config: Any, files: tuple) -> Dataset:
    del files  # when they change, it is another call
    dataset = domains.get(domain).load(config)
    for note in dataset.notes:
        logging.info("%s: %s", config.path, note.removeprefix(f"{config.path}: "))
    logging.info(
        "%s: %s for training, %s for validation, %s for the test",
        config.path, *(f"{count(part):,}" for part in dataset[:3]),
    )  # fmt: skip
    return dataset


def load_same(domain: str, config: Any, source: dict) -> Dataset:
    """Like :func:`load`, for a checkpoint that was trained on ``source``.

    Raises:
        InputError: the file has changed since.
    """
    dataset = load(domain, config)
    if dataset.source["fingerprint"] != source["fingerprint"]:
        raise InputError(
            f"{config.path}: is not the file this run was trained on (its fingerprint "
            "differs): put the old file back, or train again in a new --workdir"
        )
    return dataset
