"""Generative adversarial networks as generative models, from two networks.

:func:`build` makes a :class:`~jetvae_jax.core.types.Model` of a generator and a critic,
linen modules, with the losses of :mod:`jetvae_jax.losses.adversarial`. The two take
turns in each step of the training (``Model.turns``): first the critic, then, in every
``critic_steps``-th step, the generator.

Observables of the objective are compared by the distances of their distributions in
the batch, which are part of the generator's loss alone: the critic does not know them.

A critic of bounded slope has its weights clipped (WGAN, arXiv:1701.07875) or pays for
gradients whose norm between data and generated samples is not 1 (arXiv:1704.00028).

A GAN has no likelihood. The term ``loss``, by which the best epoch is chosen, is the
energy distance of generated and true samples in scaled features; of sets, in mean and
root mean square of the features of their points. Metrics of generated samples are
better, such as ``--train.monitor=emd`` of jets.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeFloat, PositiveFloat, PositiveInt
from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import safe_norm, safe_sqrt
from jetvae_jax.core.types import (
    Array,
    Batch,
    Context,
    Key,
    Model,
    Params,
    Points,
    Task,
)
from jetvae_jax.losses import adversarial
from jetvae_jax.losses.observables import sample_distances
from jetvae_jax.models import vae

MEASURED = 200_000  # sets whose numbers of points are counted
OBJECTIVES = {
    "classic": adversarial.classic,
    "minimax": adversarial.minimax,
    "lsgan": adversarial.least_squares,
    "wgan": adversarial.wasserstein,
    "wgan_gp": adversarial.wasserstein,
    "cramer": adversarial.cramer,
}
PENALISED = ("wgan_gp", "cramer")
Objective = Literal["classic", "minimax", "lsgan", "wgan", "wgan_gp", "cramer"]


@configs.config
class Config:
    """What the two networks of a GAN minimise.

    Attributes:
        objective: classic (the generator maximises log D), minimax (it minimises
            log(1 - D)), lsgan (least squares), wgan (the critic's weights are clipped),
            wgan_gp (its gradient is penalised), or cramer (energy distance of h(x)).
        critic_steps: updates of the critic for each of the generator.
        critic_rate: learning rate of the critic over that of the generator.
        clip: largest weight of the critic, of wgan.
        penalty: weight of the gradient penalty, of wgan_gp and cramer.
        critic_outputs: numbers in the critic's h(x), of cramer.
    """

    objective: Objective = "lsgan"
    critic_steps: PositiveInt = 1
    critic_rate: PositiveFloat = 1.0
    clip: PositiveFloat = 0.01
    penalty: NonNegativeFloat = 10.0
    critic_outputs: PositiveInt = 32

    @property
    def outputs(self) -> int:
        """Numbers that the critic returns."""
        return self.critic_outputs if self.objective == "cramer" else 1


def build(
    config: Config,
    generator: nn.Module,
    critic: nn.Module,
    task: Task,
    *,
    noise: Callable[[Key, Array], Any],
    sets: bool,
) -> Model:
    """A GAN as a generative model.

    Args:
        config: what the networks minimise.
        generator: ``(noise, mask [..., N], given [..., G]) -> x [..., N, F]``.
        critic: ``(x [..., N, F], mask [..., N], given [..., G], key) -> [..., H]``, H
            being ``config.outputs``; the key is of its dropout, None for none.
        task: what is generated.
        noise: ``(key, mask [..., N]) -> noise`` of one set or of many.
        sets: the networks ignore points that do not exist. Generated sets then have as
            many as their condition says, else numbers drawn from the training sets;
            those that the domain's rule does not allow are left out. Otherwise that
            rule alone says which points exist.

    Returns:
        The model. Its parameters are ``generator``, ``critic`` and, of sets, ``counts
        [N + 1]``: how often there are so many points. Its terms are ``loss``, those of
        the two networks, the mean outputs of the critic and, of each observable that
        the objective enforces, ``<name>_distance``, which the generator minimises, too.

    Raises:
        InputError: settings of a VAE, or conditions without the number of points.
    """
    _check(task, sets)
    enforced = task.objective.enforced if task.objective else None
    rows = task.num_particles + task.jet_rows
    counts = np.zeros(rows + 1, np.float32)
    if sets and task.sample is not None:
        mask = np.asarray(task.sample(MEASURED).mask)
        counts = np.bincount(mask.sum(-1), minlength=rows + 1) / np.float32(len(mask))

    def init(key: Key) -> Params:
        first, second, draw = jax.random.split(key, 3)
        x, mask = jnp.zeros((rows, task.num_features)), jnp.ones(rows, bool)
        given = jnp.zeros(task.num_conditions)
        params = {
            "generator": layers.init(generator, first, noise(draw, mask), mask, given),
            "critic": layers.init(critic, second, x, mask, given, None),
        }
        return params | {"counts": jnp.asarray(counts, jnp.float32)} if sets else params

    def given_of(condition: Array | None, lead: tuple[int, ...]) -> Array:
        empty = jnp.zeros((*lead, 0))
        return layers.with_condition(empty, condition, task.num_conditions)

    def generate(params: Params, key: Key, mask: Array, given: Array) -> Array:
        x = layers.apply(generator, params["generator"], noise(key, mask), mask, given)
        return jnp.where(mask[..., None], x, 0.0)

    def loss(params: Params, key: Key, batch: Batch):
        batch = record(jnp, batch)
        if len(batch.x) < 2:
            raise InputError("train.batch_size: a GAN needs batches of 2 or more")
        mask = batch.mask if sets else jnp.ones_like(batch.mask)
        given = given_of(batch.context.condition, mask.shape[:-1])
        noise_key, critic_key, mix_key = jax.random.split(key, 3)
        true = jnp.where(mask[..., None], batch.x, 0.0)
        made = generate(params, noise_key, mask, given)

        def judge(x: Array) -> Array:
            found = layers.apply(critic, params["critic"], x, mask, given, critic_key)
            return found if config.objective == "cramer" else found[..., 0]

        outputs = judge(true), judge(made)
        losses = OBJECTIVES[config.objective](*outputs)
        generator_loss = losses.generator
        terms = {"loss": adversarial.energy_terms(summary(true, mask),
                                                  summary(made, mask)),
                 "critic": losses.critic, "generator": losses.generator}  # fmt: skip
        if config.objective != "cramer":
            terms |= {"critic_true": outputs[0], "critic_made": outputs[1]}
        critic_loss = losses.critic
        if config.objective in PENALISED:
            slope = slopes(_scalar(config, judge, outputs), mix_key, true, made)
            terms["slope"] = slope
            critic_loss = critic_loss + config.penalty * jnp.square(slope - 1)
        if enforced is not None:
            exist = mask
            if task.particle_mask is not None:
                exist = mask & task.particle_mask(made, batch.context)
            apart, found = sample_distances(enforced, batch, Points(made, exist))
            generator_loss, terms = generator_loss + apart, terms | found
        return {"critic": critic_loss, "generator": generator_loss}, terms

    def sample(params: Params, key: Key, context: Context) -> Points:
        context = record(jnp, context)
        lead = context.axis.shape[:-1]
        mask = jnp.ones((*lead, rows), bool)
        if sets:
            mask = _first_points(task, params["counts"], key, context)
        keys = jax.random.split(jax.random.fold_in(key, 1), lead)
        given = given_of(context.condition, lead)
        x = layers.in_slices(lambda row: generate(params, *row), (keys, mask, given))
        if task.particle_mask is not None:
            mask &= task.particle_mask(x, context)
        return Points(x, mask)

    projections = None
    if config.objective == "wgan":
        projections = {"critic": lambda params: clipped(params, config.clip)}
    return Model(
        init, loss, sample,
        learning_rates={"critic": config.critic_rate, "generator": 1.0},
        turns={"critic": 1, "generator": config.critic_steps},
        projections=projections, constants=("counts",) if sets else (),
    )  # fmt: skip


def _check(task: Task, sets: bool) -> None:
    components: vae.Components = task.components or vae.Components()
    plain = components.latent == "gaussian" and not components.uniform
    if not plain or {components.prior, components.discriminator} != {vae.NONE}:
        raise InputError(
            "a GAN has neither latents to shape nor another discriminator: leave out "
            "--latent, --uniform, --prior and --discriminator"
        )
    if sets and task.jet_rows:
        raise InputError(
            "this GAN generates sets of equal points, without rows for the jet as a "
            "whole: give --scaling.coordinates=relative, or --model=mlp_gan"
        )
    if sets and task.num_conditions and task.num_points is None:
        raise InputError(
            "this GAN generates as many points as its condition says: add multiplicity "
            "to --scaling.conditions, or leave conditions out"
        )


def _first_points(task: Task, counts: Array, key: Key, context: Context) -> Array:
    """Masks ``[J, N]`` with as many points as are asked for, or as data have."""
    if task.num_points is not None:
        number = task.num_points(context)
    else:
        lead = context.axis.shape[:-1]
        number = jax.random.categorical(key, jnp.log(counts), shape=lead)
    return jnp.arange(task.num_particles) < number[..., None]


def _scalar(
    config: Config, judge: Callable[[Array], Array], outputs: tuple[Array, Array]
) -> Callable[[Array], Array]:
    """The function of x ``[J, N, F] -> [J]`` whose slope is penalised."""
    if config.objective != "cramer":
        return judge
    others = [jnp.roll(h, -1, axis=0) for h in outputs]
    return lambda x: adversarial.cramer_critic(judge(x), *others)


def slopes(
    function: Callable[[Array], Array], key: Key, true: Array, made: Array
) -> Array:
    """Norms ``[J]`` of the gradient at a random point between each pair of samples.

    Args:
        function: ``[J, N, F] -> [J]``, row by row.
        key: of the points.
        true: ``[J, N, F]``.
        made: ``[J, N, F]``.
    """
    share = jax.random.uniform(key, (*true.shape[:-2], 1, 1), true.dtype)
    between = share * true + (1 - share) * made
    gradient = jax.grad(lambda x: jnp.sum(function(x)))(between)
    return safe_norm(gradient.reshape(*gradient.shape[:-2], -1))


def clipped(params: Params, largest: float) -> Params:
    """All parameters cut to ``[-largest, largest]``."""
    return jax.tree.map(lambda leaf: jnp.clip(leaf, -largest, largest), params)


def summary(x: Array, mask: Array) -> Array:
    """Of each set the mean and the root mean square of the features of its points.

    Args:
        x: ``[..., N, F]``.
        mask: ``[..., N]``.

    Returns:
        ``[..., 2 F]``; of single points, ``N = 1``, the features themselves.
    """
    if x.shape[-2] == 1:
        return x[..., 0, :]
    mean, _ = layers.mean_and_sum(x, mask, 1)
    square, _ = layers.mean_and_sum(jnp.square(x), mask, 1)
    return jnp.concatenate([mean, safe_sqrt(square)], axis=-1)
