"""The page of a study of events of independent objects."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.core.configs import versions
from jetvae_jax.core.files import Workdir
from jetvae_jax.report import about, page, style
from jetvae_jax.report.page import Paragraph, Plot
from jetvae_jax.report.tables import MISSING
from jetvae_jax.studies.decomposition.measure import verdict
from jetvae_jax.studies.sample_limits.report import (
    in_words,
    named_rows,
    over_training,
    restored,
    shown,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GIVEN = (
    "What the axes decide is right where they are given, those of further true events. "
    "Of generated jets, which no training sample here made, there is only what they "
    "are worth. Numbers far beyond those of the true events and of the axes are within "
    "what these fluctuate."
)
KINDS = ("gained", "worth", "bias")
NOTE = (
    "Equivalent numbers of independent events, by the mean squared deviation in "
    "quantiles of the truth; in brackets the central 68 %. Gained: in comparison with "
    "combinations of many other events. Worth: in comparison with true events. Bias: "
    "of combinations of any number of events, whose deviation is that of the "
    "fluctuations of so many independent ones."
)


def publish(
    workdir: str | os.PathLike,
    config: Any,
    found: Mapping[str, Any],
    *,
    num_true: int,
    num_trainings: int,
    num_axes: int = 0,
    correlations: Mapping[str, float] | None = None,
) -> tuple[pathlib.Path, str]:
    """Writes ``decomposition.json``, ``decomposition.html`` and its plot.

    Args:
        workdir: folder to write to.
        config: the settings of the study.
        found: what `measure.measure` returns.
        num_true: events of the truth.
        num_trainings: training samples.
        num_axes: further true events, of which only the axes of the jets are taken.
        correlations: of the two objects of the true events, by observable.

    Returns:
        The path of the page, and the result in one paragraph.

    Raises:
        InputError: a file cannot be written.
    """
    folder = Workdir(workdir)
    result: dict[str, Any] = {
        "settings": dataclasses.asdict(config),
        "versions": versions(),
        "num_true": num_true,
        "num_trainings": num_trainings,
        "found": found,
        "verdict": verdict(found, config.num_events),
    }
    if num_axes:
        result["num_axes"] = num_axes
    if correlations:
        result["correlations"] = correlations
    with folder.alone():
        folder.write_json("decomposition.json", result)
        path = write(folder / "decomposition.html", result)
    return path, result["verdict"]


def write(path: str | os.PathLike, result: Mapping[str, Any]) -> pathlib.Path:
    """Writes the page, and its figure as PNG beside it.

    Args:
        path: the HTML file; its folder must exist.
        result: what :func:`publish` writes as JSON.

    Raises:
        InputError: a file cannot be written.
    """
    given, found = result["settings"], result["found"]
    ways = [way for way in found if way != "events"]
    rows = [
        [way, name, *(_cell(numbers.get(kind)) for kind in KINDS)]
        for way in ways
        for name, numbers in found[way].items()
    ]
    axes = f"; axes of {result['num_axes']:,}" if "num_axes" in result else ""
    own = [[name, in_words(restored(e))] for name, e in found["events"].items()]
    blocks = (
        about.table(
            seed=given["seed"],
            training=f"{result['num_trainings']} samples of {given['num_events']:,} "
            f"events; {result['num_true']:,} true events{axes}",
        ),
        Paragraph(result["verdict"], "strong"),
        Paragraph(f"{NOTE} {GIVEN}" if axes else NOTE, "note"),
        Plot(
            "decomposition", "Gain and bias",
            "Equivalent number of events over those of the training sample (line). "
            "Arrows: no upper limit; infinite numbers are not drawn.",
            lambda: points(found, given["num_events"]),
        ),
        page.table(["objects", "observable", *KINDS], rows),
        page.table(["the events themselves", "worth"], own),
        *_correlated(result.get("correlations")),
    )  # fmt: skip
    return page.write(path, "Events of independent objects", blocks)


def _cell(events: Mapping[str, float | None] | None) -> str:
    return MISSING if events is None else in_words(restored(events))


def _correlated(found: Mapping[str, float] | None) -> Iterator[page.Block]:
    if found:
        rows = [[name, f"{value:.3f}"] for name, value in found.items()]
        yield page.table(["both objects of a true event", "rank correlation"], rows)


def points(found: Mapping[str, Any], number: int) -> "Figure":
    """A panel for each way: gain, worth and bias of each observable."""
    ways = [way for way in found if way != "events"]
    figure, axes = style.panels(
        len(ways), 2, (4.0, 2.6), margins=(0.6, 0.5), sharex=True, sharey=True
    )
    looks = style.lines(KINDS)
    handles: dict[str, Any] = {}
    for axis, way in zip(axes, ways, strict=True):
        names = list(found[way])
        for i, kind in enumerate(KINDS):
            numbers = [found[way][name].get(kind) for name in names]
            if None in numbers:  # all of them: of generated objects nothing is gained
                continue
            rows = [restored(each).over(number) for each in numbers]
            value, low, high, open_ = shown(rows)
            handles[kind] = axis.errorbar(
                value, np.arange(len(names)) + 0.2 * (i - 1),
                xerr=[value - low, high - value], xlolims=open_, fmt="o", markersize=3,
                color=looks[kind]["color"],
            )  # fmt: skip
        over_training(axis, way, "events")
    named_rows(figure, axes[0], names, handles)
    return figure
