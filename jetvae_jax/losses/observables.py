"""Observables as terms of a loss, in units of their spread.

An observable of jets is named as in :mod:`jetvae_jax.observables.named`. One of the
size 0.01 and one of 100 GeV become comparable by their standard deviation among the
training samples: an error of 1 is that of a sample whose observable is drawn at random.

A VAE with a deterministic decoder compares each sample with its reconstruction
(:func:`with_errors`). A GAN has no pairs: it compares the distributions of the true and
of the generated samples of a batch (:func:`sample_distances`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import dtypes
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    Array,
    Batch,
    Context,
    Distance,
    Enforced,
    Points,
    Terms,
)
from jetvae_jax.losses.adversarial import energy_terms
from jetvae_jax.observables.named import observable

MEASURED = 20_000
"""Training samples that are enough for a standard deviation."""
_AT_ONCE = 200  # samples whose N x N arrays fit in the cache
Values = Callable[[Array, Array | None, Context], dict[str, Array]]
"""``(x, mask, context) -> {"name": [..., K], ...}``, as of an :class:`Enforced`."""


class Weighted:
    """A Config with names and weights of observables.

    Attributes:
        observables: names.
        gamma_observables: their weights, one for all or one for each.
    """

    observables: tuple[str, ...]
    gamma_observables: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise InputError for weights that are neither one nor one for each."""
        if len(self.gamma_observables) not in (1, len(self.observables)):
            raise InputError(
                "gamma_observables: give one weight, or one for each of the "
                f"{len(self.observables)} observables, got {self.gamma_observables!r}"
            )

    @property
    def observable_weights(self) -> dict[str, float]:
        """The weight of each of the observables."""
        weights = self.gamma_observables
        if len(weights) != len(self.observables):
            weights = weights * len(self.observables)
        return dict(zip(self.observables, weights, strict=True))


def observable_error(
    x: Array,
    y: Array,
    *,
    name: str,
    spread: Array | float = 1.0,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
) -> Array:
    """Squared difference of an observable of two jets, over its variance.

    Args:
        x: ``[..., N, 3]`` (px, py, pz) in GeV.
        y: ``[..., M, 3]`` in GeV.
        name: of the observable; ``efp3`` is the mean over its polynomials.
        spread: ``[K]`` standard deviations, see :func:`observable_spread`; 1 for the
            squared difference itself.
        x_mask: ``[..., N]`` bool, True where a particle exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.

    Returns:
        ``[...]``; gradients are finite for jets of any number of particles.

    Raises:
        ValueError: the name is unknown.
    """
    difference = observable(x, x_mask, name=name) - observable(y, y_mask, name=name)
    (spread,) = floats(jnp, spread)
    return jnp.mean(jnp.square(difference / spread), axis=-1)


def observable_spread(p: Array, mask: Array | None = None, *, name: str) -> Array:
    """Standard deviation of an observable of a sample of jets.

    Args:
        p: ``[J, N, 3]`` (px, py, pz) in GeV of the training jets.
        mask: ``[J, N]`` bool, or None.
        name: of the observable.

    Returns:
        ``[K]`` in the unit of the observable.

    Raises:
        ValueError: the name is unknown.
    """
    (p,), mask = floats(jnp, p), dtypes.mask(jnp, mask)
    mask = jnp.ones(p.shape[:-1], bool) if mask is None else mask
    values = jax.lax.map(
        lambda jet: observable(*jet, name=name), (p, mask), batch_size=_AT_ONCE
    )
    return jnp.std(values, axis=0)


def observable_distance(x: Array, y: Array) -> Array:
    """Contribution of each sample to the energy distance of an observable.

    Of one number it is twice the Cramér distance, ``2 int (F - G)^2`` of the
    distribution functions; of K numbers, such as the two of an angle, the distance of
    the vectors over ``sqrt(K)``. The mean estimates that of the distributions without
    bias, and can be below zero.

    Args:
        x: ``[..., J, K]`` of true samples, J at least 2.
        y: ``[..., J, K]`` of generated samples.

    Returns:
        ``[..., J]``, in the unit of the observable.
    """
    x, y = floats(jnp, x, y)
    return energy_terms(x, y) / x.shape[-1] ** 0.5


