"""The tables of a report as HTML."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from jetvae_jax.metrics.table import sections

PUBLISHED = (
    ("ConVAE, generated, best of all models", 0.0061, None),
    ("ConVAE + RealNVP, generated (preliminary)", 0.0040, 0.0022),
    ("ConVAE, reconstructed, beta = 0", 0.0027, None),
    ("better reconstruction (preliminary)", 0.0018, 0.0013),
)
"""EMD sum and EMD of the mass that Orzari et al. showed at RENAFAE 2022: gluon jets of
JetNet, 30 particles, by the bin-height figure."""

Row = Sequence[str]


def headline(evaluation: Mapping[str, Any]) -> str:
    """One row per sample, then the published rows.

    Args:
        evaluation: what `metrics.evaluate` returns.
    """
    w1 = [
        (figure, name, protocol)
        for name, protocol in evaluation["protocols"].items()
        for figure in ("w1m", "w1p")
    ]
    head = [
        "sample",
        "EMD sum / range ↓",
        "EMD mass [GeV] ↓",
        *(f"{f.upper()} [1e-3] {p['num_jets']:,} x {p['num_batches']} ↓"
          for f, _, p in w1),
        "published EMD sum ↓",
        "published EMD mass ↓",
    ]  # fmt: skip
    samples = list(evaluation["candidates"].items())
    if evaluation["floor"] is not None:
        samples.insert(0, ("floor: other real jets", evaluation["floor"]))
    rows = [
        [
            name,
            f"{figures['emd_normalised_sum']:.4f}",
            f"{figures['jet']['mass']['emd']:.2f}",
            *(_with_error(figures[figure][protocol]) for figure, protocol, _ in w1),
            f"{figures['bin_height_w1_sum']:.4f}",
            f"{figures['jet']['mass']['bin_height_w1']:.4f}",
        ]
        for name, figures in samples
    ]
    blank = ["-"] * (2 + len(w1))
    published = [
        [
            f"{name}: published (talk 2022), different data",
            *blank,
            f"{total:.4f}",
            "-" if mass is None else f"{mass:.4f}",
        ]
        for name, total, mass in PUBLISHED
    ]
    return _table(head, rows, faint=published)


def full(evaluation: Mapping[str, Any]) -> str:
    """Every figure of every sample, beside its floor.

    Args:
        evaluation: what `metrics.evaluate` returns.
    """
    samples = dict(evaluation["candidates"])
    if evaluation["floor"] is not None:
        samples = {"floor": evaluation["floor"], **samples}
    head = ["", "unit", *samples]
    body = []
    for title, rows in sections(dict(evaluation)):
        body.append(
            f'<tr class="section"><th colspan="{len(head)}">{escape(title)}</th></tr>'
        )
        body += [
            _row([label, unit or "-", *(cell(f) for f in samples.values())])
            for label, unit, cell in rows
        ]
    return _wrap(_head(head) + "<tbody>" + "\n".join(body) + "</tbody>")


def pairs(values: Mapping[str, Any]) -> str:
    """Two columns, name and value."""
    rows = "\n".join(_row([str(k), str(v)]) for k, v in values.items())
    return _wrap(f"<tbody>{rows}</tbody>", kind="pairs")


def _with_error(value: Mapping[str, float]) -> str:
    return f"{1e3 * value['mean']:.2f} ± {1e3 * value['std']:.2f}"


def _table(head: Row, rows: Iterable[Row], *, faint: Iterable[Row] = ()) -> str:
    body = [_row(row) for row in rows] + [_row(row, kind="faint") for row in faint]
    return _wrap(_head(head) + "<tbody>" + "\n".join(body) + "</tbody>")


def _head(cells: Row) -> str:
    inside = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in cells)
    return f"<thead><tr>{inside}</tr></thead>"


def _row(cells: Row, *, kind: str = "") -> str:
    first, *rest = (escape(cell) for cell in cells)
    inside = f'<th scope="row">{first}</th>' + "".join(f"<td>{c}</td>" for c in rest)
    return f'<tr class="{kind}">{inside}</tr>' if kind else f"<tr>{inside}</tr>"


def _wrap(inside: str, *, kind: str = "figures") -> str:
    """A table that scrolls by itself on a narrow screen."""
    return f'<div class="scroll"><table class="{kind}">{inside}</table></div>'
