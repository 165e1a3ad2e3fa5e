"""The report of generated events: metrics, distributions, correlations, training."""

import os
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.distributions.correlations import spearman
from jetvae_jax.report import (
    correlations,
    distributions,
    page,
    responses,
    tables,
    training_plots,
)
from jetvae_jax.report.page import Heading, Paragraph, Plot

SYMBOLS = {
    "mlly": r"$m_{\ell\ell\gamma}$ [GeV]",
    "phi_zy": r"$\phi_{Z\gamma}$ [rad]",
    "eta_zy": r"$\eta_{Z\gamma}$",
    "pt_zy": r"$p_T^{Z\gamma}$ [GeV]",
    "e_zy": r"$E_{Z\gamma}$ [GeV]",
    "mll": r"$m_{\ell\ell}$ [GeV]",
    "phi_ll": r"$\phi_{\ell\ell}$ [rad]",
    "eta_ll": r"$\eta_{\ell\ell}$",
    "pt_ll": r"$p_T^{\ell\ell}$ [GeV]",
    "e_ll": r"$E_{\ell\ell}$ [GeV]",
    "dR_ll": r"$\Delta R_{\ell\ell}$",
    "MET": r"$E_T^\mathrm{miss}$ [GeV]",
    "MET_phi": r"$\phi(E_T^\mathrm{miss})$ [rad]",
    "Nj": "jets",
    "Ncj": "charm jets",
    "dPhi_ll": r"$\Delta\phi_{\ell\ell}$ [rad]",
    "dPhi_METZy": r"$\Delta\phi(E_T^\mathrm{miss}, Z\gamma)$ [rad]",
    "llpt_mlly": r"$p_T^{\ell\ell} / m_{\ell\ell\gamma}$",
}
"""Column of Z gamma events to its symbol and unit."""
NAMES = {
    "ks_mean": "KS, mean\N{NBSP}↓",
    "spearman": "Spearman matrix, distance\N{NBSP}↓",
    "spearman_largest": "Spearman matrix, largest difference\N{NBSP}↓",
    "c2st": "classifier AUC, best 0.5",
}
NOTE = (
    "KS: largest difference of two cumulative distributions; Spearman: Frobenius norm "
    "of the difference of the rank correlation matrices. The floor is the value of as "
    "many other real events, with its standard deviation; errors of the samples are "
    "statistical (jackknife)."
)
FEW_COUNTS = 19  # a column of integers in so small a range has a bin for each
FEW_SAMPLES, MANY_BINS, FEW_BINS = 4, 100, 20  # many lines need wide bins
Samples = Mapping[str, np.ndarray]
"""Name to events ``[J, C]``."""
Results = Mapping[str, Any]
"""Name of a sample to its metrics, as `events.metrics.compare` returns them."""


