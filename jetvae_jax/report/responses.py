"""Generated and real samples in bins of the conditions: figures and tables."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.report import page, style, tables
from jetvae_jax.report.page import Block, Cell, Details, Heading, Paragraph, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "In bins of the conditions"
BEYOND = "beyond the training sample"
"""Badge of a bin in which a model extrapolates."""
_COLUMNS = 5  # of panels, at most
_DECADE = 10  # from here on an axis of positive conditions is logarithmic
_SAME = 1e-5  # of a generated width: a real one below is rounding


def blocks(
    found: Mapping[str, Any] | None, unit: str, trained_on: Collection[str] = ()
) -> Iterator[Block]:
    """The section of a report; nothing without conditions.

    Args:
        found: what `metrics.conditional.compare` returns.
        unit: name of the samples, such as jets.
        trained_on: quantities that were part of the training loss.
    """
    if not found:
        return
    yield Heading(TITLE)
    yield Paragraph(
        f"For each of {found['number']:,} real {unit} one was generated for the same "
        f"conditions (latents: {found['latents']}). A response is what came out over "
        "what was asked for; its width is the resolution. chi2 / bins: of the "
        "differences in the bins within the range of the training sample, over their "
        "statistical errors; about 1 if there are none.",
        "note",
    )
    for name, condition in found["conditions"].items():
        for group, entry in condition["groups"].items():
            title = name if group == "all" else f"{name}, class {group}"
            yield Plot(
                f"binned_{page.slug(title)}", TITLE,
                f"{title}: mean and width (standard deviation) in its bins, with "
                f"statistical errors.{_reach(condition)}",
                lambda entry=entry, title=title, condition=condition: figure(
                    entry, title, condition, trained_on
                ),
            )  # fmt: skip
            yield summary(entry, title, condition, trained_on)
            yield Details(f"By bin of {title}", [full(entry, condition, trained_on)])


def _reach(condition: Mapping[str, Any]) -> str:
    if condition["reach"] is None:
        return ""
    low, high = condition["reach"]
    unit = condition["unit"]
    return (
        f" The training sample has {low:.4g} to {high:.4g} {unit}".rstrip()
        + "; shaded: beyond it, where the model extrapolates. Triangles: farther than "
        "the panel reaches."
    )


def summary(
    entry: Mapping[str, Any],
    title: str,
    condition: Mapping[str, Any],
    trained_on: Collection[str] = (),
) -> page.Table:
    """One row for each quantity: how well means and widths agree.

    Args:
        entry: one group of a condition.
        title: of the condition.
        condition: the whole entry of it.
        trained_on: quantities that were part of the training loss.
    """
    head = [f"in bins of {title}", "means, chi2 / bins", "widths, chi2 / bins",
            "farthest mean", "in the bin"]  # fmt: skip
    names = bins(entry, condition)
    inside = ~np.array(entry["beyond"])
    rows = []
    for name, quantity in entry["quantities"].items():
        pulls = [_pulls(quantity, field)[inside] for field in ("mean", "width")]
        known = pulls[0][np.isfinite(pulls[0])]
        far, where = tables.MISSING, tables.MISSING
        if known.size:
            worst = int(np.nanargmax(np.abs(pulls[0])))
            far = f"{pulls[0][worst]:+.1f} errors"
            where = str(np.array(names)[inside][worst])
        rows.append([
            tables.label(quantity["label"], _marked(name, trained_on)),
            *(_chi2(p) for p in pulls), far, where,
        ])  # fmt: skip
    return page.table(head, rows, style="compact")


def full(
    entry: Mapping[str, Any],
    condition: Mapping[str, Any],
    trained_on: Collection[str] = (),
) -> page.Table:
    """Every mean and width, real and generated, bin by bin."""
    head = ["", "bin", "real, generated", "mean: real", "generated", "width: real",
            "generated", "width / mean: real", "generated"]  # fmt: skip
    rows = []
    for name, quantity in entry["quantities"].items():
        unit = f" [{quantity['unit']}]" if quantity["unit"] else ""
        marked = tables.label(f"{quantity['label']}{unit}", _marked(name, trained_on))
        pair = quantity["real"], quantity["generated"]
        for i, text in enumerate(bins(entry, condition)):
            counts = ", ".join(f"{one['count'][i]:,}" for one in pair)
            cells = [
                _cell(one, field, i)
                for field in ("mean", "width", "resolution")
                for one in pair
            ]
            mark = BEYOND if entry["beyond"][i] else ""
            rows.append([marked, Cell(text, mark), counts, *cells])
    return page.table(head, rows, style="compact")


def bins(entry: Mapping[str, Any], condition: Mapping[str, Any]) -> list[str]:
    """Names of the bins."""
    if classes := condition.get("classes"):
        return list(classes)
    ends = np.array(entry["edges"])
    low, high = ends[:-1], ends[1:]
    if np.all(ends % 1 == 0.5):  # whole numbers, in the middle
        low, high = low + 0.5, high - 0.5
    pairs = zip(low, high, strict=True)
    return [f"{a:.4g} to {b:.4g}" if a < b else f"{a:.4g}" for a, b in pairs]


def text(found: Mapping[str, Any] | None) -> str:
    """The summaries for a terminal; empty without conditions."""
    if not found:
        return ""
    lines = [f"{TITLE} (generated from the {found['latents']})"]
    for name, condition in found["conditions"].items():
        for group, entry in condition["groups"].items():
            title = name if group == "all" else f"{name}, class {group}"
            table = summary(entry, title, condition)
            body = [[c if isinstance(c, str) else c.text for c in row.cells]
                    for row in table.rows]  # fmt: skip
            given = [list(map(str, table.head)), *body]
            widths = [max(map(len, column)) for column in zip(*given, strict=True)]
            lines += ["", *(_line(row, widths) for row in given)]
            far = [n for n, b in zip(bins(entry, condition), entry["beyond"],
                                     strict=True) if b]  # fmt: skip
            if far:
                lines.append(f"{BEYOND}: {', '.join(far)} {condition['unit']}".rstrip())
    return "\n".join(lines) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()


def _marked(name: str, trained_on: Collection[str]) -> bool:
    return name.removesuffix("_response") in trained_on


def _values(one: Mapping[str, Any], field: str) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in one[field]], float)


def _pulls(quantity: Mapping[str, Any], field: str) -> np.ndarray:
    """Generated minus real, over the errors of both.

    No width is compared with that of real samples that have what was asked by
    definition.
    """
    real, made = quantity["real"], quantity["generated"]
    gap = _values(made, field) - _values(real, field)
    error = np.hypot(*(_values(one, f"{field}_error") for one in (real, made)))
    known = error > 0
    if field == "width":
        known &= _values(real, field) > _SAME * _values(made, field)
    return np.divide(gap, error, out=np.full(len(gap), np.nan), where=known)


def _chi2(pulls: np.ndarray) -> str:
    known = pulls[np.isfinite(pulls)]
    if not known.size:
        return tables.MISSING
    chi2 = np.sum(np.square(known))
    return f"{chi2:.{1 if chi2 < 100 else 0}f} / {known.size}"


def _cell(one: Mapping[str, Any], field: str, i: int) -> str:
    value, error = one[field][i], one[f"{field}_error"][i]
    return tables.MISSING if value is None else tables.with_error(value, error)


def figure(
    entry: Mapping[str, Any],
    title: str,
    condition: Mapping[str, Any],
    trained_on: Collection[str] = (),
) -> "Figure":
    """Means above, widths below, a column for each quantity."""
    quantities = entry["quantities"]
    blocks = -(-len(quantities) // _COLUMNS)
    columns = -(-len(quantities) // blocks)
    drawn = style.new_figure(2.9 * columns + 0.4, 4.6 * blocks + 0.5)
    axes = drawn.subplots(2 * blocks, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    handles: dict[str, Any] = {}
    for i, (name, quantity) in enumerate(quantities.items()):
        block, column = divmod(i, columns)
        pair = axes[2 * block, column], axes[2 * block + 1, column]
        for axis, field in zip(pair, ("mean", "width"), strict=True):
            axis.set_axis_on()
            handles |= _panel(axis, quantity, field, entry, condition)
        unit = f" [{quantity['unit']}]" if quantity["unit"] else ""
        pair[0].set_title(f"{quantity['label']}{unit}", loc="left")
        pair[0].tick_params(labelbottom=False)
        unit = f" [{condition['unit']}]" if condition["unit"] else ""
        pair[1].set_xlabel(f"{title}{unit}")
        if column == 0:
            pair[0].set_ylabel("mean")
            pair[1].set_ylabel("width")
        if _marked(name, trained_on):
            style.badge(pair[0])
    style.legend_above(drawn, handles)
    return drawn


def _panel(axis, quantity, field: str, entry, condition) -> dict[str, Any]:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    looks = {"real": style.INPUT, "generated": style.KNOWN["reconstruction"]}
    ends, far = np.array(entry["edges"]), np.array(entry["beyond"])
    handles: dict[str, Any] = {}
    low, high = _limits(quantity, field, far)
    for kind, look in looks.items():
        one = quantity[kind]
        centre, value = _values(one, "condition"), _values(one, field)
        error = _values(one, f"{field}_error")
        sides = np.array([centre - ends[:-1], ends[1:] - centre])
        handles[kind] = axis.errorbar(
            centre, value, error, np.abs(sides), fmt="s" if kind == "real" else "o",
            markersize=4 if kind == "real" else 3, color=look["color"], linewidth=1,
            mfc="white" if kind == "real" else None,
        )  # fmt: skip
        for out, marker, place in ((value < low, "v", low), (value > high, "^", high)):
            axis.plot(
                centre[out], np.full(out.sum(), place), marker, color=look["color"],
                markersize=5, clip_on=False, in_layout=False,
            )  # fmt: skip
    for i in np.flatnonzero(far):
        handles[BEYOND] = axis.axvspan(*ends[i : i + 2], color="#f3d9d0", linewidth=0)
    if condition["reach"] is None:
        axis.set_xticks(range(len(ends) - 1), condition["classes"])
    elif ends[0] > 0 and ends[-1] > _DECADE * ends[0]:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlim(ends[0], ends[-1])
    axis.set_ylim(low, high)
    axis.locator_params("y", nbins=5)
    return handles


def _limits(quantity, field: str, far: np.ndarray) -> tuple[float, float]:
    """Of a panel: those of the bins within the training's range, with a margin."""
    known = []
    for kind in ("real", "generated"):
        value = _values(quantity[kind], field)[~far]
        error = np.nan_to_num(_values(quantity[kind], f"{field}_error")[~far])
        known += [value - error, value + error]
    both = np.concatenate(known)
    both = both[np.isfinite(both)]
    if not both.size:
        return 0.0, 1.0
    room = 0.5 * (both.max() - both.min()) or 0.1 * abs(both.max()) or 1.0
    return both.min() - room, both.max() + room
