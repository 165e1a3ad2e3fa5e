"""The page of the study: a matrix of what changed, and its numbers."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.core.words import counted
from jetvae_jax.metrics.labels import label
from jetvae_jax.report import about, page, style, tables
from jetvae_jax.report.page import Cell, Heading, Items, Paragraph, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {
    "w1": "Wasserstein-1 distance, in deviations of the validation jets",
    "ks": "Kolmogorov-Smirnov distance",
}
NOTE = (
    "Without: mean over the trainings with the deviation of one of them. With: the "
    "mean, and in brackets the mean difference of trainings of the same seed with its "
    "standard error; better or worse, where it exceeds two errors. The floor is the "
    "distance of as many training jets."
)
_LARGEST = 2.0  # factor of two each way: the ends of the colours


def write(
    path: str | os.PathLike, result: Mapping[str, Any], notes: Sequence[str]
) -> pathlib.Path:
    """Writes the page, and its figure as PNG beside it.

    Args:
        path: the HTML file; its folder must exist.
        result: what the study writes as JSON.
        notes: of the data.

    Raises:
        InputError: a file cannot be written.
    """
    seeds = result["seeds"]
    blocks = [
        about.table(
            seed=", ".join(map(str, seeds)),
            training=f"{result['training_jets']:,} jets",
        ),
        Paragraph(result["verdict"], "strong"),
        Items([
            f"{result['validation_jets']:,} validation jets, "
            f"{counted(len(seeds), 'training')} of each, latents: "
            f"{result['latents']}.",
            *notes,
        ]),
        Plot(
            "enforce", "The price",
            "W1 with the observable of the row in the loss over W1 without it: blue "
            "is better, red is worse. A dot: the difference exceeds two standard "
            "errors over the seeds. Framed: in the loss, or computed from what is, and "
            "no check of that model any more.",
            lambda: matrix(result),
        ),
        Paragraph(NOTE, "note"),
    ]  # fmt: skip
    for kind, title in TITLES.items():
        blocks += [Heading(title), table(result, kind)]
    return page.write(path, "Observables in the loss", blocks)


def table(result: Mapping[str, Any], kind: str) -> page.Table:
    """A row for each observable that is compared, a column for each in the loss."""
    changes, floor = result["changes"][kind], result["floor"][kind]
    without = result["distances"]["none"]
    rows = []
    for observable in floor:
        values = [one[kind][observable] for one in without]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        cells: list[str | Cell] = [
            label(observable),
            tables.with_error(**floor[observable]),
            tables.with_error(float(np.mean(values)), spread),
        ]
        for name, row in changes.items():
            held = observable in result["no_check"][name]
            cells.append(_cell(row[observable], held))
        rows.append(cells)
    head = ["", tables.FLOOR, "without", *(f"with {label(n)}" for n in changes)]
    return page.table(head, rows, style="compact")


def _cell(one: Mapping[str, Any], held: bool) -> Cell:
    gap, error = one["difference"], one["error"]
    text = f"{one['after']:.4f} ({round(gap, 4) + 0.0:+.4f}"  # no minus zero
    text += f" ± {error:.4f})" if np.isfinite(error) else ")"
    if one["sure"]:
        text += " better" if gap < 0 else " worse"
    return Cell(text, style.TRAINED if held else "", "trained")


def matrix(result: Mapping[str, Any]) -> "Figure":
    """Rows: what is in the loss; columns: what is compared; colours: the ratio."""
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    changes = result["changes"]["w1"]
    names, observables = list(changes), list(result["floor"]["w1"])
    after, before = (
        np.array([[changes[n][o][when] for o in observables] for n in names])
        for when in ("after", "before")
    )
    ratio = np.divide(after, before, out=np.ones_like(after), where=before > 0)
    ratio = np.maximum(ratio, 1e-3)
    figure = style.new_figure(0.85 * len(observables) + 2.6, 0.5 * len(names) + 2.2)
    axis = figure.subplots()
    end = np.log2(_LARGEST)
    image = axis.imshow(
        np.log2(ratio), cmap="RdBu_r", norm=Normalize(-end, end), aspect="auto"
    )
    for i, name in enumerate(names):
        for j, observable in enumerate(observables):
            dark = abs(np.log2(ratio[i, j])) > 0.7 * end
            dot = " •" if changes[name][observable]["sure"] else ""
            axis.text(
                j, i, f"{ratio[i, j]:.2f}{dot}", ha="center", va="center", fontsize=9,
                color="white" if dark else "black",
            )  # fmt: skip
            if observable in result["no_check"][name]:
                axis.add_patch(
                    Rectangle(
                        (j - 0.47, i - 0.45), 0.94, 0.9, fill=False,
                        edgecolor="#d9a441", linewidth=2.5,
                    )
                )  # fmt: skip
    axis.set_xticks(range(len(observables)), map(label, observables), rotation=40,
                    ha="right")  # fmt: skip
    axis.set_yticks(range(len(names)), map(label, names))
    axis.tick_params(top=False, right=False, length=0)
    axis.set_ylabel("in the loss")
    axis.set_xlabel("compared")
    bar = figure.colorbar(image, ax=axis, extend="both")
    ticks = [0.5, 0.7, 1, 1.4, 2]
    bar.set_ticks(np.log2(ticks).tolist(), labels=[f"{t:g}" for t in ticks])
    bar.set_label("W1 with / without")
    return figure
