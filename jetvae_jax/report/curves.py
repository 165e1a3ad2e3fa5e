"""How each term of a loss went down, for training and for validation jets."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SPLITS = {
    "train": {"color": "#0072B2", "linestyle": "-"},
    "valid": {"color": "#D55E00", "linestyle": "--"},
}
_UNITS = {"kl": "nats", "nll": "nats"}
_LOG_RATIO = 5.0  # a curve that changes by less is read better on a linear axis


def figure(history: Sequence[Mapping[str, Any]]) -> "Figure":
    """One panel per term.

    Args:
        history: a dict per epoch with ``train/<term>`` and ``valid/<term>``, and
            ``epoch`` if it is not simply counted from 1. Other keys are not drawn;
            values that are missing or not finite leave a gap.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    names = terms(history)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    drawn = style.new_figure(3.8 * columns, 2.6 * rows + 0.5)
    axes = drawn.subplots(rows, columns, squeeze=False)
    handles: dict[str, object] = {}
    for axis, name in zip(axes.flat, names, strict=False):
        everything = []
        for split, line in _SPLITS.items():
            epochs, values = series(history, f"{split}/{name}")
            if values:
                marker = "o" if len(values) < 15 else None
                (handles[split],) = axis.plot(
                    epochs, values, marker=marker, markersize=3, **line
                )
                everything += values
        finite = [value for value in everything if math.isfinite(value)]
        if finite and min(finite) > 0 and max(finite) > _LOG_RATIO * min(finite):
            axis.set_yscale("log")
        axis.set_xlabel("epoch")
        unit = _UNITS.get(name)
        axis.set_ylabel(f"{name} [{unit}]" if unit else name)
        axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axis.xaxis.set_minor_locator(NullLocator())
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    style.legend_above(drawn, list(handles.values()), list(handles))
    return drawn


def terms(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the terms, ``loss`` first, then as they come."""
    found: dict[str, None] = {}
    for row in history:
        for key in row:
            split, _, name = key.partition("/")
            if split in _SPLITS and name:
                found[name] = None
    return sorted(found, key=lambda name: name != "loss")


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
