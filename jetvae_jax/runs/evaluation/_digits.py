"""The classifier of an evaluation: trained once, kept beside the run."""

import dataclasses

import jax
import numpy as np
from absl import logging

from jetvae_jax.data.images import load as images
from jetvae_jax.errors import InputError
from jetvae_jax.metrics import digit_classifier
from jetvae_jax.metrics.digit_classifier import Classifier
from jetvae_jax.runs.domains.pixels import Data
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.training import checkpoint
from jetvae_jax.types import PixelSets

TRAINING_IMAGES = 10_000  # enough; superpixels of more take minutes
SEED = 0


def without_intensity(sets: PixelSets) -> PixelSets:
    """Every point with I = 1: how positions alone are judged."""
    mask = np.asarray(sets.mask)
    bright = mask[..., None].astype(np.float32)
    points = np.concatenate([np.asarray(sets.points)[..., :2], bright], axis=-1)
    return sets._replace(points=points, mask=mask)


def classifier(
    folder: Workdir, data: Data, *, intensity: bool
) -> tuple[Classifier | None, list[str]]:
    """A classifier of all digits of the training part, and why not if there is none.

    It is seeded, and read from ``classifier*.npz`` in the folder if that was trained
    on the same images. All digits are learned even if only some are generated: the
    parts are such that it meets no test image.

    Args:
        folder: of the run.
        data: of the run.
        intensity: it sees the intensities, not only positions.
    """
    number = data.max_images or TRAINING_IMAGES
    # The least number of pixels was asked of the digits of the run, not of all.
    whole = dataclasses.replace(data, digits=(), max_images=number, min_pixels=1)
    found = images.load(whole, seed=data.split_seed, fractions=data.fractions)
    about = {"fingerprint": found.source["fingerprint"], "seed": SEED}
    path = folder / f"classifier{'' if intensity else '_positions'}.npz"
    if path.exists():
        meta = checkpoint.read_meta(path)
        if meta["about"] == about:
            params = checkpoint.restore(path, digit_classifier.template())
            return Classifier(params, meta["accuracy"], meta["epochs"]), []
    parts = found.train, found.valid
    if not intensity:
        parts = tuple(map(without_intensity, parts))
    known = np.unique(parts[0].labels)
    if len(known) < 2:
        what = "have no labels" if known[0] < 0 else "show one digit only"
        return None, [f"the images {what}: no classifier can be trained"]
    logging.info("training the classifier of the evaluation on %s images",
                 f"{len(parts[0].labels):,}")  # fmt: skip
    try:
        trained = digit_classifier.train_classifier(jax.random.key(SEED), *parts)
    except InputError as error:
        return None, [f"no classifier: {error}"]
    facts = {"accuracy": trained.accuracy, "epochs": trained.epochs, "about": about}
    checkpoint.save(path, trained.params, meta=facts)
    return trained, []
