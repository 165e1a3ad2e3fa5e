"""One style for all figures: colours, ticks, layout, and how a figure becomes a PNG."""

import contextlib
import functools
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
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
    # The models of Stevenson, Kruger 2022 (studies/zgamma).
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
"""Colour of the statistical error of the real sample."""
TRAINED = "in the training loss"
"""The badge of a statistic that was part of the training loss: no check of quality."""
_LONGEST = 26  # characters of a name in a figure

_RC: Any = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "lines.linewidth": 1.3,
    # Ticks and labels as CMS draws them.
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xaxis.labellocation": "right",
    "yaxis.labellocation": "top",
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
    """Within it matplotlib draws figures in the style of the reports."""
    import matplotlib

    with matplotlib.rc_context(_RC):
        yield


def new_figure(width: float, height: float) -> "Figure":
    """A figure outside of pyplot's list of open figures; sizes in inches.

    As the last value of a cell a notebook shows it, with pyplot imported or not.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    setattr(figure, "_repr_png_", functools.partial(png, figure))  # noqa: B010
    return figure


def panels(
    number: int,
    most_columns: int,
    size: tuple[float, float],
    *,
    margins: tuple[float, float],
    **options: Any,
) -> "tuple[Figure, list[Axes]]":
    """A figure with equal panels, row by row.

    Args:
        number: of the panels.
        most_columns: panels in a row, at most.
        size: width and height of a panel in inches.
        margins: what the figure needs beside its panels, in width and height.
        options: of ``Figure.subplots``, such as ``sharex``.

    Returns:
        The figure, and the panels. Axes left over in the last row are switched off.
    """
    columns = min(most_columns, number)
    rows = -(-number // columns)
    figure = new_figure(size[0] * columns + margins[0], size[1] * rows + margins[1])
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for axis in axes[number:]:
        axis.set_axis_off()
    return figure, axes[:number]


def legend_above(figure: "Figure", handles: "Mapping[str, Any] | Axes") -> None:
    """A legend in its own rows above the panels, where it cannot cover data.

    Args:
        figure: to draw it in.
        handles: label to what was drawn, or axes whose labels are taken.
    """
    if not isinstance(handles, Mapping):
        drawn, labels = handles.get_legend_handles_labels()
        handles = dict(zip(labels, drawn, strict=True))
    labels = [plain(label) for label in handles]
    # A character is about 0.08 inches wide, a handle with its gaps 0.7.
    widest = 0.7 + 0.08 * max(map(len, labels), default=0)
    fitting = max(int(figure.get_figwidth() / widest), 1)
    figure.legend(
        list(handles.values()),
        labels,
        loc="outside upper center",
        ncols=min(len(labels), fitting, 6),
        frameon=False,
    )


def plain(name: str) -> str:
    """A name given by a user as text in a figure: not a formula, and not too long.

    A long name is cut in the middle: names of runs tend to differ at their ends.
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
