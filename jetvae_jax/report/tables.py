"""The tables of a report as HTML."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from jetvae_jax.metrics.suite.published import UNITS
from jetvae_jax.metrics.suite.text import sections
from jetvae_jax.report.style import TRAINED

PUBLISHED = (
    ("ConVAE, generated, best of all models", 0.0061, None),
    ("ConVAE + RealNVP, generated (preliminary)", 0.0040, 0.0022),
    ("ConVAE, reconstructed, beta = 0", 0.0027, None),
    ("better reconstruction (preliminary)", 0.0018, 0.0013),
)
"""EMD sum and EMD of the mass that Orzari et al. showed at RENAFAE 2022: gluon jets of
JetNet, 30 particles, by the bin-height figure."""

_MADE_OF = {
    "w1m": {"mass"},
    "w1p": {"ptrel", "etarel", "phirel"},
    "emd_normalised_sum": {"mass", "pt", "energy", "eta", "phi"},
    "bin_height_w1_sum": {"mass", "pt", "energy", "eta", "phi"},
}
"""Figures to the observables they judge."""

_SUPERSCRIPT = {-3: "⁻³", -5: "⁻⁵", -6: "⁻⁶"}
MISSING = "\N{EN DASH}"

Row = Sequence[str]


class Html(str):
    """Text that is HTML already; every other string is escaped."""


def badge(text: str, *, kind: str = "") -> Html:
    """A small label, such as ``published``."""
    return Html(f'<span class="{f"badge {kind}".rstrip()}">{escape(text)}</span>')


def label(text: str, enforced: bool) -> Html:
    """A name, marked if that statistic was part of the training loss."""
    mark = " " + badge(TRAINED, kind="trained") if enforced else ""
    return Html(escape(text) + mark)


def metric_label(metric: str, enforced: bool, drawn: str = "") -> Html:
    """A metric's name with its unit and its good direction.

    Args:
        metric: a key of `metrics.leaderboard.UNITS`.
        enforced: it judges what the training loss held.
        drawn: the jets it was drawn from.
    """
    unit = UNITS[metric]
    scale = "" if unit == 1 else f" [10{_SUPERSCRIPT[round(math.log10(unit))]}]"
    arrow = "↑" if metric == "cov" else "↓"
    return label(
        f"{metric.upper()}{scale} {drawn}".rstrip() + f"\N{NBSP}{arrow}", enforced
    )


def enforced(name: str, trained_on: Collection[str]) -> bool:
    """Whether a figure or observable judges what the training loss held.

    Args:
        name: an observable, or a metric such as ``w1m``, which judges the mass.
        trained_on: observables and metrics of the loss.
    """
    return not ({name} | _MADE_OF.get(name, set())).isdisjoint(trained_on)


def headline(
    evaluation: Mapping[str, Any], *, trained_on: Collection[str] = ()
) -> Html:
    """One row per sample, then the published rows.

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
            Html(f"{escape(name)} {badge('published, talk 2022')}"),
            *blank,
            f"{total:.4f}",
            MISSING if mass is None else f"{mass:.4f}",
        ]
        for name, total, mass in PUBLISHED
    ]
    return table(head, rows, faint=published, kind="figures compact")


def full(evaluation: Mapping[str, Any], *, trained_on: Collection[str] = ()) -> Html:
    """Every figure of every sample, beside its floor.

    Args:
        evaluation: what `metrics.evaluate` returns.
        trained_on: observables that were part of the training loss.
    """
    samples = dict(evaluation["candidates"])
    if evaluation["floor"] is not None:
        samples = {"floor": evaluation["floor"], **samples}
    head = ["", "unit", *samples]
    body = []
    for title, rows in sections(dict(evaluation)):
        body.append(section(title, len(head)))
        for name, unit, cell in rows:
            marked = label(name, enforced(name.lower(), trained_on))
            body.append(
                row([marked, unit or MISSING, *(cell(f) for f in samples.values())])
            )
    return raw(head, body)


def pairs(values: Mapping[str, Any]) -> Html:
    """Two columns, name and value."""
    rows = "\n".join(row([str(k), str(v)]) for k, v in values.items())
    return _wrap(f"<tbody>{rows}</tbody>", kind="pairs")


def table(
    head: Row, rows: Iterable[Row], *, faint: Iterable[Row] = (), kind: str = "figures"
) -> Html:
    """A table whose first column names the rows.

    Args:
        head: headings; here and below, strings other than :class:`Html` are escaped.
        rows: cells of each row.
        faint: rows that follow in a quieter colour.
        kind: class of the table; ``compact`` ones have smaller letters.
    """
    quiet = (row(cells, kind="faint") for cells in faint)
    return raw(head, [*map(row, rows), *quiet], kind=kind)


def raw(head: Row, rows: Iterable[Html], *, kind: str = "figures") -> Html:
    """A table of rows that are HTML already."""
    inside = "".join(f'<th scope="col">{_safe(cell)}</th>' for cell in head)
    body = "\n".join(rows)
    whole = f"<thead><tr>{inside}</tr></thead><tbody>{body}</tbody>"
    return _wrap(whole, kind=kind)


def row(cells: Row, *, kind: str = "") -> Html:
    """One row; the first cell names it."""
    first, *rest = map(_safe, cells)
    inside = f'<th scope="row">{first}</th>' + "".join(f"<td>{c}</td>" for c in rest)
    start = f'<tr class="{kind}">' if kind else "<tr>"
    return Html(f"{start}{inside}</tr>")


def section(title: str, columns: int) -> Html:
    """A row that heads those after it."""
    return Html(f'<tr class="section"><th colspan="{columns}">{_safe(title)}</th></tr>')


def with_error(value: float, error: float | None = None) -> str:
    """A number with two digits of its error, three of its own without one."""
    if error is None or not math.isfinite(error):
        return f"{value:.3g}"
    digits = 4 if error <= 0 else min(max(1 - math.floor(math.log10(error)), 0), 6)
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _w1_heading(metric: str, protocol: Mapping[str, Any], trained_on) -> Html:
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


def _safe(cell: str) -> str:
    return cell if isinstance(cell, Html) else escape(cell)


def _wrap(inside: str, *, kind: str = "figures") -> Html:
    """A table that scrolls by itself on a narrow screen."""
    return Html(f'<div class="scroll"><table class="{kind}">{inside}</table></div>')
