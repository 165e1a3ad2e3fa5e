"""Mixtures of Gaussians of one or two variables, as the output of a network."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.types import Array, Key

LOG_2PI = 1.8378770664093453


class Near(NamedTuple):
    """Gaussians of two variables about M points, W of different widths each.

    Attributes:
        logits: ``[..., W, M]`` of the weights.
        centers: ``[..., M, 2]``.
        log_std: ``[..., W, M]``, across the direction of a point from the origin.
        stretch: ``[..., M]`` log of how much wider they are along that direction.
    """

    logits: Array
    centers: Array
    log_std: Array
    stretch: Array


class Mixture(NamedTuple):
    """A mixture of K Gaussians of D = 1 or 2 variables, and of those about points.

    In two variables the covariance of a component is full: the mean of the second
    variable depends linearly on the first.

    Attributes:
        logits: ``[..., K]`` of the weights.
        mean: ``[..., D, K]``.
        log_std: ``[..., D, K]``; of the second variable, given the first.
        slope: ``[..., K]`` of the second variable with the first; None for D = 1.
        near: further components, D = 2; the weights of all add up to one.
    """

    logits: Array
    mean: Array
    log_std: Array
    slope: Array | None = None
    near: Near | None = None


def log_prob(mixture: Mixture, x: Array) -> Array:
    """Log-density of ``x [..., D]``, ``[...]`` in nats."""
    mixture, (x,) = record(jnp, mixture), floats(jnp, x)
    away = x[..., None] - mixture.mean
    if mixture.slope is not None:
        first, second = away[..., 0, :], away[..., 1, :]
        away = jnp.stack([first, second - mixture.slope * first], axis=-2)
    terms = jnp.square(away * jnp.exp(-mixture.log_std)) + LOG_2PI
    each = -jnp.sum(0.5 * terms + mixture.log_std, axis=-2)
    found = jax.nn.logsumexp(mixture.logits + each, axis=-1)
    weight = jax.nn.logsumexp(mixture.logits, axis=-1)
    if mixture.near is not None:
        logits, centers, log_std, stretch = mixture.near
        away = x[..., None, :] - centers
        along = jnp.sum(away * _directions(centers), axis=-1)
        square = jnp.sum(jnp.square(away), axis=-1)
        square = square + jnp.expm1(-2 * stretch) * jnp.square(along)
        each = -0.5 * square[..., None, :] * jnp.exp(-2 * log_std) - LOG_2PI
        each = each - 2 * log_std - stretch[..., None, :]
        both = (-2, -1)
        found = jnp.logaddexp(found, jax.nn.logsumexp(logits + each, axis=both))
        weight = jnp.logaddexp(weight, jax.nn.logsumexp(logits, axis=both))
    return found - weight


def _directions(points: Array) -> Array:
    """Unit vectors ``[..., 2]`` from the origin, or (1, 0) at it."""
    square = jnp.sum(jnp.square(points), axis=-1, keepdims=True)
    there = square > 1e-12
    unit = points * jax.lax.rsqrt(jnp.where(there, square, 1.0))
    return jnp.where(there, unit, jnp.array([1.0, 0.0], points.dtype))


class Noise(NamedTuple):
    """The random numbers of one draw.

    Attributes:
        uniform: ``[...]`` from 0 to 1, which chooses the component.
        normal: ``[..., D]`` standard normal.
    """

    uniform: Array
    normal: Array


def noise(key: Key, shape: tuple[int, ...], dim: int) -> Noise:
    """Random numbers ``[*shape]`` and ``[*shape, D]`` of draws of D variables."""
    uniform_key, normal_key = jax.random.split(key)
    return Noise(
        jax.random.uniform(uniform_key, shape),
        jax.random.normal(normal_key, (*shape, dim)),
    )


def sample(mixture: Mixture, key: Key) -> Array:
    """One draw of each mixture, ``[..., D]``."""
    *shape, dim = mixture.mean.shape[:-1]
    return at(mixture, noise(key, tuple(shape), dim))


def at(mixture: Mixture, noise: Noise) -> Array:
    """The draw ``[..., D]`` that these random numbers give."""
    mixture, noise = record(jnp, mixture), record(jnp, noise)
    logits, near, size = mixture.logits, mixture.near, 0
    if near is not None:
        several = near.logits.reshape(*logits.shape[:-1], -1)
        logits, size = jnp.concatenate([several, logits], axis=-1), several.shape[-1]
    component = _component(logits, noise.uniform)
    own = jnp.maximum(component - size, 0)[..., None]
    mean, std = _chosen(mixture.mean, own), jnp.exp(_chosen(mixture.log_std, own))
    slope = 0.0 if mixture.slope is None else _chosen(mixture.slope, own)
    if near is not None:
        which = jnp.minimum(component, size - 1)[..., None]
        point = which % near.logits.shape[-1]
        here = component < size
        others = jnp.swapaxes(near.centers, -1, -2)
        mean = jnp.where(here[..., None], _chosen(others, point), mean)
        widths = near.log_std.reshape(*logits.shape[:-1], -1)
        round_std = jnp.exp(_chosen(widths, which))[..., None]
        std = jnp.where(here[..., None], round_std, std)
        slope = jnp.where(here, 0.0, slope)
    away = std * noise.normal
    if near is not None:
        outwards = _directions(mean)
        along = jnp.sum(away * outwards, axis=-1)
        more = jnp.expm1(_chosen(near.stretch, point)) * along
        away = away + jnp.where(here, more, 0.0)[..., None] * outwards
    if mixture.slope is not None:
        second = away[..., 1] + slope * away[..., 0]
        away = jnp.stack([away[..., 0], second], axis=-1)
    return mean + away


def _component(logits: Array, uniform: Array) -> Array:
    """Numbers of components ``[...]``, by the inverse of their cumulative weights.

    One uniform number each, where ``jax.random.categorical`` wants one for every
    component. Weights are rounded to multiples of 2^-23, of which sums are exact in any
    order: rounded sums would draw components that have no weight.
    """
    weights = jnp.round(jax.nn.softmax(logits, axis=-1) * 2**23)
    # A product with a triangular matrix: cumsum is four times slower on CPUs.
    sums = jnp.triu(jnp.ones((logits.shape[-1],) * 2, logits.dtype))
    cumulative = jnp.matmul(weights, sums, precision=jax.lax.Precision.HIGHEST)
    below = uniform * cumulative[..., -1]
    return jnp.sum(cumulative <= below[..., None], axis=-1)


def _chosen(values: Array, component: Array) -> Array:
    """From ``values [..., K]`` or ``[..., D, K]`` those at ``component [..., 1]``."""
    if values.ndim > component.ndim:
        component = component[..., None]
    return jnp.take_along_axis(values, component, axis=-1)[..., 0]
