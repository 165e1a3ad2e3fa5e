"""Showers in a calorimeter: cells with energies in GeV, conditional on the particle.

To a network a shower is a set of ``1 + C`` points of one feature, its response and its
cells: see :mod:`~jetvae_jax.showers.scaling`. The context of a shower is its incident
particle.
"""

import dataclasses
import functools
from typing import Annotated

import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeFloat
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    Array,
    Batch,
    Context,
    Enforced,
    Key,
    Points,
    Showers,
    Terms,
)
from jetvae_jax.core.types import Objective as VAEObjective
from jetvae_jax.data.splits import Dataset, split_sample
from jetvae_jax.data.streaming import head
from jetvae_jax.densities.contexts import (
    ContextRequest,
    ContextSampler,
    drawn_rows,
    rows_to_draw,
)
from jetvae_jax.losses import distances
from jetvae_jax.losses.observables import MEASURED, Weighted, in_units, with_errors
from jetvae_jax.showers import geometry, incident, metrics, scaling
from jetvae_jax.showers import load as reading
from jetvae_jax.showers.observables import LAYERED, complaint, scalars
from jetvae_jax.showers.writer import Writer

GROUPS = {
    "data": "showers",
    "scaling": "shower_scaling",
    "objective": "shower_objective",
}
UNIT = "showers"
SUFFIX = ".hdf5"
BOUNDED = ""  # logarithms have no limits
MONITORS = ("ks", "separation")

Data = reading.Data
Scaling = scaling.Config
Scaler = scaling.Scaler
fit, scale, unscale = scaling.fit, scaling.scale, scaling.unscale


@configs.config
class Objective(Weighted):
    """What a VAE minimises: alpha D(x, x') + beta KL, or beta KL - log p(x|z).

    Attributes:
        alpha: weight of the distance, which is that of --loss, in scaled features;
            cell_vae has a density instead.
        beta: weight of the KL divergence.
        observables: of energy, response, x, y, width_along, width_across,
            asymmetry_along, asymmetry_across, and of several layers depth and
            depth_width, those that are in the loss, too: of a VAE their squared errors,
            of a GAN the energy distances of their distributions, in units of the
            deviation among the training showers.
        gamma_observables: their weights, one for all or one for each.
    """

    alpha: NonNegativeFloat = 1.0
    beta: NonNegativeFloat = 1.0
    observables: Annotated[tuple[Annotated[str, complaint], ...], configs.distinct] = ()
    gamma_observables: tuple[NonNegativeFloat, ...] = (1.0,)


def load(config: Data) -> Dataset:
    """Showers, read and split.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    found = reading.load(config)
    return split_sample(
        found.showers,
        seed=config.split_seed,
        fractions=config.fractions,
        notes=found.notes,
        source=found.source,
    )


def resolved(data: Data, config: Scaling) -> tuple[Data, Scaling]:
    """Geometry and kinds filled in from the file, so that a checkpoint knows them.

    Raises:
        InputError: whatever is wrong with the file; a condition that is not known.
    """
    if not config.geometry:
        found = reading.load(data)
        what = incident.known(found.showers)
        config = dataclasses.replace(
            config,
            geometry=found.geometry.name,
            kinds=what.kinds,
            with_point=what.point,
            with_direction=what.direction,
        )
    incident.places(config.known, config.conditions)
    return data, config


def sizes(data: Data, config: Scaling) -> dict:
    """Fields of a model's Config that follow from the calorimeter."""
    del data
    cells = geometry.get(config.geometry)
    return {
        "num_particles": cells.num_cells,
        "num_features": 1,
        "jet_rows": 1,
        "num_conditions": len(config.places),
        "grid": cells.shape or (),
    }


def particle_mask(config: Scaling, scaler: Scaler):
    """Which cells of a deterministic decoder are hit: see ``scaling.exists``."""
    del config, scaler
    return scaling.exists


def relative(config: Scaling, scaler: Scaler) -> None:
    """Points are not particles of a jet."""
    del config, scaler


def refused(cluster_radius: float) -> None:
    """There are no jets to cluster."""
    del cluster_radius


def momenta(config: Scaling, scaler: Scaler) -> None:
    """Cells have energies that cannot overflow."""
    del config, scaler


def num_points(config: Scaling, scaler: Scaler) -> None:
    """No condition says how many cells are hit."""
    del config, scaler


