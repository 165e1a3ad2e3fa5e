"""Plots of a training: terms of the loss over the epochs, and latent variables."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.report import style
from jetvae_jax.report.page import Plot, slug

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 60
"""Latent variables in a figure, at most."""
_SPLITS: dict[str, dict[str, Any]] = {
    "train": {"color": "#0072B2", "linestyle": "-", "label": "training"},
    "valid": {"color": "#D55E00", "linestyle": "--", "label": "validation"},
}
UNITS: dict[str, str] = {
    "loss": "weighted sum",
    "reconstruction": "scaled units",
    "jet_pt": "GeV²",
    "jet_mass": "GeV²",
    "similarity": "output of D",
    **dict.fromkeys(("kl", "nll", "pt", "angles", "count", "disc_loss"), "nats"),
    **dict.fromkeys(
        ("disc_true", "disc_reconstructed", "disc_generated"), "probability"
    ),
}
"""Term of a loss to its unit, unless the training says otherwise."""
_TERMS = {
    "kl": "KL divergence",
    "nll": "-log p",
    "jet_pt": "jet pT, squared error",
    "jet_mass": "jet mass, squared error",
    "soft": "soft particles",
    "pt": "-log p of pT",
    "angles": "-log p of the angles",
    "count": "-log p of the number",
    "uniform": "distance from uniform",
    "disc_loss": "discriminator's loss",
    "disc_true": "D(real)",
    "disc_reconstructed": "D(reconstructed)",
    "disc_generated": "D(generated)",
}
_LOG_RATIO = 5.0  # a curve that changes by less is read better on a linear axis

History = Mapping[str, Sequence[Mapping[str, Any]]]
"""Name of a training to a dict per epoch with ``train/<term>`` and ``valid/<term>``."""


def curve_plots(
    history: History,
    unit: str,
    names: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> Iterator[Plot]:
    """A plot of the loss of each training that has logged any term.

    Args:
        history: the epochs of each training.
        unit: what the loss is a mean over: jet, image or event.
        names: name of a training to its text in the caption, where they differ.
        units: terms whose units differ from `UNITS`.
    """
    for name, epochs in history.items():
        if terms(epochs):
            yield Plot(
                f"curves_{slug(name)}",
                "Training",
                f"{(names or {}).get(name, name)}: terms of the loss, mean per {unit}.",
                lambda epochs=epochs: curves(epochs, units or {}),
            )


def curves(
    history: Sequence[Mapping[str, Any]], units: Mapping[str, str] = UNITS
) -> "Figure":
    """One panel per term of the loss.

    Args:
        history: a dict per epoch with ``train/<term>`` and ``valid/<term>``, and
            ``epoch`` if it is not simply counted from 1. Other keys are not drawn;
            values that are missing or not finite leave a gap.
        units: of terms, where they differ from `UNITS`.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    names = terms(history)
    figure, axes = style.panels(len(names), 3, (3.8, 2.6), margins=(0, 0.5))
    handles: dict[str, object] = {}
    for axis, name in zip(axes, names, strict=True):
        everything = []
        for split, line in _SPLITS.items():
            epochs, values = series(history, f"{split}/{name}")
            if values:
                marker = "o" if len(values) < 15 else None
                (handles[line["label"]],) = axis.plot(
                    epochs, values, marker=marker, markersize=3, **line
                )
                everything += values
        finite = [value for value in everything if math.isfinite(value)]
        if finite and min(finite) > 0 and max(finite) > _LOG_RATIO * min(finite):
            axis.set_yscale("log")
        axis.set_xlabel("epoch")
        unit = (UNITS | dict(units)).get(name)
        text = _TERMS.get(name, name.replace("_", " "))
        axis.set_ylabel(f"{text} [{unit}]" if unit else text)
        whole = MaxNLocator(
            nbins=6, integer=True, min_n_ticks=1
        )  # if it is a single one
        axis.xaxis.set_major_locator(whole)
        axis.xaxis.set_minor_locator(NullLocator())
    style.legend_above(figure, handles)
    return figure


