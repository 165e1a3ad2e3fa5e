"""Principal components of a sample, and distances along them."""

from typing import NamedTuple

import numpy as np

from jetvae_jax.core.types import Array

SHARE = 0.9
"""Of the variance that the leading components hold."""


class Components(NamedTuple):
    """Principal components of latents.

    Attributes:
        mean: ``[L]``.
        axes: ``[L, L]``, a component a column, the widest first.
        std: ``[L]`` of the sample along them.
        leading: components that hold nine tenths of the variance.
    """

    mean: np.ndarray
    axes: np.ndarray
    std: np.ndarray
    leading: int


def components(z: Array) -> Components:
    """Of a sample ``[J, L]``, J > 1."""
    z = np.asarray(z, float)
    centre = z.mean(0)
    covariance = np.atleast_2d(np.cov(z, rowvar=False))
    values, axes = np.linalg.eigh(covariance)
    values, axes = np.maximum(values[::-1], 0.0), axes[:, ::-1]
    share = np.cumsum(values) / max(values.sum(), 1e-30)
    leading = int(np.searchsorted(share, SHARE) + 1)
    # A latent that the encoder does not use has no width to measure distances by.
    smallest = 1e-3 * np.sqrt(values[0]) + 1e-12
    std = np.maximum(np.sqrt(values), smallest)
    return Components(centre, axes, std, min(leading, len(values)))


def project(fitted: Components, z: Array) -> Array:
    """Components of ``z [..., L]``."""
    return (z - fitted.mean.astype(np.float32)) @ fitted.axes.astype(np.float32)
