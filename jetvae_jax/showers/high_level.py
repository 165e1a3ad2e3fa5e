r"""High-level features of showers, as the CaloChallenge defines them.

For its classifiers, FPD and KPD (arXiv:2410.21611 and the challenge's own evaluation):
of each layer the energy, the share of empty voxels, and the centre and width of the
radius; of each layer that is divided in angle also the centres and widths in eta and
phi, which are x and y here. They are defined for any calorimeter. Voxels that are not
above the threshold are to be set to zero first, see :func:`above_threshold`.
"""

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.types import Array, Showers
from jetvae_jax.showers import observables
from jetvae_jax.showers.geometry import MEV, Geometry

_LEAST = 1e-8  # MeV, added before logarithms
_LENGTH = 100.0  # mm
_LN10 = float(np.log(10))


def above_threshold(geometry: Geometry, showers: Showers) -> Showers:
    """The showers with cells at or below the geometry's threshold set to zero."""
    showers = record(jnp, showers)
    kept = showers.energies > geometry.threshold
    return showers._replace(energies=jnp.where(kept, showers.energies, 0.0))


def features(geometry: Geometry, showers: Showers) -> dict[str, Array]:
    """The features by name, in GeV and mm.

    Args:
        geometry: of C cells in L layers, of which D are divided in angle.
        showers: ``[..., C]``.

    Returns:
        ``energy``, ``sparsity`` (share of cells without energy), ``radius``,
        ``radius_width`` ``[..., L]``; ``eta``, ``phi``, ``eta_width``, ``phi_width``
        ``[..., D]``, not there where D = 0; zero where a layer has no energy.
    """
    energies = record(jnp, showers).energies
    count = np.diff(geometry.starts)
    filled = observables.by_layer(geometry, (energies > 0).astype(energies.dtype))
    radius = jnp.asarray(geometry.radius, energies.dtype)
    radius, radius_width = observables.layer_moments(geometry, energies, radius)
    found = {
        "energy": observables.layer_energies(geometry, showers),
        "sparsity": 1 - filled / jnp.asarray(count, energies.dtype),
        "radius": radius,
        "radius_width": radius_width,
    }
    if geometry.divided:
        layers = np.array(geometry.divided)
        centre = observables.layer_centres(geometry, showers)[..., layers, :]
        width = observables.layer_widths(geometry, showers)[..., layers, :]
        found |= {"eta": centre[..., 0], "phi": centre[..., 1]}
        found |= {"eta_width": width[..., 0], "phi_width": width[..., 1]}
    return found


def inputs(geometry: Geometry, showers: Showers) -> Array:
    """The features as one vector, the input of the challenge's classifier, FPD and KPD.

    In its order and units: ``log10`` of the incident energy and of those of the layers
    in MeV; centres in eta and phi, widths in eta and phi, in 100 mm; ``log10`` of the
    energy; sparsities; centres and widths of the radius in 100 mm.

    Returns:
        ``[..., 2 + 4 L + 4 D]``.
    """
    found = features(geometry, showers)
    places = ("eta", "phi", "eta_width", "phi_width")
    parts = [
        _log10(record(jnp, showers).energy / MEV)[..., None],
        _log10(found["energy"] / MEV + _LEAST),
        *(found[name] / _LENGTH for name in places if name in found),
        _log10(jnp.sum(found["energy"], axis=-1) / MEV + _LEAST)[..., None],
        found["sparsity"],
        *(found[name] / _LENGTH for name in ("radius", "radius_width")),
    ]
    return jnp.concatenate(parts, axis=-1)


def low_level(showers: Showers) -> Array:
    """The input of the challenge's classifier of voxels, ``[..., 1 + C]``.

    ``log10`` of the incident energy in MeV, and the voxels over the incident energy.
    """
    showers = record(jnp, showers)
    energy = showers.energy[..., None]
    return jnp.concatenate([_log10(energy / MEV), showers.energies / energy], axis=-1)


def _log10(values: Array) -> Array:
    return jnp.log(values) / _LN10
