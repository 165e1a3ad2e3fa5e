"""A small classifier of digits as sets of pixels, trained with a seed, for metrics.

A PointNet (arXiv:1612.00593) without its alignment networks: one network for every
point, the mean and the maximum over the set, one network for the pooled features. Its
output does not depend on the order of the points. Positions enter with sines and
cosines of three wavelengths, so that a small network resolves strokes.

``image_frechet`` compares the features of its last hidden layer; :func:`accuracy` is
the share of generated digits that it recognises.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import masked_mean
from jetvae_jax.core.types import Array, Key, Params, PixelSets

CLASSES = 10
FEATURES = 64
"""Size of the last hidden layer."""
BATCH = 100
FEWEST_STEPS = 16
"""Least number of steps in an epoch; small samples have smaller batches."""
LEARNING_RATE = 2e-3
CENTRE = 13.5  # of the image, in pixels
# Largest shift, turn and stretch of training sets, drawn again in each epoch.
SHIFT, TURN, STRETCH = 1.5, 0.25, 0.12  # pixels, radians, relative
_CHUNK = 500  # sets seen at a time


class Classifier(NamedTuple):
    """A trained classifier.

    Attributes:
        params: of its network.
        accuracy: share of the validation sets that it classifies correctly.
        epochs: number of epochs after which the parameters were kept.
    """

    params: Params
    accuracy: float
    epochs: int


def train_classifier(
    key: Key,
    training: PixelSets,
    validation: PixelSets,
    *,
    epochs: int = 60,
    patience: int = 8,
) -> Classifier:
    """Trains a classifier; 2,000 sets of pixels take half a minute.

    Args:
        key: drives the initial network, the order and the distortions.
        training: sets ``[J, K, 3]`` with labels.
        validation: sets ``[V, K, 3]`` whose loss decides which epoch is kept.
        epochs: largest number of epochs.
        patience: epochs without a better validation loss before training stops.

    Raises:
        InputError: no sets, sets without labels, or NaN in a point that exists.
    """
    fit, check = (
        jax.tree.map(jnp.asarray, _ready(s, labelled=True))
        for s in (training, validation)
    )
    functions = _functions()
    init_key, run_key = jax.random.split(key)
    state = functions.start(init_key, fit)
    lowest, kept, best, right = np.inf, state[0], 0, 0.0
    for epoch in range(1, epochs + 1):
        epoch_key = jax.random.fold_in(run_key, epoch)
        state, loss, share = functions.epoch(state, epoch_key, fit, check)
        if loss < lowest:
            lowest, kept, best, right = float(loss), state[0], epoch, float(share)
        elif epoch - best >= patience:
            break
    return Classifier(kept, right, best)


def template() -> Params:
    """Shapes and types of a classifier's parameters, to restore them from a file."""
    one = PixelSets(np.zeros((1, 1, 3), np.float32), np.ones((1, 1), bool), np.zeros(1))
    return jax.eval_shape(
        lambda key: _functions().start(key, one)[0], jax.random.key(0)
    )


def features(classifier: Classifier, sets: PixelSets) -> np.ndarray:
    """The last hidden layer ``[J, 64]`` of sets ``[J, K, 3]``, any K.

    Raises:
        InputError: no sets, or NaN in a point that exists.
    """
    return _outputs(classifier, sets)[0]


def predict(classifier: Classifier, sets: PixelSets) -> np.ndarray:
    """The likeliest digit ``[J]`` of sets ``[J, K, 3]``.

    Raises:
        InputError: no sets, or NaN in a point that exists.
    """
    return _outputs(classifier, sets)[1].argmax(axis=-1)


def accuracy(classifier: Classifier, sets: PixelSets) -> dict[str, float]:
    """How often the classifier predicts the digit of the label.

    The labels of generated sets are the digits on which they are conditioned. Compare
    it with the accuracy on real sets that are not in the classifier's training.

    Returns:
        ``accuracy``, and its binomial standard ``error``.

    Raises:
        InputError: no sets, sets without labels, or NaN in a point that exists.
    """
    _ready(sets, labelled=True)
    share = float(np.mean(predict(classifier, sets) == np.asarray(sets.labels)))
    return {
        "accuracy": share,
        "error": float(np.sqrt(share * (1 - share) / len(sets.labels))),
    }


