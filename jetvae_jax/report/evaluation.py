"""The report of an evaluation of jets: tables, distributions, pulls and single jets."""

import os
import pathlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from jetvae_jax.core.types import Jets, RelativeJets
from jetvae_jax.core.words import number
from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.distributions.correlations import pearson, spearman
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.labels import UNITS, label
from jetvae_jax.metrics.measurements import known_metrics
from jetvae_jax.observables.jets import jet_observables
from jetvae_jax.report import (
    correlations,
    distributions,
    jet_images,
    leaderboard,
    page,
    pulls,
    responses,
    style,
    tables,
    training_plots,
)
from jetvae_jax.report.page import Block, Details, Heading, Paragraph, Plot

SUMS = {"emd_normalised_sum": "EMD sum", "bin_height_w1_sum": "published EMD sum"}
Observables = Mapping[str, Mapping[str, np.ndarray]]
"""Sample to observable to ``[J]``."""


def write(
    path: str | os.PathLike,
    *,
    title: str,
    about: page.Table | None = None,
    summary: page.Summary = "",
    evaluation: Mapping[str, Any] | None = None,
    samples: Mapping[str, Jets | RelativeJets] | None = None,
    observables: Observables | None = None,
    history: training_plots.History | None = None,
    latents: Mapping[str, np.ndarray | None] | None = None,
    units: Mapping[str, str] | None = None,
    trained_on: Collection[str] = frozenset(),
    leaderboard: tuple[str, int] | None = None,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Every file is written completely or not at all. What is not given is left out: two
    files of jets can be compared without any training.

    Args:
        path: the HTML file to write; its folder must exist.
        title: of the page.
        about: date, seed and so on: `report.about.table`.
        summary: a text, the lines of a list, or names and values.
        evaluation: what `metrics.evaluate` returns.
        samples: name to jets. ``"input"`` are the real jets that others are compared
            with; ``"reconstruction"``, ``"prior"`` and ``"flow"`` have fixed colours.
        observables: sample to observable to ``[J]``, for every sample the same; None
            for those of `metrics.jet_observables`.
        history: ``"vae"`` and ``"flow"`` (or other names) to a dict per epoch with
            ``train/<term>`` and ``valid/<term>``.
        latents: ``"posterior"`` to ``[J, L]``, ``"flow"`` to ``[M, L]``.
        units: terms of the loss whose units are not in `training_plots.UNITS`.
        trained_on: observables that were part of the training loss, such as
            ``{"mass", "pt"}``, and those computed from them: marked in every table
            and figure.
        leaderboard: class and number of particles of the jets, such as
            ``("g", 30)``: puts the evaluation beside what is published for them.

    Returns:
        The path of the HTML file.

    Raises:
        ValueError: samples without ``"input"``, or observables of other samples.
        InputError: a file cannot be written.
    """
    blocks = (
        *([about] if about else []),
        *page.summary(summary),
        *_trained_on(trained_on, evaluation),
        *_tables(evaluation, trained_on, leaderboard, history),
        *_sample_plots(samples or {}, observables, evaluation, trained_on),
        *responses.blocks((evaluation or {}).get("responses"), "jets", trained_on),
        *_training_plots(history or {}, latents or {}, units),
    )
    return page.write(path, title, blocks)


def _trained_on(
    trained_on: Collection[str], evaluation: Mapping[str, Any] | None
) -> Iterator[Block]:
    if not trained_on:
        return
    held = sorted((evaluation or {}).get("trained_on") or trained_on)
    metrics = known_metrics()
    others = [
        metrics[name].label if name in metrics else SUMS.get(name) or label(name)
        for name in (evaluation or {}).get("no_check", ())
        if name not in held
    ]
    yield from tables.in_loss([*map(label, held)], others)


def _tables(
    evaluation: Mapping[str, Any] | None,
    trained_on: Collection[str],
    jets: tuple[str, int] | None,
    history: Mapping[str, Any] | None = None,
) -> Iterator[Block]:
    if not evaluation:
        return
    yield Heading("Main metrics")
    yield tables.headline(evaluation, trained_on=trained_on)
    yield Paragraph(
        f"{evaluation['jets']:,} jets per sample. Every metric is a distance to real "
        "jets: lower is better. The floor is the distance of other real jets. The "
        "published EMD compares the heights of histogram bins and does not depend on "
        "their positions; it is listed for comparison with the published values, "
        "which are of other jets.",
        "note",
    )
    if jets:
        measured = leaderboard.entries(evaluation, *jets, history)
        yield Heading("Leaderboard")
        yield leaderboard.table(measured, *jets, trained_on=trained_on)
        yield Paragraph(leaderboard.note(*jets), "note")
    yield from tables.conditions(evaluation.get("conditions", {}))
    yield Heading("All metrics")
    full = tables.full(evaluation, trained_on=trained_on)
    yield Details("By observable", [full])


def _sample_plots(samples, observables, evaluation, trained_on) -> Iterator[Block]:
    if not samples:
        return
    if "input" not in samples:
        raise ValueError(f"samples need 'input', got {sorted(samples)}")
    # The input comes first: the others are drawn over it.
    samples = {"input": samples["input"], **samples}
    sizes = {name: len(s.mask) for name, s in samples.items()}
    values = _values(samples, observables)
    ratio = _ratio_caption(sizes)
    yield Plot(
        "jets",
        "Jets",
        f"Features of the jets. {ratio} {_floor_caption(evaluation, 'jet')}",
        lambda: distributions.jets(values, trained_on=trained_on),
    )
    yield from _pull_plots(values, sizes, trained_on)
    if min(sizes.values()) > 1:
        yield from _correlation_plots(values, sizes, trained_on)
    yield Plot(
        "particles",
        "Particles",
        f"Features of the particles, without padding. {ratio} "
        + _floor_caption(evaluation, "particle"),
        lambda: distributions.particles(samples, trained_on=trained_on),
    )
    yield Plot(
        "images",
        "Average jet images",
        "Mean transverse momentum per jet and pixel around the jet's own axis, 100 by "
        "100 pixels, and the difference from the input.",
        lambda: jet_images.average(samples),
    )
    yield Plot(
        "single_jets",
        "Single jets",
        "The first jets of each sample. The area of a particle is proportional to its "
        "fraction of the jet's transverse momentum; rings are the reconstruction of "
        "the same jet.",
        lambda: jet_images.single(samples),
    )


def _values(
    samples: Mapping[str, Jets | RelativeJets], observables: Observables | None
) -> Observables:
    """Sample to observable to values, the input and known observables first."""
    if observables is None:
        observables = {n: map_chunks(jet_observables, s) for n, s in samples.items()}
    if set(observables) != set(samples):
        raise ValueError(
            f"observables of {sorted(observables)} for samples {sorted(samples)}"
        )
    ordered = (*binning.RELATIVE_JETS[:2], *binning.JETS)
    known = list(
        dict.fromkeys(b.name for b in ordered if b.name in observables["input"])
    )
    names = [*known, *(k for k in observables["input"] if k not in known)]
    return {name: {k: observables[name][k] for k in names} for name in samples}


def _ratio_caption(sizes: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return (
        "Below, the ratio to the input. The grey band is the statistical error of the "
        f"input's {sizes['input']:,} jets: smaller differences are not significant. "
        "Coloured bands are the errors of the samples. Values outside the range are "
        f"not drawn; the table counts them. Jets: {shown}."
    )


def _floor_caption(evaluation: Mapping[str, Any] | None, level: str) -> str:
    """The EMD of other real jets, if an evaluation has it."""
    if not evaluation or evaluation["floor"] is None:
        return ""
    values = ", ".join(
        f"{label(name)} {number(metrics['emd'], 2)} {UNITS.get(name, '')}".rstrip()
        for name, metrics in evaluation["floor"][level].items()
    )
    return f"EMD of other real jets, the floor: {values}."


def _pull_plots(
    values: Observables, sizes: Mapping[str, int], trained_on: Collection[str]
) -> Iterator[Block]:
    real = values["input"]
    binnings = distributions.binnings(real)
    units = {bins.name: bins.unit for bins in binnings}
    for i, (name, others) in enumerate(values.items()):
        if name == "input":
            continue
        found = {
            b.name: pulls.compare(real[b.name], others[b.name], b) for b in binnings
        }
        slug = page.slug(name)
        yield Plot(
            f"pulls_{slug}" if name in style.KNOWN else f"pulls_{i}_{slug}",
            "Pulls",
            _pull_caption(name, sizes, paired=name in style.PAIRED),
            lambda found=found, name=name: pulls.figure(
                found, name, trained_on=trained_on
            ),
        )
        yield Heading(f"{name}: worst-agreeing bins first", 3)
        yield pulls.worst(found, units, trained_on=trained_on)


def _pull_caption(name: str, sizes: Mapping[str, int], *, paired: bool) -> str:
    caption = (
        f"{name} and input: generated minus real jets in each bin, divided by the "
        f"statistical error of both samples ({sizes['input']:,} real and "
        f"{sizes[name]:,} generated jets). The grey band is one standard deviation: "
        "for jets of the same distribution two thirds of the bins are inside and "
        "chi2/ndf is about 1. Outer bins include the values beyond the range."
    )
    if paired:
        caption += (
            " These jets were reconstructed from the input's own jets and have the "
            "same fluctuations: pulls are smaller than for independent jets."
        )
    return caption


def _correlation_plots(values: Observables, sizes, trained_on) -> Iterator[Block]:
    largest = 1 / max(sizes["input"] - 1, 1) ** 0.5
    for kind, matrix in (("Pearson", pearson), ("Spearman", spearman)):
        caption = (
            f"{kind} correlations of the input, of each sample, and their difference. "
            "Differences in bold or with a dot exceed three times the statistical "
            f"error of both samples; that of {sizes['input']:,} real jets alone is at "
            f"most {largest:.2g}."
        )
        if trained_on:
            caption += f" * {style.TRAINED}."
        yield Plot(
            f"correlations_{kind.lower()}",
            "Correlations of jet features",
            caption,
            lambda matrix=matrix: correlations.figure(
                {k: matrix(np.column_stack([*v.values()])) for k, v in values.items()},
                [*values["input"]],
                sizes=sizes,
                trained_on=trained_on,
            ),
        )


def _training_plots(
    history: training_plots.History,
    latents: Mapping[str, np.ndarray | None],
    units: Mapping[str, str] | None,
) -> Iterator[Block]:
    posterior, flow = latents.get("posterior"), latents.get("flow")
    if posterior is not None:
        beyond = posterior.shape[1] - training_plots.MAX_PANELS
        yield Plot(
            "latents",
            "Latent variables",
            "Encoded real jets, one panel per dimension, with their mean and standard "
            "deviation. What is sampled at generation should have the same "
            "distribution."
            + (f" The {beyond} dimensions nearest N(0, 1) left out." * (beyond > 0)),
            lambda: training_plots.latents(posterior, flow),
        )
    yield from training_plots.curve_plots(history, "jet", {"vae": "model"}, units)
