"""One look for all figures: colours, ticks, and how a figure becomes bytes."""

import contextlib
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct under every common colour blindness. Line styles
# differ too, for print in grey.
INPUT: dict[str, Any] = {"color": "#333333", "linestyle": "-"}
_KNOWN = {
    "input": INPUT,
    "reconstruction": {"color": "#0072B2", "linestyle": "-"},
    "reconstructed": {"color": "#0072B2", "linestyle": "-"},
    "prior": {"color": "#D55E00", "linestyle": "--"},
    "flow": {"color": "#009E73", "linestyle": "-."},
}
_FURTHER = ("#CC79A7", "#56B4E9", "#E69F00", "#8C6D31")

_SIZES = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "lines.linewidth": 1.3,
}


def lines(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour and line style of each sample, the same in every figure."""
    further = iter(_FURTHER * 10)
    return {
        name: _KNOWN.get(name) or {"color": next(further), "linestyle": ":"}
        for name in names
    }


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Within it figures have the package's look, with mplhep's ticks if installed."""
    import matplotlib

    settings: Any = {**_ticks(), **_SIZES}
    with matplotlib.rc_context(settings):
        yield


def _ticks() -> dict[str, Any]:
    """The ticks and label places of mplhep's CMS style, not its fonts and sizes."""
    try:
        import mplhep
    except ImportError:
        return {}
    kept = ("direction", ".top", ".right", "visible", "labellocation")
    return {k: v for k, v in mplhep.style.CMS.items() if k.endswith(kept)}


def new_figure(width: float, height: float) -> "Figure":
    """A figure that no global state knows of; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def legend_above(figure: "Figure", handles: list, labels: list[str]) -> None:
    """A legend in its own row, where it cannot cover data."""
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=min(len(labels), 5),
        frameon=False,
    )


def png(figure: "Figure") -> bytes:
    """The figure as PNG, without the date and the version that drew it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