def _outputs(classifier: Classifier, sets: PixelSets) -> tuple[np.ndarray, np.ndarray]:
    """Features ``[J, 64]`` and logits ``[J, 10]``, compiled for one size of chunk."""
    ready, size = _ready(sets, labelled=False), len(sets.mask)
    filled = -(-size // _CHUNK) * _CHUNK
    full = jax.tree.map(lambda a: np.resize(a, (filled, *a.shape[1:])), ready)
    parts = [
        _functions().outputs(
            classifier.params, PixelSets(*(a[i : i + _CHUNK] for a in full))
        )
        for i in range(0, filled, _CHUNK)
    ]
    hidden, logits = (
        np.concatenate(list(map(np.asarray, p)))[:size]
        for p in zip(*parts, strict=True)
    )
    return hidden, logits


def _ready(sets: PixelSets, *, labelled: bool) -> PixelSets:
    """The sets as float32 arrays, checked, zero on padding."""
    sets = record(np, sets)
    mask = sets.mask
    points = np.where(mask[..., None], sets.points.astype(np.float32), 0)
    labels = np.asarray(sets.labels, np.int32)
    if mask.ndim != 2 or points.shape != (*mask.shape, 3) or not len(mask):
        raise InputError(
            f"pixel sets: points {points.shape} and mask {mask.shape}: give at least "
            "one set, [J, K, 3] and [J, K]"
        )
    if not np.isfinite(points).all():
        bad = int((~np.isfinite(points).all(axis=(1, 2))).sum())
        raise InputError(f"pixel sets: NaN or infinity in {bad:,} of {len(mask):,}")
    if labelled and not (
        labels.shape == mask.shape[:1] and np.all((labels >= 0) & (labels < CLASSES))
    ):
        raise InputError("pixel sets: labels missing: give a digit, 0 to 9, a set")
    return PixelSets(points, mask, labels)


class _Functions(NamedTuple):
    """The compiled functions.

    Attributes:
        start: ``(key, sets) -> state``, which is ``(params, optimiser state)``.
        epoch: ``(state, key, train, valid) -> (state, loss, accuracy)`` of valid.
        outputs: ``(params, sets) -> (features [J, 64], logits [J, 10])``.
    """

    start: Callable
    epoch: Callable
    outputs: Callable


@functools.cache
def _functions() -> _Functions:
    """Built once; flax and optax are imported here, with the first classifier."""
    import optax

    from jetvae_jax.core import layers

    each = layers.MLP((64,), 128)
    whole = layers.MLP((128,), FEATURES)
    last = layers.Dense(CLASSES, scale=layers.QUIET)
    optimiser = optax.adam(LEARNING_RATE)

    def score(params, sets):
        points = layers.apply(each, params["each"], _encoded(sets.points))
        points = jax.nn.relu(points)
        exists = sets.mask[..., None]
        # After relu zero is the least: an empty set pools to zero.
        highest = jnp.max(jnp.where(exists, points, 0.0), axis=-2)
        pool = jnp.concatenate([masked_mean(points, exists, axis=-2), highest], -1)
        hidden = jax.nn.relu(layers.apply(whole, params["whole"], pool))
        return hidden, layers.apply(last, params["last"], hidden)

    def start(key, sets):
        keys = jax.random.split(key, 3)
        params = {
            "each": layers.init(each, keys[0], _encoded(sets.points[:1])),
            "whole": layers.init(whole, keys[1], jnp.zeros((1, 256))),
            "last": layers.init(last, keys[2], jnp.zeros((1, FEATURES))),
        }
        return params, optimiser.init(params)

    def outputs(params, sets):
        few = min(_CHUNK, len(sets.labels))
        return jax.lax.map(lambda s: score(params, s), sets, batch_size=few)

    def cost(logits, labels):
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def epoch(state, key, train, valid):
        rows = len(train.labels)
        size = min(BATCH, max(rows // FEWEST_STEPS, 1))
        order_key, shape_key = jax.random.split(key)
        order = jax.random.permutation(order_key, rows)[: rows // size * size]
        order = order.reshape(-1, size)

        def step(state, job):
            params, memory = state
            index, key = job
            few = jax.tree.map(lambda a: a[index], train)
            few = few._replace(points=_distorted(key, few.points))
            slope = jax.grad(lambda p: cost(score(p, few)[1], few.labels))(params)
            change, memory = optimiser.update(slope, memory)
            return (optax.apply_updates(params, change), memory), None

        keys = jax.random.split(shape_key, len(order))
        state, _ = jax.lax.scan(step, state, (order, keys))
        _, logits = outputs(state[0], valid)
        share = jnp.mean(jnp.argmax(logits, axis=-1) == valid.labels)
        return state, cost(logits, valid.labels), share

    return _Functions(start, jax.jit(epoch), jax.jit(outputs))


def _encoded(points: Array) -> jax.Array:
    """``[..., 3]`` pixels to ``[..., 15]``: positions, waves of them, intensity."""
    place = (points[..., :2] - CENTRE) / CENTRE
    phases = [jnp.pi * wave * place for wave in (1, 2, 4)]
    waves = [f(phase) for phase in phases for f in (jnp.sin, jnp.cos)]
    return jnp.concatenate([place, *waves, points[..., 2:]], axis=-1)


def _distorted(key: Key, points: Array) -> jax.Array:
    """Each set ``[J, K, 3]`` moved, turned and stretched about the centre."""
    move, turn, stretch = jax.random.split(key, 3)
    lead = points.shape[:1]
    shift = jax.random.uniform(move, (*lead, 1, 2), minval=-SHIFT, maxval=SHIFT)
    angle = jax.random.uniform(turn, (*lead, 1), minval=-TURN, maxval=TURN)
    size = jax.random.uniform(stretch, (2, *lead, 1), minval=-STRETCH, maxval=STRETCH)
    x, y = (
        (1 + factor) * (points[..., i] - CENTRE)
        for i, factor in zip((0, 1), size, strict=True)
    )
    turned = [
        x * jnp.cos(angle) - y * jnp.sin(angle),
        x * jnp.sin(angle) + y * jnp.cos(angle),
    ]
    place = jnp.stack(turned, axis=-1) + CENTRE + shift
    return jnp.concatenate([place, points[..., 2:]], axis=-1)
