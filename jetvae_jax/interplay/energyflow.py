"""EnergyFlow's arrays: ``[J, N, 4]`` (pt [GeV], rapidity, phi, PDG id).

Padding is all zeros. Nothing is imported: energyflow needs numpy 1, and is used in an
environment of its own; ``np.save`` is the way there.
"""

from typing import Any

import numpy as np

from jetvae_jax.core import momenta
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data import formats
from jetvae_jax.data.formats.energyflow import momenta as from_features
from jetvae_jax.data.validation import Audit, Block
from jetvae_jax.interplay import _batches


def to_energyflow(jets: Jets) -> np.ndarray:
    """Jets as an array of EnergyFlow.

    Args:
        jets: particles ``[J, N, 3]`` in GeV; massless, so that rapidity is
            pseudorapidity.

    Returns:
        ``[J, N, 4]`` float64 (pt, rapidity, phi, id), in descending pt; phi in
        [-pi, pi]. The id is 0, whose mass EnergyFlow takes as 0, as it does a fourth
        column of masses.

    Raises:
        InputError: the jets are not good.
    """
    p, *_ = _batches.checked("to_energyflow", jets)
    pt, eta, phi = momenta.pt_eta_phi(p)
    return np.stack([pt, eta, phi, np.zeros_like(pt)], axis=-1)


def from_energyflow(
    x: Any, labels: Any = None, num_particles: int | None = None
) -> Jets:
    """Jets from an array of EnergyFlow.

    Args:
        x: ``[J, M, 3 or 4]`` (pt [GeV], rapidity, phi, PDG id); padding by zeros, NaN
            or -999. The longitudinal momentum is that of the mass of the id; unknown
            ids are massless.
        labels: ``[J]`` int, such as its ``y``.
        num_particles: N; the leading N by pt are kept, fewer are padded. None for as
            many as the largest jet has.

    Raises:
        InputError: another shape, a negative pt, or the jets are not good.
    """
    x = np.array(x, np.float64)
    if x.ndim != 3 or x.shape[2] not in (3, 4):
        raise InputError(
            f"from_energyflow: shape is {x.shape}, expected (any, any, 4): pt, "
            "rapidity, phi, id"
        )
    audit, rows = Audit("from_energyflow", repair=False, flag=""), np.arange(len(x))
    formats.clear_padding(audit, x[..., :3])
    p, pt, mask = from_features(x)
    keep = np.ones(len(x), bool)
    keep = audit.flag("particles", "negative pt", np.any(pt < 0, axis=1), rows, keep)
    block = Block(rows, p, mask, pt, keep)
    return _batches.from_block(block, audit, num_particles, labels=labels)
