"""Several trainings of one model in one compiled program: other seeds, other samples.

Each member sees its own rows of one data set, such as a bootstrap of it, in its own
order and with its own noise. The keys are used as :func:`jetvae_jax.training.fit` uses
them: the member of a key that has all rows is trained as by ``fit``, but for rounding.
There is no early stopping, and nothing is saved on the way: for small models.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Params
from jetvae_jax.training.progress import Progress
from jetvae_jax.training.step import Config, Step


def fit_ensemble(
    step: Step,
    keys: Array,
    train: Any,
    rows: Array,
    *,
    config: Config,
    num_epochs: int,
    name: str = "ensemble",
    unit: str = "jets",
) -> Params:
    """Train M members for a number of epochs.

    Args:
        step: the algorithm, of one member.
        keys: ``[M]`` of initialisation, order and noise.
        train: pytree of arrays with leading axis J.
        rows: ``[M, N]`` int, the rows of ``train`` that each member sees.
        config: gives the batch size; its schedule is that of the step.
        num_epochs: of each member.
        name: for the progress line and messages.
        unit: name of the samples there.

    Returns:
        The parameters to evaluate, each array with a leading axis M.

    Raises:
        InputError: fewer rows than a batch, or NaN or infinity in a member.
    """
    size, (members, number) = config.batch_size, np.shape(rows)
    num_steps = number // size
    if not num_steps:
        raise InputError(
            f"{name}: {number} training {unit} are fewer than batch_size = {size}: use "
            f"more {unit} or a smaller batch"
        )
    init_keys, order_keys, noise_keys, _ = jnp.moveaxis(
        jax.vmap(lambda key: jax.random.split(key, 4))(keys), 1, 0
    )

    @functools.partial(jax.jit, donate_argnums=0)
    def run_epoch(states, data, rows, epoch):
        def shuffled(key, rows):
            key = jax.random.fold_in(key, epoch)
            return rows[jax.random.permutation(key, number)]

        order = jax.vmap(shuffled)(order_keys, rows)
        epoch_keys = jax.vmap(lambda key: jax.random.fold_in(key, epoch))(noise_keys)

        def body(i, carry):
            states, finite = carry
            places = jax.lax.dynamic_slice_in_dim(order, i * size, size, axis=1)

            def update(state, key, places):
                batch = jax.tree.map(lambda a: a[places], data)
                state, terms = step.update(state, jax.random.fold_in(key, i), batch)
                good = [jnp.all(jnp.isfinite(v)) for v in terms.values()]
                return state, jnp.all(jnp.stack(good))

            states, good = jax.vmap(update)(states, epoch_keys, places)
            return states, finite & good

        return jax.lax.fori_loop(0, num_steps, body, (states, jnp.ones(members, bool)))

    states = jax.jit(jax.vmap(step.init))(init_keys)
    data, rows = jax.device_put((train, jnp.asarray(rows)))
    per_epoch = members * num_steps * size
    with Progress(name, num_epochs * per_epoch, unit=unit) as progress:
        for epoch in range(num_epochs):
            states, finite = run_epoch(states, data, rows, epoch)
            if bad := np.flatnonzero(~np.asarray(finite)).tolist():
                raise InputError(
                    f"{name}: the loss of {len(bad)} of {members} members became NaN "
                    f"or infinite in epoch {epoch + 1}: try a smaller learning_rate or "
                    "clip_norm = 1"
                )
            progress.advance(per_epoch, f"epoch {epoch + 1}")
    return states.eval_params