def write(
    path: str | os.PathLike,
    *,
    title: str,
    about: page.Table,
    summary: page.Summary,
    evaluation: Mapping[str, Any],
    samples: Samples,
    names: Sequence[str],
    history: training_plots.History,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        title: of the page.
        about: date, seed and so on: `report.about.table`.
        summary: a text, the lines of a list, or names and values.
        evaluation: ``floor``, and ``candidates`` by name: what
            `events.metrics.compare` returns, and perhaps ``c2st``; perhaps
            ``conditions``, of `metrics.conditions.gathered`, ``responses``, of
            `metrics.conditional.compare`, and ``trained_on`` and ``no_check``, names
            of what the training loss held.
        samples: name to events ``[J, C]``, ``"input"`` among them.
        names: of the C columns.
        history: name of a training to its epochs.

    Raises:
        InputError: a file cannot be written.
    """
    results = {tables.FLOOR: evaluation["floor"]}
    results |= evaluation["candidates"]
    no_check = evaluation.get("no_check", ())
    blocks = (
        about,
        *page.summary(summary),
        *tables.in_loss(evaluation.get("trained_on", ())),
        Heading("Metrics"),
        page.table(*headline(results, no_check, tables.label), style="compact"),
        Paragraph(NOTE, "note"),
        Heading("Kolmogorov-Smirnov distance of each column"),
        page.table(*by_column(results, names, no_check, tables.label), style="compact"),
        *tables.conditions(evaluation.get("conditions", {})),
        *sample_plots(samples, names, trained_on=no_check),
        *responses.blocks(evaluation.get("responses"), "events", no_check),
        *training_plots.curve_plots(history, "event", {"vae": "model"}),
    )
    return page.write(path, title, blocks)


def headline(
    results: Results, no_check: Collection[str] = (), mark: tables.Mark = tables.starred
) -> tuple[list, list[list[str]]]:
    """Head and rows of the table of metrics, a row for each sample.

    Args:
        results: sample to metrics.
        no_check: columns and metrics that the training loss held.
        mark: how they are marked.
    """
    shown = [name for name in NAMES if any(name in m for m in results.values())]
    rows = [
        [sample, *(cell(metrics.get(name)) for name in shown)]
        for sample, metrics in results.items()
    ]
    return ["sample", *(mark(NAMES[name], name in no_check) for name in shown)], rows


def by_column(
    results: Results,
    names: Sequence[str],
    no_check: Collection[str] = (),
    mark: tables.Mark = tables.starred,
) -> tuple[list[str], list[list]]:
    """Head and rows of the table of KS distances, a row for each column of events."""
    rows = [
        [
            mark(n, n in no_check),
            *(cell(metrics["ks"][n]) for metrics in results.values()),
        ]
        for n in names
    ]
    return ["column", *results], rows


def cell(metric: Mapping[str, float] | None) -> str:
    """The value of a metric with its error, or a dash."""
    if metric is None:
        return tables.MISSING
    value = metric["value"] if "value" in metric else metric["auc"]
    return tables.with_error(value, metric["error"])


def text(results: Results, names: Sequence[str], no_check: Collection[str] = ()) -> str:
    """Both tables for a terminal."""
    shown = headline(results, no_check), by_column(results, names, no_check)
    return "\n".join(tables.aligned(*table) for table in shown)


def sample_plots(
    samples: Samples,
    names: Sequence[str],
    *,
    rows: int = 3,
    shown: str = "",
    trained_on: Collection[str] = (),
) -> Iterator[Plot]:
    """Distributions with ratios, and Spearman matrices.

    Args:
        samples: name to events ``[J, C]``, ``"input"`` among them.
        names: of the C columns.
        rows: samples in one figure of matrices.
        shown: a sentence for the captions on which events these are.
        trained_on: columns that were part of the training loss.
    """
    sizes = {name: len(events) for name, events in samples.items()}
    counted = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    yield Plot(
        "columns",
        "Distributions",
        "Below, the ratio to the input. The grey band is the statistical error of the "
        "input, coloured bands are the errors of the samples. Events: "
        f"{counted}. {shown}",
        lambda: figure(samples, names, trained_on=trained_on),
    )
    matrices = {name: spearman(events) for name, events in samples.items()}
    others = [name for name in samples if name != "input"]
    for start in range(0, len(others), rows):
        few = ["input", *others[start : start + rows]]
        yield Plot(
            f"spearman_{start // rows + 1}" if len(others) > rows else "spearman",
            "Spearman correlations",
            "Real, generated, and the difference; a dot marks differences beyond "
            f"{correlations.SIGNIFICANT:g} statistical errors. {shown}",
            lambda few=few: correlations.figure(
                {name: matrices[name] for name in few},
                names,
                sizes=sizes,
                trained_on=trained_on,
            ),
        )


def figure(samples: Samples, names: Sequence[str], *, trained_on: Collection[str] = ()):
    """A panel for each column of the events, each with its ratio to the input."""
    values = {
        name: dict(zip(names, events.T, strict=True))
        for name, events in samples.items()
    }
    fine = MANY_BINS if len(samples) <= FEW_SAMPLES else FEW_BINS
    bins = [_binning(name, column, fine) for name, column in values["input"].items()]
    drawn = distributions.counts(values, bins)
    # The name is that of tables and flags.
    labels = {name: f"{name}, {symbol}" for name, symbol in SYMBOLS.items()}
    return distributions.grid(
        drawn, bins, "events", labels=labels, trained_on=trained_on
    )


def _binning(name: str, values: np.ndarray, bins: int) -> binning.Binning:
    """A bin for each integer, or equal bins that leave out long tails."""
    values = np.asarray(values, np.float64)
    low, high = values.min(), values.max()
    if (values == np.floor(values)).all() and high - low < FEW_COUNTS:
        return binning.Binning(name, int(high - low) + 1, low - 0.5, high + 0.5)
    nearly = np.quantile(values, [0.002, 0.998])
    # Without a long tail the range ends at the smallest or largest value.
    tails = np.abs(nearly - (low, high)) > 0.05 * (high - low)
    low, high = np.where(tails, nearly, (low, high))
    return binning.Binning(name, bins, float(low), float(high))
