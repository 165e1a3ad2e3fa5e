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


class PixelSets(NamedTuple):
    """Images as sets of points; a black pixel is no point.

    Attributes:
        points: ``[..., K, 3]`` (x, y, I): x to the right and y downward, in pixels of
            a 28 x 28 image from 0 to 27, centres of pixels at whole numbers
            (superpixels and generated points lie between); I from 0 to 1. Exactly
            zero where ``mask`` is False.
        mask: ``[..., K]`` bool, True where a point exists.
        labels: ``[...]`` int32, the digit; -1 if unknown.
    """

    points: Array
    mask: Array
    labels: Array


class Batch(NamedTuple):
    """Sets of points as a network sees them: scaled, padded to one length.

    A jet is N points of three features; a table row is one point; a pixel set is
    points ``(x, y, I)``.

    Attributes:
        x: ``[..., N, F]`` scaled features, the ghost value where ``mask`` is False.
        mask: ``[..., N]`` bool, True where a point exists.
        axis: ``[..., 3]`` jet (pt [GeV], eta, phi) that relative features refer
            to; only relative coordinates read it. ``[..., 4]`` with the angle of the
            principal axis last where jets are turned to it.
        condition: ``[..., G]`` scaled numbers that conditional models are told, or
            None.
    """

    x: Array
    mask: Array
    axis: Array
    condition: Array | None = None


def optional(condition: Array | None) -> tuple[Array, ...]:
    """A condition as last argument of a model, no argument without one."""
    return () if condition is None else (condition,)


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

    A conditional model takes ``condition [..., G]`` as the last argument of ``encode``
    and ``decode``; without conditions nobody has to pass it.

    Attributes:
        init: ``(key) -> params``, ``{"encoder": ..., "decoder": ...}``.
        encode: ``(params, x [..., N, F], mask [..., N], condition=None) ->
            GaussianPosterior``.
        decode: ``(params, z [..., L], condition=None) -> x_hat [..., N, F]``.
        latent_dim: L.
    """

    init: Callable[..., Params]
    encode: Callable[..., GaussianPosterior]
    decode: Callable[..., Array]
    latent_dim: int


class Flow(NamedTuple):
    """An invertible map between a standard normal ``u`` and latents ``z``.

    A conditional flow takes ``condition [..., G]`` as the last argument of each
    function but ``init``.

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


class Prior(NamedTuple):
    """A density of latents with parameters of its own.

    Attributes:
        init: ``(key) -> params``.
        log_prob: ``(params, z [..., L], condition=None) -> [...]`` in nats.
        sample: ``(params, key, shape, condition=None) -> z [*shape, L]``.
        dim: L.
    """

    init: Callable[..., Params]
    log_prob: Callable[..., Array]
    sample: Callable[..., Array]
    dim: int


class Discriminator(NamedTuple):
    """Tells true samples from made ones.

    Attributes:
        init: ``(key) -> params``.
        apply: ``(params, x [..., N, F], mask [..., N], condition=None) -> [...]``, the
            logit of being true.
        features: the same arguments ``-> [..., D]``, the last hidden layer.
    """

    init: Callable[..., Params]
    apply: Callable[..., Array]
    features: Callable[..., Array]


Terms = dict[str, Array]
LossFn = Callable[[Params, Key, Any], tuple[Array, Terms]]
"""``(params, key, data) -> (loss [J], {"name": [J], ...})``, data over J jets."""
Distance = Callable[[Batch, Array], tuple[Array, Terms]]
"""``(batch, x_hat [J, N, F]) -> (weighted sum [J], {"name": [J], ...})``."""
