"""The tables of a report as HTML."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from jetvae_jax.metrics.distributions.binning import PAPER_JETS
from jetvae_jax.metrics.measurements import known_metrics
from jetvae_jax.metrics.suite.measurement import Metric
from jetvae_jax.metrics.suite.text import sections
from jetvae_jax.report.style import TRAINED

PUBLISHED = (
    ("ConVAE, generated, best of all models", 0.0061, None),
    ("ConVAE + RealNVP, generated (preliminary)", 0.0040, 0.0022),
    ("ConVAE, reconstructed, beta = 0", 0.0027, None),
    ("better reconstruction (preliminary)", 0.0018, 0.0013),
)
"""EMD sum and EMD of the mass that Orzari et al. showed at RENAFAE 2022: gluon jets of
JetNet, 30 particles, by :func:`~jetvae_jax.metrics.bin_height_w1`."""

_SUMS = ("emd_normalised_sum", "bin_height_w1_sum")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
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


def metric_label(metric: Metric, enforced: bool, drawn: str = "") -> Html:
    """A metric's name with its scale, its unit and the direction that is better.

    Args:
        metric: as `metrics.known_metrics` lists it.
        enforced: it compares an observable that the training loss held.
        drawn: the jets it was drawn from.
    """
    scale = ""
    if metric.scale != 1:
        scale = "10" + str(metric.exponent).translate(_SUPERSCRIPT)
    unit = f"{scale} {metric.unit}".strip()
    name = f"{metric.label}{f' [{unit}]' if unit else ''} {drawn}".rstrip()
    return label(f"{name}\N{NBSP}{metric.arrow}", enforced)


def enforced(name: str, trained_on: Collection[str]) -> bool:
    """Whether a metric or observable compares what the training loss held.

    Args:
        name: an observable, or a metric such as ``w1m``, which compares the mass.
        trained_on: observables and metrics of the loss.
    """
    compared = {name}
    if name in _SUMS:
        compared |= {b.name for b in PAPER_JETS}
    elif metric := known_metrics().get(name):
        compared |= set(metric.observables)
    return not compared.isdisjoint(trained_on)


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
    metrics = known_metrics()
    w1 = [
        (metric, name)
        for name, protocol in evaluation["protocols"].items()
        for metric in ("w1m", "w1p")
        if protocol["w1"]
    ]
    classified = any("c2st" in results for results in samples.values())
    head = [
        "sample",
        label("EMD sum / range\N{NBSP}↓", enforced("emd_normalised_sum", trained_on)),
        label("EMD mass [GeV]\N{NBSP}↓", "mass" in trained_on),
        *(
            metric_label(
                metrics[m],
                enforced(m, trained_on),
                "{num_jets:,} x {num_batches}".format(
                    **evaluation["protocols"][p]["w1"]
                ),
            )
            for m, p in w1
        ),
        *(["classifier AUC, best 0.5"] if classified else []),
        label("published EMD sum\N{NBSP}↓", enforced("bin_height_w1_sum", trained_on)),
        label("published EMD mass\N{NBSP}↓", "mass" in trained_on),
    ]
    rows = [
        [
            name,
            f"{results['emd_normalised_sum']:.4f}",
            f"{results['jet']['mass']['emd']:.2f}",
            *(_scaled(results["protocols"][p].get(m), metrics[m].scale) for m, p in w1),
            *([_auc(results)] if classified else []),
            f"{results['bin_height_w1_sum']:.4f}",
            f"{results['jet']['mass']['bin_height_w1']:.4f}",
        ]
        for name, results in samples.items()
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
    """Every metric of every sample, beside its floor.

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
        for found in rows:
            marked = label(found.label, enforced(found.name, trained_on))
            cells = (found.cell(results) for results in samples.values())
            body.append(row([marked, found.unit or MISSING, *cells]))
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


def _scaled(result: Mapping[str, Any] | None, scale: float) -> str:
    if result is None:
        return MISSING
    error = result.get("error")
    return with_error(result["value"] / scale, None if error is None else error / scale)


def _auc(results: Mapping[str, Any]) -> str:
    found = results.get("c2st")
    return MISSING if found is None else with_error(found["auc"], found["error"])


def _safe(cell: str) -> str:
    return cell if isinstance(cell, Html) else escape(cell)


def _wrap(inside: str, *, kind: str = "figures") -> Html:
    """A table that scrolls by itself on a narrow screen."""
    return Html(f'<div class="scroll"><table class="{kind}">{inside}</table></div>')
