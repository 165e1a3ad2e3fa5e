"""A report on generated events: figures, distributions, correlations, curves."""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.distributions.correlations import spearman
from jetvae_jax.report import correlations, curves, distributions, page, tables

LABELS = {
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
NAMES = {
    "ks_mean": "KS, mean",
    "spearman": "Spearman matrix, distance",
    "spearman_largest": "Spearman matrix, largest difference",
    "c2st": "classifier AUC, best 0.5",
}
NOTE = (
    "KS: largest difference of two cumulative distributions; Spearman: Frobenius norm "
    "of the difference of the rank correlation matrices. The floor is what other real "
    "events of the same number score, with its standard deviation; errors of the "
    "samples are statistical (jackknife)."
)
FEW_COUNTS = 19
FEW_SAMPLES, MANY_BINS, FEW_BINS = 4, 100, 20  # many lines need wide bins
Samples = Mapping[str, np.ndarray]


def write(
    path: str | os.PathLike,
    *,
    title: str,
    summary: page.Summary,
    evaluation: Mapping[str, Any],
    samples: Samples,
    names: Sequence[str],
    history: Mapping[str, Sequence[Mapping[str, Any]]],
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        title: heading of the page.
        summary: a text, lines, or names and values.
        evaluation: ``floor`` and ``candidates``, name to the figures of
            ``metrics.event_figures`` and perhaps ``c2st``.
        samples: name to events ``[J, C]``, ``"input"`` among them.
        names: of the C columns.
        history: name of a training to its epochs.

    Raises:
        InputError: a file cannot be written.
    """
    judged = {"floor: other real events": evaluation["floor"]}
    judged |= evaluation["candidates"]
    parts = [
        f"<h1>{escape(title)}</h1>",
        page.summary(summary),
        "<h2>Figures</h2>",
        tables.table(*headline(judged), kind="figures compact"),
        f'<p class="note">{escape(NOTE)}</p>',
        "<h2>Kolmogorov-Smirnov distance of each column</h2>",
        tables.table(*by_column(judged, names), kind="figures compact"),
    ]
    plots = (*sample_plots(samples, names), *training_plots(history))
    return page.write(path, title, parts, plots)


def headline(judged: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table: a row a sample, the figures in columns."""
    shown = [name for name in NAMES if any(name in f for f in judged.values())]
    rows = [
        [sample, *(cell(figures.get(name)) for name in shown)]
        for sample, figures in judged.items()
    ]
    return ["sample", *(NAMES[name] for name in shown)], rows


def by_column(
    judged: Mapping[str, Any], names: Sequence[str]
) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of KS: a row a column of the events."""
    rows = [
        [n, *(cell(figures["ks"][n]) for figures in judged.values())] for n in names
    ]
    return ["column", *judged], rows


def cell(figure: Mapping[str, float] | None) -> str:
    """A value with its error."""
    if figure is None:
        return tables.MISSING
    value = figure["value"] if "value" in figure else figure["auc"]
    return tables.with_error(value, figure["error"])


def text(judged: Mapping[str, Any], names: Sequence[str]) -> str:
    """Both tables for a terminal."""
    return "\n".join([aligned(*headline(judged)), aligned(*by_column(judged, names))])


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain letters."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines) + "\n"


def sample_plots(
    samples: Samples, names: Sequence[str], *, rows: int = 3, shown: str = ""
) -> Iterator[page.Plot]:
    """Distributions with ratios, and Spearman matrices.

    Args:
        samples: name to events ``[J, C]``, ``"input"`` among them.
        names: of the C columns.
        rows: samples in one figure of matrices.
        shown: a sentence on which events these are.
    """
    sizes = {name: len(events) for name, events in samples.items()}
    counted = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    yield page.Plot(
        "columns",
        "Distributions",
        "Below, the ratio to the input; the grey band is the statistical error of the "
        f"input, coloured ones are the samples'. Events: {counted}. {shown}",
        lambda: figure(samples, names),
    )
    matrices = {name: spearman(events) for name, events in samples.items()}
    others = [name for name in samples if name != "input"]
    for start in range(0, len(others), rows):
        few = ["input", *others[start : start + rows]]
        yield page.Plot(
            f"spearman_{start // rows + 1}" if len(others) > rows else "spearman",
            "Spearman correlations",
            "Real, generated, and the difference; a dot marks differences beyond "
            f"{correlations.SIGNIFICANT:g} statistical errors. {shown}",
            lambda few=few: correlations.figure(
                {name: matrices[name] for name in few}, names, sizes=sizes
            ),
        )


def training_plots(
    history: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Iterator[page.Plot]:
    """Every term of every loss over the epochs."""
    for i, (name, rows) in enumerate(history.items()):
        if curves.terms(rows):
            yield page.Plot(
                f"curves_{i}",
                "Training",
                f"{name}: terms of the loss, mean per event.",
                lambda rows=rows: curves.figure(rows),
            )


def figure(samples: Samples, names: Sequence[str]):
    """A panel a column of the events, each with its ratio to the input."""
    values = {
        name: dict(zip(names, events.T, strict=True))
        for name, events in samples.items()
    }
    fine = MANY_BINS if len(samples) <= FEW_SAMPLES else FEW_BINS
    bins = [_binning(name, column, fine) for name, column in values["input"].items()]
    drawn = distributions.counts(values, bins)
    return distributions.grid(drawn, bins, "events", labels=LABELS)


def _binning(name: str, values: np.ndarray, bins: int) -> binning.Binning:
    """A bin for each count, or equal ones up to the end or into a long tail."""
    values = np.asarray(values, np.float64)
    low, high = values.min(), values.max()
    if (values == np.floor(values)).all() and high - low < FEW_COUNTS:
        return binning.Binning(name, int(high - low) + 1, low - 0.5, high + 0.5)
    nearly = np.quantile(values, [0.002, 0.998])
    # Where hardly anything lies beyond, the range ends with the values themselves.
    tails = np.abs(nearly - (low, high)) > 0.05 * (high - low)
    low, high = np.where(tails, nearly, (low, high))
    return binning.Binning(name, bins, float(low), float(high))
