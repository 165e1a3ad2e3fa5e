r"""What is measured on a shower, as pure functions with gradients.

``E_c`` is the energy of cell c at the place ``r_c = (x_c, y_c)`` of the face, in layer
``l_c``. Centres and widths are means and standard deviations weighted by energy,

    m = sum_c E_c r_c / sum_c E_c,   s^2 = sum_c E_c (r_c - m)^2 / sum_c E_c,

and zero where there is no energy. Energies of any sign are taken as they are.

Along and across are the directions of the face that the incident particle's own
direction projects to and that at 90 degrees to it, (u_x, u_y) and (-u_y, u_x): x and y
where the direction is not known or perpendicular to the face.

Sources: F. Ratnikov, "Generative Models for Natural Science" (IML workshop, CERN 2019)
for widths and asymmetries along and across and for the sparsity; the CaloChallenge
(arXiv:2410.21611) for energies, centres and widths of layers.
"""

import itertools

import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import did_you_mean
from jetvae_jax.core.numerics import safe_divide, safe_log, safe_norm, safe_sqrt
from jetvae_jax.core.types import Array, Showers
from jetvae_jax.showers.geometry import Geometry

SCALARS = (
    *("energy", "response", "x", "y", "width_along", "width_across"),
    *("asymmetry_along", "asymmetry_across", "cells", "depth", "depth_width"),
)
"""The observables of one number a shower."""
LAYERED = ("depth", "depth_width")
"""Those that calorimeters of several layers have."""
COUNTS = ("cells",)
COMPUTED = (("response", ("energy",)), ("energy", ("response",)))
"""An observable, and those from which it is computed, for given incident particles."""
DEPTH = 250.0
"""In mm, from the face to where the talk's asymmetries are taken."""
_LN10 = 2.302585092994046


def total_energy(geometry: Geometry, showers: Showers) -> Array:
    """Energy in all cells, ``[...]`` GeV."""
    return jnp.sum(_energies(geometry, showers), axis=-1)


def response(geometry: Geometry, showers: Showers) -> Array:
    """Deposited over incident energy, ``[...]``."""
    showers = record(jnp, showers)
    return safe_divide(total_energy(geometry, showers), showers.energy)


def layer_energies(geometry: Geometry, showers: Showers) -> Array:
    """Energy in each of the L layers, ``[..., L]`` GeV."""
    return by_layer(geometry, _energies(geometry, showers))


def centre(geometry: Geometry, showers: Showers) -> Array:
    """Centre of energy on the face, ``[..., 2]`` (x, y) in mm."""
    energies = _energies(geometry, showers)
    return _mean(energies[..., None, :], _places(geometry, energies.dtype))


def layer_centres(geometry: Geometry, showers: Showers) -> Array:
    """Centre of energy of each layer, ``[..., L, 2]`` (x, y) in mm."""
    return _layer_moments(geometry, showers)[0]


def layer_widths(geometry: Geometry, showers: Showers) -> Array:
    """Width of each layer in x and in y, ``[..., L, 2]`` mm.

    For rings, x and y are the challenge's eta and phi. Cells count at their centres,
    and a ring that is not divided at 0.
    """
    return _layer_moments(geometry, showers)[1]


def widths(geometry: Geometry, showers: Showers) -> Array:
    """Widths along and across the particle's direction, ``[..., 2]`` mm.

    The second moments of all cells. (The talk's notebooks take those of the profile
    along one line, which is interpolated between cells.)
    """
    energies = _energies(geometry, showers)
    places = _turned(geometry, showers, energies.dtype)
    return _spread(energies[..., None, :], places)


def asymmetries(geometry: Geometry, showers: Showers, *, depth: float = DEPTH) -> Array:
    """Asymmetries along and across the particle's direction, ``[..., 2]``, -1 to 1.

    ``(E(+) - E(-)) / E`` of the cells beyond and before the point that the particle
    would reach, flying straight on, at a depth of ``depth`` mm; cells that lie on it
    exactly do not count in the difference.
    """
    showers = record(jnp, showers)
    energies = _energies(geometry, showers)
    places = _turned(geometry, showers, energies.dtype, origin=_reached(showers, depth))
    energies = energies[..., None, :]
    difference = jnp.sum(energies * jnp.sign(places), axis=-1)
    return safe_divide(difference, jnp.sum(energies, axis=-1))


def sparsity(geometry: Geometry, showers: Showers, thresholds: Array) -> Array:
    """Share of the cells above each of T shares of the shower's energy, ``[..., T]``.

    The talk's figure has the logarithm of the threshold from -5 to 0:
    ``thresholds=10.0 ** numpy.linspace(-5, 0, 50)``. Its gradient is zero.

    Args:
        geometry: of C cells.
        showers: ``[..., C]``.
        thresholds: ``[T]`` in units of the total energy.
    """
    energies, shares = floats(jnp, _energies(geometry, showers), thresholds)
    least = shares * jnp.sum(energies, axis=-1)[..., None]
    return jnp.mean(energies[..., None, :] > least[..., None], axis=-1)


def occupancy(geometry: Geometry, showers: Showers) -> Array:
    """Share of the cells above the geometry's threshold, ``[...]``."""
    return jnp.mean(_energies(geometry, showers) > geometry.threshold, axis=-1)


def num_cells(geometry: Geometry, showers: Showers) -> Array:
    """Number of cells above the geometry's threshold, ``[...]`` int32."""
    energies = _energies(geometry, showers)
    return jnp.sum(energies > geometry.threshold, axis=-1, dtype=jnp.int32)


def log_energies(geometry: Geometry, showers: Showers, *, floor: float = 1e-6) -> Array:
    """``log10(E / GeV)`` of each cell, ``[..., C]``; at the least that of ``floor``."""
    energies = _energies(geometry, showers)
    return safe_log(energies, floor=floor) / _LN10


