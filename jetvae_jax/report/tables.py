"""The tables of an evaluation of jets, and how values are printed in tables."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from jetvae_jax.metrics.suite.published import UNITS
from jetvae_jax.metrics.suite.text import sections
from jetvae_jax.report.page import Cell, Row, Table, table
from jetvae_jax.report.style import TRAINED

PUBLISHED = (
    ("ConVAE, generated, best of all models", 0.0061, None),
    ("ConVAE + RealNVP, generated (preliminary)", 0.0040, 0.0022),
    ("ConVAE, reconstructed, beta = 0", 0.0027, None),
    ("better reconstruction (preliminary)", 0.0018, 0.0013),
)
"""Model, EMD sum and EMD of the mass by Cobe, Fialho, Orzari and Tomei, "Machine
Learning for Simulation of Collision Events", RENAFAE workshop 2022: gluon jets of
JetNet with 30 particles; the EMD compares the heights of histogram bins."""
PUBLISHED_BY = "published, Cobe et al. 2022"

_MADE_OF = {
    "w1m": {"mass"},
    "w1p": {"ptrel", "etarel", "phirel"},
    "emd_normalised_sum": {"mass", "pt", "energy", "eta", "phi"},
    "bin_height_w1_sum": {"mass", "pt", "energy", "eta", "phi"},
}
"""Metric to the observables it is computed from."""

_SUPERSCRIPT = {-3: "⁻³", -5: "⁻⁵", -6: "⁻⁶"}
MISSING = "\N{EN DASH}"


def label(text: str, enforced: bool) -> Cell:
    """A name, marked if that statistic was part of the training loss."""
    return Cell(text, TRAINED if enforced else "", "trained")


def metric_label(metric: str, enforced: bool, drawn: str = "") -> Cell:
    """A metric's name with its unit and its good direction.

    Args:
        metric: a key of `metrics.leaderboard.UNITS`.
        enforced: it depends on a statistic that was part of the training loss.
        drawn: how many jets it was measured with.
    """
    unit = UNITS[metric]
    scale = "" if unit == 1 else f" [10{_SUPERSCRIPT[round(math.log10(unit))]}]"
    arrow = "↑" if metric == "cov" else "↓"
    return label(
        f"{metric.upper()}{scale} {drawn}".rstrip() + f"\N{NBSP}{arrow}", enforced
    )


def enforced(name: str, trained_on: Collection[str]) -> bool:
    """Whether a metric or observable depends on what was part of the training loss.

    Args:
        name: an observable, or a metric such as ``w1m``, which compares masses.
        trained_on: observables and metrics of the loss.
    """
    return not ({name} | _MADE_OF.get(name, set())).isdisjoint(trained_on)


def headline(
    evaluation: Mapping[str, Any], *, trained_on: Collection[str] = ()
) -> Table:
    """The main metrics: one row per sample, then the published rows.

    Args:
        evaluation: what `metrics.evaluate` returns.
        trained_on: observables that were part of the training loss.
    """
    samples = dict(evaluation["candidates"])
    if evaluation["floor"] is not None:
        samples = {"floor: other real jets": evaluation["floor"], **samples}
    w1 = [
        (metric, name)
        for name, protocol in evaluation["protocols"].items()
        for metric in ("w1m", "w1p")
        if protocol["w1"]
    ]
    classified = any("c2st" in figures for figures in samples.values())
    head = [
        "sample",
        label("EMD sum / range\N{NBSP}↓", enforced("emd_normalised_sum", trained_on)),
        label("EMD mass [GeV]\N{NBSP}↓", "mass" in trained_on),
        *(_w1_heading(m, evaluation["protocols"][p], trained_on) for m, p in w1),
        *(["classifier AUC, best 0.5"] if classified else []),
        label("published EMD sum\N{NBSP}↓", enforced("bin_height_w1_sum", trained_on)),
        label("published EMD mass\N{NBSP}↓", "mass" in trained_on),
    ]
    rows = [
        [
            name,
            f"{figures['emd_normalised_sum']:.4f}",
            f"{figures['jet']['mass']['emd']:.2f}",
            *(_scaled(figures["protocols"][p].get(m), 1e-3) for m, p in w1),
            *([_auc(figures)] if classified else []),
            f"{figures['bin_height_w1_sum']:.4f}",
            f"{figures['jet']['mass']['bin_height_w1']:.4f}",
        ]
        for name, figures in samples.items()
    ]
    blank = [MISSING] * (2 + len(w1) + classified)
    published = [
        [
            Cell(name, PUBLISHED_BY),
            *blank,
            f"{total:.4f}",
            MISSING if mass is None else f"{mass:.4f}",
        ]
        for name, total, mass in PUBLISHED
    ]
    return table(head, rows, faint=published, style="compact")


def full(evaluation: Mapping[str, Any], *, trained_on: Collection[str] = ()) -> Table:
    """Every metric of every sample, beside its floor.

    Args:
        evaluation: what `metrics.evaluate` returns.
        trained_on: observables that were part of the training loss.
    """
    samples = dict(evaluation["candidates"])
    if evaluation["floor"] is not None:
        samples = {"floor": evaluation["floor"], **samples}
    rows = []
    for title, metrics in sections(dict(evaluation)):
        rows.append(Row([title], "section"))
        for name, unit, cell in metrics:
            marked = label(name, enforced(name.lower(), trained_on))
            values = [cell(figures) for figures in samples.values()]
            rows.append(Row([marked, unit or MISSING, *values]))
    return Table(["", "unit", *samples], rows)


def with_error(value: float, error: float | None = None) -> str:
    """A value with two digits of its error, or with three digits if it has no error."""
    if error is None or not math.isfinite(error):
        return f"{value:.3g}"
    digits = 4 if error <= 0 else min(max(1 - math.floor(math.log10(error)), 0), 6)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _w1_heading(metric: str, protocol: Mapping[str, Any], trained_on) -> Cell:
    draws = protocol["w1"]
    drawn = f"{draws['num_jets']:,} x {draws['num_batches']}"
    return metric_label(metric, enforced(metric, trained_on), drawn)


def _scaled(figure: Mapping[str, Any] | None, unit: float) -> str:
    if figure is None:
        return MISSING
    error = figure.get("error")
    return with_error(figure["value"] / unit, None if error is None else error / unit)


def _auc(figures: Mapping[str, Any]) -> str:
    found = figures.get("c2st")
    return MISSING if found is None else with_error(found["auc"], found["error"])
