"""The report of pseudo-experiments: local and global significance of an excess."""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jetvae_jax.core.words import number
from jetvae_jax.report import about, page, style, tables
from jetvae_jax.report.page import Heading, Paragraph, Plot
from jetvae_jax.report.tables import MISSING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LABELS = {
    "template": "simulation, smooth",
    "simulation": "simulation, its events",
    "generator": "generator by itself",
    "generator_judged": "generator vs simulation",
}
_LOOKS: dict[str, dict[str, Any]] = {
    "template": {"color": "#333333", "linestyle": "-"},
    "simulation": {"color": "#0072B2", "linestyle": "-."},
    "generator": {"color": "#D55E00", "linestyle": "-"},
    "generator_judged": {"color": "#E69F00", "linestyle": "--"},
}
_SHOWN = (2.0, 3.0, 4.0)  # local significances of the table
Panels = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Kind of toys to the largest excess of each ``[T]``, their mean counts ``[B]``, and
the background ``[B]`` they are compared with."""


def write(
    path: str | os.PathLike, result: Mapping[str, Any], panels: Panels
) -> pathlib.Path:
    """Writes the page, and each figure as PNG beside it.

    Args:
        path: the HTML file; its folder must exist.
        result: what `runs.toys` writes as JSON.
        panels: what is drawn of each kind of toys.

    Raises:
        InputError: a file cannot be written.
    """
    blocks = (
        about.table(
            seed=result["settings"]["seed"],
            training=f"{result['trained_on']:,} events, best epoch "
            f"{result['best_epoch']}",
        ),
        Paragraph(result["verdict"], "strong"),
        *page.summary(result["notes"]),
        Heading("Settings"),
        page.pairs(_settings(result)),
        Heading("Local and global significance"),
        _table(result),
        Paragraph(
            "Trials factor: fraction of toys with such an excess anywhere, divided by "
            "the p-value of one window. Calibration: Kolmogorov-Smirnov p of one half "
            "of the toys and the other. Distance: of the distribution of the largest "
            "excess from that of the first column.",
            "note",
        ),
        *_plots(result, panels),
    )
    return page.write(path, "Largest excess of pseudo-experiments", blocks)


def _plots(result: Mapping[str, Any], panels: Panels) -> Iterator[Plot]:
    edges = np.asarray(result["edges"])
    yield Plot(
        "toys_spectrum", "Spectrum",
        "Above: the mean spectrum of a toy, and the smooth background it is compared "
        "with (lines). Below: difference of the events from the smooth simulation, in "
        "statistical errors of a toy; the band is one such error.",
        lambda: spectrum(edges, panels),
    )  # fmt: skip
    yield Plot(
        "toys_largest", "Largest local excess",
        "Distribution over toys, with the statistical error of their number.",
        lambda: largest({name: panel[0] for name, panel in panels.items()}),
    )  # fmt: skip
    yield Plot(
        "toys_global", "Global significance and trials factor",
        "Left: global p-value with the 68 % interval of Clopper and Pearson; thin "
        "lines are Gross and Vitells' estimate from crossings of a low level, grey is "
        "one window. Right: the trials factor.",
        lambda: curves(result["studies"]),
    )  # fmt: skip


def spectrum(edges: np.ndarray, panels: Panels) -> "Figure":
    """Spectra of the toys and of the background they are compared with."""
    drawn = style.new_figure(7.5, 5.6)
    above, below = drawn.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": (2.2, 1)}
    )
    centres = (edges[1:] + edges[:-1]) / 2
    _, _, known = panels["template"]
    below.axhspan(-1, 1, color=style.BAND)
    for name in ("simulation", "generator"):
        _, mean, expected = panels[name]
        above.stairs(mean, edges, label=LABELS[name], color=_LOOKS[name]["color"])
        above.plot(centres, expected, color=_LOOKS[name]["color"], linewidth=0.9)
        pull = (mean - known) / np.sqrt(known)
        below.stairs(pull, edges, color=_LOOKS[name]["color"])
    # Where no event was generated, the smooth line falls to nothing.
    counts = np.concatenate([panels[n][1] for n in ("simulation", "generator")])
    above.set_yscale("log")
    above.set_ylim(bottom=0.1 * counts[counts > 0].min())
    above.set_ylabel("events of a toy in a bin")
    below.set_ylabel("difference / error")
    below.set_xlabel("mass [GeV]")
    below.set_xlim(edges[0], edges[-1])
    style.legend_above(drawn, above)
    return drawn


def largest(max_z: Mapping[str, np.ndarray]) -> "Figure":
    """Distribution of the largest local significance of a toy."""
    drawn = style.new_figure(7.0, 4.2)
    axis = drawn.subplots()
    everything = np.concatenate(list(max_z.values()))
    low, high = np.quantile(everything, [0.0005, 0.9995])
    edges = np.linspace(low, high, 41)
    centres = (edges[1:] + edges[:-1]) / 2
    for name, values in max_z.items():
        counts, _ = np.histogram(values, edges)
        size = len(values) * np.diff(edges)
        axis.stairs(counts / size, edges, label=LABELS[name], **_LOOKS[name])
        axis.errorbar(centres, counts / size, np.sqrt(counts) / size, fmt="none",
                      color=_LOOKS[name]["color"], elinewidth=0.8)  # fmt: skip
    axis.set_xlabel("largest local significance of a toy [sigma]")
    axis.set_ylabel("density [1/sigma]")
    axis.set_ylim(bottom=0)
    style.legend_above(drawn, axis)
    return drawn


def curves(studies: Mapping[str, Any]) -> "Figure":
    """Global p-value and trials factor against the local significance."""
    drawn = style.new_figure(11.0, 4.6)
    left, right = drawn.subplots(1, 2, sharex=True)
    for name, found in studies.items():
        rows = found["significance"]
        z, p, low, high, local, estimate = (
            np.array([row[k] if row[k] is not None else np.nan for row in rows], float)
            for k in ("local_z", "p", "low", "high", "local_p", "estimate_p")
        )
        reached = p > 0
        colour = {"color": _LOOKS[name]["color"]}
        left.plot(z[reached], p[reached], label=LABELS[name], **_LOOKS[name])
        left.fill_between(z, np.maximum(low, 1e-7), high, alpha=0.2, lw=0, **colour)
        left.plot(z, estimate, linewidth=0.7, **colour)
        right.plot(z[reached], (p / local)[reached], **_LOOKS[name])
        right.fill_between(z[reached], (low / local)[reached], (high / local)[reached],
                           alpha=0.2, lw=0, **colour)  # fmt: skip
    left.plot(z, local, color="#999999", linestyle=":")
    left.set_yscale("log")
    left.set_ylim(1e-5, 1.2)
    left.set_ylabel("global p-value")
    right.set_yscale("log")
    right.set_ylabel("trials factor")
    for axis in (left, right):
        axis.set_xlabel("local significance [sigma]")
    style.legend_above(drawn, left)
    return drawn


def _table(result: Mapping[str, Any]) -> page.Table:
    names = ["events drawn from", "largest excess, median [sigma]",
             "largest excess, 95 % below [sigma]",
             *(f"trials factor at {z:g} sigma" for z in _SHOWN),
             *(f"global Z at {z:g} sigma" for z in _SHOWN), "calibration p",
             "distance from the first", "p of the distance"]  # fmt: skip
    columns = []
    for name, found in result["studies"].items():
        at = {row["local_z"]: row for row in found["significance"]}
        apart = result["compared"].get(name)
        columns.append([
            f"{found['events']:,}" if found["events"] else MISSING,
            f"{found['median_largest']:.2f}",
            f"{found['quantile_95']:.2f}",
            *(_factor(at[z]) for z in _SHOWN),
            *(_global(at[z]) for z in _SHOWN),
            f"{found['calibration_ks']['p']:.2f}",
            f"{apart['distance']:.3f}" if apart else MISSING,
            _probability(apart["p"]) if apart else MISSING,
        ])  # fmt: skip
    head = ["toys", *(LABELS[name] for name in result["studies"])]
    rows = [list(row) for row in zip(names, *columns, strict=True)]
    return page.table(head, rows, style="compact")


def _settings(result: Mapping[str, Any]) -> dict[str, str]:
    """Settings in words, with units."""
    given, edges = result["settings"], result["edges"]
    return {
        "column": given["mass"],
        "range": f"{edges[0]:g} to {edges[-1]:g} GeV",
        "width of a bin": f"{given['bin_width']:g} GeV",
        "width of a window": f"{', '.join(f'{w:g}' for w in given['widths'])} GeV",
        "sideband": f"{given['sideband']:g} GeV on either side"
        if given["sideband"]
        else "none: the background is known",
        "events of a toy": f"{given['num_events']:,g} in the mean",
        "toys of each kind": f"{given['num_toys']:,}",
        "level of crossings": f"{given['level']:g} sigma",
        "run": str(given["workdir"]),
        "latents": result["latents"],
    }


def _probability(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else number(p, 2)


def _factor(row: Mapping[str, Any]) -> str:
    if not row["p"]:
        return f"< {row['high'] / row['local_p']:.3g}"
    error = row["error"] / row["local_p"]
    return tables.with_error(row["p"] / row["local_p"], error)


def _global(row: Mapping[str, Any]) -> str:
    from scipy import stats

    # A smaller p is a larger Z.
    low, z, high = stats.norm.isf([row["high"], row["p"], row["low"]])
    if not row["p"]:
        return f"> {low:.2f}"
    if row["p"] == 1:
        return f"< {high:.2f}"
    return f"{z:.2f} (+{high - z:.2f} -{z - low:.2f})"