def terms(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the terms, ``loss`` first, then in their order in the history.

    A loss that is a single term in every epoch, such as the ``nll`` of a flow, is left
    out: that term has its unit.
    """
    found: dict[str, None] = {}
    for row in history:
        for key in row:
            split, _, name = key.partition("/")
            if split in _SPLITS and name:
                found[name] = None
    names = sorted(found, key=lambda name: name != "loss")

    def is_loss(name: str) -> bool:
        pairs = [
            (row.get(f"{split}/{name}"), row.get(f"{split}/loss"))
            for row in history
            for split in _SPLITS
        ]
        # Both are summed by one program, perhaps in another order.
        return all(
            a == b
            or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-5))
            for a, b in pairs
        )

    return names[1:] if any(map(is_loss, names[1:])) else names


def series(
    history: Sequence[Mapping[str, Any]], key: str
) -> tuple[list[float], list[float]]:
    """Epochs and values of the rows that have the key."""
    points = [
        (float(row.get("epoch", i)), float(row[key]))
        for i, row in enumerate(history, start=1)
        if row.get(key) is not None
    ]
    return [x for x, _ in points], [y for _, y in points]


def latents(posterior: np.ndarray, flow: np.ndarray | None = None) -> "Figure":
    """Encoded data and samples of the flow, one panel per latent variable, and N(0, 1).

    Args:
        posterior: ``[J, L]`` samples of the posterior of real data.
        flow: ``[M, L]`` samples of the flow, or None.

    Returns:
        One panel per dimension; beyond 60, those that differ most from N(0, 1).
    """
    posterior = np.asarray(posterior)
    shown = _most_informative(posterior)
    figure, axes = style.panels(len(shown), 6, (1.95, 1.5), margins=(0.3, 0.7))
    handles: dict[str, object] = {}
    for axis, k in zip(axes, shown, strict=True):
        z = posterior[:, k]
        handles |= _latent_panel(axis, z, None if flow is None else flow[:, k])
        axis.set_title(
            f"$z_{{{k}}}$:  {z.mean() + 0.0:.2f} ± {z.std():.2f}", fontsize=8, pad=3
        )
    figure.supxlabel("latent variable", fontsize=10)
    figure.supylabel("density", fontsize=10)
    style.legend_above(figure, handles)
    return figure


def _latent_panel(axis: "Axes", z: np.ndarray, flow: np.ndarray | None) -> dict:
    limit = max(4.0, float(np.quantile(np.abs(z), 0.999)) * 1.1)
    edges = np.linspace(-limit, limit, 51)
    handles: dict[str, object] = {
        "posterior": axis.stairs(
            _density(z, edges), edges, fill=True, alpha=0.35, color="#0072B2"
        )
    }
    if flow is not None:
        line = style.KNOWN["flow"]
        handles["flow"] = axis.stairs(_density(flow, edges), edges, **line)
    grid = np.linspace(-limit, limit, 200)
    normal = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
    (handles["N(0, 1)"],) = axis.plot(grid, normal, "k--", linewidth=0.9)
    axis.set_xlim(-limit, limit)
    axis.set_ylim(bottom=0)
    axis.set_yticks([])
    axis.minorticks_off()
    axis.tick_params(labelsize=8)
    return handles


def _density(z: np.ndarray, edges: np.ndarray) -> np.ndarray:
    counts, _ = np.histogram(z, edges)
    return counts / (max(len(z), 1) * np.diff(edges))


def _most_informative(posterior: np.ndarray) -> np.ndarray:
    """Indices of the panels, increasing."""
    surprise = np.abs(posterior.mean(axis=0)) + np.abs(posterior.std(axis=0) - 1)
    return np.sort(np.argsort(-surprise, kind="stable")[:MAX_PANELS])
