"""Tables of events: one row an event, named columns, in GeV and radians.

A sample is an array ``[J, C]``. To a network an event is a set of one point whose F
features are the columns' (an angle has two); columns that are told to a model as its
condition are not among them, and come back from a generation as they were told.
"""

import dataclasses
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array
from jetvae_jax.events import metrics, scaling, transform
from jetvae_jax.events.loading import load as read
from jetvae_jax.events.writer import write
from jetvae_jax.losses import distances, variational
from jetvae_jax.runs import dataset

GROUPS = {"data": "events", "scaling": "event_scaling", "objective": "event_objective"}
THINGS = "events"
SUFFIX = ".hdf5"
JUDGES = ("ks", "spearman", "overall")
BOUNDED = ""  # logarithms and normal numbers have no limits


@dataclasses.dataclass(frozen=True)
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

    path: str = "embedded"
    columns: tuple[str, ...] = ()
    key: str = ""
    max_events: int = 0
    repair: bool = False
    split_seed: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        if len(self.fractions) != 3:
            raise InputError(
                f"fractions = {self.fractions}: give three, of training, validation, "
                "test"
            )
        if self.max_events < 0:
            raise InputError(f"max_events = {self.max_events}: must not be negative")

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
columns_of = scaling.columns_of
judge = metrics.means


@dataclasses.dataclass(frozen=True)
class Objective:
    """The loss of Algorithm 1 of Stevenson, Kruger 2022: alpha D(x, x') + beta KL.

    Attributes:
        alpha: weight of the distance, which is that of --loss, in scaled features.
        beta: weight of the KL divergence, the talk's variational beta.
    """

    alpha: float = 1.0
    beta: float = 0.1

    def __post_init__(self):
        """Raise InputError for a field that cannot be."""
        for name in ("alpha", "beta"):
            if not getattr(self, name) >= 0:
                raise InputError(
                    f"{name} = {getattr(self, name)}: must not be negative"
                )


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


def load(config: Data) -> dataset.Dataset:
    """A table of events, read and split.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    table = config.read()
    return dataset.split(
        table.values,
        seed=config.split_seed,
        fractions=config.fractions,
        notes=table.notes,
        source=table.source,
    )


def sizes(data: Data, config: Scaling) -> dict:
    """Fields of a model's Config that follow from the columns."""
    del data
    made, told = scaling.places(config)
    return {
        "num_particles": 1,
        "num_features": len(made),
        "jet_rows": 0,
        "num_conditions": len(told),
    }


def unscale(config, scaler, x, axis, condition=None):
    """Network output ``[..., 1, F]`` to events ``[..., C]`` that are valid."""
    del axis
    return scaling.unscale(config, scaler, x, condition)


def draw_context(config, scaler, key, num_events):
    """Conditions of training events, drawn anew."""
    axis = jnp.zeros((num_events, 3))
    if not config.conditions:
        return axis, None
    rows = jax.random.randint(key, (num_events,), 0, len(scaler.told))
    return axis, jnp.asarray(scaler.told)[rows]


def objective(run, scaler, train):
    """What a VAE is trained to: the distance of scaled features, and the KL."""
    del scaler, train
    distance = distances.get(run.loss).build(run.loss_config)
    weights = run.objective
    return variational.Objective(
        variational.points(distance), weights.beta, share=weights.alpha
    )


def exists(run, scaler):
    """A row is there, always."""
    del run, scaler


def augment(run):
    """No symmetries."""
    del run


def facts(run) -> dict:
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
