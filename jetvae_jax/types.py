"""The values that travel through the package: small, immutable pytrees.

Shapes use one letter each, here and in every docstring: ``J`` jets, ``N`` and
``M`` particles, ``F`` features of a particle, ``G`` features of a jet, ``L``
latent dimensions, ``K`` coupling layers, ``B`` bins. ``[..., N, F]`` means any
number of leading axes: none, one or many.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

Array = jax.Array | np.ndarray
Key = jax.Array
Params = Any


class Jets(NamedTuple):
    """Jets as physics knows them: momenta in GeV.

    Attributes:
        particles: ``[..., N, 3]`` Cartesian momenta (px, py, pz) in GeV, exactly
            zero where ``mask`` is False.
        mask: ``[..., N]`` bool, True where a particle exists.
        features: ``[..., G]`` conditions of the jet, or None.
    """

    particles: Array
    mask: Array
    features: Array | None = None


class RelativeJets(NamedTuple):
    """Jets relative to their axis, without units: what the field's metrics act on.

    Attributes:
        particles: ``[..., N, 3]`` (ptrel, etarel, phirel), exactly zero where ``mask``
            is False.
        mask: ``[..., N]`` bool, True where a particle exists.
    """

    particles: Array
    mask: Array


class Batch(NamedTuple):
    """Sets of points as a network sees them: scaled, padded to one length.

    A jet is N points of three features; a table row is one point; a pixel set is
    points ``(x, y, I)``.

    Attributes:
        x: ``[..., N, F]`` scaled features, the ghost value where ``mask`` is False.
        mask: ``[..., N]`` bool, True where a point exists.
        axis: ``[..., 3]`` jet (pt [GeV], eta, phi) that relative features refer
            to; only relative coordinates read it.
    """

    x: Array
    mask: Array
    axis: Array


class GaussianPosterior(NamedTuple):
    """A diagonal Gaussian q(z|x).

    Attributes:
        mean: ``[..., L]``.
        logvar: ``[..., L]`` log of the variance.
    """

    mean: Array
    logvar: Array


class VAE(NamedTuple):
    """A variational autoencoder as three pure functions.

    Attributes:
        init: ``(key) -> params``.
        encode: ``(params, x [..., N, F], mask [..., N]) -> GaussianPosterior``.
        decode: ``(params, z [..., L]) -> x_hat [..., N, F]``.
        latent_dim: L.
    """

    init: Callable[..., Params]
    encode: Callable[..., GaussianPosterior]
    decode: Callable[..., Array]
    latent_dim: int


class Flow(NamedTuple):
    """An invertible map between a standard normal ``u`` and latents ``z``.

    Attributes:
        init: ``(key) -> params``.
        log_prob: ``(params, z [..., L]) -> [...]`` in nats.
        sample: ``(params, key, shape) -> z [*shape, L]``.
        forward: ``(params, u [..., L]) -> (z [..., L], log|det dz/du| [...])``.
        inverse: ``(params, z [..., L]) -> (u [..., L], log|det du/dz| [...])``.
        dim: L.
    """

    init: Callable[..., Params]
    log_prob: Callable[..., Array]
    sample: Callable[..., Array]
    forward: Callable[..., tuple[Array, Array]]
    inverse: Callable[..., tuple[Array, Array]]
    dim: int


Terms = dict[str, Array]
LossFn = Callable[[Params, Key, Any], tuple[Array, Terms]]
"""``(params, key, data) -> (loss [J], {"name": [J], ...})``, data over J jets."""
