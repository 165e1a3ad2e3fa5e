"""Scaling: between pixels and the numbers a network sees, for sets of pixels.

``v = offset + factor * x`` for each feature v of (x, y, I), with the same numbers for
all points. :func:`scale` and :func:`unscale` are pure jnp functions; :func:`fit` runs
on the host.
"""

from typing import Annotated, ClassVar, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Batch, Context, PixelSets
from jetvae_jax.images.mnist import SIZE

Method = Literal["unit", "standard", "mpgan"]
FEATURES = ("x", "y", "intensity")
LAST = SIZE - 1.0
# Physical value at x = 0, and physical units per unit of x.
FIXED = {
    "unit": ((0.0, 0.0, 0.0), (LAST, LAST, 1.0)),
    "mpgan": ((SIZE / 2, SIZE / 2, 0.5), (SIZE, SIZE, 1.0)),
}
CORNER = 1.0  # pixels
DIGITS = 10


@configs.config
class Config:
    """How pixels are presented to the network.

    Attributes:
        method: unit divides positions by 27, which puts all features in [0, 1];
            standard gives the training points mean 0 and variance 1; mpgan subtracts
            14 pixels and divides by 28, and subtracts 1/2 from the intensity, as
            arXiv:2012.00173.
        intensity: the intensity is a feature; else positions only, and every point
            has I = 1.
        min_intensity: a decoded point exists if its intensity is above this. Without
            intensity it exists if it is more than a pixel from the upper left corner,
            where padding sits.
        condition_on_digit: encoder and decoder depend on the digit; digits are
            generated with the frequencies of the training part.
    """

    RENAMED: ClassVar = {"tell_digit": "condition_on_digit"}

    method: Method = "unit"
    intensity: bool = True
    min_intensity: Annotated[float, configs.not_negative, configs.below(1)] = 0.05
    condition_on_digit: bool = False

    @property
    def num_features(self) -> int:
        """Features of a point: 3, or 2 without intensity."""
        return 3 if self.intensity else 2

    @property
    def num_conditions(self) -> int:
        """Size of the condition: ten if models are conditioned on the digit."""
        return DIGITS if self.condition_on_digit else 0


class Scaler(NamedTuple):
    """The constants of the scaling, measured on the training sets by :func:`fit`.

    Attributes:
        offset: ``[1, F]`` physical value at ``x = 0``, in pixels and intensity.
        factor: ``[1, F]`` physical units per unit of ``x``, positive.
        padding: ``[1, F]`` scaled position of padding: black, in the upper left corner.
            It keeps this name in checkpoints.
        shares: ``[10]`` fractions of the training sets that show each digit; zero if
            unlabelled.
    """

    offset: Array
    factor: Array
    padding: Array
    shares: Array


def fit(config: Config, sets: PixelSets) -> Scaler:
    """Offset and factor; only ``standard`` reads the training sets.

    Args:
        config: the scaling.
        sets: training sets ``[J, K, 3]``.

    Returns:
        Scaler of NumPy float32 arrays. The factor of a constant feature is 1.

    Raises:
        InputError: no set has a point, or digits are conditions and some are unknown.
    """
    labels = np.asarray(sets.labels)
    known = labels[(labels >= 0) & (labels < DIGITS)]
    if config.condition_on_digit and len(known) < len(labels):
        raise InputError(
            f"condition_on_digit: {len(labels) - len(known):,} of {len(labels):,} "
            "training sets have no label: give labels, or leave it out"
        )
    shares = np.bincount(known, minlength=DIGITS) / max(len(known), 1)
    if config.method == "standard":
        points = np.asarray(sets.points, np.float64)[np.asarray(sets.mask)]
        if not len(points):
            raise InputError("scaling: the training sets hold no point; check the data")
        offset, factor = points.mean(axis=0), points.std(axis=0)
        factor = np.where(factor > 1e-6, factor, 1.0)
    else:
        offset, factor = map(np.array, FIXED[config.method])
    arrays = offset, factor, -offset / factor
    size = config.num_features
    offset, factor, padding = (np.asarray(a[None, :size], np.float32) for a in arrays)
    return Scaler(offset, factor, padding, shares.astype(np.float32))


def scale(config: Config, scaler: Scaler, sets: PixelSets) -> Batch:
    """Pixels to scaled features.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        sets: ``[..., K, 3]``.

    Returns:
        Batch with x ``[..., K, F]``, exactly ``scaler.padding`` on padding; its axis is
        zero and not used. The condition is the digit if ``config.condition_on_digit``.
    """
    mask = jnp.asarray(sets.mask)
    v = jnp.asarray(sets.points)[..., : config.num_features]
    x = (v - scaler.offset) / scaler.factor
    x = jnp.where(mask[..., None], x, scaler.padding)
    condition = digit_condition(sets.labels) if config.condition_on_digit else None
    context = Context(jnp.zeros((*mask.shape[:-1], 3), x.dtype), condition)
    return Batch(x, mask, context)


def digit_condition(labels: Array) -> Array:
    """The digit as ten numbers (one-hot), the condition of a model.

    Args:
        labels: ``[...]``, 0 to 9; others, such as -1 for unknown, give all zeros.

    Returns:
        ``[..., 10]`` float32.
    """
    return (jnp.asarray(labels)[..., None] == np.arange(DIGITS)).astype(jnp.float32)


def digit_of(condition: Array) -> Array:
    """The digit ``[...]`` of a condition ``[..., 10]``; -1 for none."""
    digit = jnp.argmax(jnp.asarray(condition), axis=-1)
    return jnp.where(jnp.max(condition, axis=-1) > 0, digit, -1).astype(jnp.int32)


def unscale(
    config: Config,
    scaler: Scaler,
    x: Array,
    labels: Array | None = None,
    exists: Array | None = None,
) -> PixelSets:
    """Scaled features to pixels; the model or ``config`` decides which points exist.

    Positions are clipped to the image and intensities to 1. Points with NaN do not
    exist.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., K, F]``.
        labels: ``[...]`` the digits of the conditions; None: unknown.
        exists: ``[..., K]`` bool, which points exist; None: as ``config`` says.

    Returns:
        PixelSets ``[..., K, 3]``, exactly zero where points do not exist.
    """
    v = scaler.offset + scaler.factor * jnp.asarray(x)
    position = jnp.clip(v[..., :2], 0.0, LAST)
    mask = jnp.all(jnp.isfinite(v), axis=-1)
    if config.intensity:
        intensity = jnp.minimum(v[..., 2:], 1.0)
        mask &= intensity[..., 0] > config.min_intensity
    else:
        intensity = jnp.ones_like(v[..., :1])
        mask &= jnp.max(position, axis=-1) > CORNER
    if exists is not None:
        mask = jnp.all(jnp.isfinite(v), axis=-1) & jnp.asarray(exists)
    points = jnp.concatenate([position, intensity], axis=-1)
    if labels is None:
        labels = jnp.full(mask.shape[:-1], -1, jnp.int32)
    labels = jnp.asarray(labels, jnp.int32)
    return PixelSets(jnp.where(mask[..., None], points, 0.0), mask, labels)
