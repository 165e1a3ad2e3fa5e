"""The page of a study of sample limits: one figure of the toy, one of a generator."""

import math
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jetvae_jax.core.words import number
from jetvae_jax.report import about, page, style
from jetvae_jax.report.page import Heading, Paragraph, Plot
from jetvae_jax.report.tables import MISSING, label
from jetvae_jax.studies.sample_limits.equivalent import SIGMA, Events

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGET = 1_000_000
"""Events of the sum in the talk, whose statistical error is drawn."""
NOTE = (
    "An equivalent number is that of independent true events with the same mean "
    "squared deviation in quantiles of the truth, in the limit of many generated "
    "events; in brackets the ends of its central 68 % interval. It is infinite where "
    "the deviation is within what the compared samples fluctuate by themselves. "
    "Deviations of one sign in neighbouring quantiles count as if they had several: "
    "the largest difference of the distribution functions does not forgive them."
)


class Spectra(NamedTuple):
    """What is drawn of a row of the toy.

    Attributes:
        edges: ``[B + 1]`` of the sum.
        truth: ``[B]`` probability of each bin.
        learned: ``[T, B]`` the same, of each training.
    """

    edges: np.ndarray
    truth: np.ndarray
    learned: np.ndarray


def stored(events: Events) -> dict[str, float | None]:
    """For JSON, None for infinity."""
    return {k: v if math.isfinite(v) else None for k, v in events._asdict().items()}


def restored(events: Mapping[str, float | None]) -> Events:
    """From JSON."""
    return Events(**{k: math.inf if v is None else v for k, v in events.items()})


def in_words(events: Events) -> str:
    """``1,000 (900 to 1,100)``; where there is no upper end, ``more than 900``."""
    if not math.isfinite(events.value):
        if not math.isfinite(events.low):
            return "infinitely many"
        return f"more than {_rounded(events.low)}"
    end = _rounded(events.high) if math.isfinite(events.high) else "infinity"
    return f"{_rounded(events.value)} ({_rounded(events.low)} to {end})"


def _rounded(value: float) -> str:
    if not math.isfinite(value):
        return "infinitely many"
    if value < 100:
        return number(value, 2)
    return f"{round(value, 2 - math.floor(math.log10(value))):,.0f}"


def write(
    path: str | os.PathLike, result: Mapping[str, Any], drawn: Mapping[str, Spectra]
) -> pathlib.Path:
    """Writes the page, and each figure as PNG beside it.

    Args:
        path: the HTML file; its folder must exist.
        result: what `study.sample_limits` writes as JSON.
        drawn: the spectra of each row of the toy.

    Raises:
        InputError: a file cannot be written.
    """
    given = result["settings"]
    blocks = (
        about.table(seed=given["seed"]),
        Paragraph(result["verdict"], "strong"),
        Paragraph(NOTE, "note"),
        *_toy(result["toy"], given, drawn),
        *(_generator(result["generator"]) if "generator" in result else ()),
    )
    return page.write(path, "What a training sample is worth", blocks)


def _toy(
    found: Mapping[str, Any], given: Mapping[str, Any], drawn: Mapping[str, Spectra]
) -> Iterator[page.Block]:
    yield Plot(
        "sample_limits_toy", "The sum of two log-normal variables",
        f"What is learned of {given['num_events']:,} events over the truth. Line: one "
        f"training; band: 68 % of {given['num_trainings']:,}; dotted: statistical "
        f"error of {TARGET:,} independent events.",
        lambda: spectra(drawn),
    )  # fmt: skip
    names = list(next(iter(found.values()))["regions"])
    head = ["equivalent number of events", *names, "largest difference", "quantile MSE"]
    rows, others = [], []
    for name, row in found.items():
        regions = row["regions"].values()
        cells = [in_words(Events(**region["events"])) for region in regions]
        largest = in_words(Events(**row["differential"]))
        rows.append([name, *cells, largest, number(row["quantile_mse"])])
        cells = [in_words(Events(**region["by_bootstraps"])) for region in regions]
        others.append([name, *cells])
    yield page.table(head, rows, style="compact")
    yield Paragraph(
        "The same by the spread over bootstraps of one training sample, which needs no "
        "truth (mean of ten samples): what is wrong with all of them is not seen.",
        "note",
    )
    yield page.table(head[:-2], others, style="compact")


