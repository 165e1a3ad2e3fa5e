"""The library method: training samples that have the conditions asked for.

Ratnikov, "Generative models for natural science", IML workshop 2019: events of the
training sample are used again. For each condition the k nearest events are looked up
(k = 1), or interpolated between (k > 1). There is nothing to train, and by construction
all information of the training sample is used, and none beyond it.

Distances are Euclidean in scaled conditions, and the search, by SciPy's k-d tree, is
exact; of events with equal conditions, such as counts, any is taken. Without conditions
events are drawn at random. Interpolated are scaled features, point by point in their
order: give coordinates in which jets of all directions are alike
(``--scaling.coordinates=relative`` or ``frame``).
"""

import functools
import hashlib
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveFloat, PositiveInt
from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    Array,
    Batch,
    Context,
    Key,
    Model,
    Params,
    Points,
    Task,
    Terms,
)

USES_MASK = True
USES_DISTANCE = False
TIE = 1e-6
"""Scaled conditions that are less apart count as equal."""
_TREES: dict[bytes, Any] = {}
_MOST_TREES = 4


@configs.config
class Config:
    """The library, and how it is looked up.

    Attributes:
        num_particles: N; follows from the data, as do the next three.
        num_features: F.
        jet_rows: rows before the points that describe the jet as a whole.
        num_conditions: G.
        k: nearest events between which is interpolated; 1 takes the nearest as it is.
        concentration: of the Dirichlet distribution of the k weights: 1 is uniform, a
            small one takes nearly always one of the events, a large one their mean.
        num_events: of the training sample in the library; 0 for all.
    """

    num_particles: PositiveInt = 30
    num_features: PositiveInt = 3
    jet_rows: NonNegativeInt = 0
    num_conditions: NonNegativeInt = 0
    k: PositiveInt = 1
    concentration: PositiveFloat = 1.0
    num_events: NonNegativeInt = 0


def model(config: Config, task: Task) -> Model:
    """The generative model.

    Its parameters are the constants ``library``: ``x [E, N, F]``, ``mask [E, N]`` and
    ``condition [E, G]`` of its E events.

    Raises:
        InputError: the library has fewer than k events.
    """
    library = _library(config, task)
    if task.sample is not None and len(library["mask"]) < config.k:
        raise InputError(
            f"--library.k={config.k}: the library has {len(library['mask']):,} events: "
            "give fewer neighbours or more events"
        )

    def init(key: Key) -> Params:
        del key
        return {"library": jax.tree.map(jnp.asarray, library)}

    def loss(params: Params, key: Key, batch: Batch) -> tuple[Array, Terms]:
        """The squared distance to the nearest condition of the library."""
        del key
        own, given = params["library"]["condition"], _given(config, batch.context)
        own, given = jax.lax.stop_gradient((own, given))
        anywhere = jnp.zeros(given.shape[:-1])
        apart = own[nearest(own, given, anywhere, 1)[..., 0]] - given
        distance = jnp.sum(jnp.square(apart), axis=-1)
        return distance, {"distance": distance}

    def sample(params: Params, key: Key, context: Context) -> Points:
        rows_key, weights_key = jax.random.split(key)
        own, lead = params["library"], context.axis.shape[:-1]
        shape, events = (*lead, config.k), len(own["mask"])
        if config.num_conditions:
            given = _given(config, context)
            place = jax.random.uniform(rows_key, lead)
            rows = nearest(own["condition"], given, place, config.k)
        else:
            given = jnp.zeros((*lead, 0))
            rows = jax.random.randint(rows_key, shape, 0, events)
        x, mask = _taken(own["x"], rows), _taken(own["mask"], rows)
        if config.k == 1:
            x, mask = x[..., 0, :, :], mask[..., 0, :]
        else:
            alpha = jnp.full(config.k, config.concentration)
            x, mask = interpolated(
                x, mask, jax.random.dirichlet(weights_key, alpha, lead)
            )
        # A NaN or infinite condition gives NaN, as it has no neighbours.
        known = jnp.all(jnp.isfinite(given), axis=-1)[..., None, None]
        return Points(jnp.where(known, x, jnp.nan), mask)

    def reach(params: Params) -> tuple[Array, Array]:
        given = np.asarray(params["library"]["condition"])
        return given.min(axis=0), given.max(axis=0)

    return Model(init, loss, sample, constants=("library",), reach=reach)


