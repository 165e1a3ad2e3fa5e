"""A trained generator of jets as one function of random numbers, for other software.

The exported function contains the map of the flow, the decoder, the inverse of the
scaling and the rule which particles exist; its random numbers are inputs, since other
software has other generators of them::

    particles [J, N, 3], mask [J, N], inside [J] = generate(normal, uniform, axis,
                                                            condition)

Only the inputs that the model reads are there, all float32:

- ``normal [J, A]``: standard normal numbers;
- ``uniform [J, B]``: numbers from 0 to 1, 1 excluded;
- ``axis [J, 3]``: pt [GeV], eta and phi of the jet, for relative features;
- ``condition [J, G]``: pt and mass in GeV, eta, multiplicity, and one number for each
  type, 1 for that of the jet and else 0.

``particles`` are momenta (px, py, pz) in GeV, zero where ``mask`` is False. ``inside``
is False for the few jets whose latents lie where no training jet had them: draw these
again, as :mod:`jetvae_jax.densities.normal` does.
"""

import contextlib
import functools
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import write_atomically
from jetvae_jax.core.types import Array, Context, Key
from jetvae_jax.models.vae import NONE
from jetvae_jax.runs.trained import TrainedModel, load_model

SUFFIX = ".stablehlo"
Platform = Annotated[str, configs.one_of(("cpu", "cuda", "rocm", "tpu"))]


@configs.config
class Config:
    """What to export.

    Attributes:
        latents: the density of the latents: 'flow', or 'prior' for N(0, 1).
        output: file to write, which ends in .stablehlo; the inputs and outputs are
            described in a .json file beside it.
        platforms: on which the function may run: cpu, cuda, rocm, tpu.
    """

    latents: Literal["flow", "prior"] = "flow"
    output: configs.Path = ""
    platforms: tuple[Platform, ...] = ("cpu", "cuda", "tpu")


class Exported(NamedTuple):
    """A generator as a function of random numbers.

    Attributes:
        function: of the inputs in this order, each ``[J, ...]``.
        inputs: name to the number of columns.
        outputs: names.
        num_particles: N.
        conditions: name of each column of ``condition``.
    """

    function: Callable[..., tuple[Array, Array, Array]]
    inputs: dict[str, int]
    outputs: tuple[str, ...]
    num_particles: int
    conditions: tuple[str, ...]

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

    outputs = ("particles", "mask", "inside")
    return Exported(
        jax.vmap(one), inputs, outputs, run.sizes["num_particles"], conditions
    )


def export(workdir: str | os.PathLike, config: Config) -> pathlib.Path:
    """Write the generator of a run as StableHLO, for any number of jets.

    ``jax.export.deserialize(path.read_bytes()).call(*inputs)`` runs it, with no need of
    this package.

    Args:
        workdir: of a trained model, or ``zoo:NAME``.
        config: what, and where to.

    Returns:
        The path of the file.

    Raises:
        InputError: as :func:`exported`, or the file cannot be written.
    """
    if not config.platforms:
        raise InputError("--export.platforms: is empty: name one, such as cpu")
    output = pathlib.Path(config.output)
    if output.suffix != SUFFIX or not output.parent.is_dir():
        given = f"={output}" if config.output else ""
        raise InputError(
            f"--export.output{given}: give a file that ends in {SUFFIX}, in a folder "
            "that exists"
        )
    try:
        import flatbuffers  # noqa: F401
    except ImportError as error:
        raise InputError(
            "export: needs flatbuffers: pip install 'jetvae_jax[export]'"
        ) from error
    trained = load_model(workdir)
    found = exported(trained, config.latents)
    (number,) = jax.export.symbolic_shape("J")
    shapes = [
        jax.ShapeDtypeStruct((number, columns), jnp.float32)
        for columns in found.inputs.values()
    ]
    function = jax.jit(found.function)
    with _without_places():
        program = jax.export.export(function, platforms=config.platforms)(*shapes)
    about = {
        "inputs": {name: ["J", size] for name, size in found.inputs.items()},
        "outputs": {
            "particles": ["J", found.num_particles, 3],
            "mask": ["J", found.num_particles],
            "inside": ["J"],
        },
        "units": "GeV; axis: pt [GeV], eta, phi",
        "conditions": list(found.conditions),
        "platforms": list(program.platforms),
        "calling_convention": program.calling_convention_version,
        "latents": config.latents,
        "run": trained.run.to_json(),
        "versions": versions(),
    }
    with write_atomically(output) as part:
        part.write_bytes(program.serialize())
    with write_atomically(output.with_suffix(".json")) as part:
        part.write_text(json.dumps(about, indent=2) + "\n")
    return output


@contextlib.contextmanager
def _without_places() -> Iterator[None]:
    """Keeps files and lines of this machine out of the program."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


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
