"""What the fit loop repeats: an update of the state by one batch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jetvae_jax.core.types import Array, Key, LossFn, Params
from jetvae_jax.training.settings import Config, optimizer, total_steps


class TrainState(NamedTuple):
    """Everything that changes from step to step.

    Attributes:
        params: tree of the networks' parameters.
        opt_state: state of the optimiser, or of several.
        average: running mean of ``params``, which then is what gets evaluated and
            kept; None without averaging.
        count: steps done, int32.
    """

    params: Params
    opt_state: Any
    average: Params | None
    count: Array

    @property
    def best_guess(self) -> Params:
        """The parameters to evaluate and to keep."""
        return self.params if self.average is None else self.average


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


def renewed(
    state: TrainState, params: Params, opt_state: Any, *, averaging: float
) -> TrainState:
    """The state after a step; its running mean, if there is one, follows.

    The mean starts short and lengthens: ``min(averaging, (1 + t) / (10 + t))``.
    """
    average, t = state.average, state.count.astype(jnp.float32)
    if averaging:
        decay = jnp.minimum(averaging, (1 + t) / (10 + t))
        average = jax.tree.map(lambda a, p: p + decay * (a - p), average, params)
    return TrainState(params, opt_state, average, state.count + 1)


def gradient_step(
    loss_fn: LossFn,
    init: Callable[[Key], Params],
    tx: optax.GradientTransformation,
    *,
    averaging: float = 0.0,
) -> Step:
    """Plain gradient descent on the mean of a per-jet loss.

    Args:
        loss_fn: ``(params, key, batch) -> (loss [J], {"name": [J]})``.
        init: ``(key) -> params``.
        tx: an optax transformation.
        averaging: decay of the running mean of the parameters, see :func:`renewed`;
            0 keeps none.

    Returns:
        A Step whose terms are the loss, under the name ``loss``, and its parts.
    """

    def init_state(key):
        params = init(key)
        average = params if averaging else None
        return TrainState(params, tx.init(params), average, jnp.int32(0))

    def mean_loss(params, key, batch):
        loss, terms = loss_fn(params, key, batch)
        return jnp.mean(loss), {"loss": loss} | terms

    def update(state, key, batch):
        grads, terms = jax.grad(mean_loss, has_aux=True)(state.params, key, batch)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = renewed(state, params, opt_state, averaging=averaging)
        return state, jax.tree.map(jnp.mean, terms)

    def evaluate(params, key, batch):
        return mean_loss(params, key, batch)[1]

    return Step(init_state, update, evaluate)


def configured_step(
    loss_fn: LossFn, init: Callable[[Key], Params], config: Config, *, num_jets: int
) -> Step:
    """:func:`gradient_step` with the configured optimiser, schedule and averaging.

    Args:
        loss_fn: as for :func:`gradient_step`.
        init: as for :func:`gradient_step`.
        config: its schedule spans all its epochs.
        num_jets: of the training data.
    """
    tx = optimizer(config, num_steps=total_steps(config, num_jets))
    return gradient_step(loss_fn, init, tx, averaging=config.averaging)
