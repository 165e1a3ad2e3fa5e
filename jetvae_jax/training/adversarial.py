"""Training in parts: an optimiser for each, none moves what is another's.

A model of several networks has one tree of parameters, ``{"encoder", "decoder"}`` and,
where there are, ``"prior"`` and ``"discriminator"``: each function takes the whole tree
or its own branch, so that a VAE finds its way in the tree of any composition.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from jetvae_jax.core.types import VAE, Discriminator, Key, Params, Prior
from jetvae_jax.losses.adversarial import Errors
from jetvae_jax.training.settings import Config, optimizer, total_steps
from jetvae_jax.training.step import Step, TrainState, renewed


def joint_init(
    vae: VAE,
    *,
    prior: Prior | None = None,
    discriminator: Discriminator | None = None,
) -> Callable[[Key], Params]:
    """``(key) -> params`` of all the networks; the VAE starts as it would alone."""

    def init(key: Key) -> Params:
        params = dict(vae.init(key))
        if prior is not None:
            params["prior"] = prior.init(jax.random.fold_in(key, 1))
        if discriminator is not None:
            params["discriminator"] = discriminator.init(jax.random.fold_in(key, 2))
        return params

    return init


def parts_step(
    errors_fn: Errors,
    init: Callable[[Key], Params],
    optimizers: Mapping[str, optax.GradientTransformation],
    *,
    averaging: float = 0.0,
) -> Step:
    """Each part of the parameters goes down the mean of its own error.

    All gradients are of one forward pass, as Algorithm 2 of the talk is written;
    then each optimiser steps. A part without an optimiser stays as it is, to the bit.

    Args:
        errors_fn: ``(params, key, batch) -> ({part: [J]}, {"name": [J]})``.
        init: ``(key) -> params``, a dict of parts.
        optimizers: one for each part that learns.
        averaging: as for :func:`~jetvae_jax.training.gradient_step`.
    """

    def init_state(key):
        params = init(key)
        states = {name: tx.init(params[name]) for name, tx in optimizers.items()}
        return TrainState(params, states, params if averaging else None, jnp.int32(0))

    def update(state, key, batch):
        params, states, terms = dict(state.params), {}, {}
        for name, tx in optimizers.items():

            def error(part, name=name):
                errors, terms = errors_fn(state.params | {name: part}, key, batch)
                return jnp.mean(errors[name]), terms

            part = state.params[name]
            # The forward pass is the same each time: XLA computes it once.
            grads, terms = jax.grad(error, has_aux=True)(part)
            updates, states[name] = tx.update(grads, state.opt_state[name], part)
            params[name] = optax.apply_updates(part, updates)
        state = renewed(state, params, states, averaging=averaging)
        return state, jax.tree.map(jnp.mean, terms)

    def evaluate(params, key, batch):
        return errors_fn(params, key, batch)[1]

    return Step(init_state, update, evaluate)


def adversarial_step(
    errors_fn: Errors,
    init: Callable[[Key], Params],
    config: Config,
    *,
    alpha: float,
    num_jets: int,
    frozen: tuple[str, ...] = (),
) -> Step:
    """:func:`parts_step` with the configured optimiser for each part.

    Args:
        errors_fn: from :func:`jetvae_jax.losses.adversarial.build`.
        init: from :func:`joint_init`.
        config: its schedule spans all its epochs.
        alpha: learning rate of the discriminator over that of the others.
        num_jets: of the training data.
        frozen: parts that do not learn.
    """
    num_steps = total_steps(config, num_jets)
    slower = dataclasses.replace(config, learning_rate=alpha * config.learning_rate)
    optimizers = {
        name: optimizer(
            slower if name == "discriminator" else config, num_steps=num_steps
        )
        for name in jax.eval_shape(init, jax.random.key(0))
        if name not in frozen
    }
    return parts_step(errors_fn, init, optimizers, averaging=config.averaging)
