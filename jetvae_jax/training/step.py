"""What the fit loop repeats: an update of the state by one batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jetvae_jax.types import Array, Key, LossFn, Params


class TrainState(NamedTuple):
    """Everything that changes from step to step.

    Attributes:
        params: tree of the networks' parameters.
        opt_state: state of the optimiser, or of several.
    """

    params: Params
    opt_state: Any


class Step(NamedTuple):
    """A training algorithm as three pure functions; ``fit`` knows no more of it.

    Attributes:
        init: ``(key) -> TrainState``.
        update: ``(state, key, batch) -> (state, {"name": scalar})``.
        evaluate: ``(params, key, batch) -> {"name": [J]}`` per-jet terms.
    """

    init: Callable[[Key], TrainState]
    update: Callable[[TrainState, Key, Any], tuple[TrainState, dict[str, Array]]]
    evaluate: Callable[[Params, Key, Any], dict[str, Array]]


def gradient_step(
    loss_fn: LossFn, init: Callable[[Key], Params], tx: optax.GradientTransformation
) -> Step:
    """Plain gradient descent on the mean of a per-jet loss.

    Args:
        loss_fn: ``(params, key, batch) -> (loss [J], {"name": [J]})``.
        init: ``(key) -> params``.
        tx: an optax transformation.

    Returns:
        A Step whose terms are the loss, under the name ``loss``, and its parts.
    """

    def init_state(key):
        params = init(key)
        return TrainState(params, tx.init(params))

    def mean_loss(params, key, batch):
        loss, terms = loss_fn(params, key, batch)
        return jnp.mean(loss), {"loss": loss} | terms

    def update(state, key, batch):
        grads, terms = jax.grad(mean_loss, has_aux=True)(state.params, key, batch)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state), jax.tree.map(jnp.mean, terms)

    def evaluate(params, key, batch):
        return mean_loss(params, key, batch)[1]

    return Step(init_state, update, evaluate)
