"""A transformer that tells jets apart by pairs of particles and by their order in pt.

After the Particle Transformer (arXiv:2202.03772): attention whose weights have a bias
made of the distance, the relative transverse momentum, the momentum share and the mass
of each pair. Each particle also has sums over itself and all harder ones: the pt, the
centroid, the width and the mass of the jet down to that particle. A deep set sees
neither without learning it first.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jetvae_jax.core import layers
from jetvae_jax.core.numerics import safe_log
from jetvae_jax.core.types import Array
from jetvae_jax.metrics.classifier import network
from jetvae_jax.metrics.classifier.network import CLIP, Network, Part

WIDTH, HEADS, BLOCKS = 64, 4, 2
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-2
FORBIDDEN = -1e9
"""Logit of the attention to padding."""
_ANGLES = slice(1, 3)


class _Block(nn.Module):
    """Attention with a bias for each pair, then a network for each particle."""

    @nn.compact
    def __call__(self, x: Array, bias: Array) -> Array:
        """``x [..., N, C]``, ``bias [..., H, N, N]`` to ``[..., N, C]``."""
        shape = (*x.shape[:-1], HEADS, WIDTH // HEADS)
        qkv = layers.Dense(3 * WIDTH, name="qkv")(layers.normalise(x))
        q, k, v = (part.reshape(shape) for part in jnp.split(qkv, 3, axis=-1))
        logits = jnp.einsum("...nhd,...mhd->...hnm", q, k) / math.sqrt(shape[-1])
        weight = jax.nn.softmax(logits + bias, axis=-1)
        y = jnp.einsum("...hnm,...mhd->...nhd", weight, v).reshape(x.shape)
        x = x + layers.Dense(WIDTH, name="out")(y)
        return x + layers.MLP((2 * WIDTH,), WIDTH, name="own")(layers.normalise(x))


class _Transformer(nn.Module):
    """Blocks, the mean and the sum of the particles, a small network, one logit."""

    @nn.compact
    def __call__(self, pt: Array, angles: Array, other: Array, mask: Array) -> Array:
        """Log odds ``[...]``.

        Args:
            pt: ``[..., N]`` shares of the jet's pt, descending, zero in the padding.
            angles: ``[..., N, 2]`` in units of their spread.
            other: ``[..., N, F]`` standardised features.
            mask: ``[..., N]``.
        """
        seen = [other, pt[..., None], angles, _sums(pt, angles)]
        x = layers.Dense(WIDTH, name="embed")(jnp.concatenate(seen, axis=-1))
        pairs = layers.MLP((2 * HEADS,), HEADS, name="pairs")(_pairs(pt, angles))
        bias = jnp.moveaxis(pairs, -1, -3)
        bias = jnp.where(mask[..., None, None, :], bias, FORBIDDEN)
        for i in range(BLOCKS):
            x = _Block(name=f"block_{i}")(x, bias)
        pool = layers.mean_and_sum(layers.normalise(x), mask, mask.shape[-1])
        pool = jnp.concatenate(pool, axis=-1)
        head = layers.MLP((WIDTH,), 1, last_scale=layers.QUIET, name="head")
        return head(pool)[..., 0]


def _sums(pt: Array, angles: Array) -> Array:
    """Of each particle and all harder ones: pt, centroid, width, mass, ``[..., N, 5]``.

    The mass is that of massless particles at small angles.
    """
    total = jnp.cumsum(pt, axis=-1)
    safe = jnp.where(total > 0, total, 1.0)
    first = jnp.cumsum(pt[..., None] * angles, axis=-2)
    second = jnp.cumsum(pt * jnp.sum(jnp.square(angles), axis=-1), axis=-1)
    centroid = first / safe[..., None]
    width = jnp.maximum(second / safe - jnp.sum(jnp.square(centroid), axis=-1), 0.0)
    return jnp.stack(
        [
            total, centroid[..., 0], centroid[..., 1],
            safe_log(width, floor=1e-6) / 3, safe_log(pt / safe, floor=1e-6) / 3,
        ],
        axis=-1,
    )  # fmt: skip


def _pairs(pt: Array, angles: Array) -> Array:
    """Logarithms of distance, relative kt, share and mass of pairs, ``[..., N, N, 4]``.

    Eq. 3 of arXiv:2202.03772 for massless particles, each with a floor.
    """
    one, two = pt[..., :, None], pt[..., None, :]
    apart = angles[..., :, None, :] - angles[..., None, :, :]
    square = jnp.sum(jnp.square(apart), axis=-1)
    softer = jnp.minimum(one, two)
    return jnp.stack(
        [
            safe_log(square, floor=1e-6) / 3,
            safe_log(jnp.square(softer) * square, floor=1e-10) / 6,
            safe_log(softer / jnp.maximum(one + two, 1e-9), floor=1e-4) / 3,
            safe_log(one * two * square, floor=1e-10) / 6,
        ],
        axis=-1,
    )


@functools.cache
def transformer() -> Network:
    """The network of the module's docstring.

    Of the features of a point ``[J, N, F]`` the first three are ptrel, etarel and
    phirel.
    """
    import optax

    net = _Transformer()
    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY),
    )

    def score(params, *inputs):
        return layers.apply(net, params, *inputs)

    def start(key, *inputs):
        return layers.init(net, key, *inputs)

    return Network(_inputs, start, score, optimiser)


def _inputs(reference: Part) -> Callable[[Part], tuple[Array, ...]]:
    """Parts to pt, angles, standardised features and mask, in descending pt."""
    x, mask = reference
    mean, deviation = network.standard(x, mask)
    spread = max(float(np.sqrt(np.mean(np.square(deviation[_ANGLES])))), 1e-6)

    def inputs(part: Part) -> tuple[Array, ...]:
        x, mask = part
        order = np.argsort(np.where(mask, -x[..., 0], np.inf), axis=1, kind="stable")
        x = np.take_along_axis(x, order[..., None], axis=1)
        mask = np.take_along_axis(mask, order, axis=1)
        there = mask[..., None]
        angles = np.clip(np.where(there, x[..., _ANGLES] / spread, 0), -CLIP, CLIP)
        other = np.clip((x - mean) / deviation, -CLIP, CLIP)
        pt = np.clip(np.where(mask, x[..., 0], 0), 0, CLIP)
        return (
            jnp.asarray(pt, jnp.float32),
            jnp.asarray(angles, jnp.float32),
            jnp.asarray(np.where(there, other, 0), jnp.float32),
            jnp.asarray(mask),
        )

    return inputs
