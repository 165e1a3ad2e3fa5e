"""The page of a study of jets of other kinds: verdict, tables, ROC curves."""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from jetvae_jax.data.splits import Dataset
from jetvae_jax.data.streaming import count
from jetvae_jax.report import about, page, tables
from jetvae_jax.report.page import Block, Heading, Paragraph, Plot, Row, Table
from jetvae_jax.report.tables import MISSING
from jetvae_jax.runs.trained import TrainedModel
from jetvae_jax.studies.find_jets.scores import (
    CUTS,
    LATENTS,
    LIKELIHOODS,
    MEANINGS,
    OBSERVABLES,
    TERM,
)
from jetvae_jax.studies.signal import plots

_COLUMNS = (
    "No score has seen signal. A score is higher for jets less like those of the "
    "training, and a cut keeps what is above it: an AUC below 0.5 says that the signal "
    "looks more like the training than the background itself does. AUC: probability "
    "that a signal jet has a higher score than a background jet (error after DeLong); "
    "in the mass window: among jets within the central 90 % of the signal's masses; at "
    "equal multiplicity: of pairs with the same number of particles. Signal kept, and "
    "improvement of the significance (signal over root of background), at a background "
    "efficiency, with bootstrap errors; a random score keeps as much of both. "
    "Correlations are Spearman's, of background. A likelihood is a density and has "
    "units: in others jets of different multiplicity compare differently, and with log "
    "pt in place of pt all do. The AUC per particle, with log pt and at equal "
    "multiplicity show how much of it is that choice."
)
_SCORES = {
    "Likelihood": LIKELIHOODS,
    "Latents": LATENTS,
    "Terms of the loss": (),
    "Cuts without a model": CUTS,
}
_CURVES = ("likelihood", "likelihood_per_particle", "reconstruction", *LATENTS)
_UP = "\N{NBSP}↑"


def write(
    path: str | os.PathLike,
    result: Mapping[str, Any],
    panel: Mapping[str, Any],
    trained: TrainedModel,
    parts: Dataset,
) -> pathlib.Path:
    """Writes the page, and each figure as PNG in ``figures/`` beside it.

    Args:
        path: the HTML file to write; its folder must exist.
        result: the contents of ``find_jets.json``.
        panel: ``background`` (score to ``[J]``) and ``signal`` (name to score to
            ``[M]``).
        trained: the run.
        parts: its data.

    Raises:
        InputError: a file cannot be written.
    """
    title = f"Jets of another kind, by {trained.run.model}"
    seed = result["settings"]["seed"]
    head = about.table(
        seed=f"{trained.run.seed} of the training, {seed} of the draws",
        training=about.training(trained, count(parts.train), "jets"),
    )
    return page.write(path, title, (head, *_tables(result), *_plots(result, panel)))


def _tables(result: Mapping[str, Any]) -> Iterator[Block]:
    short, *longer = result["verdict"]
    yield Paragraph(short, "strong")
    for sentences in longer:
        yield Paragraph(sentences)
    yield from page.summary(result["notes"])
    yield Heading("Scores")
    yield Paragraph(_COLUMNS, "note")
    yield page.meanings({n: MEANINGS.get(n, TERM) for n in result["scores"]})
    signals = [name for name in result["jets"] if name != "background"]
    for signal in signals:
        yield scores_table(result, signal)
    yield Heading("Jets")
    yield jets_table(result["jets"])


def jets_table(jets: Mapping[str, Mapping[str, float]]) -> Table:
    """How many jets of each kind, and what they are like."""
    head = ["jets", "number", "mean mass [GeV]", "mean multiplicity"]
    rows = [
        [name, f"{of['number']:,}", f"{of['mean_mass']:.1f}",
         f"{of['mean_multiplicity']:.2f}"]
        for name, of in jets.items()
    ]  # fmt: skip
    return page.table(head, rows)


def scores_table(result: Mapping[str, Any], signal: str) -> Table:
    """Every score on one signal, by what it is a score of."""
    shares = [str(share) for share in result["settings"]["keep"]]
    percent = [f"{100 * float(share):g} %" for share in shares]
    head = [
        signal, f"AUC{_UP}", "in the mass window", "at equal multiplicity",
        *(cell for p in percent for cell in (f"kept at {p}{_UP}", f"improvement{_UP}")),
        *(f"correlation with {name}" for name in OBSERVABLES),
    ]  # fmt: skip
    rows = []
    for title, names in sections(result["scores"]).items():
        rows.append(Row([title], "section"))
        for name in names:
            of = result["scores"][name]
            found = of["signals"][signal]
            kept = [
                _cell(found["kept"][share][what])
                for share in shares
                for what in ("signal", "improvement")
            ]
            correlations = [
                MISSING if value is None else f"{value:+.2f}"
                for value in of["correlation"].values()
            ]
            aucs = (found[key] for key in ("auc", "window", "equal_multiplicity"))
            style = "faint" if name in CUTS else ""
            rows.append(Row([name, *map(_cell, aucs), *kept, *correlations], style))
    return Table(head, rows, "compact")


def sections(names: Any) -> dict[str, list[str]]:
    """Scores by what they are scores of; sections without any are left out."""
    known = {name: title for title, of in _SCORES.items() for name in of}
    found: dict[str, list[str]] = {title: [] for title in _SCORES}
    for name in names:
        found[known.get(name, "Terms of the loss")].append(name)
    return {title: of for title, of in found.items() if of}


def _plots(result: Mapping[str, Any], panel: Mapping[str, Any]) -> Iterator[Plot]:
    wanted = [n for n in (*_CURVES, *OBSERVABLES) if n in panel["background"]]
    if {"flow", "copula"} & set(wanted):  # of which the standard normal differs little
        wanted.remove("latent")
    chosen = {
        "background": {n: panel["background"][n] for n in wanted},
        "signal": {s: {n: of[n] for n in wanted} for s, of in panel["signal"].items()},
    }
    floor = result["settings"]["floor"]
    yield Plot(
        "find_jets_roc", "ROC curves",
        "Above: background rejection; grey is a random score. Below: significance "
        f"improvement. Both end where {floor} background jets are left.",
        lambda: plots.roc_curves(chosen, floor, quiet=OBSERVABLES),
    )  # fmt: skip
    signals = list(panel["signal"])
    model = result["run"]["model"]["name"]
    by_score = {
        name: result["scores"][name]["signals"]
        for names in sections(result["scores"]).values()
        for name in names
    }
    runs = {model: {"model": model, "scores": by_score, "mass_alone": {}}}
    yield Plot(
        "find_jets_auc", "AUC of every score",
        "Area under the ROC curve with its error; hollow: among jets of the signal's "
        "masses only. Below 0.5 the signal looks more like the training than the "
        "background does.",
        lambda: plots.aucs(runs, signals),
    )  # fmt: skip
    yield Plot(
        "find_jets_scores", "Distributions",
        "As normal scores among background; jets beyond the axis are in the outer "
        "bins.",
        lambda: plots.histograms(chosen),
    )  # fmt: skip


def _cell(found: Mapping[str, Any] | None) -> str:
    return MISSING if not found else tables.with_error(found["value"], found["error"])
