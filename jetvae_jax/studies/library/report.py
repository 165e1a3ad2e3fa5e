"""The page of a study of libraries."""

import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.report import about, page, style
from jetvae_jax.report.page import Paragraph, Plot
from jetvae_jax.studies.sample_limits.report import (
    NOTE,
    in_words,
    restored,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write(path: str | os.PathLike, result: Mapping[str, Any]) -> pathlib.Path:
    """Writes the page, and its figure as PNG beside it.

    Args:
        path: the HTML file; its folder must exist.
        result: what `study.study` writes as JSON.

    Raises:
        InputError: a file cannot be written.
    """
    rows, names = result["rows"], list(result["rows"][0]["worth"])
    cells = [
        [f"{row['events']:,}", str(row["k"]), f"{100 * row['different']:.1f} %",
         *(in_words(restored(row["worth"][name])) for name in names)]
        for row in rows
    ]  # fmt: skip
    blocks = (
        about.table(
            seed=result["settings"]["seed"],
            training=f"{result['num_train']:,} jets; {result['num_test']:,} test jets",
        ),
        Paragraph(result["verdict"], "strong"),
        Paragraph(NOTE, "note"),
        Plot(
            "library", "Size of the library and number of neighbours",
            "True jets that generated ones are worth, with the central 68 %. The line "
            "is the size of the library. Arrows: no upper limit.",
            lambda: curves(rows),
        ),
        page.table(
            ["jets in the library", "k", "different leading particles", *names], cells
        ),
    )  # fmt: skip
    return page.write(path, "The library method", blocks)


def curves(rows: list[Mapping[str, Any]]) -> "Figure":
    """A panel for each observable: equivalent numbers against sizes, for each k."""
    names = list(rows[0]["worth"])
    figure, axes = style.panels(
        len(names), 3, (3.6, 3.0), margins=(0.4, 0.5), sharey=True
    )
    ks = sorted({row["k"] for row in rows})
    every = sorted({row["events"] for row in rows})
    looks = style.lines(f"k = {k}" for k in ks)
    for axis, name in zip(axes, names, strict=True):
        for i, k in enumerate(ks):
            own = [row for row in rows if row["k"] == k]
            found = [restored(row["worth"][name]) for row in own]
            # Beside each other, where they would cover each other.
            sizes = np.array([row["events"] for row in own]) * 1.06 ** (i - len(ks) / 2)
            value, low, high, open_ = shown(found)
            axis.errorbar(
                sizes, value, yerr=[value - low, high - value], lolims=open_,
                marker="o", markersize=3, label=f"k = {k}", **looks[f"k = {k}"],
            )  # fmt: skip
        axis.plot(every, every, color="#999999", linewidth=0.8)
        axis.set_xscale("log")
        axis.set_xticks(every, [f"{size:,}" for size in every])
        axis.set_xticks([], minor=True)
        axis.set_yscale("log")
        axis.set_title(name)
        axis.set_xlabel("jets in the library")
    axes[0].set_ylabel("equivalent number of jets")
    style.legend_above(figure, axes[0])
    return figure