def condition_names(config: Scaling) -> dict[str, tuple[str, ...]]:
    """Names by which conditions are given; of the type its classes."""
    columns = dict.fromkeys(config.known.columns[i] for i in config.places)
    return {n: config.known.classes if n == "type" else () for n in columns}


def condition_ends(config: Scaling, scaler: Scaler) -> dict[str, tuple[float, float]]:
    """The range of each condition among the training showers; none of a type."""
    limits = np.asarray(scaler.limits, np.float64)
    names = [config.known.columns[i] for i in config.places]
    ends = dict(zip(names, limits[:, list(config.places)].T.tolist(), strict=True))
    return {name: (low, high) for name, (low, high) in ends.items() if name != "type"}


def contexts(
    config: Scaling, scaler: Scaler, request: ContextRequest
) -> ContextSampler:
    """Incident particles: those of training showers, or what is asked for.

    Where values are given, the others are those of similar training showers.

    Raises:
        InputError: an energy that is not positive.
    """
    known, asked = config.known, request.condition
    columns = known.columns
    classes = [i for i, name in enumerate(columns) if name == "type"]
    rows = np.zeros(len(columns), np.float32)
    for name, value in asked.items():
        if name == "energy" and not value > 0:
            raise InputError(
                f"--generate.condition=energy={value:g}: must be positive, in GeV"
            )
        if name == "type":
            rows[classes[int(value)]] = 1.0
        else:
            rows[columns.index(name)] = value
    scaled = np.asarray(incident.scaled(rows, scaler.units))
    given = {
        i: float(scaled[i])
        for i, name in enumerate(columns)
        if name in asked and (name != "type" or rows[i])
    }
    table = incident.scaled(scaler.particles, scaler.units)
    drawable = rows_to_draw(table, request, given, classes)
    places = config.places

    def draw(key: Key, num: int) -> Context:
        drawn = drawn_rows(key, drawable, num)
        particles = incident.unscaled(drawn, scaler.units)
        return Context(particles, drawn[:, places] if len(places) else None)

    return draw


def objective(run, scaler, train) -> VAEObjective:
    """What a VAE minimises: the distance of scaled features, and the KL.

    Raises:
        InputError: an observable that this calorimeter does not have, or that is the
            same for all training showers.
    """
    reconstruction = distances.get(run.loss).build(run.loss_config)
    weights = run.objective

    def distance(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
        # Empty cells are cells of x = 0, for the network as in the data.
        error = reconstruction(batch.x, x_hat)
        return weights.alpha * error, {"reconstruction": error}

    enforced = _enforced(run, scaler, train)
    whole = with_errors(distance, enforced)
    return VAEObjective(whole, weights.beta, enforced=enforced)


def _enforced(run, scaler: Scaler, train: Showers) -> Enforced | None:
    names, flag, config = run.objective.observables, GROUPS["objective"], run.scaling
    cells = geometry.get(config.geometry)
    for name in names:
        if name in LAYERED and cells.num_layers < 2:
            raise InputError(
                f"--{flag}.observables={name}: the calorimeter {cells.name} has one "
                "layer: leave it out"
            )
    if not names:
        return None

    def values(x: Array, mask: Array | None, context: Context) -> dict[str, Array]:
        exist = scaling.exists(x, context) if mask is None else mask
        showers = unscale(config, scaler, Points(x, exist), context)
        found = scalars(cells, showers)
        return {name: found[name][..., None] for name in names}

    return in_units(
        values, run.objective.observable_weights,
        functools.partial(scale, config, scaler), head(train, MEASURED),
        flag=flag, unit=UNIT,
    )  # fmt: skip


def augment(run) -> None:
    """No symmetries."""
    del run


def monitor(config: Scaling, real: Showers, generated: Showers) -> dict[str, float]:
    """Metrics of generated showers that a training may monitor.

    Returns:
        Means over the observables of the Kolmogorov-Smirnov distance, ``ks``, and of
        the separation power, ``separation``.
    """
    return metrics.means(geometry.get(config.geometry), real, generated)


def metadata(run) -> dict:
    """Units and features, for the checkpoint."""
    return {
        "units": {"energies": "GeV", "lengths": "mm"},
        "features": ["log response", "log cell energies"],
        "particles": list(run.scaling.known.columns),
    }


def writer(path, run, attrs):
    """A file of showers as the CaloChallenge has them."""
    return Writer(path, geometry.get(run.scaling.geometry), attrs)