def _generator(found: Mapping[str, Any]) -> Iterator[page.Block]:
    total = found["num_train"]
    yield Plot(
        "sample_limits_generator", "The generator",
        f"True jets that generated ones are worth, in units of the {total:,} that "
        "trained the generator, with the central 68 %. Grey: the training sample "
        "itself. Arrows: no upper limit."
        + " *: in the training loss." * bool(found["no_check"]),
        lambda: amplification(found),
    )  # fmt: skip
    samples = {"training sample": found["train"], **found["generated"]}
    names = _regions(found["train"])
    rows = [
        [
            label(f"{sample}: {observable}", observable in found["no_check"]),
            *(_cell(regions.get(n)) for n in names),
            number(mse[observable]),
        ]
        for (sample, result), mse in zip(
            samples.items(), found["quantile_mse"].values(), strict=True
        )
        for observable, regions in result.items()
    ]
    head = ["equivalent number of jets", *names]
    yield page.table([*head, "quantile MSE"], rows, style="compact")
    yield page.pairs(
        {"jets that trained the generator": f"{total:,}",
         "of them compared": f"{found['num_read']:,}",
         "true jets": f"{found['num_truth']:,}"}
        | {f"jets of {n}": f"{size:,}" for n, size in found["num_generated"].items()}
        | {f"all observables together, by a classifier's output: {n}":
           in_words(Events(**events)) for n, events in found["differential"].items()}
    )  # fmt: skip
    if found["by_spread"]:
        yield Heading("By the spread of the generators", 3)
        rows = [
            [
                observable,
                *(_rounded(regions[n]) if n in regions else MISSING for n in names),
            ]
            for observable, regions in found["by_spread"].items()
        ]
        yield page.table(head, rows, style="compact")


def spectra(drawn: Mapping[str, Spectra]) -> "Figure":
    """A panel for each row of the toy: what is learned over the truth."""
    figure, axes = style.panels(
        len(drawn), 3, (3.6, 2.7), margins=(0.4, 0.4), sharex=True, sharey=True
    )
    for axis, (name, row) in zip(axes, drawn.items(), strict=True):
        ratio = row.learned / row.truth
        low, _, high = np.quantile(ratio, SIGMA, axis=0)
        error = np.sqrt((1 - row.truth) / row.truth / TARGET)
        axis.stairs(high, row.edges, baseline=low, fill=True, color=style.BAND)
        axis.stairs(ratio[0], row.edges, color="#0072B2")
        for sign in (-1, 1):
            axis.stairs(1 + sign * error, row.edges, color="#333333", linestyle=":")
        axis.set_title(style.plain(name) if len(name) < 27 else name)
        axis.set_ylim(0, 3)
        axis.set_xlim(row.edges[0], row.edges[-1])
    for axis in axes[::3]:
        axis.set_ylabel("learned / true")
    for axis in axes[-3:]:
        axis.set_xlabel(r"$x_1 + x_2$")
        axis.xaxis.set_tick_params(labelbottom=True)
    return figure


def amplification(found: Mapping[str, Any]) -> "Figure":
    """A panel for each region: jets that each sample is worth, over the training's."""
    total, own = found["num_train"], found["num_read"]
    samples = {"training sample": found["train"], **found["generated"]}
    looks = style.lines(found["generated"])
    colours = {name: look["color"] for name, look in looks.items()}
    names = _regions(found["train"])
    observables = list(found["train"])
    figure, axes = style.panels(
        len(names), 4, (2.8, 0.45 * len(observables) + 1.2), margins=(1.0, 0.6),
        sharey=True, sharex=True,
    )  # fmt: skip
    handles: dict[str, Any] = {}
    for axis, region in zip(axes, names, strict=True):
        for i, (name, result) in enumerate(samples.items()):
            scale = own if name == "training sample" else total
            rows = [
                Events(**result[o][region]).over(scale) if region in result[o] else None
                for o in observables
            ]
            shift = 0.6 * ((i + 0.5) / len(samples) - 0.5)
            y = np.arange(len(rows)) + shift
            value, low, high, unbounded = shown(rows)
            handles[name] = axis.errorbar(
                value, y, xerr=[value - low, high - value], fmt="o", markersize=3,
                xlolims=unbounded, color=colours.get(name, "#999999"),
            )  # fmt: skip
        over_training(axis, region, "jets")
    names = [f"{o} *" if o in found["no_check"] else o for o in observables]
    named_rows(figure, axes[0], names, handles)
    return figure


def over_training(axis: Any, title: str, unit: str) -> None:
    """Axis of a panel of equivalent numbers; a line is at that of the training."""
    axis.axvline(1, color="#333333", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_title(title)
    axis.set_xlabel(f"equivalent / training {unit}")


def named_rows(
    figure: "Figure", first: Any, names: Sequence[str], handles: Mapping[str, Any]
) -> None:
    """Names of the rows at the first panel, from above; and the legend."""
    first.set_yticks(range(len(names)), names)
    first.set_ylim(len(names) - 0.5, -0.5)
    style.legend_above(figure, handles)


def _regions(found: Mapping[str, Any]) -> list[str]:
    """The regions that any observable has, in their order."""
    return list(max(found.values(), key=len))


def _cell(events: Mapping[str, float] | None) -> str:
    return in_words(Events(**events)) if events else MISSING


def shown(rows: Sequence[Events | None]) -> tuple[np.ndarray, ...]:
    """Points of a figure, their ends, and whether an arrow replaces the upper one.

    Args:
        rows: of n points; None for one that is not there.

    Returns:
        ``[n]`` each: value, low, high, and bool. Without a value there is the low end;
        without that, NaN.
    """
    unknown = Events(math.nan, math.nan, math.nan)
    low, value, high = np.array([row or unknown for row in rows]).T
    low = np.where(np.isfinite(low), low, np.nan)
    value = np.where(np.isfinite(value), value, low)
    open_ = np.isinf(high)
    return value, np.minimum(low, value), np.where(open_, 3 * value, high), open_
