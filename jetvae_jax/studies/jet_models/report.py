"""The report of a comparison of models of jets."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from jetvae_jax.core.types import Jets
from jetvae_jax.core.words import counted
from jetvae_jax.jets.evaluation import trained_on
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.report import about, distributions, jet_images, page, training_plots
from jetvae_jax.report.page import Block, Heading, Items, Paragraph, Plot
from jetvae_jax.report.tables import MISSING, in_powers, label
from jetvae_jax.runs.config import ModelRun
from jetvae_jax.studies import seeds as over_seeds
from jetvae_jax.studies.jet_models import results

NOTE = (
    "Mean and standard deviation over the trainings; lower is better everywhere. The "
    "floor compares as many other real jets with the same test jets. KS: largest "
    "difference of two cumulative distributions. Relative features, those of W1EFP and "
    "FPD included, refer to the axis of each jet's own particles. "
    f"{results.MARK} compares an observable that was in the training loss."
)
PAIRED = (
    "Median difference between an observable of a reconstruction and that of its own "
    "jet, over the median difference of two test jets: 1 is as far as another jet. "
    "EFPs of a degree: mean over the connected ones."
)
SHOWN = "The first training of each model."


def write(
    path: str | os.PathLike,
    *,
    found: results.Found,
    runs: Mapping[str, ModelRun],
    floor: results.Results,
    sizes: Mapping[str, tuple[int, Sequence[float]]],
    seeds: Sequence[int],
    jets: tuple[int, int],
    notes: Sequence[str],
    samples: Mapping[str, Jets],
    history: training_plots.History,
) -> pathlib.Path:
    """Writes the page, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        found: model to the results of its trainings.
        runs: model to its training.
        floor: the results of other real jets.
        sizes: model to its number of parameters and the seconds of its trainings.
        seeds: of the trainings.
        jets: number of training jets and of test jets.
        notes: of the data.
        samples: ``"input"`` and, of each model, jets from the flow.
        history: model to a dict per epoch.

    Raises:
        InputError: a file cannot be written.
    """
    training, test = jets
    blocks = (
        about.table(
            seed=", ".join(map(str, seeds)), training=f"{training:,} jets"
        ),
        Items([
            f"{test:,} test jets, {counted(len(seeds), 'training')} of each model.",
            *notes,
        ]),
        Paragraph(NOTE, "note"),
        *_tables(found, runs, floor),
        *_effects(found, runs),
        Heading("Sizes"),
        page.table(
            ["model", "parameters", "seconds", "in the loss"],
            [
                [
                    name,
                    f"{size:,}",
                    f"{np.mean(seconds):.0f}",
                    ", ".join(sorted(trained_on(runs[name]))),
                ]
                for name, (size, seconds) in sizes.items()
            ],
        ),
        *_plots(samples),
        *training_plots.curve_plots(history, "jet"),
    )  # fmt: skip
    return page.write(path, "Comparison of models of jets", blocks)


def _tables(
    found: results.Found, runs: Mapping[str, ModelRun], floor: results.Results
) -> Iterator[Block]:
    for title, columns in results.columns().items():
        yield Heading(title)
        if columns[0].sample == "paired":
            yield Paragraph(PAIRED, "note")
        head, rows = results.table(found, runs, columns, floor)
        # A row for each metric: models are few, and all fit on the screen.
        cells = (
            [in_powers(metric), *(row[i] for _, row in rows)]
            for i, metric in enumerate(head)
        )
        names = (name for name, _ in rows)
        yield page.table(["metric", *names], cells, style="compact")
        if said := over_seeds.best(found, columns):
            yield Items([in_powers(line) for line in said])


def _effects(found: results.Found, runs: Mapping[str, ModelRun]) -> Iterator[Block]:
    for (base, name), changes in results.effects(found, runs).items():
        names = ", ".join(runs[name].objective.observables)
        yield Heading(f"What {names} in the loss changes")
        yield Paragraph(f"{name} against {base}.")
        yield Items(results.effect_sentences(changes))
        yield page.table(
            ["metric", "sample", base, name, "difference [deviations]"],
            [
                [
                    label(in_powers(change.column.heading), change.held),
                    change.column.sample,
                    format(change.before, change.column.form),
                    format(change.after, change.column.form),
                    _deviations(change.deviations),
                ]
                for change in changes
            ],
            style="compact",
        )


def _deviations(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}" if value else MISSING  # no minus zero


def _plots(samples: Mapping[str, Jets]) -> Iterator[Plot]:
    yield Plot(
        "jets",
        "Jets generated from the flow",
        f"Features of the jets, and their ratio to the input. {SHOWN}",
        lambda: distributions.jets(
            {name: Sample(name, jets).jet for name, jets in samples.items()}
        ),
    )
    yield Plot(
        "images",
        "Average jet images",
        "Mean transverse momentum per jet and pixel around the jet's own axis, and the "
        f"difference from the input. From the flow. {SHOWN}",
        lambda: jet_images.average(samples),
    )
