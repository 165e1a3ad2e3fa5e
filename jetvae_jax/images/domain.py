"""Sparse images: sets of pixels (x, y, I), scaled to the coordinates of the network."""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import LargeSeed, PositiveFloat
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Context, Key, PixelSets, Points
from jetvae_jax.core.types import Objective as VAEObjective
from jetvae_jax.data.splits import Dataset
from jetvae_jax.densities.contexts import ContextRequest, ContextSampler
from jetvae_jax.images import augmentation, files, mnist, scaling
from jetvae_jax.images import load as images
from jetvae_jax.images import objective as objectives
from jetvae_jax.images.load import Request
from jetvae_jax.losses import distances

GROUPS = {"data": "pixels", "scaling": "pixel_scaling", "objective": "pixel_objective"}
UNIT = "images"
SUFFIX = ".npz"
MONITORS = ()
BOUNDED = "unit"
READS_INTENSITY = ("pixel_matched", "pixel_third_axis")


@configs.config
class Data(Request):
    """Which images, as which sets.

    Attributes:
        path: 'embedded' for the 2,000 digits in the package; MNIST, or what has its
            form, as a folder of IDX files or an npz archive; or an npz archive of
            sets. A test part that the data set brings is the test part.
        form: 'sparse' keeps the most intense pixels; 'superpixels' makes segments of
            each image and keeps the most intense.
        num_pixels: points of a set, at most; published: 100 pixels or 25 superpixels.
        digits: classes wanted; empty for all.
        min_pixels: an image with fewer lit pixels stops the reading; 1 refuses blank
            images, num_pixels all that would need padding.
        max_images: images taken of each part, at most; 0 takes all.
        order: of the points: falling 'intensity', as published, or 'raster', row by
            row.
        columns: what the first two numbers of a position are, in archives of others.
        split_seed: seed of the split into training, validation and test parts.
        fractions: of the training, validation and test parts; of training and
            validation only, in their ratio, where the test part is the data set's own.
        augment: of shift, turn and stretch: random changes of training images at every
            step.
    """

    path: configs.Path = mnist.EMBEDDED
    split_seed: LargeSeed = 0
    fractions: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.7, 0.1, 0.2)
    augment: tuple[Annotated[str, configs.one_of(augmentation.MOST)], ...] = ()


Scaling, Scaler = scaling.Config, scaling.Scaler
Objective = objectives.Config
fit, scale = scaling.fit, scaling.scale


def load(config: Data) -> Dataset:
    """Sets of pixels, read and split.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    return Dataset(
        *images.load(config, seed=config.split_seed, fractions=config.fractions)
    )


def resolved(data: Data, config: scaling.Config) -> tuple[Data, scaling.Config]:
    """Both as they are: nothing is read from the file."""
    return data, config


def sizes(config: Data, scaled: scaling.Config) -> dict[str, int]:
    """Fields of a model's Config that follow from the data and the scaling."""
    return {
        "num_particles": config.num_pixels,
        "num_features": scaled.num_features,
        "jet_rows": 0,
        "num_conditions": scaled.num_conditions,
    }


def unscale(
    config: scaling.Config, scaler: scaling.Scaler, points: Points, context: Context
) -> PixelSets:
    """Generated points to pixels, with the digits that were given as labels."""
    labels = None
    if context.condition is not None:
        labels = scaling.digit_of(context.condition)
    return scaling.unscale(config, scaler, points.x, labels, points.mask)


def particle_mask(config: scaling.Config, scaler: scaling.Scaler):
    """Which points of a deterministic decoder exist: see ``scaling.exists``."""

    def mask(x: Array, context: Context) -> Array:
        del context
        return scaling.unscale(config, scaler, x).mask

    return mask


def relative(config: scaling.Config, scaler: scaling.Scaler) -> None:
    """Points are not particles of a jet."""
    del config, scaler


def refused(cluster_radius: float) -> None:
    """There are no jets to cluster."""
    del cluster_radius


def momenta(config: scaling.Config, scaler: scaling.Scaler) -> None:
    """Points are not particles of a jet."""
    del config, scaler


def num_points(config: scaling.Config, scaler: scaling.Scaler) -> None:
    """The condition, a digit, does not say how many points there are."""
    del config, scaler


def condition_names(config: scaling.Config) -> dict[str, tuple[str, ...]]:
    """``digit``, for a conditional model."""
    return {"digit": ()} if config.condition_on_digit else {}


def condition_ends(config: scaling.Config, scaler: scaling.Scaler) -> dict:
    """A digit is a class and has no range."""
    del config, scaler
    return {}


def contexts(
    config: scaling.Config, scaler: scaling.Scaler, request: ContextRequest
) -> ContextSampler:
    """The digit that is asked for, or digits as often as in the training part.

    Raises:
        InputError: no digit, or one that the training part does not have.
    """
    asked = request.condition.get("digit")
    shares = np.asarray(scaler.shares)
    if asked is not None and not (asked in range(len(shares)) and shares[int(asked)]):
        there = ", ".join(map(str, np.flatnonzero(shares)))
        raise InputError(
            f"--generate.condition=digit={asked:g}: the training part has only the "
            f"digits {there}"
        )
    chance = jnp.log(jnp.asarray(shares))

    def draw(key: Key, num: int) -> Context:
        axis = jnp.zeros((num, 3))
        if not config.condition_on_digit:
            return Context(axis)
        digits = jax.random.categorical(key, chance, shape=(num,))
        if asked is not None:
            digits = jnp.full(num, int(asked))
        return Context(axis, scaling.digit_condition(digits))

    return draw


def monitor(
    config: scaling.Config, real: PixelSets, generated: PixelSets
) -> dict[str, float]:
    """Nothing: training monitors its loss."""
    del config, real, generated
    return {}


def objective(run, scaler, train) -> VAEObjective:
    """What a VAE minimises.

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


def augment(run):
    """``(key, sets) -> sets``: small random changes of training images, or None."""
    if not run.data.augment:
        return None
    return augmentation.build(run.data.augment, raster=run.data.order == "raster")


def metadata(run) -> dict:
    """Units and features, for the checkpoint."""
    return {
        "units": {"position": "pixels of a 28 x 28 image", "intensity": "0 to 1"},
        "features": list(scaling.FEATURES[: run.scaling.num_features]),
    }


def writer(path, run, attrs):
    """A file of sets."""
    del run
    return files.Writer(path, attrs)
