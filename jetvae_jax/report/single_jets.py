"""A few jets as the eye sees them: points in the eta-phi plane, area as pt."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from jetvae_jax.core import kinematics
from jetvae_jax.core.types import Jets
from jetvae_jax.metrics.observables import relative
from jetvae_jax.report import style
from jetvae_jax.report.images import half_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4
AREA = 900.0  # of a particle with all the jet's pt, in square points


def figure(samples: Mapping[str, Jets]) -> "Figure":
    """The first jets of every sample, a row each.

    A reconstruction is drawn as rings over its own input, jet by jet, if both samples
    hold equally many jets; otherwise jets were dropped and the rows stand apart.

    Args:
        samples: name to jets, ``"input"`` among them.
    """
    size = len(samples["input"].mask)
    over = [n for n in style.PAIRED if n in samples and len(samples[n].mask) == size]
    rows = [name for name in samples if name not in over]
    side = half_width(samples["input"])
    columns = min(COLUMNS, *(len(jets.mask) for jets in samples.values()))
    drawn = style.new_figure(2.7 * columns + 0.4, 2.7 * len(rows) + 0.5)
    axes = drawn.subplots(len(rows), columns, squeeze=False, sharex=True, sharey=True)
    lines = style.lines(samples)
    handles: dict[str, object] = {}
    for row, name in enumerate(rows):
        rings = over if name == "input" else []
        for column in range(columns):
            axis = axes[row, column]
            handles[name] = _scatter(
                axis, samples[name], column, facecolor=lines[name]["color"], alpha=0.6
            )
            for ring in rings:
                handles[ring] = _scatter(
                    axis,
                    samples[ring],
                    column,
                    facecolor="none",
                    edgecolor=lines[ring]["color"],
                    linewidth=1.2,
                )
            axis.set_title(_caption(samples[name], column), fontsize=8.5, pad=3)
            axis.set_xlim(-side, side)
            axis.set_ylim(-side, side)
            axis.set_aspect("equal")
            axis.minorticks_off()
        axes[row, 0].set_ylabel(r"$\phi^\mathrm{rel}$ [rad]")
    for axis in axes[-1]:
        axis.set_xlabel(r"$\eta^\mathrm{rel}$")
    style.legend_above(drawn, list(handles.values()), list(handles))
    return drawn


def _scatter(axis, jets: Jets, i: int, **look):
    one = _one(jets, i)
    particles = np.asarray(relative(one).particles)[one.mask]
    return axis.scatter(
        particles[:, kinematics.ETA],
        particles[:, kinematics.PHI],
        s=AREA * particles[:, kinematics.PT],
        **look,
    )


def _caption(jets: Jets, i: int) -> str:
    one = _one(jets, i)
    pt = float(kinematics.jet_pt(one.particles, one.mask))
    mass = float(kinematics.jet_mass(one.particles, one.mask))
    return f"$p_T$ {pt:.0f} GeV, $m$ {mass:.0f} GeV, {int(one.mask.sum())} particles"


def _one(jets: Jets, i: int) -> Jets:
    return Jets(np.asarray(jets.particles[i]), np.asarray(jets.mask[i]))
