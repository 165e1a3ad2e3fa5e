"""Largest excess by chance: toys of a generator and of simulation.

The frequentist study that Stevenson, Kruger 2022, plans: background-only
pseudo-experiments of a mass spectrum, the largest local excess of each, and from their
distribution the trials factor. The same is done four times:

=================  ==================================  ==========================
                   toys are drawn                      expected background
=================  ==================================  ==========================
template           Poisson around simulation, smooth   the same
simulation         from simulated events               simulation, smooth
generator          from generated events               generated events, smooth
generator_judged   from generated events               simulation, smooth
=================  ==================================  ==========================

The third tests whether a generator alone gives the same trials factor, the fourth
whether its events look like background when compared with simulation.
"""

import dataclasses
import os
import pathlib
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax.core import configs, seeds
from jetvae_jax.core.configs import NonNegativeFloat, NonNegativeInt, versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.metrics.distributions.distances import kolmogorov_smirnov
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.generation import samples_of
from jetvae_jax.runs.trained import load_model
from jetvae_jax.studies.signal.scores import fitted_latents
from jetvae_jax.studies.toys import report
from jetvae_jax.studies.toys.pseudo_experiments import (
    Toys,
    global_significance,
    gross_vitells,
    pseudo_experiments,
    sliding,
    smooth,
    window_z,
)

LEVELS = tuple(np.round(np.arange(1.0, 5.01, 0.1), 1).tolist())
"""Local significances in the table of results."""
MAX_BINS = 100_000
NEEDED = 100
"""Events of a sample per event of a toy: the sample's own fluctuations then shift a
local significance by a tenth of its standard deviation, sqrt(1 / 100)."""


_Width = Annotated[float, configs.positive, configs.finite]


@configs.config
class ToysConfig:
    """The mass spectrum, the windows and the number of pseudo-experiments.

    Attributes:
        mass: column whose spectrum is searched.
        low: end of the mass range [GeV]; 0 for the 1st percentile of simulation.
        high: other end [GeV]; 0 for the 99th percentile.
        bin_width: of the spectrum [GeV].
        widths: of the windows [GeV], whole numbers of bins.
        sideband: on either side of a window [GeV], gives the height of the background;
            0 takes it as known.
        num_events: mean number of a toy, in the mass range.
        num_toys: of each kind.
        num_generated: events to draw toys from; 0 for 100 times num_events.
        level: significance whose crossings predict that of rarer excesses.
        seed: of events and toys.
    """

    mass: str = "mlly"
    low: NonNegativeFloat = 0.0
    high: NonNegativeFloat = 0.0
    bin_width: _Width = 2.0
    widths: Annotated[tuple[_Width, ...], configs.not_empty] = (6.0, 10.0)
    sideband: Annotated[float, configs.not_negative, configs.finite] = 20.0
    num_events: Annotated[float, configs.positive, configs.at_most(1e7)] = 2000.0
    num_toys: Annotated[int, configs.at_least(100)] = 10_000
    num_generated: NonNegativeInt = 0
    level: Annotated[float, configs.not_negative, configs.at_most(5)] = 1.0
    seed: configs.Seed = 0

    def __post_init__(self):
        for name, values in (("widths", self.widths), ("sideband", [self.sideband])):
            for value in values:
                bins = value / self.bin_width
                if abs(bins - round(bins)) > 1e-6:
                    raise InputError(
                        f"{name}: {value:g} GeV is not a whole number of bins of "
                        f"{self.bin_width:g} GeV"
                    )
        if self.low >= (self.high or np.inf):
            raise InputError(f"low: must be below high = {self.high}, got {self.low}")


class Study(NamedTuple):
    """One kind of toys.

    Attributes:
        toys: largest excess of each.
        mean: ``[B]`` mean counts of the toys.
        expected: ``[B]`` background with which they are compared.
        sample: number of events from which they are drawn; 0 for a smooth template.
    """

    toys: Toys
    mean: np.ndarray
    expected: np.ndarray
    sample: int


