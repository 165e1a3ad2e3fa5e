"""The report of generated showers: metrics, distributions, response, pictures."""

import itertools
import os
import pathlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from jetvae_jax.core.types import Showers
from jetvae_jax.core.words import number
from jetvae_jax.metrics import binned
from jetvae_jax.metrics.binned import Binned
from jetvae_jax.report import distributions, page, tables, training_plots
from jetvae_jax.report.page import Heading, Paragraph, Plot
from jetvae_jax.showers import figures, metrics, pictures
from jetvae_jax.showers.geometry import Geometry
from jetvae_jax.showers.metrics import CELL, UNITS, Values

LABELS = {
    "energy": "deposited energy",
    "response": "response",
    "x": "centre, x",
    "y": "centre, y",
    "width_along": "width along",
    "width_across": "width across",
    "asymmetry_along": "asymmetry along",
    "asymmetry_across": "asymmetry across",
    "cells": "hit cells",
    "depth": "mean depth",
    "depth_width": "width in depth",
    CELL: "log10 of cell energies in GeV",
}
"""Observable to its name in tables and at axes."""
HEADLINE = {
    "ks_mean": ("KS, mean\N{NBSP}↓", 1.0),
    "separation_mean": ("separation, mean [10⁻³]\N{NBSP}↓", 1e-3),
    "fpd": ("FPD [10⁻³]\N{NBSP}↓", 1e-3),
    "fpd_exact": ("FPD exact [10⁻³]\N{NBSP}↓", 1e-3),
    "kpd": ("KPD [10⁻³]\N{NBSP}↓", 1e-3),
    "auc_cells": ("AUC cells, best 0.5", 1.0),
    "auc_features": ("AUC features, best 0.5", 1.0),
}
"""Metric to its label and scale."""
MEASURES = {
    "ks": "Kolmogorov-Smirnov distance",
    "separation": "Separation power",
    "w1": "Wasserstein distance",
    "emd": "Earth mover's distance of histograms",
}
NOTE = (
    "KS: largest difference of two cumulative distributions; separation: half the sum "
    "of (p - q)² / (p + q) over 50 bins; both are means over the observables below. "
    "FPD and KPD: Fréchet and kernel physics distances of the CaloChallenge's "
    "high-level features (energy, sparsity, centres and widths of each layer). AUC: of "
    "classifiers that see all cells, or these features, and the incident particle. The "
    "floor is the value of as many other real showers; errors are statistical."
)
ALONG = (
    "Along and across are the directions of the face of the calorimeter that the "
    "particle's own direction projects to and that at 90 degrees to it. An asymmetry "
    "is the energy beyond the point that the particle would reach, flying straight on, "
    "less that before it, over the sum."
)
RESPONSE = (
    "Response: deposited over incident energy; resolution: its standard deviation over "
    "its mean. Bins of the incident energy with about as many showers each."
)
BEYOND = " Bins with an asterisk lie beyond the energies of the training: extrapolated."
SHADED = " Grey areas are beyond the energies of the training."
Samples = Mapping[str, Showers]
"""Name to showers ``[J, C]``, ``"input"`` first."""
Results = Mapping[str, Any]
"""Name of a sample to its metrics, of `showers.metrics`."""
Responses = Mapping[str, Mapping[str, Binned]]
"""Kind of the particle, and name of a sample, to the response in bins of the incident
energy; the kind is empty where all are taken together."""


