"""The jets of a run, split, with the notes of the reader."""

import functools
from typing import NamedTuple

import jax
from absl import logging

from jetvae_jax import data
from jetvae_jax.data import splits
from jetvae_jax.errors import InputError
from jetvae_jax.runs.config import DataConfig
from jetvae_jax.types import Jets


class Dataset(NamedTuple):
    """Jets in GeV, in three disjoint parts.

    Attributes:
        train: fits the networks and the scaler.
        valid: selects the epoch.
        test: is only ever evaluated.
        notes: what the reader repaired or chose.
        source: path, layout, fingerprint of the file.
    """

    train: Jets
    valid: Jets
    test: Jets
    notes: tuple[str, ...]
    source: dict


@functools.lru_cache(maxsize=1)
def load(config: DataConfig) -> Dataset:
    """Read and split the jets; the last data set is kept for the next step.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    loaded = data.load(
        config.path,
        num_particles=config.num_particles,
        max_jets=config.max_jets or None,
        jet_type=config.jet_type,
        repair=config.repair,
        seed=config.split_seed,
        columns=config.columns,
    )
    parts = splits.split(
        config.split_seed, len(loaded.jets.mask), fractions=config.fractions
    )
    for note in loaded.notes:
        logging.info("%s: %s", config.path, note)
    logging.info(
        "%s: %s jets for training, %s for validation, %s for the test",
        config.path, *(f"{len(part):,}" for part in parts),
    )  # fmt: skip

    def take(rows):
        return jax.tree.map(lambda a: a[rows], loaded.jets)

    train, valid, test = map(take, (parts.train, parts.valid, parts.test))
    return Dataset(train, valid, test, loaded.notes, loaded.source)


def load_same(config: DataConfig, source: dict) -> Dataset:
    """Like :func:`load`, for a checkpoint that was trained on ``source``.

    Raises:
        InputError: the file has changed since.
    """
    dataset = load(config)
    if dataset.source["fingerprint"] != source["fingerprint"]:
        raise InputError(
            f"{config.path}: is not the file this run was trained on (its fingerprint "
            "differs): put the old file back, or train again in a new --workdir"
        )
    return dataset
