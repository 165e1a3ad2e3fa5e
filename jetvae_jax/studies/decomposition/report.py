"""The page of a study of events of independent objects."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.core.configs import versions
from jetvae_jax.core.files import Workdir
from jetvae_jax.report import about, page, style
from jetvae_jax.report.page import Paragraph, Plot
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
) -> tuple[pathlib.Path, str]:
    """Writes ``decomposition.json``, ``decomposition.html`` and its plot.

    Args:
        workdir: folder to write to.
        config: the settings of the study.
        found: what `measure.measure` returns.
        num_true: events of the truth.
        num_trainings: training samples.

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
        [way, name, *(in_words(restored(e)) for e in numbers.values())]
        for way in ways
        for name, numbers in found[way].items()
    ]
    own = [[name, in_words(restored(e))] for name, e in found["events"].items()]
    blocks = (
        about.table(
            seed=given["seed"],
            training=f"{result['num_trainings']} samples of {given['num_events']:,} "
            f"events; {result['num_true']:,} true events",
        ),
        Paragraph(result["verdict"], "strong"),
        Paragraph(NOTE, "note"),
        Plot(
            "decomposition", "Gain and bias",
            "Equivalent number of events over those of the training sample (line).",
            lambda: points(found, given["num_events"]),
        ),
        page.table(["objects", "observable", "gained", "worth", "bias"], rows),
        page.table(["the events themselves", "worth"], own),
    )  # fmt: skip
    return page.write(path, "Events of independent objects", blocks)


def points(found: Mapping[str, Any], number: int) -> "Figure":
    """A panel for each way: gain, worth and bias of each observable."""
    ways = [way for way in found if way != "events"]
    figure, axes = style.panels(
        len(ways), 2, (4.0, 2.6), margins=(0.6, 0.5), sharex=True, sharey=True
    )
    kinds = ("gained", "worth", "bias")
    looks = style.lines(kinds)
    handles: dict[str, Any] = {}
    for axis, way in zip(axes, ways, strict=True):
        names = list(found[way])
        for i, kind in enumerate(kinds):
            rows = [restored(found[way][name][kind]).over(number) for name in names]
            value, low, high, open_ = shown(rows)
            handles[kind] = axis.errorbar(
                value, np.arange(len(names)) + 0.2 * (i - 1),
                xerr=[value - low, high - value], xlolims=open_, fmt="o", markersize=3,
                color=looks[kind]["color"],
            )  # fmt: skip
        over_training(axis, way, "events")
    named_rows(figure, axes[0], names, handles)
    return figure
