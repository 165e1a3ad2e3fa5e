"""Latent variables, one panel each, against the unit Gaussian."""

from typing import TYPE_CHECKING

import numpy as np

from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_PANELS = 60


def figure(posterior: np.ndarray, flow: np.ndarray | None = None) -> "Figure":
    """Encoded jets, what the flow makes of noise, and N(0, 1).

    Args:
        posterior: ``[J, L]`` samples of the posterior of real jets.
        flow: ``[M, L]`` samples of the flow, or None.

    Returns:
        One panel per dimension; beyond 60, those that differ most from N(0, 1).
    """
    posterior = np.asarray(posterior)
    shown = _most_informative(posterior)
    columns = min(6, len(shown))
    rows = -(-len(shown) // columns)
    drawn = style.new_figure(1.95 * columns + 0.3, 1.5 * rows + 0.7)
    axes = drawn.subplots(rows, columns, squeeze=False)
    lines = style.lines(["reconstruction", "flow"])
    handles: dict[str, object] = {}
    for axis, k in zip(axes.flat, shown, strict=False):
        z = posterior[:, k]
        limit = max(4.0, float(np.quantile(np.abs(z), 0.999)) * 1.1)
        edges = np.linspace(-limit, limit, 51)
        handles["posterior"] = axis.stairs(
            _density(z, edges), edges, fill=True, alpha=0.35, color="#0072B2"
        )
        if flow is not None:
            handles["flow"] = axis.stairs(
                _density(np.asarray(flow)[:, k], edges), edges, **lines["flow"]
            )
        grid = np.linspace(-limit, limit, 200)
        normal = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
        (handles["N(0, 1)"],) = axis.plot(grid, normal, "k--", linewidth=0.9)
        axis.set_title(
            f"$z_{{{k}}}$:  {z.mean():+.2f} ± {z.std():.2f}", fontsize=8, pad=3
        )
        axis.set_xlim(-limit, limit)
        axis.set_ylim(bottom=0)
        axis.set_yticks([])
        axis.minorticks_off()
        axis.tick_params(labelsize=8)
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    drawn.supxlabel("latent variable", fontsize=10)
    drawn.supylabel("density", fontsize=10)
    style.legend_above(drawn, list(handles.values()), list(handles))
    return drawn


def _density(z: np.ndarray, edges: np.ndarray) -> np.ndarray:
    counts, _ = np.histogram(z, edges)
    return counts / (max(len(z), 1) * np.diff(edges))


def _most_informative(posterior: np.ndarray) -> np.ndarray:
    """Indices of the panels, increasing."""
    surprise = np.abs(posterior.mean(axis=0)) + np.abs(posterior.std(axis=0) - 1)
    return np.sort(np.argsort(-surprise, kind="stable")[:MAX_PANELS])