def toys(
    workdir: str | os.PathLike, config: ToysConfig, *, output: str | os.PathLike = ""
) -> tuple[pathlib.Path, str]:
    """The four kinds of toys for the run in ``workdir``.

    Writes ``toys.json``, ``toys.html`` and its plots.

    Args:
        workdir: of a trained run of tables.
        config: which toys.
        output: folder to write to; empty for the workdir.

    Returns:
        The path of the report, and the verdict in one line.

    Raises:
        InputError: no such run or column, changed data, or an empty mass range.
    """
    announce_missing()
    simulated, generated, metadata = _masses(workdir, config)
    folder = Workdir(output or workdir)  # which stops before the work
    edges = _edges(simulated, config)
    samples = {
        name: _in_range(name, masses, edges)
        for name, masses in (("simulation", simulated), ("generator", generated))
    }
    notes = _notes(samples, metadata["trained_on"], config)
    studies = _studies(samples, edges, config)
    result: dict[str, Any] = {
        "settings": dataclasses.asdict(config) | {"workdir": str(workdir)},
        "versions": versions(),
        **metadata,
        "edges": edges.tolist(),
        "studies": {name: summary(done, config) for name, done in studies.items()},
        "compared": compared(studies),
        "notes": notes,
    }
    result["verdict"] = verdict(result)
    for note in notes:
        logging.info("note: %s", note)
    shown = {n: (s.toys.max_z, s.mean, s.expected) for n, s in studies.items()}
    with folder.alone():
        folder.write_json("toys.json", result)
        page = report.write(folder / "toys.html", result, shown)
    return page, result["verdict"]


def study(
    key: jax.Array,
    sample: np.ndarray | None,
    expected: np.ndarray,
    edges: np.ndarray,
    config: ToysConfig,
) -> Study:
    """Toys of one kind.

    Args:
        key: of the toys.
        sample: ``[J]`` masses within the edges to draw from with replacement; None to
            draw around the expected background.
        expected: ``[B]`` background of a toy.
        edges: ``[B + 1]`` in GeV.
        config: how many, in which windows.

    Raises:
        InputError: the windows do not fit in the mass range.
    """
    widths = [round(width / config.bin_width) for width in config.widths]
    side = round(config.sideband / config.bin_width)
    try:
        windows = sliding(len(expected), widths, sideband=side)
    except ValueError as error:
        raise InputError(
            f"--toys.widths: {error}: take narrower windows or a wider range"
        ) from error
    mean = np.asarray(expected, float)
    if sample is not None:
        # Events drawn with replacement, their number Poisson: every bin is Poisson by
        # itself, around its share of the sample.
        counts, _ = np.histogram(sample, edges)
        mean = counts * (config.num_events / len(sample))
    drawn = pseudo_experiments(
        key, mean, window_z(expected, windows),
        num_toys=config.num_toys, level=config.level,
    )  # fmt: skip
    return Study(drawn, mean, expected, 0 if sample is None else len(sample))


def summary(done: Study, config: ToysConfig) -> dict[str, Any]:
    """Global significance at each local one; JSON-able, infinity becomes None."""
    crossings = float(np.mean(done.toys.crossings))
    rows = []
    for z in LEVELS:
        found = global_significance(z, done.toys.max_z)._asdict()
        estimate = float(
            gross_vitells(np.asarray(z, np.float32), crossings, config.level)
        )
        found |= {"local_z": z, "estimate_p": estimate}
        rows.append({k: v if np.isfinite(v) else None for k, v in found.items()})
    half = len(done.toys.max_z) // 2
    return {
        "events": done.sample,
        "median_largest": float(np.median(done.toys.max_z)),
        "quantile_95": float(np.quantile(done.toys.max_z, 0.95)),
        "crossings": crossings,
        # p-values of one half among the other must be uniform.
        "calibration_ks": uniformity(done.toys.max_z[:half], done.toys.max_z[half:]),
        "significance": rows,
    }


