"""Observables of an event by name, each a differentiable function of its columns.

- a column, by its name; of an angle the two numbers (cos, sin), which have no seam;
- ``invariant_mass_zy``, of a table with the columns of a four-vector such as ``pt_zy``,
  ``eta_zy``, ``e_zy`` and its mass: the mass by energy and momentum,
  ``sqrt(E^2 - p^2)``, in GeV. Of a true event it is that of the column of the mass; of
  a space-like four-vector it is ``-sqrt(p^2 - E^2)``.

Counts have no gradient, and columns that are conditions are as they were given.
"""

from collections.abc import Collection, Sequence

import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import did_you_mean
from jetvae_jax.core.numerics import safe_sqrt
from jetvae_jax.core.types import Array
from jetvae_jax.events.conditions import four_vectors
from jetvae_jax.events.kinds import Columns

MASS = "invariant_mass_"


def masses(columns: Columns) -> dict[str, tuple[str, str, str]]:
    """Names of masses to the columns of pt, eta and energy they are computed from."""
    return {
        MASS + v.pt.removeprefix("pt_"): (v.pt, v.eta, v.energy)
        for v in four_vectors(columns.names)
    }


def complaint(
    name: str, columns: Columns, conditions: Collection[str] = ()
) -> str | None:
    """Why a name is not of an observable with a gradient; None if it is.

    Args:
        name: given by a user.
        columns: of the table.
        conditions: columns that a model is given.
    """
    parts = masses(columns).get(name, (name,))
    if not set(parts) <= set(columns.names):
        known = (*columns.names, *masses(columns))
        return f"must be of {', '.join(known)}{did_you_mean(name, known)}"
    if set(parts) <= set(conditions):
        return "is a condition, which generated events have as it was given"
    if columns.kinds[columns.names.index(parts[0])].name == "integer":
        return "is a count, which has no gradient: name another observable"
    return None


def observables(
    columns: Columns, events: Array, names: Sequence[str]
) -> dict[str, Array]:
    """Observables of events by name.

    Args:
        columns: of the table.
        events: ``[..., C]``.
        names: for which there is no :func:`complaint`.

    Returns:
        ``[..., 1]`` each, in the unit of the column or GeV; ``[..., 2]`` of an angle.
    """
    (events,) = floats(jnp, events)
    kinds = dict(zip(columns.names, columns.kinds, strict=True))

    def column(name: str) -> Array:
        return events[..., columns.names.index(name)]

    found = {}
    for name in names:
        if name in kinds:
            angle = kinds[name].name == "angle"
            value = column(name)
            parts = [jnp.cos(value), jnp.sin(value)] if angle else [value]
        else:
            pt, eta, energy = map(column, masses(columns)[name])
            momentum = pt * jnp.cosh(eta)
            square = (energy - momentum) * (energy + momentum)
            parts = [safe_sqrt(square) - safe_sqrt(-square)]
        found[name] = jnp.stack(parts, axis=-1)
    return found
