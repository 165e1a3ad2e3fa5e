"""A table of events as a generation sees it: what is made, and what is told.

The columns' own maps are in :mod:`~jetvae_jax.events.transform`. Here a Config
holds all that is known of the columns, a Scaler is flat, so that both go into a
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
from jetvae_jax.core.types import Array, Batch
from jetvae_jax.events import kinds, transform
from jetvae_jax.events.integers import Cells
from jetvae_jax.events.kinds import Columns, Kind
from jetvae_jax.events.marginals import Marginals


@configs.config
class Config(transform.Config):
    """How the columns are presented to the network.

    Attributes:
        kinds: decisions on columns, such as MET:plain or score:bounded:0:1; the others
            are found by name and values.
        marginals: standard gives every column of one number mean 0 and variance 1,
            normal makes it standard normal by its training quantiles.
        conditions: columns that the models are told, such as mlly; drawn anew from
            the training events when events are generated.
    """

    kinds: tuple[str, ...] = ()
    marginals: Literal["standard", "normal"] = "standard"
    conditions: tuple[str, ...] = ()


class Scaler(NamedTuple):
    """What is learned from the training events: arrays only, for a checkpoint.

    Attributes:
        offset: as all until ``normal``: see ``data.events.marginals.Marginals``.
        factor: the same.
        low: the same.
        high: the same.
        knots: the same.
        normal: the same.
        values: as all until ``edges``: see ``data.events.integers.Cells``.
        below: the same.
        above: the same.
        edges: the same.
        told: ``[M, G]`` scaled conditions of the training events.
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
    told: Array

    @property
    def fitted(self) -> transform.Scaler:
        """As the transforms of columns take it."""
        return transform.Scaler(Marginals(*self[:6]), Cells(*self[6:10]))


def resolved(scaling: Config, names: tuple[str, ...], values: Array) -> Config:
    """With the kinds of all columns, found by names and values ``[J, C]``."""
    found = kinds.find(names, np.asarray(values), scaling.kinds)
    texts = tuple(map(_text, found.names, found.kinds))
    return replace(scaling, kinds=texts)


def _text(name: str, kind: Kind) -> str:
    """As ``kinds.find`` reads it."""
    limits = f":{kind.low!r}:{kind.high!r}" if kind.name == "bounded" else ""
    return f"{name}:{kind.name}{limits}"


def names(scaling: Config) -> list[str]:
    """Of the columns whose kind is decided."""
    return [text.partition(":")[0] for text in scaling.kinds]


@functools.lru_cache
def columns_of(scaling: Config) -> Columns:
    """The columns of a table that was :func:`resolved`."""
    given = names(scaling)
    return kinds.find(given, np.zeros((0, len(given))), scaling.kinds)


@functools.lru_cache
def places(scaling: Config) -> tuple[np.ndarray, np.ndarray]:
    """Which of a table's scaled features are made, and which are told.

    Raises:
        InputError: a condition that is no column, or nothing left to generate.
    """
    columns = columns_of(scaling)
    for name in scaling.conditions:
        if name not in columns.names:
            raise InputError(
                f"--event_scaling.conditions: {name!r} is no column of the table"
            )
    owners = [
        name
        for name, kind in zip(columns.names, columns.kinds, strict=True)
        for _ in range(2 if kind.name == "angle" else 1)
    ]
    told = np.isin(owners, scaling.conditions)
    if told.all():
        raise InputError("--event_scaling.conditions: no column is left to generate")
    return np.flatnonzero(~told), np.flatnonzero(told)


def fit(scaling: Config, train: Array) -> Scaler:
    """Measures the training events ``[J, C]``."""
    fitted = transform.fit(scaling, columns_of(scaling), np.asarray(train))
    _, where = places(scaling)
    told = np.zeros((0, 0), np.float32)
    if len(where):
        x = jax.jit(functools.partial(_scaled, scaling, fitted))(train)
        told = np.asarray(x[:, where])
    return Scaler(*fitted.marginals, *fitted.cells, told)


def _scaled(scaling: Config, fitted: transform.Scaler, values: Array) -> Array:
    """Events ``[..., C]`` to all scaled features ``[..., F]``.

    The place of a count inside its cell is random, but the event's own: the same
    event is the same number everywhere and always.
    """
    columns, values = columns_of(scaling), jnp.asarray(values)

    def one(event):
        bits = jax.lax.bitcast_convert_type(event, jnp.uint32)
        key = jax.random.fold_in(jax.random.key(0), jnp.sum(bits, dtype=jnp.uint32))
        return transform.scale(columns, fitted, event, key).x[0]

    rows = jax.vmap(one)(values.reshape(-1, values.shape[-1]))
    return rows.reshape(*values.shape[:-1], -1)


def scale(scaling: Config, scaler: Scaler, values: Array) -> Batch:
    """Events ``[..., C]`` to what the networks see."""
    x = _scaled(scaling, scaler.fitted, values)
    made, told = places(scaling)
    lead = x.shape[:-1]
    return Batch(
        x[..., None, made],
        jnp.ones((*lead, 1), bool),
        jnp.zeros((*lead, 3)),
        x[..., told] if len(told) else None,
    )


def unscale(
    scaling: Config, scaler: Scaler, x: Array, condition: Array | None = None
) -> Array:
    """Network output ``[..., 1, F]`` to events ``[..., C]`` that are valid.

    Args:
        scaling: as of the training.
        scaler: from :func:`fit`.
        x: what a decoder gave.
        condition: ``[..., G]``, what it was told.

    Raises:
        ValueError: columns were told, and no condition is given.
    """
    made, told = places(scaling)
    if len(told):
        if condition is None:
            raise ValueError(f"{len(told)} features were told: give condition")
        told_x = jnp.broadcast_to(condition, (*x.shape[:-2], len(told)))
        both = jnp.concatenate([x, told_x[..., None, :]], axis=-1)
        x = both[..., np.argsort(np.concatenate([made, told]))]
    return transform.unscale(columns_of(scaling), scaler.fitted, x)