def uniformity(toys_z: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """Distance from uniform of the p-values of toys among other toys, and its p."""
    from scipy import stats

    result: Any = stats.ks_2samp(toys_z, others)
    distance = float(kolmogorov_smirnov(toys_z, others))
    return {"distance": distance, "p": float(result.pvalue)}


def compared(studies: dict[str, Study]) -> dict[str, dict[str, float]]:
    """Distances of the largest excesses of each kind from those of the template."""
    reference = studies["template"].toys.max_z
    return {
        name: uniformity(done.toys.max_z, reference)
        for name, done in studies.items()
        if name != "template"
    }


def at(found: dict[str, Any], z: float) -> dict[str, Any]:
    """The row of a summary at a local significance."""
    return next(row for row in found["significance"] if row["local_z"] == z)


def verdict(result: dict[str, Any]) -> str:
    """One line: trials factors at 3 sigma, side by side."""
    rows = {name: at(found, 3.0) for name, found in result["studies"].items()}

    def factor(name):
        row = rows[name]
        error = row["error"] / row["local_p"]
        return f"{row['trials_factor']:.1f} ± {error:.1f}"

    found, reference = rows["generator_judged"], rows["template"]
    apart = abs(found["p"] - reference["p"])
    allowed = 3 * np.hypot(found["error"], reference["error"])
    word = "as often as"
    if apart > allowed:
        word = "more often than" if found["p"] > reference["p"] else "less often than"
    return (
        f"trials factor at a local 3 sigma: {factor('generator')} by the generator, "
        f"{factor('template')} by smooth simulation, {factor('simulation')} by its "
        f"events; compared with simulation, generated toys reach 3 sigma {word} they "
        f"should: {found['p']:.4f} against {reference['p']:.4f}"
    )


def _masses(
    workdir: str | os.PathLike, config: ToysConfig
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Masses of simulated and of generated events, and metadata of the run.

    Raises:
        InputError: no such run or column, or changed data.
    """
    trained = load_model(workdir)
    run = trained.run
    if run.domain != "events":
        raise InputError(
            f"{workdir}: is a run of {run.domain}: toys takes runs of --domain=events"
        )
    columns = trained.meta["columns"]
    if config.mass not in columns:
        raise InputError(
            f"--toys.mass: {config.mass!r} is not a column of {workdir}; it has "
            f"{', '.join(columns)}"
        )
    place = columns.index(config.mass)
    parts = dataset.load_same(run.domain, run.data, trained.meta["source"])
    simulated = np.concatenate([np.asarray(part)[:, place] for part in parts[:3]])
    latents = fitted_latents(trained)
    # A fifth more: some lie outside of the range.
    wanted = config.num_generated or int(1.2 * NEEDED * config.num_events)
    logging.info("generating %s events from the %s", f"{wanted:,}", latents)
    request = GenerateConfig(latents, wanted, config.seed)
    chunks = samples_of(trained, request)[1]
    generated = np.concatenate([chunk[:, place] for chunk in chunks])
    metadata = {
        "latents": latents,
        "trained_on": len(parts.train),
        "best_epoch": trained.meta["best_epoch"],
        "conditions": config.mass in getattr(run.scaling, "conditions", ()),
    }
    return simulated, generated, metadata


def _edges(simulated: np.ndarray, config: ToysConfig) -> np.ndarray:
    low, high = np.quantile(simulated, [0.01, 0.99])
    low = config.low or np.floor(low / config.bin_width) * config.bin_width
    high = config.high or np.ceil(high / config.bin_width) * config.bin_width
    if not low > 0:
        raise InputError(
            f"--toys.mass: {config.mass}: its range begins at {low:g}, but masses are "
            "positive: give --toys.low"
        )
    num = round((high - low) / config.bin_width)
    if num < 2:
        raise InputError(
            f"--toys.bin_width: {num} bins between {low:g} and {high:g} GeV: give "
            "2 or more"
        )
    if num > MAX_BINS:
        raise InputError(
            f"--toys.bin_width: {num:,} bins between {low:g} and {high:g} GeV: give "
            f"{MAX_BINS:,} or fewer"
        )
    return low + config.bin_width * np.arange(num + 1)


def _in_range(name: str, masses: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The masses within the edges.

    Raises:
        InputError: fewer than 100.
    """
    inside = masses[(masses >= edges[0]) & (masses < edges[-1])]
    if len(inside) < 100:
        raise InputError(
            f"--toys.low, --toys.high: {len(inside)} events of the {name} lie "
            f"between {edges[0]:g} and {edges[-1]:g} GeV, fewer than 100"
        )
    return inside


def _notes(
    samples: dict[str, np.ndarray], trained_on: int, config: ToysConfig
) -> list[str]:
    """How far the fluctuations of finite samples shift significances."""
    notes = []
    for name, inside in samples.items():
        shift = (config.num_events / len(inside)) ** 0.5
        if round(shift, 2) > NEEDED**-0.5:
            notes.append(
                f"{name}: {len(inside):,} different events in the range for toys of "
                f"{config.num_events:g}: their own fluctuations shift local "
                f"significances by {shift:.2f}; {NEEDED * config.num_events:,.0f} "
                "events would bring that to 0.10"
            )
    shift = (config.num_events / trained_on) ** 0.5
    if shift > 0.1:
        notes.append(
            f"generator: learned from {trained_on:,} events; what it learned of their "
            "fluctuations stays however many it generates, and shifts local "
            f"significances by up to {shift:.2f}"
        )
    return notes


def _studies(
    samples: dict[str, np.ndarray], edges: np.ndarray, config: ToysConfig
) -> dict[str, Study]:
    """The four kinds of toys, from the masses of both samples within the edges."""
    templates = {
        name: smooth(np.histogram(masses, edges)[0], edges)
        * (config.num_events / len(masses))
        for name, masses in samples.items()
    }
    known = templates["simulation"]
    kinds = {
        "template": (None, known),
        "simulation": (samples["simulation"], known),
        "generator": (samples["generator"], templates["generator"]),
        "generator_judged": (samples["generator"], known),
    }
    studies = {}
    for i, (name, (sample, expected)) in enumerate(kinds.items()):
        logging.info("%s: %s toys", name, f"{config.num_toys:,}")
        key = jax.random.fold_in(seeds.key(config.seed), i)
        studies[name] = study(key, sample, expected, edges, config)
    return studies
