"""The samples of a run, split, with the notes of the reader."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import splits
from jetvae_jax.data.streaming import Stream, count, head
from jetvae_jax.runs import domains

__all__ = ["Dataset", "count", "head", "load", "load_same", "mapped", "split"]


class Dataset(NamedTuple):
    """Samples of a domain, such as jets in GeV, in three disjoint parts.

    Attributes:
        train: fits the networks and the scaler. Each part is a pytree of arrays, or
            a ``data.stream.Stream`` of what is too large for memory.
        valid: selects the epoch.
        test: is only ever evaluated.
        notes: what the reader repaired or chose.
        source: path, layout, fingerprint of the file.
    """

    train: Any
    valid: Any
    test: Any
    notes: tuple[str, ...]
    source: dict


def split(
    sample: Any,
    *,
    seed: int,
    fractions: tuple[float, float, float],
    notes: tuple[str, ...],
    source: dict,
) -> Dataset:
    """Splits a pytree of arrays along their leading axis.

    Raises:
        InputError: a part would be empty.
    """
    parts = splits.split(seed, count(sample), fractions=fractions)
    train, valid, test = (
        jax.tree.map(lambda a, rows=rows: a[rows], sample)
        for rows in (parts.train, parts.valid, parts.test)
    )
    return Dataset(train, valid, test, notes, source)


def mapped(function: Callable[[Any], Any], part: Any) -> Any:
    """What a function makes of all samples, in memory, or chunk by chunk when read."""
    if isinstance(part, Stream):
        return part.map(function)
    return jax.jit(function)(part)


@functools.lru_cache(maxsize=1)
def load(domain: str, config: Any) -> Dataset:
    """Read and split; the last data set is kept for the next step.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
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
