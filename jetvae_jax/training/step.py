"""Training step: updates the state on one batch; its settings and optimiser.

A model with one loss takes one optimiser (:func:`gradient_step`); a model whose loss is
a dict takes an optimiser for each component (:func:`components_step`), and its
components may take turns (:func:`alternating_step`).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jetvae_jax.core import configs
from jetvae_jax.core.configs import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Key, LossFn, Model, Params, Terms


@configs.config
class Config:
    """How a network is trained.

    Attributes:
        num_epochs: epochs at most.
        batch_size: jets per step; the remainder of an epoch is left out.
        microbatch_size: jets of a batch whose gradient is computed at once, before the
            mean over the batch (gradient accumulation); 0 for all. Fewer need less
            memory, and are often faster on a CPU.
        learning_rate: step size of the optimiser, at its peak.
        optimizer: 'adam', or 'rmsprop'.
        beta1: decay of Adam's mean gradient; smaller in many GANs.
        beta2: decay of the mean squared gradient, of Adam and of RMSProp.
        schedule: 'constant', or 'cosine' falling to 1 % over num_epochs.
        warmup_steps: steps of linear rise before the schedule.
        clip_norm: largest norm of the whole gradient; 0 for no clipping.
        weight_decay: decoupled weight decay (AdamW).
        averaging: decay of the running mean of the parameters (EMA), such as 0.999,
            which is then evaluated and kept; 0 keeps the parameters themselves.
        patience: epochs without a better monitored value before stopping.
        monitor: validation term that selects the best epoch and stops early.
        save_seconds: seconds between saves of the resumable state.
    """

    num_epochs: PositiveInt = 300
    batch_size: PositiveInt = 100
    microbatch_size: NonNegativeInt = 0
    learning_rate: PositiveFloat = 1e-3
    optimizer: Literal["adam", "rmsprop"] = "adam"
    beta1: Annotated[float, configs.not_negative, configs.below(1)] = 0.9
    beta2: Annotated[float, configs.not_negative, configs.below(1)] = 0.999
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: NonNegativeInt = 0
    clip_norm: NonNegativeFloat = 0.0
    weight_decay: NonNegativeFloat = 0.0
    averaging: Annotated[float, configs.not_negative, configs.below(1)] = 0.0
    patience: PositiveInt = 80
    monitor: str = "loss"
    save_seconds: NonNegativeFloat = 60.0

    def __post_init__(self):
        if self.microbatch_size and self.batch_size % self.microbatch_size:
            raise InputError(
                f"microbatch_size: must divide batch_size = {self.batch_size}, got "
                f"{self.microbatch_size}"
            )


def total_steps(config: Config, num_jets: int) -> int:
    """Steps of all epochs, at least one."""
    return max(config.num_epochs * (num_jets // config.batch_size), 1)


def optimizer(
    config: Config, *, num_steps: int, constants: tuple[str, ...] = ()
) -> optax.GradientTransformation:
    """AdamW or RMSProp, with the configured schedule over ``num_steps`` steps in all.

    Args:
        config: of the training.
        num_steps: after which the schedule has ended.
        constants: keys of the parameters, then a dict, that neither move nor decay.
    """
    peak, warmup = config.learning_rate, min(config.warmup_steps, num_steps - 1)
    if config.schedule == "cosine":
        schedule = optax.cosine_decay_schedule(peak, num_steps - warmup, 0.01)
        if warmup:
            rise = optax.linear_schedule(0.0, peak, warmup)
            schedule = optax.join_schedules([rise, schedule], [warmup])
    elif warmup:
        schedule = optax.linear_schedule(0.0, peak, warmup)
    else:
        schedule = peak
    clip = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm else []

    def which(constant: bool) -> Callable[[Any], dict[str, bool]]:
        return lambda params: {name: (name in constants) == constant for name in params}

    # The state has the same arrays as without constants.
    mask = which(False) if constants else None
    fixed = [optax.masked(optax.set_to_zero(), which(True))] if constants else []
    if config.optimizer == "rmsprop":
        scale = optax.scale_by_rms(config.beta2)
        decay = optax.add_decayed_weights(config.weight_decay, mask)
        rule = optax.chain(scale, decay, optax.scale_by_learning_rate(schedule))
    else:
        rule = optax.adamw(
            schedule, config.beta1, config.beta2,
            weight_decay=config.weight_decay, mask=mask,
        )  # fmt: skip
    return optax.chain(*clip, rule, *fixed)


class TrainState(NamedTuple):
    """Everything that changes from step to step.

    Attributes:
        params: tree of the networks' parameters.
        opt_state: state of the optimiser, or of several.
        average: running mean of ``params``, which is evaluated and kept; None without
            averaging.
        count: steps done, int32.
    """

    params: Params
    opt_state: Any
    average: Params | None
    count: Array

    @property
    def eval_params(self) -> Params:
        """The parameters to evaluate and to keep, the running mean if there is one."""
        return self.params if self.average is None else self.average


class Step(NamedTuple):
    """A training algorithm: the three pure functions that ``fit`` calls.

    Attributes:
        init: ``(key) -> TrainState``.
        update: ``(state, key, batch) -> (state, {"name": scalar})``.
        evaluate: ``(params, key, batch) -> {"name": [J]}`` per-jet terms.
    """

    init: Callable[[Key], TrainState]
    update: Callable[[TrainState, Key, Any], tuple[TrainState, dict[str, Array]]]
    evaluate: Callable[[Params, Key, Any], dict[str, Array]]


def update_ema(
    state: TrainState, params: Params, opt_state: Any, *, averaging: float
) -> TrainState:
    """The state after a step, with its running mean updated, if there is one.

    The decay increases to its final value: ``min(averaging, (1 + t) / (10 + t))``.
    """
    average, t = state.average, state.count.astype(jnp.float32)
    if averaging:
        decay = jnp.minimum(averaging, (1 + t) / (10 + t))
        average = jax.tree.map(lambda a, p: p + decay * (a - p), average, params)
    return TrainState(params, opt_state, average, state.count + 1)


def mean_gradient(
    mean_loss: Callable[[Params, Key, Any], tuple[Array, Terms]],
    params: Params,
    key: Key,
    batch: Any,
    microbatch_size: int = 0,
) -> tuple[Params, Terms]:
    """The gradient of a mean over the rows of a batch, a microbatch at a time.

    Args:
        mean_loss: ``(params, key, batch) -> (mean, {"name": [J]})``.
        params: at which it is taken.
        key: folded with the number of the microbatch, if there are several.
        batch: arrays with J rows.
        microbatch_size: a divisor of J; 0 for all rows at once. What the loss averages
            over a batch, such as free nats, it then averages over a microbatch.

    Returns:
        The gradient, and the terms of all rows.
    """
    gradient = jax.grad(mean_loss, has_aux=True)
    number = jax.tree.leaves(batch)[0].shape[0]
    if microbatch_size in (0, number):
        return gradient(params, key, batch)
    count = number // microbatch_size

    def divided(a: Array) -> Array:
        # Rows of a microbatch are from all of the batch: each device has some.
        return jnp.moveaxis(a.reshape(microbatch_size, count, *a.shape[1:]), 1, 0)

    def add(total: Params, part: tuple[Array, Any]) -> tuple[Params, Terms]:
        i, rows = part
        grads, terms = gradient(params, jax.random.fold_in(key, i), rows)
        return jax.tree.map(jnp.add, total, grads), terms

    zero = jax.tree.map(jnp.zeros_like, params)
    parts = (jnp.arange(count), jax.tree.map(divided, batch))
    total, terms = jax.lax.scan(add, zero, parts)
    return jax.tree.map(lambda a: a / count, total), terms


def gradient_step(
    loss_fn: LossFn,
    init: Callable[[Key], Params],
    tx: optax.GradientTransformation,
    *,
    averaging: float = 0.0,
    microbatch_size: int = 0,
) -> Step:
    """Plain gradient descent on the mean of a per-jet loss.

    Args:
        loss_fn: ``(params, key, batch) -> (loss [J], {"name": [J]})``.
        init: ``(key) -> params``.
        tx: an optax transformation.
        averaging: decay of the running mean of the parameters, see :func:`update_ema`;
            0 keeps none.
        microbatch_size: see :func:`mean_gradient`.

    Returns:
        A Step whose terms are the loss, under the name ``loss``, and the loss's terms.
    """

    def init_state(key):
        params = init(key)
        average = params if averaging else None
        return TrainState(params, tx.init(params), average, jnp.int32(0))

    def mean_loss(params, key, batch):
        loss, terms = loss_fn(params, key, batch)
        return jnp.mean(loss), {"loss": loss} | terms

    def update(state, key, batch):
        grads, terms = mean_gradient(
            mean_loss, state.params, key, batch, microbatch_size
        )
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = update_ema(state, params, opt_state, averaging=averaging)
        return state, jax.tree.map(jnp.mean, terms)

    def evaluate(params, key, batch):
        return mean_loss(params, key, batch)[1]

    return Step(init_state, update, evaluate)


def configured_step(
    loss_fn: Callable[..., Any],
    init: Callable[[Key], Params],
    config: Config,
    *,
    num_jets: int,
    constants: tuple[str, ...] = (),
) -> Step:
    """:func:`gradient_step` with the configured optimiser, schedule and averaging.

    Args:
        loss_fn: as for :func:`gradient_step`.
        init: as for :func:`gradient_step`.
        config: its schedule spans all its epochs.
        num_jets: of the training data.
        constants: keys of the parameters that do not change.
    """
    num_steps = total_steps(config, num_jets)
    tx = optimizer(config, num_steps=num_steps, constants=constants)
    return gradient_step(
        loss_fn, init, tx,
        averaging=config.averaging, microbatch_size=config.microbatch_size,
    )  # fmt: skip


def components_step(
    loss_fn: Callable[[Params, Key, Any], tuple[dict[str, Array], Terms]],
    init: Callable[[Key], Params],
    optimizers: Mapping[str, optax.GradientTransformation],
    *,
    averaging: float = 0.0,
    microbatch_size: int = 0,
) -> Step:
    """Gradient descent of each component of the parameters on its own loss.

    All gradients are taken at the same parameters, as in Algorithm 2 of Stevenson,
    Kruger 2022; then each optimiser makes its step. A component without an optimiser
    does not change.

    Args:
        loss_fn: ``(params, key, batch) -> ({component: [J]}, {"name": [J]})``.
        init: ``(key) -> params``, a dict of components.
        optimizers: one for each component that is trained.
        averaging: as for :func:`gradient_step`.
        microbatch_size: see :func:`mean_gradient`.
    """

    def update(state, key, batch):
        params, states, terms = dict(state.params), {}, {}
        for name, tx in optimizers.items():
            # The forward pass is the same each time: XLA computes it once.
            params[name], states[name], terms = _descent(
                loss_fn, tx, name, state.params, state.opt_state[name], key, batch,
                microbatch_size,
            )  # fmt: skip
        state = update_ema(state, params, states, averaging=averaging)
        return state, jax.tree.map(jnp.mean, terms)

    def evaluate(params, key, batch):
        return loss_fn(params, key, batch)[1]

    return Step(_components_init(init, optimizers, averaging), update, evaluate)


def alternating_step(
    loss_fn: Callable[[Params, Key, Any], tuple[dict[str, Array], Terms]],
    init: Callable[[Key], Params],
    optimizers: Mapping[str, optax.GradientTransformation],
    turns: Mapping[str, int],
    *,
    projections: Mapping[str, Callable[[Params], Params]] | None = None,
    averaging: float = 0.0,
    microbatch_size: int = 0,
) -> Step:
    """Gradient descent of the components in turns, as a GAN is trained.

    Each takes its gradient at the parameters that those before it have left, with
    draws of its own. A critic that is updated five times for each update of the
    generator, ``{"critic": 1, "generator": 5}``, sees another batch each time.

    Args:
        loss_fn: as for :func:`components_step`.
        init: ``(key) -> params``, a dict of components.
        optimizers: one for each component that is trained.
        turns: component to n, in order: it is updated in every n-th step, the first
            in every one.
        projections: component to a function of its parameters, applied after each of
            its updates.
        averaging: as for :func:`gradient_step`.
        microbatch_size: see :func:`mean_gradient`.

    Returns:
        A Step; its terms are those before the first of the updates.
    """
    names = [name for name in turns if name in optimizers]

    def turn(name, params, opt_state, key, batch):
        component, opt_state, terms = _descent(
            loss_fn, optimizers[name], name, params, opt_state, key, batch,
            microbatch_size,
        )  # fmt: skip
        if projections and name in projections:
            component = projections[name](component)
        return component, opt_state, terms

    def update(state, key, batch):
        params, states = dict(state.params), dict(state.opt_state)
        reported: Terms = {}
        for i, name in enumerate(names):
            inputs = params, states[name], jax.random.fold_in(key, i), batch
            if turns[name] == 1:
                params[name], states[name], terms = turn(name, *inputs)
                reported = reported or terms
            else:
                params[name], states[name] = jax.lax.cond(
                    (state.count + 1) % turns[name] == 0,
                    lambda *inputs, name=name: turn(name, *inputs)[:2],
                    lambda params, opt_state, *_, name=name: (params[name], opt_state),
                    *inputs,
                )
        state = update_ema(state, params, states, averaging=averaging)
        return state, jax.tree.map(jnp.mean, reported)

    def evaluate(params, key, batch):
        return loss_fn(params, key, batch)[1]

    return Step(_components_init(init, optimizers, averaging), update, evaluate)


def _components_init(
    init: Callable[[Key], Params],
    optimizers: Mapping[str, optax.GradientTransformation],
    averaging: float,
) -> Callable[[Key], TrainState]:
    def init_state(key):
        params = init(key)
        states = {name: tx.init(params[name]) for name, tx in optimizers.items()}
        return TrainState(params, states, params if averaging else None, jnp.int32(0))

    return init_state


def _descent(
    loss_fn: Callable[..., tuple[dict[str, Array], Terms]],
    tx: optax.GradientTransformation,
    name: str,
    params: Params,
    opt_state: Any,
    key: Key,
    batch: Any,
    microbatch_size: int,
) -> tuple[Params, Any, Terms]:
    """One step of a component on its own loss: its parameters, state, and the terms."""

    def mean_loss(component, key, batch):
        losses, terms = loss_fn(params | {name: component}, key, batch)
        return jnp.mean(losses[name]), terms

    component = params[name]
    grads, terms = mean_gradient(mean_loss, component, key, batch, microbatch_size)
    updates, opt_state = tx.update(grads, opt_state, component)
    return optax.apply_updates(component, updates), opt_state, terms


def fixed_step(loss_fn: LossFn, init: Callable[[Key], Params]) -> Step:
    """The step of a model of constants: its loss is evaluated, nothing moves.

    Args:
        loss_fn: as for :func:`gradient_step`.
        init: as for :func:`gradient_step`.
    """

    def evaluate(params, key, batch):
        loss, terms = loss_fn(params, key, batch)
        return {"loss": loss} | terms

    def update(state, key, batch):
        terms = evaluate(state.params, key, batch)
        return state._replace(count=state.count + 1), jax.tree.map(jnp.mean, terms)

    return Step(
        lambda key: TrainState(init(key), (), None, jnp.int32(0)), update, evaluate
    )


def model_step(model: Model, config: Config, *, num_jets: int) -> Step:
    """The training step of a generative model: its own, or gradient descent.

    Args:
        model: see :class:`~jetvae_jax.core.types.Model`.
        config: its schedule spans all its epochs.
        num_jets: of the training data.
    """
    if model.step is not None:
        return model.step(config, num_jets)
    if model.constants:
        params = jax.eval_shape(model.init, jax.random.key(0))
        if set(params) == set(model.constants):
            return fixed_step(model.loss, model.init)
    if model.learning_rates is None:
        return configured_step(
            model.loss, model.init, config,
            num_jets=num_jets, constants=model.constants,
        )  # fmt: skip
    num_steps, turns = total_steps(config, num_jets), model.turns or {}
    optimizers = {
        name: optimizer(
            dataclasses.replace(config, learning_rate=rate * config.learning_rate),
            num_steps=max(num_steps // turns.get(name, 1), 1),
        )
        for name, rate in model.learning_rates.items()
        if rate
    }
    if turns:
        return alternating_step(
            model.loss, model.init, optimizers, turns,
            projections=model.projections, averaging=config.averaging,
            microbatch_size=config.microbatch_size,
        )  # fmt: skip
    return components_step(
        model.loss, model.init, optimizers,
        averaging=config.averaging, microbatch_size=config.microbatch_size,
    )  # fmt: skip


def augmented(step: Step, augment: Callable[[Key, Any], Any]) -> Step:
    """A step whose updates see ``augment(key, rows)`` instead of the rows of data.

    The rows may have another form than the step's batches, such as jets in GeV that
    ``augment`` rotates and then scales. Evaluation is not augmented: validation data
    have the form of the step's batches.

    Args:
        step: the training algorithm.
        augment: pure ``(key, rows) -> batch``, both with leading axis J; its key is
            independent of the one the step's own noise comes from.

    Returns:
        A Step. The same key gives the same batch, so that resuming is exact.
    """

    def update(state, key, rows):
        augment_key, key = jax.random.split(key)
        return step.update(state, key, augment(augment_key, rows))

    return step._replace(update=update)
