"""Objectives of GANs on a ring of Gaussians: mode collapse and vanishing gradients.

*Mode collapse.* The same two networks are trained by each objective, from several
seeds, on a mixture of Gaussians in a ring. A mode is found if it has a fifth or more of
the generated points that it should have; a point belongs to a mode if it lies within
three standard deviations of it.

*Vanishing gradients.* Data N(0, 1), a generator N(d, 1) that can only move d, and the
best critic that there is: log p / q of the classic GAN (arXiv:1406.2661), the line of
slope 1 of WGAN (arXiv:1701.07875), and h(x) = x of the energy distance
(arXiv:1705.10743). The pull on d is the derivative of the generator's loss at this
critic.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jetvae_jax.core import configs, seeds
from jetvae_jax.core.configs import PositiveFloat, PositiveInt, versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array, Batch, Context, Key, Model, Task
from jetvae_jax.losses import adversarial
from jetvae_jax.models import mlp_gan
from jetvae_jax.models.gan import OBJECTIVES
from jetvae_jax.report.page import announce_missing
from jetvae_jax.report.tables import with_error
from jetvae_jax.studies.gan_toys import report
from jetvae_jax.training.step import Config as Training
from jetvae_jax.training.step import TrainState, model_step

ROWS = 10_000  # of the training sample
CHECKS = 10  # times at which modes are counted
POINTS = 1000  # generated for that
NEAR = 3.0  # standard deviations within which a point belongs to a mode
FOUND = 0.2  # of its share of the points, for a mode to be found
RECIPES: dict[str, dict[str, Any]] = {
    "wgan": {"critic_steps": 3, "clip": 0.1},
    "wgan_gp": {"critic_steps": 3, "penalty": 1.0},
    "cramer": {"critic_steps": 3, "penalty": 1.0},
}
"""Settings of an objective in which it differs from the others."""
DISTANCES = tuple(np.round(np.arange(0.5, 10.01, 0.5), 1).tolist())


@configs.config
class GanToysConfig:
    """The ring, the networks and their training.

    Attributes:
        objectives: of classic, minimax, lsgan, wgan, wgan_gp and cramer.
        modes: Gaussians on the ring.
        radius: of the ring.
        deviation: standard deviation of each Gaussian.
        num_seeds: trainings of each objective, from which errors follow.
        num_steps: updates of the generator in each; the critic of some has several
            for each of them.
        batch_size: points in a step.
        nodes: size of the two hidden layers of generator and critic.
        learning_rate: of both networks.
        seed: of all draws.
    """

    objectives: Annotated[
        tuple[Annotated[str, configs.one_of(OBJECTIVES)], ...],
        configs.not_empty,
        configs.distinct,
    ] = ("minimax", "classic", "wgan", "wgan_gp", "cramer")
    modes: Annotated[int, configs.between(2, 100)] = 8
    radius: PositiveFloat = 2.0
    deviation: PositiveFloat = 0.1
    num_seeds: Annotated[int, configs.between(2, 100)] = 4
    num_steps: Annotated[int, configs.at_least(CHECKS)] = 3000
    batch_size: Annotated[int, configs.at_least(2)] = 64
    nodes: PositiveInt = 64
    learning_rate: PositiveFloat = 1e-3
    seed: configs.Seed = 0

    @property
    def centres(self) -> np.ndarray:
        """``[M, 2]`` centres of the modes."""
        angle = 2 * np.pi * np.arange(self.modes) / self.modes
        return self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


class Counted(NamedTuple):
    """What is measured of generated points, one number for each seed.

    Attributes:
        modes: found.
        near: share of the points that belong to a mode.
        energy: energy distance from an independent sample of the ring.
    """

    modes: Array
    near: Array
    energy: Array


def gan_toys(
    output: str | os.PathLike, config: GanToysConfig
) -> tuple[pathlib.Path, str]:
    """Train, measure, and write ``gan_toys.json``, ``gan_toys.html`` and its plot.

    Returns:
        The path of the report, and the verdict.

    Raises:
        InputError: the folder cannot be written, or a training diverged.
    """
    announce_missing()
    folder = Workdir(output)  # which stops before the work
    rings, samples = {}, {}
    for name in config.objectives:
        logging.info("%s: %s trainings", name, config.num_seeds)
        rings[name], samples[name] = trained(name, config)
    result: dict[str, Any] = {
        "settings": dataclasses.asdict(config),
        "recipes": {name: RECIPES.get(name, {}) for name in config.objectives},
        "versions": versions(),
        "rings": rings,
        "pulls": pulls(seeds.key(config.seed)),
    }
    result["verdict"] = verdict(result)
    with folder.alone():
        folder.write_json("gan_toys.json", result)
        page = report.write(folder / "gan_toys.html", result, samples, config.centres)
    return page, result["verdict"]


def ring(key: Key, config: GanToysConfig, number: int) -> Array:
    """``[number, 2]`` points of the mixture."""
    which, noise = jax.random.split(key)
    centre = jax.random.randint(which, (number,), 0, config.modes)
    scatter = config.deviation * jax.random.normal(noise, (number, 2))
    return jnp.asarray(config.centres, jnp.float32)[centre] + scatter


def counted(points: Array, config: GanToysConfig, real: Array) -> Counted:
    """Modes and distance of generated points ``[P, 2]``.

    Args:
        points: generated.
        config: where the modes are.
        real: ``[R, 2]``, an independent sample of the ring.
    """
    apart = points[:, None] - jnp.asarray(config.centres, jnp.float32)
    distance = jnp.linalg.norm(apart, axis=-1)
    near = distance < NEAR * config.deviation
    enough = FOUND * len(points) / config.modes
    modes = jnp.sum(jnp.sum(near, axis=0) >= enough)
    energy = adversarial.energy_distance(points, real)
    return Counted(modes, jnp.mean(jnp.any(near, axis=1)), energy)


def trained(name: str, config: GanToysConfig) -> tuple[dict[str, Any], np.ndarray]:
    """Train an objective from all seeds.

    Returns:
        Lists ``steps``, ``modes``, ``near`` and ``energy``, the last three with a list
        of all seeds for each of the steps; and points ``[P, 2]`` of the first seed.

    Raises:
        InputError: it diverged.
    """
    recipe: dict[str, Any] = {"objective": name} | RECIPES.get(name, {})
    networks = mlp_gan.Config(
        num_features=2, noise=4, num_layers=2, nodes=config.nodes, critic_outputs=16,
        **recipe,
    )  # fmt: skip
    model = mlp_gan.model(networks, Task(1, 2))
    key = seeds.key(config.seed)
    data_key, real_key, init_key, run_key = jax.random.split(key, 4)
    data, real = ring(data_key, config, ROWS), ring(real_key, config, POINTS)
    init, advance = _training(model, config, data)
    states = jax.vmap(init)(jax.random.split(init_key, config.num_seeds))

    @jax.jit
    @jax.vmap
    def measure(params):
        context = Context(jnp.zeros((POINTS, 3)))
        points = model.sample(params, jax.random.fold_in(key, 4), context).x[:, 0]
        return points, counted(points, config, real)

    history: dict[str, Any] = {"steps": [], "modes": [], "near": [], "energy": []}
    points = np.zeros((0, 0, 2))
    per_check = config.num_steps // CHECKS
    for i in range(CHECKS + 1):
        if i:
            keys = jax.random.split(jax.random.fold_in(run_key, i), config.num_seeds)
            states = advance(states, keys, per_check * networks.critic_steps)
        points, found = jax.device_get(measure(states.params))
        if not np.isfinite(points).all():
            raise InputError(
                f"--gan_toys.learning_rate: {name} became NaN or infinite before "
                f"update {i * per_check}: give a smaller one"
            )
        history["steps"].append(i * per_check)
        for field, values in found._asdict().items():
            history[field].append(np.asarray(values, float).tolist())
    return history, points[0]


def _training(
    model: Model, config: GanToysConfig, data: Array
) -> tuple[Callable[[Key], TrainState], Callable[..., TrainState]]:
    """``init(key)`` of a seed, and ``(states, keys, number of steps) -> states``."""
    training = Training(
        batch_size=config.batch_size, learning_rate=config.learning_rate, beta1=0.5
    )
    step = model_step(model, training, num_jets=ROWS)

    def advance(state: TrainState, key: Key, number: Array) -> TrainState:
        def body(i, state):
            rows_key, step_key = jax.random.split(jax.random.fold_in(key, i))
            rows = jax.random.randint(rows_key, (config.batch_size,), 0, ROWS)
            batch = Batch(
                data[rows][:, None], jnp.ones((config.batch_size, 1), bool),
                Context(jnp.zeros((config.batch_size, 3))),
            )  # fmt: skip
            return step.update(state, step_key, batch)[0]

        return jax.lax.fori_loop(0, number, body, state)

    # One seed after the other: under vmap the generator would move at every step, and
    # most of its moves be thrown away.
    def each(states: TrainState, keys: Key, number: Array) -> TrainState:
        return jax.lax.map(lambda row: advance(row[0], row[1], number), (states, keys))

    return step.init, jax.jit(each)


def pulls(key: Key, number: int = 100_000) -> dict[str, Any]:
    """How strongly each loss pulls a generator N(d, 1) to N(0, 1), at its best critic.

    Returns:
        ``distance``, and for each loss lists ``value`` and ``error``: mean and
        statistical error of the derivative with respect to d.
    """
    true_key, made_key = jax.random.split(key)
    true = jax.random.normal(true_key, (number,))
    noise = jax.random.normal(made_key, (number,))

    def logits(x: Array, d: Array) -> Array:  # log p / q, with a critic that stays
        d = jax.lax.stop_gradient(d)
        return jnp.square(x - d) / 2 - jnp.square(x) / 2

    losses: dict[str, Callable[[Array, Array], Array]] = {
        "minimax": lambda x, d: adversarial.minimax(logits(true, d), logits(x, d))[1],
        "classic": lambda x, d: adversarial.classic(logits(true, d), logits(x, d))[1],
        "wgan": lambda x, d: adversarial.wasserstein(-true, -x)[1],
        "cramer": lambda x, d: adversarial.cramer(true[:, None], x[:, None])[1],
    }

    @jax.jit
    def pull(d):
        found = {}
        for name, loss in losses.items():
            # Only points in the tail, halfway to the data, move a minimax generator:
            # they are drawn more often, with smaller weights.
            shift = d / 2 if name == "minimax" else jnp.zeros(())
            z = noise - shift
            weight = jnp.exp(shift * z + shift**2 / 2)
            # The derivative of each row's loss; those of a pair move together.
            move = functools.partial(_moved, loss, z)
            x = weight * jax.jvp(move, (d,), (jnp.ones(()),))[1]
            found[name] = x.mean(), x.std() / number**0.5
        return found

    found = [jax.device_get(pull(jnp.float32(d))) for d in DISTANCES]
    rows = {
        name: {
            "value": [float(at[name][0]) for at in found],
            "error": [float(at[name][1]) for at in found],
        }
        for name in losses
    }
    return {"distance": list(DISTANCES), **rows}


def _moved(loss: Callable[[Array, Array], Array], noise: Array, d: Array) -> Array:
    """Losses of points that the generator made of this noise."""
    return loss(noise + d, d)


def last(history: dict[str, Any], field: str) -> tuple[float, float]:
    """Mean over seeds at the end of the training, and its standard error."""
    values = np.array(history[field][-1])
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)


def verdict(result: dict[str, Any]) -> str:
    """One paragraph: modes that each objective found, and the pull from afar."""
    settings, pulled = result["settings"], result["pulls"]
    modes = "; ".join(
        f"{report.NAMES[name]}: {with_error(*last(history, 'modes'))} (energy distance "
        f"{with_error(*last(history, 'energy'))})"
        for name, history in result["rings"].items()
    )
    far = pulled["distance"].index(8.0)
    strength = "; ".join(
        f"{report.NAMES[name]}: {_pull(pulled[name], far)}"
        for name in ("minimax", "classic", "wgan", "cramer")
    )
    return (
        f"Of {settings['modes']} modes, {settings['num_seeds']} trainings of "
        f"{settings['num_steps']:,} updates of the generator found, in the mean: "
        f"{modes}. At its best critic, a generator 8 standard deviations from the data "
        "is pulled to them "
        f"with a gradient of: {strength}."
    )


def _pull(found: dict[str, list[float]], place: int) -> str:
    value, error = found["value"][place], found["error"][place]
    if abs(value) < 1e-3:
        return f"({value:.1e} ± {error:.0e})"
    return with_error(value, error)
