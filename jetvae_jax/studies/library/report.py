"""The page of a study of libraries."""

import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.metrics import known_metrics
from jetvae_jax.metrics.classifier.two_sample import CLASSIFIERS
from jetvae_jax.report import about, page, style, tables
from jetvae_jax.report.page import Heading, Items, Paragraph, Plot
from jetvae_jax.studies.sample_limits.report import (
    NOTE,
    in_words,
    restored,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write(path: str | os.PathLike, result: Mapping[str, Any]) -> pathlib.Path:
    """Writes the page, and its figures as PNG beside it.

    Args:
        path: the HTML file; its folder must exist.
        result: what `study.study` writes as JSON.

    Raises:
        InputError: a file cannot be written.
    """
    rows, names = result["rows"], list(result["rows"][0]["worth"])
    evaluation, protocol = result["evaluation"], result["settings"]["protocol"]
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
        Heading(f"Metrics, protocol {protocol}"),
        Paragraph(
            f"{evaluation['jets']:,} jets of each sample, named by the jets in its "
            "library and k, against as many test jets. Floor: validation jets, which "
            "are in no library. library.txt and library.json have the other metrics.",
            "note",
        ),
        Plot(
            "library_metrics", "Metrics by size of the library",
            "Jets of each library against test jets, with their errors. Grey: the "
            "floor, other real jets, with its error.",
            lambda: of_metrics(rows, evaluation, protocol),
        ),
        tables.of_protocol(evaluation, protocol),
        Items([tables.in_powers(note) for note in evaluation["notes"]]),
    )  # fmt: skip
    return page.write(path, "The library method", blocks)


def curves(rows: Sequence[Mapping[str, Any]]) -> "Figure":
    """A panel for each observable: equivalent numbers against sizes, for each k."""

    def drawn(axis: "Axes", name: str) -> None:
        every = sorted({row["events"] for row in rows})
        for sizes, own, look in _by_k(rows):
            found = [restored(row["worth"][name]) for row in own]
            value, low, high, open_ = shown(found)
            axis.errorbar(
                sizes, value, yerr=[value - low, high - value], lolims=open_, **look
            )
        axis.plot(every, every, color="#999999", linewidth=0.8)
        axis.set_yscale("log")

    names = list(rows[0]["worth"])
    figure = _panels(rows, names, drawn, sharey=True)
    figure.axes[0].set_ylabel("equivalent number of jets")
    return figure


def of_metrics(
    rows: Sequence[Mapping[str, Any]], evaluation: Mapping[str, Any], protocol: str
) -> "Figure":
    """A panel for each metric: its values against sizes, for each k, and the floor."""
    candidates, floor = evaluation["candidates"], evaluation["floor"]
    known = known_metrics()

    def found(results: Mapping[str, Any], name: str) -> tuple[float, float]:
        """Value and error, in the unit of the axis."""
        if name in known:
            one = results["protocols"][protocol][name]
            scale = known[name].scale
            return one["value"] / scale, one.get("error", 0.0) / scale
        return results[name]["auc"], results[name]["error"]

    def drawn(axis: "Axes", title: str) -> None:
        name = titles[title]
        value, error = found(floor, name)
        every = [found(candidates[row["sample"]], name)[0] for row in rows]
        # Of a distance that may be negative by chance, zero has its place. Before the
        # points, whose margins depend on the scale.
        if name in known and not known[name].higher_is_better:
            if min(value, *every) > 0:
                axis.set_yscale("log")
            else:
                axis.set_yscale("symlog", linthresh=max(abs(value), error, 1e-9))
        for sizes, own, look in _by_k(rows):
            pairs = [found(candidates[row["sample"]], name) for row in own]
            values, errors = np.array(pairs).T
            axis.errorbar(sizes, values, yerr=errors, **look)
        axis.axhspan(value - error, value + error, color=style.BAND, linewidth=0)
        axis.axhline(value, color="#999999", linewidth=0.8)

    titles = {
        tables.metric_label(metric, enforced=False).text: name
        for name, metric in known.items()
        if name in floor["protocols"][protocol]
    } | {
        described.label: described.result
        for described in CLASSIFIERS.values()
        if described.result in floor
    }
    return _panels(rows, list(titles), drawn)


def _panels(
    rows: Sequence[Mapping[str, Any]],
    titles: Sequence[str],
    drawn: Callable[["Axes", str], None],
    **options: Any,
) -> "Figure":
    """Panels with these titles over the size of the library."""
    figure, axes = style.panels(
        len(titles), 3, (3.6, 3.0), margins=(0.4, 0.5), **options
    )
    every = sorted({row["events"] for row in rows})
    for axis, title in zip(axes, titles, strict=True):
        drawn(axis, title)
        axis.set_xscale("log")
        axis.set_xticks(every, [f"{size:,}" for size in every])
        axis.set_xticks([], minor=True)
        axis.set_title(title)
        axis.set_xlabel("jets in the library")
    style.legend_above(figure, axes[0])
    return figure


def _by_k(
    rows: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[np.ndarray, list[Mapping[str, Any]], dict[str, Any]]]:
    """Of each k where its points are, their rows and how they look."""
    ks = sorted({row["k"] for row in rows})
    looks = style.lines(f"k = {k}" for k in ks)
    for i, k in enumerate(ks):
        own = [row for row in rows if row["k"] == k]
        # Beside each other, where they would cover each other.
        sizes = np.array([row["events"] for row in own]) * 1.06 ** (i - len(ks) / 2)
        label = f"k = {k}"
        yield (
            sizes,
            own,
            {"marker": "o", "markersize": 3, "label": label} | looks[label],
        )
