"""Training of a classifier of sets with early stopping, and the smallest such network.

It is a deep set (arXiv:1703.06114): one network for each point, their mean and sum over
the set, one network for the whole. It cannot see the order of the points.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.numerics import masked_mean
from jetvae_jax.core.types import Array, Key

BATCH = 256
FEWEST_STEPS = 16
"""Steps in an epoch; small samples are cut into smaller batches."""
LEARNING_RATE = 3e-3
WIDTH = 64
CLIP = 10.0
"""Standardised inputs end here: one wild particle must not blow up the network."""
_CHUNK = 2048  # sets scored at a time

Part = tuple[np.ndarray, np.ndarray]
"""Points ``[J, N, F]``, finite and zero in the padding, and their mask ``[J, N]``."""


class Network(NamedTuple):
    """A classifier of sets, as :func:`train` takes it.

    Attributes:
        inputs: ``(part) -> (part -> inputs)``: how parts become the arrays that the
            network takes, each ``[J, ...]``, in units measured on the first part.
        start: ``(key, *inputs) -> params``.
        score: ``(params, *inputs) -> [J]`` log odds.
        optimiser: of the parameters, from optax.
    """

    inputs: Callable[[Part], Callable[[Part], tuple[Array, ...]]]
    start: Callable[..., Any]
    score: Callable[..., Array]
    optimiser: Any


class _Sets(NamedTuple):
    """Both samples in one, as the network takes them.

    Attributes:
        inputs: of the network, each ``[J, ...]``.
        label: ``[J]`` 1 for the second sample, 0 for the first.
        weight: ``[J]`` so that both count alike however many sets they hold.
    """

    inputs: tuple[Array, ...]
    label: Array
    weight: Array


class _Classifier(NamedTuple):
    """The compiled functions of the classifier.

    Attributes:
        start: ``(key, *inputs) -> state``, which is ``(params, optimiser state)``.
        epoch: ``(state, key, train, valid) -> (state, validation loss)``.
        logits: ``(params, *inputs) -> [J]``.
    """

    start: Callable
    epoch: Callable
    logits: Callable


def train(
    key: Key,
    training: tuple[Part, Part],
    validation: tuple[Part, Part],
    *,
    network: Network,
    epochs: int,
    patience: int,
) -> tuple[int, Callable[[Part], np.ndarray]]:
    """Learns to tell the second sample of each pair from the first.

    Inputs are standardised with the first sample of the training pair.

    Args:
        key: drives the initial network and the order of training.
        training: the two samples to learn from, in equal N and F.
        validation: the two samples whose loss decides which epoch is kept.
        network: what learns, such as :func:`deep_set`.
        epochs: most passes over the training part.
        patience: epochs without a better validation loss before training stops.

    Returns:
        The epoch that was kept, from 1, and the log odds ``part -> [J]`` of its
        network: higher looks more like the second sample.
    """
    prepared = network.inputs(training[0])
    fit = _together([prepared(part) for part in training])
    check = _together([prepared(part) for part in validation])
    classifier = _classifier(network)
    init_key, order_key = jax.random.split(key)
    state = classifier.start(init_key, *(a[:1] for a in fit.inputs))
    lowest, kept, best = np.inf, state[0], 0
    for epoch in range(1, epochs + 1):
        epoch_key = jax.random.fold_in(order_key, epoch)
        state, loss = classifier.epoch(state, epoch_key, fit, check)
        if loss < lowest:
            lowest, kept, best = float(loss), state[0], epoch
        elif epoch - best >= patience:
            break
    return best, lambda part: np.asarray(classifier.logits(kept, *prepared(part)))


def standard(x: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation ``[F]`` of the points in the mask; a constant has 1."""
    points = x[mask].astype(np.float64)
    if not len(points):
        return np.zeros(x.shape[-1]), np.ones(x.shape[-1])
    mean, deviation = points.mean(axis=0), points.std(axis=0)
    constant = deviation <= 1e-6 * np.abs(mean)
    return mean, np.where(constant, 1.0, deviation)


def _together(parts: list[tuple[Array, ...]]) -> _Sets:
    sizes = np.array([len(first) for first, *_ in parts])
    label = jnp.asarray(np.repeat([0.0, 1.0], sizes), jnp.float32)
    weight = jnp.asarray(np.repeat(sizes.mean() / sizes, sizes), jnp.float32)
    inputs = tuple(map(jnp.concatenate, zip(*parts, strict=True)))
    return _Sets(inputs, label, weight)


@functools.cache
def deep_set() -> Network:
    """The network of the module's docstring.

    Built once; flax and optax are imported here, with the first test that runs.
    """
    import optax

    from jetvae_jax.core import layers

    each = layers.MLP((WIDTH, WIDTH), WIDTH)
    whole = layers.MLP((WIDTH,), 1, last_scale=layers.QUIET)

    def score(params, x, mask, count):
        points = jax.nn.relu(layers.apply(each, params["each"], x))
        mean = masked_mean(points, mask[..., None], axis=-2)
        pool = jnp.concatenate([mean, mean * count, count], axis=-1)
        return layers.apply(whole, params["whole"], pool)[..., 0]

    def start(key, x, mask, count):
        first, second = jax.random.split(key)
        return {
            "each": layers.init(each, first, x),
            "whole": layers.init(whole, second, jnp.zeros((1, 2 * WIDTH + 1))),
        }

    return Network(_standardised, start, score, optax.adam(LEARNING_RATE))


def _standardised(reference: Part) -> Callable[[Part], tuple[Array, Array, Array]]:
    """Parts to standardised points, their mask, and how many there are ``[J, 1]``.

    The number of points is in units of its mean in the reference.
    """
    mean, deviation = standard(*reference)
    typical = max(reference[1].sum(axis=1).mean(), 1.0)

    def inputs(part: Part) -> tuple[Array, Array, Array]:
        x, mask = part
        x = np.clip((x - mean) / deviation, -CLIP, CLIP).astype(np.float32)
        count = (mask.sum(axis=1, keepdims=True) / typical).astype(np.float32)
        return (
            jnp.asarray(np.where(mask[..., None], x, 0)),
            jnp.asarray(mask),
            jnp.asarray(count),
        )

    return inputs


@functools.cache
def _classifier(network: Network) -> _Classifier:
    import optax

    score, optimiser = network.score, network.optimiser

    def start(key, *inputs):
        params = network.start(key, *inputs)
        return params, optimiser.init(params)

    def logits(params, *inputs):
        few = min(_CHUNK, len(inputs[0]))
        return jax.lax.map(lambda s: score(params, *s), inputs, batch_size=few)

    def cost(z, sets):
        loss = optax.sigmoid_binary_cross_entropy(z, sets.label)
        return jnp.mean(sets.weight * loss)

    def epoch(state, key, train, valid):
        rows = len(train.label)
        size = min(BATCH, max(rows // FEWEST_STEPS, 1))
        order = jax.random.permutation(key, rows)[: rows // size * size]

        def step(state, index):
            params, memory = state
            few = jax.tree.map(lambda a: a[index], train)
            slope = jax.grad(lambda p: cost(score(p, *few.inputs), few))(params)
            change, memory = optimiser.update(slope, memory, params)
            return (optax.apply_updates(params, change), memory), None

        state, _ = jax.lax.scan(step, state, order.reshape(-1, size))
        return state, cost(logits(state[0], *valid.inputs), valid)

    return _Classifier(start, jax.jit(epoch), jax.jit(logits))
