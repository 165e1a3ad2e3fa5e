"""One look for all figures: colours, ticks, and how a figure becomes bytes."""

import contextlib
import io
import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct under every common colour blindness. Line styles
# differ too, for print in grey.
INPUT: dict[str, Any] = {"color": "#333333", "linestyle": "-"}
KNOWN = {
    "input": INPUT,
    "reconstruction": {"color": "#0072B2", "linestyle": "-"},
    "reconstructed": {"color": "#0072B2", "linestyle": "-"},
    "prior": {"color": "#D55E00", "linestyle": "--"},
    "flow": {"color": "#009E73", "linestyle": "-."},
    # The models of Stevenson (Kruger 2022).
    "VAE": {"color": "#D55E00", "linestyle": "--"},
    "VAE+D": {"color": "#0072B2", "linestyle": "-"},
    "VAE+NF": {"color": "#009E73", "linestyle": "-."},
    "VAE+NF+D": {"color": "#CC79A7", "linestyle": "-"},
    "CVAE": {"color": "#E69F00", "linestyle": (0, (3, 1, 1, 1))},
    "CVAE+D": {"color": "#56B4E9", "linestyle": (0, (1.5, 1))},
}
PAIRED = ("reconstruction", "reconstructed")
"""Samples made from the input's own jets."""
_FURTHER = ("#CC79A7", "#56B4E9", "#E69F00", "#8C6D31", "#6A3D9A")
_DASHES = ((0, (6, 1.5)), (0, (3, 1, 1, 1)), (0, (1.5, 1)), (0, (8, 2, 2, 2)), "-")
BAND = "#cccccc"
"""The statistical error of the real sample: nothing within it is a difference."""
TRAINED = "in the training loss"
"""The badge of a statistic that the training enforced: no check of quality any more."""
_LONGEST = 26  # characters of a name in a figure

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
    further = (
        {"color": color, "linestyle": _DASHES[(i + turn) % len(_DASHES)]}
        for turn in itertools.count()
        for i, color in enumerate(_FURTHER)
    )
    return {name: KNOWN.get(name) or next(further) for name in names}


@contextlib.contextmanager
def look() -> Iterator[None]:
    """Within it figures have the package's look, with mplhep's ticks if installed."""
    import matplotlib

    settings: Any = {**_ticks(), **_SIZES}
    with matplotlib.rc_context(settings):
        yield


def _ticks() -> dict[str, Any]:
    """The ticks and label places of mplhep's CMS style, not its fonts and sizes.

    Nor its minor ticks: panels are small, and they would take half the time.
    """
    try:
        import mplhep
    except ImportError:
        return {}
    kept = ("direction", ".top", ".right", "visible", "labellocation")
    settings = {k: v for k, v in mplhep.style.CMS.items() if k.endswith(kept)}
    return {k: v for k, v in settings.items() if "minor.visible" not in k}


def new_figure(width: float, height: float) -> "Figure":
    """A figure that no global state knows of; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def legend_above(figure: "Figure", handles: list, labels: list[str]) -> None:
    """A legend in its own rows, where it cannot cover data."""
    labels = [plain(label) for label in labels]
    # A character is about 0.08 inches wide, a handle with its gaps 0.7.
    widest = 0.7 + 0.08 * max(map(len, labels), default=0)
    fitting = max(int(figure.get_figwidth() / widest), 1)
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=min(len(labels), fitting, 6),
        frameon=False,
    )


def plain(name: str) -> str:
    """A user's name as text for a figure: no formula, not too long, and shown.

    The middle of a long name goes: names of runs tend to differ at their ends.
    """
    name = " ".join(name.split())
    if len(name) > _LONGEST:
        half = (_LONGEST - 1) // 2
        name = f"{name[:half]}…{name[-half:]}"
    name = name.replace("$", r"\$")
    # matplotlib leaves labels out that begin with an underscore.
    return f" {name}" if name.startswith("_") else name


def badge(axis: "Axes") -> None:
    """Marks a panel whose statistic was part of the training loss."""
    axis.annotate(
        TRAINED,
        (1, 1),
        xytext=(0, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
        color="#7a4a00",
        bbox={
            "boxstyle": "round,pad=0.25",
            "fc": "#ffe9c2",
            "ec": "#d9a441",
            "lw": 0.6,
        },
    )


def png(figure: "Figure") -> bytes:
    """The figure as PNG, without the date and the version that drew it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    figure.set_dpi(120)
    # Figure.savefig gives the same bytes, but draws everything twice.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
