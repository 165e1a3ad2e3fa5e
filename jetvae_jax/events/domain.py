"""Tables of events: one row an event, named columns, in GeV and radians.

A sample is an array ``[J, C]``. To a network an event is a set of one point whose F
features are the columns' (an angle has two); columns that are given to a model as its
condition are not among them, and generated events have them as they were given.
"""

import dataclasses
import functools
import os
import pathlib
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.configs import LargeSeed, NonNegativeFloat, NonNegativeInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    Array,
    Batch,
    Context,
    Enforced,
    Key,
    Points,
    Terms,
)
from jetvae_jax.core.types import Objective as VAEObjective
from jetvae_jax.data.splits import Dataset, Fractions, split_sample
from jetvae_jax.data.streaming import head
from jetvae_jax.densities.contexts import (
    ContextRequest,
    ContextSampler,
    drawn_rows,
    rows_to_draw,
)
from jetvae_jax.events import metrics, observables, scaling, transform
from jetvae_jax.events.loading import load as read
from jetvae_jax.events.writer import write
from jetvae_jax.losses import distances
from jetvae_jax.losses.observables import MEASURED, Weighted, in_units, with_errors

GROUPS = {"data": "events", "scaling": "event_scaling", "objective": "event_objective"}
UNIT = "events"
SUFFIX = ".hdf5"
MONITORS = ("ks", "spearman", "overall")
BOUNDED = ""  # logarithms and normal numbers have no limits


@configs.config
class Data:
    """Which events.

    Attributes:
        path: an HDF5, Parquet, CSV, ROOT or npz table; 'embedded' for the Z-gamma
            background that comes with the package, 'embedded:signal' for its signal.
        columns: names of the columns to take, in this order; empty for all.
        key: the data set or tree to read where a file has several.
        max_events: events taken from the start of the table; 0 takes all.
        repair: drop events with NaN or infinity and count them, instead of stopping.
        split_seed: seed of the split into training, validation and test parts.
        fractions: of the training, validation and test parts.
    """

    path: Annotated[configs.Path, configs.not_empty] = "embedded"
    columns: tuple[str, ...] = ()
    key: str = ""
    max_events: NonNegativeInt = 0
    repair: bool = False
    split_seed: LargeSeed = 0
    fractions: Fractions = (0.7, 0.15, 0.15)

    def read(self, path: str = "", **changes: Any):
        """The table, whole, or another one read in the same way."""
        asked = {
            "columns": self.columns,
            "key": self.key,
            "max_events": self.max_events or None,
            "repair": self.repair,
        }
        return read(path or self.path, **asked | changes)


Scaling = scaling.Config
Scaler = scaling.Scaler
fit, scale = scaling.fit, scaling.scale
condition_ends = scaling.condition_ends
columns_of = scaling.columns_of


@configs.config
class Objective(Weighted):
    """The loss of Algorithm 1 of Stevenson, Kruger 2022: alpha D(x, x') + beta KL.

    Attributes:
        alpha: weight of the distance, which is that of --loss, in scaled features.
        beta: weight of the KL divergence.
        observables: columns, but counts, and masses by energy and momentum, such as
            invariant_mass_zy, that are in the loss, too: of a VAE their squared errors,
            of a GAN the energy distances of their distributions, in units of the
            deviation among the training events.
        gamma_observables: their weights, one for all or one for each.
    """

    alpha: NonNegativeFloat = 1.0
    beta: NonNegativeFloat = 0.1
    observables: Annotated[tuple[str, ...], configs.distinct] = ()
    gamma_observables: tuple[NonNegativeFloat, ...] = (1.0,)


def resolved(data: Data, config: Scaling) -> tuple[Data, Scaling]:
    """Columns and kinds filled in from the file, so that a checkpoint knows them.

    Raises:
        InputError: whatever is wrong with the file.
    """
    if data.columns and tuple(scaling.names(config)) == data.columns:
        return data, config
    table = data.read()
    data = dataclasses.replace(data, columns=table.names)
    return data, scaling.resolved(config, table.names, table.values)


def load(config: Data) -> Dataset:
    """A table of events, read and split.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    table = config.read()
    return split_sample(
        table.values,
        seed=config.split_seed,
        fractions=config.fractions,
        notes=table.notes,
        source=table.source,
    )


def sizes(data: Data, config: Scaling) -> dict[str, int]:
    """Fields of a model's Config that follow from the columns."""
    del data
    made, conditions = scaling.places(config)
    return {
        "num_particles": 1,
        "num_features": len(made),
        "jet_rows": 0,
        "num_conditions": len(conditions),
    }