def interpolated(x: Array, mask: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted means over k sets, point by point.

    The points that exist are those of the set of largest weight, and each is the mean
    over the sets that have it.

    Args:
        x: ``[..., k, N, F]``.
        mask: ``[..., k, N]``.
        weights: ``[..., k]``, of sum 1.

    Returns:
        ``[..., N, F]`` and ``[..., N]``.
    """
    heaviest = jnp.argmax(weights, axis=-1)[..., None, None]
    exists = jnp.take_along_axis(mask, heaviest, axis=-2)[..., 0, :]
    share = jnp.where(mask, weights[..., None], 0.0)
    share = share / jnp.maximum(share.sum(axis=-2, keepdims=True), 1e-30)
    mean = jnp.sum(share[..., None] * x, axis=-3)
    return jnp.where(exists[..., None], mean, 0.0), exists


def nearest(library: Array, given: Array, place: Array, k: int) -> Array:
    """The k events whose conditions are nearest.

    The search runs on the host, also from within ``jit`` and ``vmap``; the tree of a
    library is built when it is first asked for, and kept.

    Args:
        library: ``[E, G]``.
        given: ``[..., G]``.
        place: ``[...]`` from 0 to 1, which of events with equal conditions is taken.
        k: at most E.

    Returns:
        ``[..., k]`` int32 rows of the library, the nearest first.
    """
    shape = jax.ShapeDtypeStruct((*jnp.shape(given)[:-1], k), jnp.int32)
    if not jnp.shape(given)[-1]:
        return jnp.broadcast_to(jnp.arange(k, dtype=jnp.int32), shape.shape)
    if _is_known(library):
        rows = np.asarray(library)
        find = functools.partial(_found, k, rows, name=_name(rows))
        return jax.pure_callback(find, shape, given, place, vmap_method="sequential")
    return jax.pure_callback(
        functools.partial(_found, k), shape, library, given, place,
        vmap_method="sequential",
    )  # fmt: skip


def _is_known(values: Array) -> bool:
    """Whether they are numbers when a program is compiled, no argument of it."""
    return not isinstance(values, jax.core.Tracer)


def _taken(values: Array, rows: Array) -> Array:
    """``[E, ...]`` at ``[...]`` rows.

    What is known when a program is compiled would become a part of it, which of a
    million events takes long and a second copy: it stays on the host.
    """
    if not _is_known(values):
        return values[rows]
    known, dtype = np.asarray(values), jnp.result_type(values)
    shape = jax.ShapeDtypeStruct((*rows.shape, *known.shape[1:]), dtype)

    def take(rows: Array) -> np.ndarray:
        return known[np.asarray(rows)].astype(dtype, copy=False)

    return jax.pure_callback(take, shape, rows, vmap_method="expand_dims")


def _found(
    k: int, library: Array, given: Array, place: Array, name: bytes = b""
) -> np.ndarray:
    given = np.nan_to_num(np.asarray(given, np.float64), posinf=0.0, neginf=0.0)
    asked = np.concatenate([given, TIE * np.asarray(place)[..., None]], axis=-1)
    tree = _tree(np.asarray(library), name)
    _, rows = tree.query(asked.reshape(-1, asked.shape[-1]), k, workers=-1)
    return rows.reshape(*given.shape[:-1], k).astype(np.int32)


def _name(library: np.ndarray) -> bytes:
    """The same for the same conditions only."""
    return hashlib.blake2b(np.ascontiguousarray(library).data).digest()


def _tree(library: np.ndarray, name: bytes = b"") -> Any:
    """The tree of conditions, and of a last, tiny coordinate that tells equal apart."""
    from scipy.spatial import KDTree

    name = name or _name(library)
    if name not in _TREES:
        if len(_TREES) >= _MOST_TREES:
            _TREES.pop(next(iter(_TREES)))
        # Multiples of the golden ratio fill the unit interval evenly.
        spread = TIE * np.mod(np.arange(len(library)) * (5**0.5 - 1) / 2, 1.0)
        rows = np.concatenate([library, spread[:, None]], axis=-1)
        _TREES[name] = KDTree(rows, balanced_tree=False, compact_nodes=False)
    return _TREES[name]


def _given(config: Config, context: Context) -> Array:
    """The conditions ``[..., G]``.

    Raises:
        ValueError: there are none, or of another number.
    """
    nothing = jnp.zeros((*context.axis.shape[:-1], 0))
    given = None if context.condition is None else record(jnp, context).condition
    return layers.with_condition(nothing, given, config.num_conditions)


def _library(config: Config, task: Task) -> dict[str, np.ndarray]:
    """The events; none if they are those of a checkpoint."""
    points = config.jet_rows + config.num_particles
    if task.sample is None:
        return {
            "x": np.zeros((0, points, config.num_features), np.float32),
            "mask": np.zeros((0, points), bool),
            "condition": np.zeros((0, config.num_conditions), np.float32),
        }
    batch = task.sample(config.num_events)
    x, mask = np.asarray(batch.x, np.float32), np.asarray(batch.mask)
    condition = batch.context.condition
    if condition is None:
        condition = np.zeros((len(x), 0))
    return {
        "x": np.where(mask[..., None], x, 0),
        "mask": mask,
        "condition": np.asarray(condition, np.float32),
    }