def write(
    path: str | os.PathLike,
    *,
    title: str,
    about: page.Table,
    summary: page.Summary,
    evaluation: Mapping[str, Any],
    geometry: Geometry,
    samples: Samples,
    values: Mapping[str, Values],
    responses: Responses,
    history: training_plots.History,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        title: of the page.
        about: date, seed and so on: `report.about.table`.
        summary: a text, the lines of a list, or names and values.
        evaluation: ``floor``, ``candidates`` by name, ``reach`` and ``conditions``;
            perhaps ``trained_on`` and ``no_check``, names of what the training loss
            held, and of what is computed from that.
        geometry: of C cells.
        samples: name to showers ``[J, C]``, ``"input"`` first.
        values: name to observables, of `showers.metrics.measured`.
        responses: kind and name to the response in bins of the incident energy.
        history: name of a training to its epochs.

    Raises:
        InputError: a file cannot be written.
    """
    results = {tables.FLOOR: evaluation["floor"], **evaluation["candidates"]}
    reach = evaluation["reach"]
    held, no_check = (evaluation.get(name, ()) for name in ("trained_on", "no_check"))
    others = [name for name in no_check if name in LABELS and name not in held]
    marked = {"no_check": no_check, "mark": tables.label}
    by_observable = (
        block
        for measure in ("ks", "separation", "w1")
        for block in (
            Heading(MEASURES[measure], 3),
            page.table(*observables(results, measure, **marked), style="compact"),
        )
    )
    blocks = (
        about,
        *page.summary(summary),
        *tables.in_loss([LABELS[n] for n in held], [LABELS[n] for n in others]),
        Heading("Metrics"),
        page.table(*headline(results, **marked), style="compact"),
        Paragraph(NOTE, "note"),
        Heading("Observables"),
        Paragraph(ALONG, "note"),
        *by_observable,
        Heading("Response and resolution"),
        page.table(*response_table(responses, reach, **marked), style="compact"),
        Paragraph(RESPONSE + (BEYOND if _any_beyond(responses, reach) else ""), "note"),
        *tables.conditions(evaluation.get("conditions", {})),
        *_distributions(values, no_check),
        *_pictures(geometry, samples, responses, reach),
        *training_plots.curve_plots(history, "shower", units=_UNITS),
    )
    return page.write(path, title, blocks)


_UNITS: dict[str, str] = dict.fromkeys(("response", "hits", "energies"), "nats")


def headline(
    results: Results, no_check: Collection[str] = (), mark: tables.Mark = tables.starred
) -> tuple[list, list[list[str]]]:
    """Head and rows of the table of metrics, a row for each sample.

    Args:
        results: sample to metrics.
        no_check: observables and metrics that compare what the training loss held.
        mark: how they are marked.
    """
    shown = [name for name in HEADLINE if any(name in m for m in results.values())]
    rows = [
        [sample, *(cell(name, found.get(name)) for name in shown)]
        for sample, found in results.items()
    ]
    names = (mark(HEADLINE[name][0], name in no_check) for name in shown)
    return ["sample", *names], rows


def cell(name: str, metric: Mapping[str, Any] | None) -> str:
    """A metric of the headline with its error in its scale, or a dash."""
    if metric is None:
        return tables.MISSING
    value = metric["auc"] if "auc" in metric else metric["value"]
    if value is None:
        return tables.MISSING
    scale = HEADLINE[name][1]
    return tables.with_error(value / scale, metric["error"] / scale)


def observables(
    results: Results,
    measure: str,
    no_check: Collection[str] = (),
    mark: tables.Mark = tables.starred,
) -> tuple[list[str], list[list]]:
    """Head and rows of the table of one measure, a row for each observable."""
    names = next(iter(results.values()))["observables"]
    has_unit = measure in ("w1", "emd")
    rows = []
    for name in names:
        found = (m["observables"][name][measure] for m in results.values())
        unit = UNITS.get(name, "") if has_unit else ""
        label = f"{LABELS.get(name, name)} [{unit}]" if unit else LABELS.get(name, name)
        rows.append([mark(str(label), name in no_check), *map(_value, found)])
    return ["observable", *results], rows


def _value(metric: Mapping[str, Any]) -> str:
    if metric["value"] is None:
        return tables.MISSING
    return tables.with_error(metric["value"], metric["error"])


def response_table(
    responses: Responses,
    reach: binned.Reach | None,
    no_check: Collection[str] = (),
    mark: tables.Mark = tables.starred,
) -> tuple[list[str], list[list]]:
    """Head and rows of mean response and resolution, two rows for each bin."""
    rows, samples = [], list(next(iter(responses.values())))
    for kind, own in responses.items():
        first = own[samples[0]]
        outside = _beyond(first, reach)
        for i, (low, high) in enumerate(itertools.pairwise(first.edges)):
            star = " *" if outside[i] else ""
            energies = f"{kind} {number(low)} to {number(high)} GeV{star}".strip()
            for label, field in (("response", "mean"), ("resolution", "resolution")):
                cells = (
                    _binned(
                        getattr(found, field)[i], getattr(found, f"{field}_error")[i]
                    )
                    for found in own.values()
                )
                rows.append([energies, mark(label, "response" in no_check), *cells])
                energies = ""
    return ["incident energy", "", *samples], rows


def _binned(value: float, error: float) -> str:
    return tables.with_error(value, error) if np.isfinite(value) else tables.MISSING


def _beyond(found: Binned, reach: binned.Reach | None) -> np.ndarray:
    if reach is None:
        return np.zeros(len(found.count), bool)
    return binned.beyond(found.edges, reach)


def _any_beyond(responses: Responses, reach: binned.Reach | None) -> bool:
    return any(
        _beyond(found, reach).any()
        for own in responses.values()
        for found in own.values()
    )


def text(
    results: Results,
    responses: Responses,
    reach: binned.Reach | None,
    no_check: Collection[str] = (),
) -> str:
    """All tables for a terminal."""
    parts = [tables.aligned(*headline(results, no_check))]
    for measure, title in MEASURES.items():
        rows = tables.aligned(*observables(results, measure, no_check))
        parts.append(f"{title}\n\n{rows}")
    rows = tables.aligned(*response_table(responses, reach, no_check))
    parts.append(f"{RESPONSE}\n\n{rows}")
    return "\n".join(parts)


def _distributions(
    values: Mapping[str, Values], no_check: Collection[str]
) -> Iterator[Plot]:
    bins = metrics.binnings(values["input"])
    sizes = {name: len(found["cells"]) for name, found in values.items()}
    counted = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    labels = {
        name: f"{LABELS.get(name, name)}"
        + (f" [{UNITS[name]}]" if name in UNITS else "")
        for name in bins
    }
    known = {
        sample: {n: v[np.isfinite(v)] for n, v in found.items()}
        for sample, found in values.items()
    }
    note = (
        "Below, the ratio to the input. The grey band is the statistical error of the "
        f"input, coloured bands are those of the samples. Showers: {counted}."
    )
    for name, unit, own, columns in (
        ("observables", "showers", [b for n, b in bins.items() if n != CELL], 3),
        ("cell_energies", "hit cells", [bins[CELL]], 2),
    ):
        yield Plot(
            name,
            "Distributions",
            note if name == "observables" else "Energies of the hit cells.",
            lambda own=own, unit=unit, columns=columns: distributions.grid(
                distributions.counts(known, own),
                own,
                unit,
                labels=labels,
                logarithmic=(CELL,),
                columns=columns,
                trained_on=no_check,
            ),
        )


def _pictures(
    geometry: Geometry,
    samples: Samples,
    responses: Responses,
    reach: binned.Reach | None,
) -> Iterator[Plot]:
    yield Plot(
        "sparsity",
        "Distributions",
        "Share of the cells above each share of the shower's energy: mean over "
        "showers, with the central 68 % of the input as the grey band.",
        lambda: figures.sparsity(geometry, samples),
    )
    yield Plot(
        "response",
        "Response and resolution",
        RESPONSE + (SHADED if _any_beyond(responses, reach) else ""),
        lambda: figures.response(responses, reach),
    )
    if geometry.shape is not None:
        view = figures.view(geometry)
        yield Plot(
            "mean_showers",
            "Showers",
            f"Mean energy of every cell, {view}; below, the difference from the input.",
            lambda: figures.mean(geometry, samples),
        )
    yield Plot(
        "single_showers",
        "Showers",
        "The first showers of the input, without selection, and below each of them the "
        "one of every sample whose incident particle is nearest to its own. Of rings, "
        "the layer with most energy. An arrow shows where the particle flies.",
        lambda: pictures.rows(geometry, figures.alike(samples)),
    )
    if geometry.num_layers > 1:
        yield Plot(
            "layers",
            "Showers",
            "Mean energy in each layer, and the ratio to the input.",
            lambda: figures.layers(geometry, samples),
        )
