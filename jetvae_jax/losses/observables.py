"""Errors of a jet's observables as terms of a loss, in units of their spread.

An observable is named as in :mod:`jetvae_jax.observables.named`. One of the size 0.01
and one of 100 GeV become comparable by their standard deviation among the training
jets: an error of 1 is that of a jet whose observable is drawn at random.
"""

import jax
import jax.numpy as jnp

from jetvae_jax.core import dtypes
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array
from jetvae_jax.observables.named import observable

_AT_ONCE = 200  # jets whose N x N arrays fit in the cache


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
