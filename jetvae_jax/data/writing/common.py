"""What all writers do: check and order jets, sum them, say what failed."""

import contextlib
from collections.abc import Iterator

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets


def ordered(jets: Jets, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Momenta (float64, zero on padding) and mask, particles in descending pt.

    Args:
        jets: particles ``[J, M, 3]`` in GeV, mask ``[J, M]``.
        width: particles that fit in a row of the file.

    Raises:
        ValueError: wrong shapes, more particles than fit, or an existing particle
            without finite momentum and positive pt.
    """
    p = np.asarray(jets.particles, np.float64)
    mask = np.asarray(jets.mask, bool)
    if p.ndim != 3 or p.shape[2] != 3 or mask.shape != p.shape[:2]:
        raise ValueError(
            f"expected particles [J, N, 3] and mask [J, N], got {p.shape} and "
            f"{mask.shape}"
        )
    if p.shape[1] > width:
        raise ValueError(
            f"jets of {p.shape[1]} particles do not fit in a file of {width}"
        )
    p = np.where(mask[..., None], p, 0.0)
    pt = np.hypot(p[..., 0], p[..., 1])
    bad = mask & ~((pt > 0) & np.isfinite(p).all(axis=-1))
    if bad.any():
        jet, particle = np.argwhere(bad)[0]
        raise ValueError(
            f"jet {jet}, particle {particle}: momentum {p[jet, particle].tolist()} has "
            "no finite positive pt"
        )
    order = np.argsort(-pt, axis=1, kind="stable")
    return (
        np.take_along_axis(p, order[..., None], axis=1),
        np.take_along_axis(mask, order, axis=1),
    )


def pt_eta_phi(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """pt, eta, phi of momenta ``[..., 3]``; zeros for a vector of zero pt."""
    pt = np.hypot(p[..., 0], p[..., 1])
    exists = pt > 0
    eta = np.arcsinh(np.where(exists, p[..., 2], 0.0) / np.where(exists, pt, 1.0))
    phi = np.where(exists, np.arctan2(p[..., 1], p[..., 0]), 0.0)
    return pt, eta, phi


def mass(energy: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Mass ``[J]`` of the energy ``[J]`` and the momentum ``[J, 3]``, in float64."""
    momentum = np.linalg.norm(total, axis=-1)
    return np.sqrt(np.maximum((energy - momentum) * (energy + momentum), 0.0))


@contextlib.contextmanager
def reported(path: str, *failures: type[Exception]) -> Iterator[None]:
    """Turns failures of the disk inside the block into one InputError line."""
    try:
        yield
    except failures as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be written ({reason}); check the folder, its "
            "permissions and the free space"
        ) from error
