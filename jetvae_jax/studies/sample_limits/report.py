"""The page of a study of sample limits: one figure of the toy, one of a generator."""

import math
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jetvae_jax.core.words import number
from jetvae_jax.report import about, page, style
from jetvae_jax.report.distributions import axis_label
from jetvae_jax.report.page import Heading, Paragraph, Plot
from jetvae_jax.report.tables import MISSING, label, with_error
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
        return f"more than {rounded(events.low)}"
    end = rounded(events.high) if math.isfinite(events.high) else "infinity"
    return f"{rounded(events.value)} ({rounded(events.low)} to {end})"


def rounded(value: float) -> str:
    """A number of events with three digits."""
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
        *(_ensemble(result["ensemble"], result["generator"])
          if "ensemble" in result else ()),
    )  # fmt: skip
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
    head = ["equivalent number of events", *names]

    def rows(asked: str) -> list[list[str]]:
        return [
            [name, *(in_words(Events(**one[asked])) for one in row["regions"].values())]
            for name, row in found.items()
        ]

    first = [
        [*cells, number(row["quantile_mse"])]
        for cells, row in zip(rows("events"), found.values(), strict=True)
    ]
    yield page.table([*head, "quantile MSE"], first, style="compact")
    yield Paragraph("By the largest difference of the distribution functions:", "note")
    yield page.table(head, rows("differential"), style="compact")
    yield Paragraph(
        "The same by the spread over bootstraps of one training sample, which needs no "
        "truth (mean of ten samples): what is wrong with all of them is not seen.",
        "note",
    )
    yield page.table(head, rows("by_bootstraps"), style="compact")


