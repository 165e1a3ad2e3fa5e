"""Which loss makes the better digits: the same VAE with each, and several seeds."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from jetvae_jax.data.images.scaling import Config as Scaling
from jetvae_jax.metrics import digits
from jetvae_jax.report import page, pixels
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import FlowRun, GenerateConfig, VAERun
from jetvae_jax.runs.evaluation import _digits
from jetvae_jax.runs.fit_flow import fit_flow
from jetvae_jax.runs.generate import samples_of
from jetvae_jax.runs.train import load_vae, train
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.types import PixelSets

MADE = ("reconstruction", "prior", "flow")
COLUMNS = (
    ("reconstruction", "distance", "distance [pixels]", ".3f", 1),
    ("reconstruction", "intensity", "intensity gap", ".3f", 1),
    ("reconstruction", "accuracy", "accuracy [%]", ".1f", 100),
    ("reconstruction", "frechet", "Fréchet, reconstructed", ".1f", 1),
    ("prior", "frechet", "prior", ".1f", 1),
    ("flow", "frechet", "flow", ".1f", 1),
)
VIEWS = {"positions": False, "positions and intensities": True}


def compare(
    workdir: str | os.PathLike,
    runs: Mapping[str, VAERun],
    flow: FlowRun,
    *,
    seeds: Sequence[int],
) -> int:
    """Train, fit the flow and judge every run with every seed; table and pictures.

    Leaves a workdir each, ``compare.json``, ``compare.txt`` (Markdown) and
    ``compare.html``. All runs are judged by their positions, and those that have
    intensities by both. What is done is not done again.

    Args:
        workdir: where they go.
        runs: name to run; all of the same data.
        flow: fitted to each.
        seeds: of training and flow.

    Returns:
        The signal that stopped a training, or 0.

    Raises:
        InputError: bad data or settings.
    """
    folder = Workdir(workdir)
    first = next(iter(runs.values()))
    parts = dataset.load(first.domain, first.data)
    found: dict[str, list[dict]] = {name: [] for name in runs}
    shown: dict[str, PixelSets] = {}
    for seed in seeds:
        for name, run in runs.items():
            own = Workdir(folder / f"{name}_{seed}")
            logging.info("%s, seed %d", name, seed)
            run = dataclasses.replace(run, seed=seed)
            for result in (
                train(own.path, run),
                fit_flow(own.path, dataclasses.replace(flow, seed=seed)),
            ):
                if result.signal_number:
                    return result.signal_number
            figures, made = _judge(folder, own, parts, run.scaling)
            found[name].append(figures)
            for kind, sets in made.items():
                shown.setdefault(f"{kind}: {name}", sets)
    result = {
        "seeds": list(seeds),
        "runs": {name: run.to_json() for name, run in runs.items()},
        "figures": found,
    }
    folder.write_json("compare.json", result)
    table = text(found)
    folder.write_text("compare.txt", table)
    for line in table.splitlines():
        logging.info("%s", line)
    page.write(
        folder / "compare.html",
        "Losses of sparse images",
        ["<h1>Losses of sparse images</h1>", f"<pre>{table}</pre>"],
        _plots(parts.test, shown),
    )
    return 0


def text(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Tables in Markdown: mean and standard deviation over the seeds."""
    blocks = []
    for view in VIEWS:
        given = {n: [f[view] for f in all if view in f] for n, all in found.items()}
        # All pixels are white where positions alone are judged.
        columns = [c for c in COLUMNS if VIEWS[view] or c[1] != "intensity"]
        head = ["", *(label for _, _, label, _, _ in columns)]
        lines = [_line(head), _line(["---"] * len(head))]
        for name, figures in given.items():
            if figures:
                lines.append(_line([name, *(_cell(figures, *c) for c in columns)]))
        judged = next((figures for figures in given.values() if figures), [])
        floor = [dict.fromkeys(MADE, figures["floor"]) for figures in judged]
        lines.append(_line(["real", *(_cell(floor, *c) for c in columns)]))
        blocks.append(f"Judged by {view}:\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(figures, kind, name, label, form, unit) -> str:
    del label
    values = [unit * f[kind][name] for f in figures if name in f.get(kind, {})]
    if not values:
        return "\N{EN DASH}"
    mean, spread = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else 0.0
    text, error = format(mean, form), format(spread, form)
    return f"{text} ± {error}" if float(error) else text


def _judge(folder: Workdir, own: Workdir, parts, scaling: Scaling):
    """Figures of a trained run in each view, and what it made."""
    trained = load_vae(own.path)
    made = {}
    for kind in MADE:
        _, chunks = samples_of(trained, own.path, GenerateConfig(latents=kind))
        chunks = list(chunks)
        made[kind] = PixelSets(*map(np.concatenate, zip(*chunks, strict=True)))
    made["reconstruction"] = made["reconstruction"]._replace(labels=parts.test.labels)
    target = own / "figures.json"
    if target.exists():
        return json.loads(target.read_text()), made
    figures = {}
    for view, intensity in VIEWS.items():
        if intensity and not scaling.intensity:
            continue
        classifier, _ = _digits.classifier(
            folder, trained.run.data, intensity=intensity
        )
        plain = (lambda s: s) if intensity else _digits.without_intensity
        result = digits.digit_table(
            jax.random.key(42),
            plain(parts.test),
            {kind: plain(sets) for kind, sets in made.items()},
            classifier=classifier,
            truth=plain(parts.train),
            paired=("reconstruction",),
        )
        figures[view] = result["candidates"] | {"floor": result["floor"]}
    own.write_json("figures.json", figures)
    return figures, made


def _plots(test: PixelSets, shown: Mapping[str, PixelSets]) -> list[page.Plot]:
    kinds = {
        kind: {
            name.partition(": ")[2]: sets
            for name, sets in shown.items()
            if name.startswith(f"{kind}: ")
        }
        for kind in MADE
    }
    again = {"input": test} | kinds.pop("reconstruction")
    plots = [
        page.Plot(
            "reconstructions", "Reconstructions", "Images of the test part.",
            lambda: pixels.rows(again, columns=16),
        )
    ]  # fmt: skip
    for kind, samples in kinds.items():
        plots.append(
            page.Plot(
                f"generated_{kind}", "Generated", f"Latents of the {kind}.",
                lambda samples=samples: pixels.rows(samples, columns=16),
            )
        )  # fmt: skip
    plots.append(
        page.Plot(
            "intensities", "Intensities", "Of reconstructions.",
            lambda: pixels.intensities(again),
        )
    )  # fmt: skip
    return plots
