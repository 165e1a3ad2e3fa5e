"""A trained generator of jets as a function of random numbers."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Context, Key
from jetvae_jax.models.vae import NONE
from jetvae_jax.runs.trained import TrainedModel


class Exported(NamedTuple):
    """A generator as a function of random numbers.

    Attributes:
        function: of the inputs in this order, each ``[J, ...]``.
        inputs: name to the number of columns.
        outputs: names.
        num_particles: N.
        conditions: name of each column of ``condition``.
        usual: their mean and deviation in the training sample, ``[2, G]``.
    """

    function: Callable[..., tuple[Array, Array, Array]]
    inputs: dict[str, int]
    outputs: tuple[str, ...]
    num_particles: int
    conditions: tuple[str, ...]
    usual: Array

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The inputs for J jets, whatever J is."""
        (number,) = jax.export.symbolic_shape("J")
        return {
            name: jax.ShapeDtypeStruct((number, columns), jnp.float32)
            for name, columns in self.inputs.items()
        }

    def draw(self, key: Key, num: int) -> dict[str, Array]:
        """The random numbers of ``num`` jets; axis and condition are the user's."""
        normal_key, uniform_key = jax.random.split(key)
        numbers = {
            "normal": functools.partial(jax.random.normal, normal_key),
            "uniform": functools.partial(jax.random.uniform, uniform_key),
        }
        return {
            name: numbers[name]((num, columns))
            for name, columns in self.inputs.items()
            if name in numbers
        }

    def example(self, key: Key, num: int) -> dict[str, Array]:
        """All inputs of ``num`` jets, to try the function with."""
        numbers_key, axis_key, condition_key = jax.random.split(key, 3)
        axis = jax.random.uniform(axis_key, (num, 3), minval=-1.0)
        shape = (num, len(self.conditions))
        places = jax.random.uniform(condition_key, shape, minval=-1.0)
        center, width = self.usual
        given = self.draw(numbers_key, num) | {
            "axis": axis * jnp.array([100.0, 1.0, jnp.pi]) + jnp.array([1000.0, 0, 0]),
            "condition": center + width * places,
        }
        return {name: given[name] for name in self.inputs}


def exported(trained: TrainedModel, latents: str = "flow") -> Exported:
    """The generator of a trained model of jets.

    Args:
        trained: the model.
        latents: 'flow' or 'prior', the density of the latents.

    Raises:
        InputError: it is not a model of jets, draws numbers that cannot be inputs, or
            has no such density of latents.
    """
    run, model = trained.run, trained.model
    if run.domain != "jets":
        raise InputError(f"--domain={run.domain}: only models of jets are exported")
    decode, draw = model.decode_at, model.noise
    if decode is None or draw is None:
        raise InputError(
            f"--model={run.model}: draws random numbers that cannot be inputs of a "
            "function; VAEs can be exported"
        )
    latent_map, reach = _latent_map(trained, latents)
    template = jax.eval_shape(lambda key: draw(key, 1), jax.random.key(0))
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    kinds = ["normal" if path[-1].name == "normal" else "uniform" for path, _ in leaves]
    shapes = [leaf.shape[1:] for _, leaf in leaves]
    turned = run.scaling.rotate == "principal"
    conditions = run.scaling.condition_columns
    sizes = {"normal": model.latent_dim, "uniform": int(turned)}
    for kind, shape in zip(kinds, shapes, strict=True):
        sizes[kind] += math.prod(shape)
    sizes["axis"] = 3 * (run.scaling.coordinates == "relative")
    sizes["condition"] = len(conditions)
    inputs = {name: size for name, size in sizes.items() if size}

    def one(*arrays: Array) -> tuple[Array, Array, Array]:
        """Of one jet: loops over slices of many need to know how many there are."""
        given = {k: jnp.asarray(a)[None] for k, a in zip(inputs, arrays, strict=True)}
        rest = {k: given.get(k, jnp.zeros((1, 0))) for k in ("normal", "uniform")}

        def take(kind: str, shape: tuple[int, ...]) -> Array:
            size = math.prod(shape)
            numbers, rest[kind] = rest[kind][:, :size], rest[kind][:, size:]
            return numbers.reshape(1, *shape)

        latent = take("normal", (model.latent_dim,))
        axis = given.get("axis", jnp.zeros((1, 3)))
        if turned:
            angle = jnp.pi * (2 * take("uniform", (1,)) - 1)
            axis = jnp.concatenate([axis, angle], axis=-1)
        condition = given.get("condition")
        if condition is not None:
            center, width = trained.scaler.condition_units
            condition = (condition - center) / width
        z, y = latent_map(latent, condition)
        noise = structure.unflatten(map(take, kinds, shapes))
        context = Context(axis, condition)
        jets = trained.unscale(decode(trained.params, noise, z, context), context)
        inside = jnp.all(jnp.abs(y) <= reach, axis=-1)
        return jets.particles[0], jets.mask[0], inside[0]

    units = trained.scaler.condition_units
    return Exported(
        jax.vmap(one), inputs, ("particles", "mask", "inside"),
        run.sizes["num_particles"], conditions,
        jnp.zeros((2, 0)) if units is None else jnp.asarray(units),
    )  # fmt: skip


def _latent_map(
    trained: TrainedModel, latents: str
) -> tuple[Callable[[Array, Array | None], tuple[Array, Array]], Any]:
    """``(u, condition) -> (z, y)`` from normal numbers, and the reach of y.

    y are the standardised latents, of which those beyond the reach are drawn again.
    """
    if latents == "prior":
        if (prior := trained.run.components.prior) != NONE:
            raise InputError(
                f"--prior={prior}: a learned prior is not exported: fit a flow"
            )
        return lambda u, condition: (u, u), np.inf
    fitted = trained.density(latents)
    if fitted.density.forward is None:
        raise InputError(
            f"--export.latents={latents}: is not a map of normal numbers: give flow"
        )
    forward, params = fitted.density.forward, fitted.params

    def mapped(u: Array, condition: Array | None) -> tuple[Array, Array]:
        z, _ = forward(params, u, condition)
        return z, (z - params["mean"]) / params["std"]

    return mapped, fitted.reach