def unscale(config: Scaling, scaler: Scaler, points: Points, context: Context) -> Array:
    """Generated points ``[..., 1, F]`` to events ``[..., C]`` that are valid."""
    return scaling.unscale(config, scaler, points.x, context.condition)


def particle_mask(config: Scaling, scaler: Scaler) -> None:
    """An event is a row that always exists."""
    del config, scaler


def relative(config: Scaling, scaler: Scaler) -> None:
    """Points are not particles of a jet."""
    del config, scaler


def refused(cluster_radius: float) -> None:
    """There are no jets to cluster."""
    del cluster_radius


def momenta(config: Scaling, scaler: Scaler) -> None:
    """Points are not particles of a jet."""
    del config, scaler


def num_points(config: Scaling, scaler: Scaler) -> None:
    """An event is always one row."""
    del config, scaler


def condition_names(config: Scaling) -> dict[str, tuple[str, ...]]:
    """Columns on which the model depends."""
    return dict.fromkeys(config.conditions, ())


def contexts(
    config: Scaling, scaler: Scaler, request: ContextRequest
) -> ContextSampler:
    """Conditions of training events, or those that are asked for."""
    if not config.conditions:
        return lambda key, num: Context(jnp.zeros((num, 3)))
    names = columns_of(config).names
    event = np.zeros(len(names), np.float32)
    for name, value in request.condition.items():
        event[names.index(name)] = value
    scaled = scale(config, scaler, event[None]).context.condition
    assert scaled is not None
    owners = scaling.condition_owners(config)
    asked = {
        i: float(scaled[0, i])
        for i, owner in enumerate(owners)
        if owner in request.condition
    }
    rows = rows_to_draw(scaler.conditions, request, asked)

    def draw(key: Key, num: int) -> Context:
        return Context(jnp.zeros((num, 3)), drawn_rows(key, rows, num))

    return draw


def objective(run, scaler, train) -> VAEObjective:
    """What a VAE minimises: the distance of scaled features, and the KL.

    Raises:
        InputError: an observable that events do not have, that has no gradient, or that
            is the same for all training events.
    """
    reconstruction = distances.get(run.loss).build(run.loss_config)
    weights = run.objective

    def distance(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
        error = reconstruction(batch.x, x_hat, x_mask=batch.mask)
        return weights.alpha * error, {"reconstruction": error}

    enforced = _enforced(run, scaler, train)
    whole = with_errors(distance, enforced)
    return VAEObjective(whole, weights.beta, enforced=enforced)


def _enforced(run, scaler: Scaler, train: Array) -> Enforced | None:
    names, flag = run.objective.observables, GROUPS["objective"]
    columns, config = columns_of(run.scaling), run.scaling
    for name in names:
        if wrong := observables.complaint(name, columns, config.conditions):
            raise InputError(f"--{flag}.observables={name}: {wrong}")
    if not names:
        return None

    def values(x: Array, mask: Array | None, context: Context) -> dict[str, Array]:
        del mask  # an event always exists
        events = scaling.unscale(config, scaler, x, context.condition)
        return observables.observables(columns, events, names)

    return in_units(
        values, run.objective.observable_weights,
        functools.partial(scale, config, scaler), head(train, MEASURED),
        flag=flag, unit=UNIT,
    )  # fmt: skip


def augment(run):
    """No symmetries."""
    del run


def monitor(config: Scaling, real: Array, generated: Array) -> dict[str, float]:
    """Metrics of generated events ``[J, C]``: see ``metrics.means``."""
    del config
    return metrics.means(real, generated)


def metadata(run) -> dict:
    """Names of columns and of what the network makes, for the checkpoint."""
    columns = columns_of(run.scaling)
    made, _ = scaling.places(run.scaling)
    features = transform.feature_names(columns)
    return {
        "units": {"energies": "GeV", "angles": "rad"},
        "columns": list(columns.names),
        "features": [features[i] for i in made],
    }


class Writer:
    """A table that is written when all events are there; 4 bytes a number until then.

    Args:
        path: its suffix says the layout.
        names: of the columns.
        attrs: JSON-able facts.
    """

    def __init__(self, path: str | os.PathLike, names: tuple[str, ...], attrs: dict):
        self.path, self.names, self.attrs = pathlib.Path(path), names, attrs
        self.chunks = [np.zeros((0, len(names)), np.float32)]

    def __enter__(self):
        return self

    def append(self, events: Array) -> None:
        """More rows ``[J, C]``."""
        self.chunks.append(np.asarray(events, np.float32))

    def __exit__(self, kind, *rest):
        if kind is None:
            write(self.path, np.concatenate(self.chunks), self.names, self.attrs)


def writer(path, run, attrs):
    """A file of events in the layout that the suffix of ``path`` names."""
    return Writer(path, columns_of(run.scaling).names, attrs)
