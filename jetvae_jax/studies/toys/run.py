"""How large an excess chance gives somewhere: toys of a generator and of simulation.

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

The third tells whether a generator gives the same trials factor by itself, the fourth
whether its events look like background where simulation is the yardstick.
"""

import dataclasses
import os
import pathlib
from typing import Any

import jax
import numpy as np
from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig, versions
from jetvae_jax.runs.generate import samples_of
from jetvae_jax.runs.train import load_vae
from jetvae_jax.studies.signal.scoring import latents_of_choice
from jetvae_jax.studies.toys import report
from jetvae_jax.studies.toys.spectrum import smooth
from jetvae_jax.studies.toys.study import ToysConfig, compared, study, summary

__all__ = ["ToysConfig", "toys"]

NEEDED = 100
"""Events of a sample for each one of a toy: the sample's own fluctuations then shift a
local significance by a tenth of its standard deviation, sqrt(1 / 100)."""


def toys(
    workdir: str | os.PathLike, config: ToysConfig, *, output: str | os.PathLike = ""
) -> tuple[pathlib.Path, str]:
    """The four kinds of toys for the run in ``workdir``.

    Writes ``toys.json``, ``toys.html`` and figures.

    Args:
        workdir: of a trained run of tables.
        config: which toys.
        output: folder to write to; empty for the workdir.

    Returns:
        The path of the report, and the verdict in one line.

    Raises:
        InputError: no such run or column, changed data, or an empty mass range.
    """
    simulated, generated, facts = _masses(workdir, config)
    edges = _edges(simulated, config)
    samples, notes = {}, []
    for name, masses in (("simulation", simulated), ("generator", generated)):
        inside = masses[(masses >= edges[0]) & (masses < edges[-1])]
        if len(inside) < 100:
            raise InputError(
                f"--toys.low, --toys.high: {len(inside)} events of the {name} lie "
                f"between {edges[0]:g} and {edges[-1]:g} GeV, fewer than 100"
            )
        samples[name] = inside
        shift = (config.num_events / len(inside)) ** 0.5
        if len(inside) < NEEDED * config.num_events:
            notes.append(
                f"{name}: {len(inside):,} different events in the range for toys of "
                f"{config.num_events:g}: their own fluctuations shift local "
                f"significances by {shift:.2f}; {NEEDED * config.num_events:,.0f} "
                "events would bring that to 0.10"
            )
    shift = (config.num_events / facts["trained_on"]) ** 0.5
    if shift > 0.1:
        notes.append(
            f"generator: learned from {facts['trained_on']:,} events; what it took "
            "over of their fluctuations stays however many it generates, and shifts "
            f"local significances by up to {shift:.2f}"
        )
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
        key = jax.random.fold_in(jax.random.key(config.seed), i)
        studies[name] = study(key, sample, expected, edges, config)
    result: dict[str, Any] = {
        "settings": dataclasses.asdict(config) | {"workdir": str(workdir)},
        "versions": versions(),
        **facts,
        "edges": edges.tolist(),
        "studies": {name: summary(done, config) for name, done in studies.items()},
        "compared": compared(studies),
        "notes": notes,
    }
    result["verdict"] = verdict(result)
    folder = Workdir(output or workdir)
    folder.write_json("toys.json", result)
    for note in notes:
        logging.info("note: %s", note)
    page = report.write(
        folder / "toys.html", result,
        {name: (s.toys.max_z, s.mean, s.expected) for name, s in studies.items()},
    )  # fmt: skip
    return page, result["verdict"]


def at(found: dict[str, Any], z: float) -> dict[str, Any]:
    """The row of a local significance."""
    return next(row for row in found["significance"] if row["local_z"] == z)


def verdict(result: dict[str, Any]) -> str:
    """One line: trials factors at 3 sigma, side by side."""
    rows = {name: at(found, 3.0) for name, found in result["studies"].items()}

    def factor(name):
        row = rows[name]
        error = row["error"] / row["local_p"]
        return f"{row['trials_factor']:.1f} ± {error:.1f}"

    judged = rows["generator_judged"]
    reference = rows["template"]
    apart = abs(judged["p"] - reference["p"])
    allowed = 3 * np.hypot(judged["error"], reference["error"])
    word = "as often as" if apart <= allowed else "not as often as"
    return (
        f"trials factor at a local 3 sigma: {factor('generator')} by the generator, "
        f"{factor('template')} by smooth simulation, {factor('simulation')} by its "
        f"events; judged by simulation, generated toys reach 3 sigma {word} they "
        f"should: {judged['p']:.4f} against {reference['p']:.4f}"
    )


def _masses(
    workdir: str | os.PathLike, config: ToysConfig
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Masses of all true events and of generated ones."""
    trained = load_vae(workdir)
    run = trained.run
    if run.domain != "events":
        raise InputError(
            f"{workdir}: is a run of {run.domain}: toys takes runs of --domain=events"
        )
    columns = trained.meta["columns"]
    if config.mass not in columns:
        raise InputError(
            f"--toys.mass: {config.mass!r} is no column of {workdir}; it has "
            f"{', '.join(columns)}"
        )
    place = columns.index(config.mass)
    parts = dataset.load_same(run.domain, run.data, trained.meta["source"])
    true = np.concatenate([np.asarray(part)[:, place] for part in parts[:3]])
    latents = latents_of_choice(workdir)
    # A fifth more: some lie outside of the range.
    wanted = config.num_generated or int(1.2 * NEEDED * config.num_events)
    logging.info("generating %s events from the %s", f"{wanted:,}", latents)
    request = GenerateConfig(latents, wanted, config.seed)
    chunks = samples_of(trained, workdir, request)[1]
    made = np.concatenate([chunk[:, place] for chunk in chunks])
    facts = {
        "latents": latents,
        "trained_on": len(parts.train),
        "best_epoch": trained.meta["best_epoch"],
        "conditions": config.mass in getattr(run.scaling, "conditions", ()),
    }
    return true, made, facts


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
    return low + config.bin_width * np.arange(num + 1)
