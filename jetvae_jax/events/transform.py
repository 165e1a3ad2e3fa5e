"""Maps of columns: between a table of events and the numbers a network sees.

Every kind of column has its own map (see :mod:`~jetvae_jax.events.kinds`):

* integer: its cell of a standard normal, dequantised by noise of a given key;
* angle: the two numbers sqrt(2) (cos, sin), of variance 1 for a uniform angle, so that
  -pi and pi are neighbours; back by the arc tangent, whatever the radius;
* positive: the logarithm, bounded: the logit, plain: the value itself; standardised, or
  made standard normal by training quantiles.

:func:`scale` and :func:`unscale` are pure jnp functions for plain use, ``jit``,
``vmap`` and ``grad``; :func:`fit` runs on the host. ``unscale`` gives a valid event for
any decoder output.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.numerics import wrap_phi
from jetvae_jax.core.types import Array, Batch, Context, Key
from jetvae_jax.events import integers, marginals
from jetvae_jax.events.integers import Cells
from jetvae_jax.events.kinds import BELOW_PI, Columns
from jetvae_jax.events.marginals import Marginals

_SINGLE = ("positive", "bounded", "plain")
_ROOT2 = float(np.sqrt(np.float32(2)))


@configs.config
class Config:
    """How the columns of a table are presented to the network.

    Attributes:
        kinds: kinds of columns, such as MET:plain or score:bounded:0:1; the others
            are guessed by name and values.
        marginals: standard gives every column of one number mean 0 and variance 1,
            normal makes it standard normal by its training quantiles.
    """

    kinds: tuple[str, ...] = ()
    marginals: Literal["standard", "normal"] = "standard"


class Scaler(NamedTuple):
    """The constants of the maps, measured on the training events by :func:`fit`.

    Attributes:
        marginals: of the positive, bounded and plain columns.
        cells: of the integer columns.
    """

    marginals: Marginals
    cells: Cells


def fit(config: Config, columns: Columns, values: np.ndarray) -> Scaler:
    """Measures the columns of the training events.

    Args:
        config: standardised or normal marginals.
        columns: from :func:`~jetvae_jax.events.kinds.find`.
        values: ``[J, C]``, finite.

    Returns:
        Scaler of NumPy float32 arrays.

    Raises:
        ValueError: the shape does not fit the columns.
    """
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or values.shape[1] != len(columns.names) or not len(values):
        raise ValueError(
            f"values {values.shape} do not fit {len(columns.names)} columns"
        )
    single = columns.where(*_SINGLE)
    return Scaler(
        marginals.fit(
            _kinds(columns, single),
            values[:, single],
            to_normal=config.marginals == "normal",
        ),
        integers.fit(values[:, columns.where("integer")]),
    )


def feature_names(columns: Columns) -> tuple[str, ...]:
    """Names of the F features of an event, in the order of the columns."""
    found = []
    for name, kind in zip(columns.names, columns.kinds, strict=True):
        angle = kind.name == "angle"
        found += [f"cos {name}", f"sin {name}"] if angle else [name]
    return tuple(found)


def scale(
    columns: Columns, scaler: Scaler, values: Array, key: Key | None = None
) -> Batch:
    """Events to scaled features: sets of one point.

    Args:
        columns: as given to :func:`fit`.
        scaler: from :func:`fit`.
        values: ``[..., C]``.
        key: of the noise inside the cells of counts; None for their middle.

    Returns:
        Batch with x ``[..., 1, F]`` (see :func:`feature_names`), mask True, axis zero.
    """
    values = jnp.asarray(values)
    lead = values.shape[:-1]
    single, whole, angle = _places(columns)
    parts = []
    if len(single):
        kinds = _kinds(columns, single)
        parts.append(marginals.forward(kinds, scaler.marginals, values[..., single]))
    if len(whole):
        parts.append(integers.forward(scaler.cells, values[..., whole], key))
    if len(angle):
        phi = values[..., angle]
        parts += [_ROOT2 * jnp.cos(phi), _ROOT2 * jnp.sin(phi)]
    x = jnp.concatenate(parts, axis=-1)[..., None, np.argsort(_order(columns))]
    return Batch(x, jnp.ones((*lead, 1), bool), Context(jnp.zeros((*lead, 3))))


def unscale(columns: Columns, scaler: Scaler, x: Array) -> Array:
    """Scaled features ``[..., 1, F]`` to valid events ``[..., C]``.

    The inverse of :func:`scale` for events whose counts occur in training and whose
    other columns lie in the training range extended by its width (of the logarithm or
    logit); values beyond are clipped to it. Infinity and NaN become finite.

    Args:
        columns: kind of each column.
        scaler: from :func:`fit`.
        x: ``[..., 1, F]`` scaled features.

    Returns:
        ``[..., C]`` in the units of the columns.
    """
    x = jnp.nan_to_num(jnp.asarray(x))[..., 0, _order(columns)]
    single, whole, angle = _places(columns)
    ends = np.cumsum([len(single), len(whole), len(angle)])
    z, counts, cos, sin = jnp.split(x, ends, axis=-1)
    parts = []
    if len(single):
        kinds = _kinds(columns, single)
        parts.append(marginals.inverse(kinds, scaler.marginals, z))
    if len(whole):
        parts.append(integers.inverse(scaler.cells, counts))
    if len(angle):
        phi = wrap_phi(jnp.arctan2(sin, cos))
        parts.append(jnp.clip(phi, -BELOW_PI, BELOW_PI))
    back = np.argsort(np.concatenate([single, whole, angle]))
    return jnp.concatenate(parts, axis=-1)[..., back]


def _places(columns: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the single-number columns, of the counts and of the angles."""
    return columns.where(*_SINGLE), columns.where("integer"), columns.where("angle")


def _kinds(columns: Columns, places: np.ndarray):
    return tuple(columns.kinds[i] for i in places)


def _order(columns: Columns) -> np.ndarray:
    """Indices among the F features of: single numbers, counts, cosines, sines."""
    widths = [2 if kind.name == "angle" else 1 for kind in columns.kinds]
    first = np.cumsum([0, *widths[:-1]])
    single, whole, angle = _places(columns)
    return np.concatenate(
        [first[single], first[whole], first[angle], first[angle] + 1]
    ).astype(int)
