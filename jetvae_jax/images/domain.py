"""Sparse images: sets of pixels (x, y, I), scaled to the coordinates of the network."""

from typing import Annotated

import jax
import jax.numpy as jnp

from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeInt, PositiveFloat
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import PixelSets
from jetvae_jax.images import augmentation, files, mnist, scaling
from jetvae_jax.images import load as images
from jetvae_jax.images import objective as objectives
from jetvae_jax.images.load import Request
from jetvae_jax.losses import distances
from jetvae_jax.runs import dataset

GROUPS = {"data": "pixels", "scaling": "pixel_scaling", "objective": "pixel_objective"}
THINGS = "images"
SUFFIX = ".npz"
JUDGES = ()
BOUNDED = "unit"
READS_INTENSITY = ("pixel_matched", "pixel_third_axis")


@configs.config
class Data(Request):
    """Which images, as which sets.

    Attributes:
        path: 'embedded' for the 2,000 digits that come with the package; MNIST (or
            what has its form) as a folder of IDX files or an npz archive; or an npz
            archive of sets. A test part that the data set brings is the test part.
        form: 'sparse' keeps the most intense pixels; 'superpixels' makes segments of
            each image and keeps the most intense.
        num_pixels: points of a set, at most; published: 100 pixels or 25 superpixels.
        digits: classes wanted; empty for all.
        min_pixels: an image with fewer lit pixels stops the reading; 1 refuses blank
            images, num_pixels all that would need padding.
        max_images: images taken of each part, at most; 0 takes all.
        order: of the points: falling 'intensity', as published, or 'raster', row by
            row, which a network that reads an order makes more of.
        columns: what the first two numbers of a position are, in archives of others.
        split_seed: seed of the split into training, validation and test parts.
        fractions: of the training, validation and test parts; of training and
            validation only, in their ratio, where the test part is the data set's own.
        augment: of shift, turn and stretch, the small changes that training images go
            through, drawn anew at every step; empty for none.
    """

    path: str = mnist.EMBEDDED
    split_seed: NonNegativeInt = 0
    fractions: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.7, 0.1, 0.2)
    augment: tuple[Annotated[str, configs.one_of(augmentation.MOST)], ...] = ()


Scaling, Scaler = scaling.Config, scaling.Scaler
Objective = objectives.Config
fit, scale = scaling.fit, scaling.scale


def load(config: Data) -> dataset.Dataset:
    """Sets of pixels, read and split.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    return dataset.Dataset(
        *images.load(config, seed=config.split_seed, fractions=config.fractions)
    )


def sizes(config: Data, scaled: scaling.Config) -> dict:
    """Fields of a model's Config that follow from the data and the scaling."""
    return {
        "num_particles": config.num_pixels,
        "num_features": scaled.num_features,
        "jet_rows": 0,
        "num_conditions": scaled.num_conditions,
    }


def unscale(config, scaler, x, axis, condition=None) -> PixelSets:
    """Network output to pixels, with the digits that were asked for as labels."""
    del axis
    labels = None if condition is None else scaling.told_digit(condition)
    return scaling.unscale(config, scaler, x, labels)


def draw_context(config, scaler, key, num_images):
    """Digits to ask for, as often as in the training part."""
    axis = jnp.zeros((num_images, 3))
    if not config.tell_digit:
        return axis, None
    chance = jnp.log(jnp.asarray(scaler.shares))
    digits = jax.random.categorical(key, chance, shape=(num_images,))
    return axis, scaling.digit_condition(digits)


def objective(run, scaler, train):
    """What a VAE is trained to.

    Raises:
        InputError: the loss compares intensities and the scaling has none.
    """
    del scaler, train
    if run.loss in READS_INTENSITY and not run.scaling.intensity:
        raise InputError(
            f"--loss={run.loss}: compares intensities, which "
            f"--no{GROUPS['scaling']}.intensity leaves out: give "
            "--loss=pixel_positions, or leave the intensity in"
        )
    loss = distances.get(run.loss).build(run.loss_config)
    return objectives.objective(run.objective, loss)


def exists(run, scaler):
    """Which decoded points a discriminator sees: those that would be written."""

    def mask(x, axis):
        del axis
        return scaling.unscale(run.scaling, scaler, x).mask

    return mask


def augment(run):
    """``(key, sets) -> sets``: small changes that training draws anew, or None."""
    if not run.data.augment:
        return None
    return augmentation.build(run.data.augment, raster=run.data.order == "raster")


def facts(run) -> dict:
    """Units and features, for the checkpoint."""
    return {
        "units": {"position": "pixels of a 28 x 28 image", "intensity": "0 to 1"},
        "features": list(scaling.FEATURES[: run.scaling.num_features]),
    }


def writer(path, run, attrs):
    """A file of sets."""
    del run
    return files.Writer(path, attrs)
