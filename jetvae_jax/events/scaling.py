"""Scaling of a table of events: features that are generated, and conditions.

The maps of the columns are in :mod:`~jetvae_jax.events.transform`. Here the Config
holds the kinds of the columns and the Scaler is flat, so that both are saved in a
checkpoint, and the features of some columns can be a model's condition.
"""

import functools
from dataclasses import replace
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Batch, Context
from jetvae_jax.events import kinds, transform
from jetvae_jax.events.integers import Cells
from jetvae_jax.events.kinds import Columns, Kind
from jetvae_jax.events.marginals import Marginals


@configs.config
class Config(transform.Config):
    """How the columns are presented to the network.

    Attributes:
        kinds: kinds of columns, such as MET:plain or score:bounded:0:1; the others
            are guessed by name and values.
        marginals: standard gives every column of one number mean 0 and variance 1,
            normal makes it standard normal by its training quantiles.
        conditions: columns on which the models are conditioned, such as mlly; drawn
            from the training events when events are generated.
    """

    kinds: tuple[str, ...] = ()
    marginals: Literal["standard", "normal"] = "standard"
    conditions: tuple[str, ...] = ()


class Scaler(NamedTuple):
    """The constants of the scaling, measured on the training events by :func:`fit`.

    Attributes:
        offset: this and all until ``normal``: see ``events.marginals.Marginals``.
        factor: the same.
        low: the same.
        high: the same.
        knots: the same.
        normal: the same.
        values: this and all until ``edges``: see ``events.integers.Cells``.
        below: the same.
        above: the same.
        edges: the same.
        conditions: ``[M, G]`` scaled, of the training events.
    """

    offset: Array
    factor: Array
    low: Array
    high: Array
    knots: Array
    normal: Array
    values: Array
    below: Array
    above: Array
    edges: Array
    conditions: Array

    UNBOUNDED = ("edges",)  # the outer ones are infinite

    @property
    def fitted(self) -> transform.Scaler:
        """The scaler of the columns."""
        return transform.Scaler(Marginals(*self[:6]), Cells(*self[6:10]))


def resolved(scaling: Config, names: tuple[str, ...], values: Array) -> Config:
    """The config with the kinds of all columns, by names and values ``[J, C]``."""
    found = kinds.find(names, np.asarray(values), scaling.kinds)
    texts = tuple(map(_text, found.names, found.kinds))
    return replace(scaling, kinds=texts)


def _text(name: str, kind: Kind) -> str:
    """A kind in the form that ``kinds.find`` reads."""
    limits = f":{kind.low!r}:{kind.high!r}" if kind.name == "bounded" else ""
    return f"{name}:{kind.name}{limits}"


def names(scaling: Config) -> list[str]:
    """Names of the columns whose kinds are in the config."""
    return [text.partition(":")[0] for text in scaling.kinds]


@functools.lru_cache
def columns_of(scaling: Config) -> Columns:
    """The columns of a table that was :func:`resolved`."""
    given = names(scaling)
    return kinds.find(given, np.zeros((0, len(given))), scaling.kinds)


def _owners(columns: Columns) -> list[str]:
    """The column of each scaled feature; an angle has two."""
    return [
        name
        for name, kind in zip(columns.names, columns.kinds, strict=True)
        for _ in range(2 if kind.name == "angle" else 1)
    ]


def condition_owners(scaling: Config) -> list[str]:
    """The column of each number of a condition."""
    owners = _owners(columns_of(scaling))
    return [owners[i] for i in places(scaling)[1]]


@functools.lru_cache
def places(scaling: Config) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the scaled features that are generated, and of the conditions.

    Raises:
        InputError: a condition that is not a column, or no column left to generate.
    """
    columns = columns_of(scaling)
    for name in scaling.conditions:
        if name not in columns.names:
            raise InputError(
                f"--event_scaling.conditions: {name!r} is not a column of the table"
            )
    owners = _owners(columns)
    conditions = np.isin(owners, scaling.conditions)
    if conditions.all():
        raise InputError("--event_scaling.conditions: no column is left to generate")
    return np.flatnonzero(~conditions), np.flatnonzero(conditions)


def condition_ends(scaling: Config, scaler: Scaler) -> dict[str, tuple[float, float]]:
    """Smallest and largest of each condition but angles, among training events.

    In the units of the columns, of counts whole numbers.
    """
    columns, (_, where) = columns_of(scaling), places(scaling)
    if not len(where):
        return {}
    ends = np.zeros((2, 1, len(_owners(columns))), np.float32)
    ends[:, 0, where] = [f(scaler.conditions, axis=0) for f in (np.min, np.max)]
    events = np.asarray(transform.unscale(columns, scaler.fitted, ends), np.float64)
    kinds_of = dict(zip(columns.names, columns.kinds, strict=True))
    return {
        name: tuple(events[:, columns.names.index(name)].tolist())
        for name in scaling.conditions
        if kinds_of[name].name != "angle"
    }


def fit(scaling: Config, train: Array) -> Scaler:
    """Measures the training events ``[J, C]``; runs on the host."""
    fitted = transform.fit(scaling, columns_of(scaling), np.asarray(train))
    _, where = places(scaling)
    conditions = np.zeros((0, 0), np.float32)
    if len(where):
        x = jax.jit(functools.partial(_scaled, scaling, fitted))(train)
        conditions = np.asarray(x[:, where])
    return Scaler(*fitted.marginals, *fitted.cells, conditions)


def _scaled(scaling: Config, fitted: transform.Scaler, values: Array) -> Array:
    """Events ``[..., C]`` to all scaled features ``[..., F]``.

    The position of a count in its cell is random, seeded by the event's values: equal
    events always have equal features.
    """
    columns, values = columns_of(scaling), jnp.asarray(values)

    def one(event):
        bits = jax.lax.bitcast_convert_type(event, jnp.uint32)
        key = jax.random.fold_in(jax.random.key(0), jnp.sum(bits, dtype=jnp.uint32))
        return transform.scale(columns, fitted, event, key).x[0]

    rows = jax.vmap(one)(values.reshape(-1, values.shape[-1]))
    return rows.reshape(*values.shape[:-1], -1)


def scale(scaling: Config, scaler: Scaler, values: Array) -> Batch:
    """Events ``[..., C]`` to scaled features ``[..., 1, F]`` and conditions."""
    x = _scaled(scaling, scaler.fitted, values)
    generated, conditions = places(scaling)
    lead = x.shape[:-1]
    return Batch(
        x[..., None, generated],
        jnp.ones((*lead, 1), bool),
        Context(jnp.zeros((*lead, 3)), x[..., conditions] if len(conditions) else None),
    )


def unscale(
    scaling: Config, scaler: Scaler, x: Array, condition: Array | None = None
) -> Array:
    """Scaled features ``[..., 1, F]`` to valid events ``[..., C]``.

    Args:
        scaling: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: output of a decoder.
        condition: ``[..., G]`` given to the decoder, or None.

    Raises:
        ValueError: some columns are conditions, and none are given.
    """
    generated, conditions = places(scaling)
    if len(conditions):
        if condition is None:
            raise ValueError(f"{len(conditions)} features are conditions: give them")
        given = jnp.broadcast_to(condition, (*x.shape[:-2], len(conditions)))
        both = jnp.concatenate([x, given[..., None, :]], axis=-1)
        x = both[..., np.argsort(np.concatenate([generated, conditions]))]
    return transform.unscale(columns_of(scaling), scaler.fitted, x)