def _generator(found: Mapping[str, Any]) -> Iterator[page.Block]:
    total, unit = found["num_train"], found["unit"]
    yield Plot(
        "sample_limits_generator", "The generator",
        f"True {unit} that generated ones are worth, in units of the {total:,} that "
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
    head = [f"equivalent number of {unit}", *names]
    yield page.table([*head, "quantile MSE"], rows, style="compact")
    yield page.pairs(
        {f"{unit} that trained the generator": f"{total:,}",
         "of them compared": f"{found['num_read']:,}",
         f"true {unit}": f"{found['num_truth']:,}"}
        | {f"{unit} of {n}": f"{size:,}" for n, size in found["num_generated"].items()}
        | {f"all observables together, by a classifier's output: {n}":
           in_words(Events(**events)) for n, events in found["differential"].items()}
    )  # fmt: skip
    if found["by_spread"]:
        yield Heading("By the spread of the generators", 3)
        rows = [
            [
                observable,
                *(_cell(regions.get(n)) for n in names),
            ]
            for observable, regions in found["by_spread"].items()
        ]
        yield page.table(head, rows, style="compact")


ENSEMBLE = {
    "spread": "by the spread",
    "member": "one member and the truth",
    "together": "all and the truth",
    "differential": "largest difference",
}
"""What an ensemble is asked, and how it is called."""


def _ensemble(
    found: Mapping[str, Any], of_run: Mapping[str, Any]
) -> Iterator[page.Block]:
    total, held, unit = (of_run[name] for name in ("num_train", "no_check", "unit"))
    yield Plot(
        "sample_limits_ensemble", "An ensemble of trainings",
        f"True {unit} that {found['members']} trainings are worth, in units of the "
        f"{total:,} that trained each. By the spread: how far the members differ, "
        "which needs no truth and does not see what all have wrong. The others "
        "compare with the truth. Arrows: no upper limit.",
        lambda: of_members(found, of_run),
    )  # fmt: skip
    yield Plot(
        "sample_limits_systematic", "An ensemble of trainings",
        "The spread of the members carried to an observable: their mean over the true "
        "spectrum, with the deviation of one member (systematic error of the model), "
        f"beside the statistical error of {total:,} true {unit} (dotted) and of the "
        "truth (grey).",
        lambda: systematic(found),
    )  # fmt: skip
    for kind, one in found["kinds"].items():
        names = _regions(one["regions"])
        rows = [
            [label(f"{observable}, {text}", observable in held),
             *(_cell(regions[n][asked] if n in regions else None) for n in names)]
            for observable, regions in one["regions"].items()
            for asked, text in ENSEMBLE.items()
        ]  # fmt: skip
        head = [f"{kind}: equivalent number of {unit}", *names]
        yield page.table(head, rows, style="compact")
    head = ["mean", "truth", "generated", "systematic: bootstraps", "seeds alone",
            f"statistical, {total:,} {unit}"]  # fmt: skip
    rows = []
    for observable, spectrum in found["kinds"]["bootstraps"]["spectra"].items():
        mean = spectrum["mean"]
        alone = found["kinds"]["seeds"]["spectra"][observable]["mean"]
        rows.append([
            label(observable, observable in held),
            with_error(mean["truth"], mean["truth_error"]),
            number(mean["generated"], 4),
            *(with_error(each["systematic"], each["systematic_error"])
              for each in (mean, alone)),
            number(mean["statistical"], 2),
        ])  # fmt: skip
    yield page.table(head, rows, style="compact")


def of_members(found: Mapping[str, Any], of_run: Mapping[str, Any]) -> "Figure":
    """A panel for each region: what an ensemble is worth, over what trained it."""
    boots, seeds = (found["kinds"][kind] for kind in ("bootstraps", "seeds"))
    regions, observables = _regions(boots["regions"]), list(boots["regions"])
    asked = [(boots, name, text) for name, text in ENSEMBLE.items()]
    asked.append((seeds, "spread", "spread of seeds alone"))
    colours = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999")
    figure, axes = style.panels(
        len(regions), 4, (2.9, 0.65 * len(observables) + 1.2), margins=(1.2, 0.6),
        sharex=True, sharey=True,
    )  # fmt: skip
    handles: dict[str, Any] = {}
    for axis, region in zip(axes, regions, strict=True):
        for i, ((kind, name, text), colour) in enumerate(
            zip(asked, colours, strict=True)
        ):
            rows = []
            for observable in observables:
                value = kind["regions"][observable].get(region, {}).get(name)
                rows.append(
                    Events(**value).over(of_run["num_train"]) if value else None
                )
            y = np.arange(len(rows)) + 0.6 * ((i + 0.5) / len(asked) - 0.5)
            middle, low, high, unbounded = shown(rows)
            handles[text] = axis.errorbar(
                middle, y, xerr=[middle - low, high - middle], fmt="o", markersize=3,
                xlolims=unbounded, color=colour,
            )  # fmt: skip
        over_training(axis, region, of_run["unit"])
    held = of_run["no_check"]
    names = [f"{o} *" if o in held else o for o in observables]
    named_rows(figure, axes[0], names, handles)
    return figure


def systematic(found: Mapping[str, Any]) -> "Figure":
    """A panel for each observable: the members' mean over the truth, with errors."""
    spectra = found["kinds"]["bootstraps"]["spectra"]
    figure, axes = style.panels(len(spectra), 3, (3.6, 2.7), margins=(0.4, 0.5))
    handles: dict[str, Any] = {}
    for axis, (observable, one) in zip(axes, spectra.items(), strict=True):
        edges, truth = np.array(one["edges"]), np.array(one["truth"])
        there = np.where(truth > 0, truth, np.nan)
        ratio = np.array(one["generated"]) / there
        error, of_truth, of_train = (
            np.array(one[name]) / there
            for name in ("systematic", "truth_error", "statistical")
        )
        handles["error of the truth"] = axis.stairs(
            1 + of_truth, edges, baseline=1 - of_truth, fill=True, color=style.BAND
        )
        handles["systematic, one member"] = axis.stairs(
            ratio + error, edges, baseline=ratio - error, fill=True, color="#0072B2",
            alpha=0.3,
        )  # fmt: skip
        handles["mean of the members"] = axis.stairs(
            ratio, edges, baseline=None, color="#0072B2"
        )
        for sign in (-1, 1):
            handles["error of the training sample"] = axis.stairs(
                1 + sign * of_train, edges, baseline=None, color="#333333",
                linestyle=":",
            )  # fmt: skip
        axis.set_xlim(edges[0], edges[-1])
        axis.set_ylim(0.5, 1.5)
        axis.set_xlabel(axis_label(observable))
    for axis in axes[::3]:
        axis.set_ylabel("generated / true")
    style.legend_above(figure, handles)
    return figure


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
    """A panel for each region: what each sample is worth, over what trained it."""
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
        over_training(axis, region, found["unit"])
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
