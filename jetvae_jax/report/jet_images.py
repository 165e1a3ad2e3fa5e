"""Jets in the eta-phi plane: average images of many, and single jets as points."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.core import kinematics
from jetvae_jax.core.types import Jets, RelativeJets
from jetvae_jax.core.words import counted, number
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.observables import relative_mass
from jetvae_jax.observables.jets import relative
from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS = 100
COLUMNS = 4
"""Single jets of each sample."""
AREA = 900.0
"""Of a particle with all the jet's pt, in square points."""
_BLOCK = 100_000  # jets whose particles are in memory in float64 at once
_ETA, _PHI = "relative η", "relative φ [rad]"


def average_image(jets: Jets | RelativeJets, *, half_width: float) -> np.ndarray:
    """Mean transverse momentum per jet in each pixel.

    Args:
        jets: particles ``[J, N, 3]`` in GeV, mask ``[J, N]``; or relative jets.
        half_width: the image covers ``[-half_width, half_width]`` around the jet's own
            axis in eta and in phi; particles beyond are left out.

    Returns:
        ``[100, 100]`` in GeV, of relative jets in units of the jet's pt; rows along
        eta, columns along phi.
    """
    mask = np.asarray(jets.mask)
    total = np.zeros((PIXELS, PIXELS))
    for start in range(0, len(mask), _BLOCK):
        rows = slice(start, start + _BLOCK)
        total += _summed(type(jets)(jets.particles[rows], mask[rows]), half_width)
    return total / len(mask)


def _relative(jets: Jets | RelativeJets) -> RelativeJets:
    """About their own axes, if not relative already."""
    return jets if isinstance(jets, RelativeJets) else map_chunks(relative, jets)


def _summed(jets: Jets | RelativeJets, half_width: float) -> np.ndarray:
    """The image before it is divided by the number of jets."""
    mask = np.asarray(jets.mask)
    particles = np.asarray(_relative(jets).particles)[mask]
    if isinstance(jets, RelativeJets):
        weights = particles[:, kinematics.PT]
    else:
        momenta = np.asarray(jets.particles)[mask]
        weights = np.hypot(momenta[:, 0], momenta[:, 1])
    image, *_ = np.histogram2d(
        particles[:, kinematics.ETA],
        particles[:, kinematics.PHI],
        bins=PIXELS,
        range=[[-half_width, half_width]] * 2,
        weights=weights,
    )
    return image


def half_width(jets: Jets | RelativeJets) -> float:
    """Half the side, in tenths, of a window that holds 99.8 % of the particles.

    Of the first 100,000 jets.
    """
    some = type(jets)(jets.particles[:_BLOCK], jets.mask[:_BLOCK])
    particles = np.asarray(_relative(some).particles)[np.asarray(some.mask)]
    if not len(particles):
        return 0.4
    far = np.quantile(np.abs(particles[:, 1:]).max(axis=1), 0.998)
    return float(np.clip(np.ceil(10 * far) / 10, 0.1, 3.2))


def average(samples: Mapping[str, Jets | RelativeJets]) -> "Figure":
    """Average image of every sample, and its difference from the input's below.

    Args:
        samples: name to jets, ``"input"`` first among them.
    """
    side = half_width(samples["input"])
    images = {n: average_image(jets, half_width=side) for n, jets in samples.items()}
    others = {n: i - images["input"] for n, i in images.items() if n != "input"}
    columns, rows = len(images), 1 + bool(others)
    figure = style.new_figure(2.75 * columns + 1.2, 2.9 * rows + 0.2)
    axes = figure.subplots(rows, columns, squeeze=False)
    extent = (-side, side, -side, side)
    unit = "GeV"
    if isinstance(samples["input"], RelativeJets):
        unit = "$p_T$ of the jet"
    _draw_images(axes[0], images, extent, unit)
    if others:
        _draw_differences(axes[1], others, extent, unit)
    for axis in axes.flat:
        axis.set_xlabel(_ETA)
        axis.tick_params(labelleft=False)
        axis.minorticks_off()
    for row, column in zip(axes, (0, 1), strict=False):
        row[column].set_ylabel(_PHI)
        row[column].tick_params(labelleft=True)
    return figure