def depth(geometry: Geometry, showers: Showers) -> Array:
    """Mean depth and its width, ``[..., 2]`` in layers: 0.5 is the middle of the first.

    Means of the layers' numbers, weighted by energy.
    """
    energies = layer_energies(geometry, showers)
    place = jnp.arange(geometry.num_layers, dtype=energies.dtype) + 0.5
    return jnp.stack([_mean(energies, place), _spread(energies, place)], axis=-1)


def scalars(geometry: Geometry, showers: Showers) -> dict[str, Array]:
    """All observables of one number a shower, by name, ``[...]`` each.

    ``energy`` in GeV, ``response``, ``x``, ``y``, ``width_along`` and ``width_across``
    in mm, ``asymmetry_along``, ``asymmetry_across``, ``cells``; of a calorimeter of
    several layers also ``depth`` and ``depth_width`` in layers.
    """
    showers = record(jnp, showers)
    place, width = centre(geometry, showers), widths(geometry, showers)
    asymmetry = asymmetries(geometry, showers)
    found = {
        "energy": total_energy(geometry, showers),
        "response": response(geometry, showers),
        "x": place[..., 0],
        "y": place[..., 1],
        "width_along": width[..., 0],
        "width_across": width[..., 1],
        "asymmetry_along": asymmetry[..., 0],
        "asymmetry_across": asymmetry[..., 1],
        "cells": num_cells(geometry, showers).astype(place.dtype),
    }
    if geometry.num_layers > 1:
        deep = depth(geometry, showers)
        found |= {"depth": deep[..., 0], "depth_width": deep[..., 1]}
    return found


def complaint(name: str) -> str | None:
    """Why a name is not of an observable with a gradient; None if it is."""
    names = tuple(known for known in SCALARS if known not in COUNTS)
    if name in names:
        return None
    if name in COUNTS:
        return "counts cells, which has no gradient: name another observable"
    return f"must be of {', '.join(names)}{did_you_mean(name, names)}"


def _energies(geometry: Geometry, showers: Showers) -> Array:
    energies = record(jnp, showers).energies
    if energies.shape[-1:] != (geometry.num_cells,):
        raise ValueError(
            f"energies {energies.shape} are not those of {geometry.name}, "
            f"{geometry.num_cells:,} cells"
        )
    return energies


def _places(geometry: Geometry, dtype) -> Array:
    """``[2, C]`` x and y."""
    return jnp.asarray([geometry.x, geometry.y], dtype)


def _turned(geometry: Geometry, showers: Showers, dtype, origin=None) -> Array:
    """Places along and across, ``[..., 2, C]`` mm, from ``origin [..., 2]``."""
    x, y = _places(geometry, dtype)
    if origin is not None:
        x, y = x - origin[..., :1], y - origin[..., 1:]
    direction = record(jnp, showers).direction
    if direction is None:
        return jnp.stack([x, y], axis=-2)
    flat = direction[..., :2]
    length = safe_norm(flat)[..., None]
    along_x = jnp.where(length > 0, safe_divide(flat[..., :1], length), 1.0)
    along_y = safe_divide(flat[..., 1:], length)
    along, across = x * along_x + y * along_y, y * along_x - x * along_y
    return jnp.stack([along, across], axis=-2)


def _reached(showers: Showers, depth: float) -> Array | None:
    """The point ``[..., 2]`` that a particle reaches at a depth; None for (0, 0)."""
    point, direction = showers.point, showers.direction
    if direction is None:
        return point
    moved = depth * safe_divide(direction[..., :2], direction[..., 2:])
    return moved if point is None else point + moved


def _layer_moments(geometry: Geometry, showers: Showers) -> tuple[Array, Array]:
    """Centres and widths of layers, ``[..., L, 2]`` both, in mm."""
    energies = _energies(geometry, showers)[..., None, :]
    places = _places(geometry, energies.dtype)
    centres, spread = layer_moments(geometry, energies, places)
    return jnp.swapaxes(centres, -1, -2), jnp.swapaxes(spread, -1, -2)


def layer_moments(
    geometry: Geometry, energies: Array, places: Array
) -> tuple[Array, Array]:
    """Mean and deviation of a coordinate in each layer, weighted by energy.

    Args:
        geometry: of C cells in L layers.
        energies: ``[..., C]``.
        places: ``[..., C]``.

    Returns:
        ``[..., L]`` both, zero where a layer has no energy.
    """
    energies, places = floats(jnp, energies, places)
    total = by_layer(geometry, energies)
    centres = safe_divide(by_layer(geometry, energies * places), total)
    moved = places - jnp.take(centres, geometry.layer, axis=-1)
    squares = by_layer(geometry, energies * jnp.square(moved))
    return centres, safe_sqrt(safe_divide(squares, total))


def by_layer(geometry: Geometry, values: Array) -> Array:
    """Sums of ``values [..., C]`` over the cells of each layer, ``[..., L]``."""
    (values,) = floats(jnp, values)
    if geometry.shape is not None:
        layers = values.reshape(*values.shape[:-1], geometry.num_layers, -1)
        return jnp.sum(layers, axis=-1)
    ends = geometry.starts
    parts = [values[..., a:b] for a, b in itertools.pairwise(ends)]
    return jnp.stack([jnp.sum(part, axis=-1) for part in parts], axis=-1)


def _mean(weights: Array, values: Array) -> Array:
    return safe_divide(jnp.sum(weights * values, axis=-1), jnp.sum(weights, axis=-1))


def _spread(weights: Array, values: Array) -> Array:
    moved = values - _mean(weights, values)[..., None]
    return safe_sqrt(_mean(weights, jnp.square(moved)))
