"""Average jet images in the eta-phi plane, and how they differ from the input's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.core import kinematics
from jetvae_jax.core.types import Jets
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.observables import relative
from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS = 100
_BLOCK = 100_000  # jets whose particles are in memory in float64 at once


def average_image(jets: Jets, *, half_width: float) -> np.ndarray:
    """Mean transverse momentum per jet in each pixel.

    Args:
        jets: particles ``[J, N, 3]`` in GeV, mask ``[J, N]``.
        half_width: the image covers ``[-half_width, half_width]`` around the jet's own
            axis in eta and in phi; particles beyond are left out.

    Returns:
        ``[100, 100]`` in GeV, rows along eta, columns along phi.
    """
    mask = np.asarray(jets.mask)
    total = np.zeros((PIXELS, PIXELS))
    for start in range(0, len(mask), _BLOCK):
        rows = slice(start, start + _BLOCK)
        total += _summed(Jets(jets.particles[rows], mask[rows]), half_width)
    return total / len(mask)


def _summed(jets: Jets, half_width: float) -> np.ndarray:
    """The image before it is divided by the number of jets."""
    mask = np.asarray(jets.mask)
    particles = map_chunks(relative, jets).particles[mask]
    momenta = np.asarray(jets.particles)[mask]
    image, *_ = np.histogram2d(
        particles[:, kinematics.ETA],
        particles[:, kinematics.PHI],
        bins=PIXELS,
        range=[[-half_width, half_width]] * 2,
        weights=np.hypot(momenta[:, 0], momenta[:, 1]),
    )
    return image


def half_width(jets: Jets) -> float:
    """Half the side, in tenths, of a window that holds 99.8 % of the particles.

    Of the first 100,000 jets.
    """
    some = Jets(jets.particles[:_BLOCK], jets.mask[:_BLOCK])
    particles = map_chunks(relative, some).particles[np.asarray(some.mask)]
    if not len(particles):
        return 0.4
    far = np.quantile(np.abs(particles[:, 1:]).max(axis=1), 0.998)
    return float(np.clip(np.ceil(10 * far) / 10, 0.1, 3.2))


def figure(samples: Mapping[str, Jets]) -> "Figure":
    """Average image of every sample, and its difference from the input's below.

    Args:
        samples: name to jets, ``"input"`` first among them.
    """
    from matplotlib.colors import LogNorm, SymLogNorm

    side = half_width(samples["input"])
    images = {n: average_image(jets, half_width=side) for n, jets in samples.items()}
    reference = images["input"]
    others = [image - reference for name, image in images.items() if name != "input"]
    brightest = max(image.max() for image in images.values()) or 1.0
    largest = max((np.abs(o).max() for o in others), default=0.0) or 1.0
    columns, rows = len(images), 1 + bool(others)
    drawn = style.new_figure(2.75 * columns + 1.2, 2.9 * rows + 0.2)
    axes = drawn.subplots(rows, columns, squeeze=False)
    extent = (-side, side, -side, side)
    upper: Any = None
    lower: Any = None
    for column, (name, image) in enumerate(images.items()):
        axes[0, column].set_title(style.plain(name))
        upper = axes[0, column].imshow(
            image.T,
            origin="lower",
            extent=extent,
            cmap="viridis",
            norm=LogNorm(brightest / 1e5, brightest, clip=True),
        )
        if rows == 1:
            continue
        if name == "input":
            axes[1, 0].set_axis_off()
            continue
        lower = axes[1, column].imshow(
            (image - reference).T,
            origin="lower",
            extent=extent,
            cmap="PuOr_r",
            norm=SymLogNorm(largest / 1e2, vmin=-largest, vmax=largest),
        )
        axes[1, column].set_title(f"{style.plain(name)} - input")
    drawn.colorbar(upper, ax=axes[0], label="mean $p_T$ per pixel [GeV]", pad=0.01)
    if lower is not None:
        ticks = largest * np.array([-1, -0.1, 0, 0.1, 1])
        drawn.colorbar(
            lower,
            ax=axes[1],
            label="difference [GeV]",
            pad=0.01,
            ticks=ticks,
            format="%.2g",
        ).minorticks_off()
    for axis in axes.flat:
        axis.set_xlabel(r"$\eta^\mathrm{rel}$")
        axis.tick_params(labelleft=False)
        axis.minorticks_off()
    for row, column in zip(axes, (0, 1), strict=False):
        row[column].set_ylabel(r"$\phi^\mathrm{rel}$ [rad]")
        row[column].tick_params(labelleft=True)
    return drawn