def _draw_images(axes, images: Mapping[str, np.ndarray], extent, unit: str) -> None:
    from matplotlib.colors import LogNorm

    brightest = max(image.max() for image in images.values()) or 1.0
    norm = LogNorm(brightest / 1e5, brightest, clip=True)
    drawn: Any = None
    for axis, (name, image) in zip(axes, images.items(), strict=True):
        drawn = axis.imshow(
            image.T, origin="lower", extent=extent, cmap="viridis", norm=norm
        )
        axis.set_title(style.plain(name))
    axes[0].figure.colorbar(
        drawn, ax=axes, label=f"mean $p_T$ per pixel [{unit}]", pad=0.01
    )


def _draw_differences(
    axes, differences: Mapping[str, np.ndarray], extent, unit: str
) -> None:
    """Draws into all axes but the first, which are those of the input."""
    from matplotlib.colors import SymLogNorm

    largest = max(np.abs(image).max() for image in differences.values()) or 1.0
    largest = _round_above(float(largest))
    norm = SymLogNorm(largest / 1e2, vmin=-largest, vmax=largest)
    drawn: Any = None
    axes[0].set_axis_off()
    for axis, (name, image) in zip(axes[1:], differences.items(), strict=True):
        drawn = axis.imshow(
            image.T, origin="lower", extent=extent, cmap="PuOr_r", norm=norm
        )
        axis.set_title(f"{style.plain(name)} - input")
    ticks = largest * np.array([-1, -0.1, 0, 0.1, 1])
    axes[0].figure.colorbar(
        drawn, ax=axes, label=f"difference [{unit}]", pad=0.01, ticks=ticks,
        format=lambda value, _: number(value),
    ).minorticks_off()  # fmt: skip


def _round_above(value: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return next(float(n * power) for n in (1, 2, 5, 10) if n * power >= value)


def single(samples: Mapping[str, Jets | RelativeJets]) -> "Figure":
    """The first jets of every sample, a row each, the area of a particle as its pt.

    A reconstruction is drawn as rings over its own input, jet by jet, if both samples
    hold equally many jets; otherwise jets were dropped and each has its own row.

    Args:
        samples: name to jets, ``"input"`` among them.
    """
    size = len(samples["input"].mask)
    over = [n for n in style.PAIRED if n in samples and len(samples[n].mask) == size]
    rows = [name for name in samples if name not in over]
    side = half_width(samples["input"])
    columns = min(COLUMNS, *(len(jets.mask) for jets in samples.values()))
    figure = style.new_figure(2.7 * columns + 0.4, 2.7 * len(rows) + 0.5)
    axes = figure.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    lines = style.lines(samples)
    handles: dict[str, object] = {}
    for row, name in zip(axes, rows, strict=True):
        for i, axis in enumerate(row):
            fill = {"facecolor": lines[name]["color"], "alpha": 0.6}
            handles[name] = _scatter(axis, samples[name], i, **fill)
            for ring in over if name == "input" else []:
                edge = {"edgecolor": lines[ring]["color"], "linewidth": 1.2}
                handles[ring] = _scatter(
                    axis, samples[ring], i, facecolor="none", **edge
                )
            axis.set_title(_caption(samples[name], i), fontsize=8.5, pad=3)
            axis.set_xlim(-side, side)
            axis.set_ylim(-side, side)
            axis.set_aspect("equal")
            axis.minorticks_off()
        row[0].set_ylabel(_PHI)
    for axis in axes[-1]:
        axis.set_xlabel(_ETA)
    style.legend_above(figure, handles)
    return figure


def _scatter(axis: "Axes", jets: Jets | RelativeJets, i: int, **look):
    one = _one(jets, i)
    found = one if isinstance(one, RelativeJets) else relative(one)
    particles = np.asarray(found.particles)[np.asarray(one.mask)]
    return axis.scatter(
        particles[:, kinematics.ETA],
        particles[:, kinematics.PHI],
        s=AREA * particles[:, kinematics.PT],
        **look,
    )


def _caption(jets: Jets | RelativeJets, i: int) -> str:
    one = _one(jets, i)
    count = counted(int(one.mask.sum()), "particle")
    if isinstance(one, RelativeJets):
        mass = float(relative_mass(one))
        return f"$m / p_T$ {mass:.3f}, {count}"
    pt = float(kinematics.jet_pt(one.particles, one.mask))
    mass = float(kinematics.jet_mass(one.particles, one.mask))
    return f"$p_T$ {pt:.0f} GeV, $m$ {mass:.0f} GeV, {count}"


def _one(jets: Jets | RelativeJets, i: int) -> Jets | RelativeJets:
    return type(jets)(np.asarray(jets.particles[i]), np.asarray(jets.mask[i]))
