"""Which loss of sparse images is best: tables over seeds, and what they decide."""

from collections.abc import Mapping, Sequence
from typing import Any

from jetvae_jax.images.report import LOSS_LABELS
from jetvae_jax.studies import seeds
from jetvae_jax.studies.seeds import Column

SAMPLES = ("reconstruction", "prior", "flow")
COLUMNS = (
    Column("reconstruction", "distance", "distance [pixels]", ".3f"),
    Column("reconstruction", "intensity", "intensity gap", ".3f"),
    Column("reconstruction", "accuracy", "recognised [%]", ".1f", 100, high=True),
    Column("reconstruction", "frechet", "Fréchet, reconstructed", ".1f"),
    Column("prior", "frechet", "Fréchet, prior", ".1f"),
    Column("flow", "frechet", "Fréchet, flow", ".1f"),
)
VIEWS = {"positions": False, "positions and intensities": True}
Found = Mapping[str, Sequence[Mapping[str, Any]]]
"""Loss to the results of its trainings in each view."""


def text(found: Found) -> str:
    """Tables in Markdown: mean and deviation over the seeds; and the winner."""
    blocks = []
    for view in VIEWS:
        said = "\n".join(f"- {line}" for line in verdict(found, view))
        shown = seeds.markdown(*table(found, view))
        blocks.append(f"Compared by {view}:\n\n{shown}\n\n{said}".rstrip())
    return "\n\n".join(blocks) + "\n"


def table(found: Found, view: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Headings, and name and cells of each row, the floor last."""
    columns, given = _columns(view), _in_view(found, view)
    rows = [
        (name, [seeds.cell(results, column) for column in columns])
        for name, results in given.items()
    ]
    evaluated = next(iter(given.values()), [])
    floor: list[seeds.Results] = [
        dict.fromkeys(SAMPLES, results["floor"]) for results in evaluated
    ]
    rows.append(("floor", [seeds.cell(floor, column) for column in columns]))
    return [column.heading for column in columns], rows


def verdict(found: Found, view: str) -> list[str]:
    """Which loss is best by each metric, if the seeds decide it, and by which not."""
    return seeds.best(_in_view(found, view), _columns(view))


def _columns(view: str) -> list[Column]:
    # All pixels are white where positions alone are compared.
    return [c for c in COLUMNS if VIEWS[view] or c.metric != "intensity"]


def _in_view(found: Found, view: str) -> dict[str, list]:
    """The same of one view, by the names of the losses that are printed."""
    given = {
        LOSS_LABELS.get(name, name): [f[view] for f in runs if view in f]
        for name, runs in found.items()
    }
    return {name: results for name, results in given.items() if results}
