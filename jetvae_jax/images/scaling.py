"""Between pixels and the numbers a network sees, for sets of pixels.

``v = offset + factor * x`` for each feature v of (x, y, I), with the same numbers for
all points. :func:`scale` and :func:`unscale` are pure jnp functions; :func:`fit` runs
on the host.
"""

from typing import Annotated, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Batch, PixelSets
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
        tell_digit: encoder and decoder are told the digit; generated digits are asked
            for as often as the training part has them.
    """

    method: Method = "unit"
    intensity: bool = True
    min_intensity: Annotated[float, configs.not_negative, configs.below(1)] = 0.05
    tell_digit: bool = False

    @property
    def num_features(self) -> int:
        """Features of a point: 3, or 2 without intensity."""
        return 3 if self.intensity else 2

    @property
    def num_conditions(self) -> int:
        """Numbers a model is told: ten if it is told the digit."""
        return DIGITS if self.tell_digit else 0


class Scaler(NamedTuple):
    """What :func:`fit` learns from the training sets.

    Attributes:
        offset: ``[1, F]`` physical value at ``x = 0``, in pixels and intensity.
        factor: ``[1, F]`` physical units per unit of ``x``, positive.
        ghost: ``[1, F]`` scaled position of padding: black, in the upper left corner.
        shares: ``[10]`` of the training sets that show each digit; zero if unlabelled.
    """

    offset: Array
    factor: Array
    ghost: Array
    shares: Array


def fit(config: Config, sets: PixelSets) -> Scaler:
    """Offset and factor; only ``standard`` reads the training sets.

    Args:
        config: what to measure.
        sets: training sets ``[J, K, 3]``.

    Returns:
        Scaler of NumPy float32 arrays. The factor of a constant feature is 1.

    Raises:
        InputError: no set has a point, or digits are to be told and some are unknown.
    """
    labels = np.asarray(sets.labels)
    known = labels[(labels >= 0) & (labels < DIGITS)]
    if config.tell_digit and len(known) < len(labels):
        raise InputError(
            f"tell_digit: {len(labels) - len(known):,} of {len(labels):,} training "
            "sets have no label: give labels, or leave it out"
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
    offset, factor, ghost = (np.asarray(a[None, :size], np.float32) for a in arrays)
    return Scaler(offset, factor, ghost, shares.astype(np.float32))


def scale(config: Config, scaler: Scaler, sets: PixelSets) -> Batch:
    """Pixels to what the network sees.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        sets: ``[..., K, 3]``.

    Returns:
        Batch with x ``[..., K, F]``, exactly ``scaler.ghost`` on padding; its axis is
        zero, for nothing reads it. The condition is the digit, if it is to be told.
    """
    mask = jnp.asarray(sets.mask)
    v = jnp.asarray(sets.points)[..., : config.num_features]
    x = (v - scaler.offset) / scaler.factor
    x = jnp.where(mask[..., None], x, scaler.ghost)
    told = digit_condition(sets.labels) if config.tell_digit else None
    return Batch(x, mask, jnp.zeros((*mask.shape[:-1], 3), x.dtype), told)


def digit_condition(labels: Array) -> Array:
    """What a conditional model is told: one of ten numbers is 1, the digit's.

    Args:
        labels: ``[...]``, 0 to 9; others, such as the -1 of the unknown, are all zero.

    Returns:
        ``[..., 10]`` float32.
    """
    return (jnp.asarray(labels)[..., None] == np.arange(DIGITS)).astype(jnp.float32)


def told_digit(condition: Array) -> Array:
    """The digit that a condition ``[..., 10]`` tells, ``[...]``; -1 for none."""
    digit = jnp.argmax(jnp.asarray(condition), axis=-1)
    return jnp.where(jnp.max(condition, axis=-1) > 0, digit, -1).astype(jnp.int32)


def unscale(
    config: Config, scaler: Scaler, x: Array, labels: Array | None = None
) -> PixelSets:
    """Network output to pixels; ``config`` says which points exist.

    Positions are held inside the image and intensities at most 1. NaN never exists.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., K, F]``.
        labels: ``[...]`` the digits that were asked for; None: unknown.

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
    points = jnp.concatenate([position, intensity], axis=-1)
    if labels is None:
        labels = jnp.full(mask.shape[:-1], -1, jnp.int32)
    labels = jnp.asarray(labels, jnp.int32)
    return PixelSets(jnp.where(mask[..., None], points, 0.0), mask, labels)
