"""Which loss of sparse images is best: tables over seeds, and what they decide."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jetvae_jax.images.report import LOSS_LABELS

SAMPLES = ("reconstruction", "prior", "flow")
COLUMNS = (
    ("reconstruction", "distance", "distance [pixels]", ".3f", 1),
    ("reconstruction", "intensity", "intensity gap", ".3f", 1),
    ("reconstruction", "accuracy", "recognised [%]", ".1f", 100),
    ("reconstruction", "frechet", "Fréchet, reconstructed", ".1f", 1),
    ("prior", "frechet", "Fréchet, prior", ".1f", 1),
    ("flow", "frechet", "Fréchet, flow", ".1f", 1),
)
"""Sample, metric, heading, format, factor. All but the accuracy are best when small."""
SURE = 2
"""Standard deviations of a difference over the seeds that decide."""
VIEWS = {"positions": False, "positions and intensities": True}


def text(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Tables in Markdown: mean and deviation over the seeds; and the winner."""
    blocks = []
    for view in VIEWS:
        columns, rows = table(found, view)
        lines = [_line(["", *columns]), _line(["---"] * (len(columns) + 1))]
        lines += [_line([name, *cells]) for name, cells in rows]
        said = "\n".join(f"- {line}" for line in verdict(found, view))
        blocks.append("\n".join([f"Compared by {view}:\n", *lines, "", said]).rstrip())
    return "\n\n".join(blocks) + "\n"


def table(
    found: Mapping[str, Sequence[Mapping[str, Any]]], view: str
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Headings, and name and cells of each row, the floor last."""
    columns, given = _columns(view), _in_view(found, view)
    rows = [
        (LOSS_LABELS.get(name, name), [_cell(results, *c) for c in columns])
        for name, results in given.items()
    ]
    evaluated = next(iter(given.values()), [])
    floor = [dict.fromkeys(SAMPLES, results["floor"]) for results in evaluated]
    rows.append(("floor", [_cell(floor, *c) for c in columns]))
    return [label for _, _, label, *_ in columns], rows


def verdict(found: Mapping[str, Sequence[Mapping[str, Any]]], view: str) -> list[str]:
    """Which loss is best by each metric, if the seeds decide it, and by which not."""
    sure, open_ = [], []
    for kind, name, label, form, unit in _columns(view):
        sign = -1 if name == "accuracy" else 1
        means = []
        for loss, results in _in_view(found, view).items():
            if values := _values(results, kind, name, unit):
                mean, spread = sign * float(np.mean(values)), _spread(values)
                means.append((mean, spread, LOSS_LABELS.get(loss, loss)))
        if len(means) < 2:
            continue
        (best, spread, winner), (second, its_spread, other) = sorted(means)[:2]
        gap, error = second - best, float(np.hypot(spread, its_spread))
        if error and gap > SURE * error:
            sure.append(
                f"{label}: {winner} is best, by {format(gap, form)} or "
                f"{gap / error:.1f} deviations ahead of {other}"
            )
        else:
            open_.append(f"{label} ({winner})")
    if open_:
        sure.append(
            f"ahead by less than {SURE} deviations over the seeds, or with one seed: "
            + "; ".join(open_)
        )
    return sure


def _columns(view: str) -> list[tuple]:
    # All pixels are white where positions alone are compared.
    return [c for c in COLUMNS if VIEWS[view] or c[1] != "intensity"]


def _in_view(found, view: str) -> dict[str, list]:
    given = {n: [f[view] for f in runs if view in f] for n, runs in found.items()}
    return {name: results for name, results in given.items() if results}


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(results, kind, name, label, form, unit) -> str:
    del label
    values = _values(results, kind, name, unit)
    if not values:
        return "\N{EN DASH}"
    text, error = format(np.mean(values), form), format(_spread(values), form)
    return f"{text} ± {error}" if float(error) else text


def _values(results, kind: str, name: str, unit: float) -> list[float]:
    return [unit * f[kind][name] for f in results if name in f.get(kind, {})]


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
