"""Tables of results over several seeds, and what the seeds decide."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

Results = Mapping[str, Mapping[str, float]]
"""Of one training: sample to metric to value."""
ROUNDING = 1e-12
"""Of a value: what is less is no difference from it."""
SURE = 2
"""Standard deviations of a difference over the seeds that decide."""


class Column(NamedTuple):
    """A metric of a sample.

    Attributes:
        sample: such as ``prior``.
        metric: its name in the results.
        heading: of the column.
        form: how values are printed.
        factor: by which values are multiplied first.
        high: whether high values are good.
    """

    sample: str
    metric: str
    heading: str
    form: str
    factor: float = 1
    high: bool = False


def values(results: Sequence[Results], column: Column) -> list[float]:
    """The values of a column, of those trainings that have it."""
    found = (one.get(column.sample, {}) for one in results)
    return [column.factor * f[column.metric] for f in found if column.metric in f]


def spread(numbers: Sequence[float]) -> float:
    """Standard deviation over the seeds; 0 for one, and for equal ones.

    What rounding leaves of equal numbers is no deviation: a difference of any size
    would be many of it.
    """
    if len(numbers) < 2:
        return 0.0
    found = float(np.std(numbers, ddof=1))
    return found if found > ROUNDING * float(np.max(np.abs(numbers))) else 0.0


def cell(results: Sequence[Results], column: Column) -> str:
    """Mean and standard deviation over the seeds; a dash where there is no value."""
    numbers = values(results, column)
    if not numbers:
        return "\N{EN DASH}"
    text, error = (format(v, column.form) for v in (np.mean(numbers), spread(numbers)))
    return f"{text} ± {error}" if float(error) else text


def best(
    found: Mapping[str, Sequence[Results]], columns: Sequence[Column]
) -> list[str]:
    """Which candidate is best by each metric, if the seeds decide it, and by which not.

    Args:
        found: the name of a candidate, as it is printed, to its results.
        columns: the metrics.
    """
    sure, open_ = [], []
    for column in columns:
        sign = -1 if column.high else 1
        means = [
            (sign * float(np.mean(numbers)), spread(numbers), name)
            for name, results in found.items()
            if (numbers := values(results, column))
        ]
        if len(means) < 2:
            continue
        (low, its_spread, winner), (second, other_spread, other) = sorted(means)[:2]
        gap, error = second - low, float(np.hypot(its_spread, other_spread))
        if error and gap > SURE * error:
            sure.append(
                f"{column.heading}: {winner} is best, by {format(gap, column.form)} or "
                f"{gap / error:.1f} deviations ahead of {other}"
            )
        else:
            open_.append(f"{column.heading} ({winner})")
    if open_:
        sure.append(
            f"ahead by less than {SURE} deviations over the seeds, or with one seed: "
            + "; ".join(open_)
        )
    return sure


def markdown(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A table of text in Markdown, the first column being the names of the rows."""
    lines = [["", *headings], ["---"] * (len(headings) + 1)]
    lines += [[name, *cells] for name, cells in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