def with_errors(
    distance: Distance, enforced: Enforced | None, *, scale: float = 1.0
) -> Distance:
    """A distance of samples and reconstructions, with errors of observables added.

    Args:
        distance: without them.
        enforced: observables and weights; None: the distance remains as it is.
        scale: a number by which all weights are multiplied.

    Returns:
        The distance; it has the further, unweighted term ``<name>_error [J]`` for each
        observable, its squared error in units of its variance among training samples.
    """
    if enforced is None:
        return distance

    def both(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
        total, terms = distance(batch, x_hat)
        true = enforced.values(batch.x, batch.mask, batch.context)
        again = enforced.values(x_hat, None, batch.context)
        for name, weight in enforced.weights.items():
            error = jnp.mean(jnp.square(true[name] - again[name]), axis=-1)
            terms[f"{name}_error"] = error
            total = total + weight * scale * error
        return total, terms

    return both


def sample_distances(
    enforced: Enforced, batch: Batch, made: Points
) -> tuple[Array, Terms]:
    """Distances of the distributions of observables, of data and generated samples.

    Args:
        enforced: observables and weights.
        batch: J true samples.
        made: J generated samples for the same contexts, in any order where there are
            no conditions.

    Returns:
        The weighted sum ``[J]``, and for each observable the unweighted term
        ``<name>_distance [J]``, see :func:`observable_distance`.
    """
    true = enforced.values(batch.x, batch.mask, batch.context)
    found = enforced.values(made.x, made.mask, batch.context)
    terms = {
        f"{name}_distance": observable_distance(true[name], found[name])
        for name in enforced.weights
    }
    weighted = zip(enforced.weights.values(), terms.values(), strict=True)
    total = jnp.zeros(len(batch.x), jnp.float32)
    return sum((weight * term for weight, term in weighted), total), terms


def in_units(
    values: Values,
    weights: Mapping[str, float],
    scale: Callable[[Any], Batch],
    train: Any,
    *,
    flag: str,
    unit: str,
) -> Enforced:
    """Observables in units of their standard deviation among training samples.

    Args:
        values: the observables of scaled samples in units of their own.
        weights: of each of them in the loss.
        scale: samples to scaled ones.
        train: training samples, a pytree of arrays ``[J, ...]``.
        flag: prefix of the flags, for errors.
        unit: what the samples are, for errors.

    Raises:
        InputError: an observable is the same for all of them.
    """

    def measure(sample: Any) -> dict[str, Array]:
        batch = scale(sample)
        return values(batch.x, batch.mask, batch.context)

    measured = jax.jit(lambda rows: jax.lax.map(measure, rows, batch_size=_AT_ONCE))
    spreads = {
        name: np.std(np.asarray(found, np.float64), axis=0).astype(np.float32)
        for name, found in measured(train).items()
    }
    check_spreads(spreads, flag=flag, unit=unit)

    def scaled(x: Array, mask: Array | None, context: Context) -> dict[str, Array]:
        found = values(x, mask, context)
        return {name: found[name] / spreads[name] for name in weights}

    return Enforced(scaled, weights)


def check_spreads(spreads: Mapping[str, np.ndarray], *, flag: str, unit: str) -> None:
    """Check that observables differ from sample to sample.

    Args:
        spreads: name to standard deviations ``[K]``.
        flag: prefix of the flags.
        unit: what the samples are.

    Raises:
        InputError: one of them does not.
    """
    for name, spread in spreads.items():
        if not np.all(spread > 0):
            raise InputError(
                f"--{flag}.observables: {name} is the same for all training {unit}: "
                f"its error has no scale; leave --{flag}.observables out, or give "
                f"other {unit}"
            )
