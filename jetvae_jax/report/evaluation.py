"""One HTML file that needs nothing else: no network, no script, no second file."""

import os
import pathlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from jetvae_jax.core.types import Jets
from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.distributions.correlations import pearson, spearman
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.observables import jet_observables
from jetvae_jax.report import (
    correlations,
    curves,
    distributions,
    images,
    page,
    pulls,
    single_jets,
    style,
    tables,
    text,
)
from jetvae_jax.report import latents as latent_panels
from jetvae_jax.report import leaderboard as board
from jetvae_jax.report.page import Plot

Observables = Mapping[str, Mapping[str, np.ndarray]]


def write(
    path: str | os.PathLike,
    *,
    title: str,
    summary: page.Summary = "",
    evaluation: Mapping[str, Any] | None = None,
    samples: Mapping[str, Jets] | None = None,
    observables: Observables | None = None,
    history: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    latents: Mapping[str, np.ndarray | None] | None = None,
    trained_on: Collection[str] = frozenset(),
    leaderboard: tuple[str, int] | None = None,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Every file appears whole or not at all. What is missing is left out: two files of
    jets can be compared without any training.

    Args:
        path: the HTML file to write; its folder must exist.
        title: heading of the page.
        summary: a text, one line each of a list, or names and values.
        evaluation: what `metrics.evaluate` returns.
        samples: name to jets. ``"input"`` are the real jets that others are compared
            with; ``"reconstruction"``, ``"prior"`` and ``"flow"`` have fixed colours.
        observables: sample to observable to ``[J]``, for every sample the same; None
            for those of `metrics.jet_observables`.
        history: ``"vae"`` and ``"flow"`` (or other names) to a dict per epoch with
            ``train/<term>`` and ``valid/<term>``.
        latents: ``"posterior"`` to ``[J, L]``, ``"flow"`` to ``[M, L]``.
        trained_on: observables whose agreement the training loss enforced, such as
            ``{"mass", "pt"}``: marked wherever they are judged.
        leaderboard: class and number of particles of the jets, such as
            ``("g", 30)``: puts the evaluation beside what is published for them.

    Returns:
        The path of the HTML file.

    Raises:
        ValueError: samples without ``"input"``, or observables of other samples.
        InputError: a file cannot be written.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        page.summary(summary),
        text.enforced(trained_on),
    ]
    if evaluation:
        parts += _tables(evaluation, trained_on, leaderboard)
    plots = (
        *_sample_plots(samples or {}, observables, evaluation, trained_on),
        *_training_plots(history or {}, latents or {}),
    )
    return page.write(path, title, parts, plots)


def _sample_plots(samples, observables, evaluation, trained_on) -> Iterator[Plot]:
    if not samples:
        return
    if "input" not in samples:
        raise ValueError(f"samples need 'input', got {sorted(samples)}")
    # The input comes first: the others are drawn over it.
    samples = {"input": samples["input"], **samples}
    sizes = {name: len(s.mask) for name, s in samples.items()}
    values = _values(samples, observables)
    ratio = text.ratio(sizes)
    yield Plot(
        "jets",
        "Jets",
        f"Features of the jets. {ratio} {text.floor(evaluation, 'jet')}",
        lambda: distributions.jets(values, trained_on=trained_on),
    )
    yield from _pull_plots(values, sizes, trained_on)
    if min(sizes.values()) > 1:
        for kind, matrix in (("Pearson", pearson), ("Spearman", spearman)):
            yield Plot(
                f"correlations_{kind.lower()}",
                "Correlations of jet features",
                text.correlations(kind, sizes, trained_on),
                lambda matrix=matrix: correlations.figure(
                    {
                        k: matrix(np.column_stack([*v.values()]))
                        for k, v in values.items()
                    },
                    [*values["input"]],
                    sizes=sizes,
                    trained_on=trained_on,
                ),
            )
    yield Plot(
        "particles",
        "Particles",
        f"Features of the particles that exist. {ratio} "
        + text.floor(evaluation, "particle"),
        lambda: distributions.particles(samples, trained_on=trained_on),
    )
    yield Plot(
        "images", "Average jet images", text.IMAGES, lambda: images.figure(samples)
    )
    yield Plot(
        "single_jets",
        "Single jets",
        text.SINGLE_JETS,
        lambda: single_jets.figure(samples),
    )


def _values(
    samples: Mapping[str, Jets], observables: Observables | None
) -> Observables:
    """Sample to observable to values, the input and known observables first."""
    if observables is None:
        observables = {n: map_chunks(jet_observables, s) for n, s in samples.items()}
    if set(observables) != set(samples):
        raise ValueError(
            f"observables of {sorted(observables)} for samples {sorted(samples)}"
        )
    known = [b.name for b in binning.JETS if b.name in observables["input"]]
    names = [*known, *(k for k in observables["input"] if k not in known)]
    return {name: {k: observables[name][k] for k in names} for name in samples}


def _pull_plots(values: Observables, sizes, trained_on) -> Iterator[Plot]:
    real = values["input"]
    binnings = distributions.binnings(real)
    units = pulls.units(binnings)
    for i, (name, others) in enumerate(values.items()):
        if name == "input":
            continue
        found = {
            b.name: pulls.compare(real[b.name], others[b.name], b) for b in binnings
        }
        slug = re.sub(r"[^A-Za-z0-9]+", "_", name)[:40].strip("_")
        table = pulls.worst(found, units, trained_on=trained_on)
        yield Plot(
            f"pulls_{slug}" if name in style.KNOWN else f"pulls_{i}_{slug}",
            "Pulls",
            text.pulls(name, sizes, paired=name in style.PAIRED),
            lambda found=found, name=name: pulls.figure(
                found, name, trained_on=trained_on
            ),
            f"<h3>{escape(name)}: worst-agreeing bins first</h3>{table}",
        )


def _training_plots(history, latents) -> Iterator[Plot]:
    posterior, flow = latents.get("posterior"), latents.get("flow")
    if posterior is not None:
        beyond = posterior.shape[1] - latent_panels.MAX_PANELS
        yield Plot(
            "latents",
            "Latent variables",
            text.LATENTS
            + (f" {beyond} dimensions nearest N(0, 1) left out." * (beyond > 0)),
            lambda: latent_panels.figure(posterior, flow),
        )
    for name, rows in history.items():
        if curves.terms(rows):
            yield Plot(
                f"curves_{name}",
                "Training",
                f"Terms of the {name} loss, mean per jet.",
                lambda rows=rows: curves.figure(rows),
            )


def _tables(evaluation, trained_on, leaderboard) -> list[str]:
    parts = [
        "<h2>Headline</h2>",
        tables.headline(evaluation, trained_on=trained_on),
        f'<p class="note">{evaluation["jets"]:,} jets per sample. {text.HEADLINE}</p>',
    ]
    if leaderboard:
        measured = board.entries(evaluation, *leaderboard)
        parts += [
            "<h2>Leaderboard</h2>",
            board.table(measured, *leaderboard, trained_on=trained_on),
            f'<p class="note">{escape(board.note(*leaderboard))}</p>',
        ]
    full = tables.full(evaluation, trained_on=trained_on)
    return [
        *parts,
        "<h2>All figures</h2>",
        f"<details><summary>By observable</summary>{full}</details>",
    ]
