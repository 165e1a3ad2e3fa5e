"""The arrays of the jetnet package: ``JetNet.getData`` and what its metrics take.

``particle_features [J, N, 4]`` = etarel, phirel, ptrel, mask, and ``jet_features
[J, 4]`` = pt [GeV], eta, mass [GeV], num_particles, in this order, zero on padding.
Nothing is imported: NumPy arrays are returned, which ``torch.from_numpy`` takes, and
tensors are read.
"""

from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data import formats
from jetvae_jax.data.formats import jetnet
from jetvae_jax.data.validation import Audit
from jetvae_jax.data.writing import jetnet_features
from jetvae_jax.interplay import _batches


def to_jetnet(jets: Jets) -> tuple[np.ndarray, np.ndarray]:
    """Jets as arrays of jetnet.

    Args:
        jets: particles ``[J, N, 3]`` in GeV. Relative features refer to the axis of the
            jets where they have one, as JetNet's do, else to the sum of the particles.

    Returns:
        ``(particle_features [J, N, 4], jet_features [J, 4])``, float32; a jet without
        particles is all zeros. The azimuth of the jets is not in them.

    Raises:
        InputError: the jets are not good.
    """
    p, mask, axis, _ = _batches.checked("to_jetnet", jets)
    rows, _ = jetnet_features(p, mask, p.shape[1], axis)
    return rows[jetnet.KEY], rows[jetnet.JETS]


def from_jetnet(
    particle_features: Any,
    jet_features: Any,
    phi: Any = None,
    labels: Any = None,
    num_particles: int | None = None,
    seed: int = 0,
) -> Jets:
    """Jets from arrays or tensors of jetnet.

    Args:
        particle_features: ``[J, M, 3 or 4]`` etarel, phirel, ptrel, mask. Without a
            mask particles of positive ptrel exist.
        jet_features: ``[J, 4]`` pt [GeV], eta, mass, num_particles, of which the first
            two are read; ``[J, 2]`` will do. ``getData`` puts the type before them.
        phi: ``[J]`` azimuth of the jets, or one for all. None: uniform in [-pi, pi),
            the same for the same jet and seed, as where files are read.
        labels: ``[J]`` int, the class.
        num_particles: N; the leading N by pt are kept, fewer are padded. None for as
            many as the largest jet has.
        seed: of phi.

    Returns:
        Jets whose axis is that of ``jet_features`` and phi.

    Raises:
        InputError: another shape, a negative ptrel, or the jets are not good.
    """
    p, jet = _array(particle_features), _array(jet_features)
    fits = p.ndim == 3 and p.shape[2] in (3, 4)
    if not fits or jet.shape not in [(len(p), columns) for columns in (2, 3, 4)]:
        raise InputError(
            f"from_jetnet: shapes are {p.shape} and {jet.shape}, expected (J, N, 4): "
            "etarel, phirel, ptrel, mask; and (J, 4): pt, eta, mass, num_particles, "
            "without a column of types: jet_features[:, 1:]"
        )
    audit, rows = Audit("from_jetnet", repair=False, flag=""), np.arange(len(p))
    formats.clear_padding(audit, p)
    if phi is None:
        phi = jetnet.azimuths(p, seed)
    phi = np.broadcast_to(np.asarray(phi, np.float64), len(p))
    block = jetnet.block_of(audit, rows, p, jet, phi, check_sum=False)
    return _batches.from_block(block, audit, num_particles, labels=labels)


def _array(values: Any) -> np.ndarray:
    """An array of its own, float32, also of a tensor of torch on any device."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.array(values, np.float32)
