"""The incident particles of showers as rows of numbers, on which models depend.

A row ``[D]`` holds, as far as it is known of the training showers, the energy in GeV;
of several kinds of particles one number for each, 1 for its own and else 0; the point
(x, y) in mm; and the slopes (dx/dz, dy/dz) of the direction. Scaled, it has the
logarithm of the energy, and all but the numbers of a kind have mean 0 and variance 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import safe_divide, safe_log
from jetvae_jax.core.types import Array, Showers

CONDITIONS = {
    "energy": ("energy",),
    "type": ("type",),
    "point": ("x", "y"),
    "direction": ("dx_dz", "dy_dz"),
}
"""What a model may depend on, to the names by which a user gives it."""
UNITS = {"energy": "GeV", "x": "mm", "y": "mm"}
NAMES = {
    22: "photon",
    11: "electron",
    -11: "positron",
    13: "muon",
    111: "pi0",
    211: "pion",
    -211: "antipion",
    130: "kaon",
    2112: "neutron",
    2212: "proton",
}
"""PDG codes to names of classes."""


class Known(NamedTuple):
    """What the training showers say of their incident particles.

    Attributes:
        kinds: PDG codes, ascending; empty if they are not known.
        point: whether the point is known.
        direction: whether the direction is known.
    """

    kinds: tuple[int, ...] = ()
    point: bool = False
    direction: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """What each number of a row is; ``type`` as often as there are kinds."""
        kinds = len(self.kinds) if len(self.kinds) > 1 else 0
        return (
            "energy",
            *("type",) * kinds,
            *(CONDITIONS["point"] if self.point else ()),
            *(CONDITIONS["direction"] if self.direction else ()),
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the kinds."""
        return tuple(NAMES.get(kind, str(kind)) for kind in self.kinds)


def known(showers: Showers) -> Known:
    """What is known of the particles of showers; on the host."""
    kinds = () if showers.kind is None else np.unique(np.asarray(showers.kind))
    return Known(
        tuple(map(int, kinds)),
        showers.point is not None,
        showers.direction is not None,
    )


def rows_of(what: Known, showers: Showers) -> Array:
    """The incident particles of showers as rows ``[..., D]``.

    Raises:
        InputError: something that is known of the training showers is not of these.
    """
    showers = record(jnp, showers)
    columns = [showers.energy[..., None]]
    if len(what.kinds) > 1:
        kind = jnp.asarray(_given("kind", showers.kind))[..., None]
        columns.append((kind == np.array(what.kinds)).astype(columns[0].dtype))
    if what.point:
        columns.append(_given("point", showers.point))
    if what.direction:
        direction = _given("direction", showers.direction)
        columns.append(safe_divide(direction[..., :2], direction[..., 2:]))
    return jnp.concatenate(columns, axis=-1)


def _given(name: str, values: Array | None) -> Array:
    if values is None:
        raise InputError(
            f"these showers do not say the {name} of their particles, and those that "
            "the model was trained on do"
        )
    return values


def with_particles(what: Known, energies: Array, rows: Array) -> Showers:
    """Showers ``[..., C]`` of particles that are rows ``[..., D]``."""
    energies, rows = floats(jnp, energies, rows)
    columns, lead = what.columns, rows.shape[:-1]

    def those(name: str, number: int) -> Array:
        first = columns.index(name)
        return rows[..., first : first + number]

    kind = point = direction = None
    if len(what.kinds) == 1:
        kind = jnp.full(lead, what.kinds[0], jnp.int32)
    elif what.kinds:
        place = jnp.argmax(those("type", len(what.kinds)), axis=-1)
        kind = jnp.asarray(what.kinds, jnp.int32)[place]
    if what.point:
        point = those("x", 2)
    if what.direction:
        slopes = those("dx_dz", 2)
        length = jnp.sqrt(1 + jnp.sum(jnp.square(slopes), axis=-1, keepdims=True))
        direction = jnp.concatenate([slopes, jnp.ones_like(length)], -1) / length
    return Showers(energies, rows[..., 0], kind, point, direction)


def measured(what: Known, rows: np.ndarray) -> np.ndarray:
    """Mean and deviation ``[2, D]`` of scaled rows; 0 and 1 for kinds and constants.

    Args:
        what: is known.
        rows: ``[J, D]``, on the host.
    """
    values = np.asarray(with_log(rows), np.float64)
    mean, width = values.mean(0), values.std(0)
    width = np.where(width > 1e-6 * np.maximum(np.abs(mean), 1.0), width, 1.0)
    is_type = np.array(what.columns) == "type"
    return np.stack([np.where(is_type, 0.0, mean), np.where(is_type, 1.0, width)])


def with_log(rows: Array) -> Array:
    """Rows ``[..., D]`` with the logarithm of the energy."""
    (rows,) = floats(jnp, rows)
    return jnp.concatenate([safe_log(rows[..., :1]), rows[..., 1:]], axis=-1)


def scaled(rows: Array, units: Array) -> Array:
    """Rows ``[..., D]`` to scaled ones, by :func:`measured` units ``[2, D]``."""
    return (with_log(rows) - units[0]) / units[1]


def unscaled(rows: Array, units: Array) -> Array:
    """The inverse of :func:`scaled`."""
    values = rows * units[1] + units[0]
    return jnp.concatenate([jnp.exp(values[..., :1]), values[..., 1:]], axis=-1)


def places(what: Known, conditions: Sequence[str]) -> np.ndarray:
    """Columns of a row that are conditions, in the order of the row.

    Raises:
        InputError: a condition that is not known of the training showers.
    """
    wanted = [name for condition in conditions for name in CONDITIONS[condition]]
    for condition in conditions:
        if not set(CONDITIONS[condition]) <= set(what.columns):
            one = condition == "type" and len(what.kinds) == 1
            why = "all are of one" if one else "the file does not say it"
            raise InputError(
                f"--shower_scaling.conditions={condition}: {why}: leave it out"
            )
    return np.flatnonzero(np.isin(what.columns, wanted))
