"""What one run says about events and signal, and how well it generates."""

import dataclasses
import os
import pathlib
from typing import Any, Literal, NamedTuple

import numpy as np
from absl import logging

from jetvae_jax.core.errors import InputError, at_least
from jetvae_jax.events.loading import Events
from jetvae_jax.metrics import kolmogorov_smirnov
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.fit_copula import CHECKPOINT as COPULA_FILE
from jetvae_jax.runs.fit_flow import CHECKPOINT as FLOW_FILE
from jetvae_jax.runs.fit_flow import posteriors
from jetvae_jax.runs.generate import samples_of
from jetvae_jax.runs.train import TrainedVAE, load_vae
from jetvae_jax.studies.signal import scores

COMBINED = "combined"
SHOWN = 3000
"""Events in the figure of the latent space."""


@dataclasses.dataclass(frozen=True)
class ClassifyConfig:
    """How trained runs are tried as finders of signal.

    Attributes:
        signal: tables of signal events, one for each mass, with the columns of the
            runs.
        scores: to compute; empty for all that a run offers. See runs/scores.py.
        exclude: columns that the score reconstruction_rest leaves out.
        mass: column of the resonance's mass; empty if there is none.
        efficiencies: of the signal, at which background rejection is given; at the
            first the significance improvement, too.
        keep: shares of background that the cuts for injected signal keep; a cut is
            chosen on background of the validation part.
        fractions: of injected signal.
        repair: drop signal events with NaN or infinite values, and say how many.
        num_events: of the data set into which signal is injected.
        floor: background events that must be left for a figure to be quoted.
        replicas: of the bootstrap that gives errors.
        num_generated: events generated for the Kolmogorov-Smirnov distance.
        seed: of the bootstrap and of these events.
    """

    signal: tuple[str, ...] = ("embedded:signal",)
    scores: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ("mlly", "llpt_mlly")
    mass: str = "mlly"
    efficiencies: tuple[float, ...] = (0.3, 0.5, 0.8)
    keep: tuple[float, ...] = (0.1, 0.01)
    fractions: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1)
    repair: bool = False
    num_events: int = 10_000
    floor: int = 10
    replicas: int = 200
    num_generated: int = 20_000
    seed: int = 0

    def __post_init__(self):
        if not self.signal:
            raise InputError("signal: name one table of signal events or more")
        for name in self.scores:
            if name not in scores.NAMES:
                known = ", ".join(scores.NAMES)
                raise InputError(f"scores: {name!r} is unknown; choose of {known}")
        if not self.efficiencies:
            raise InputError("efficiencies: name one signal efficiency or more")
        for name in ("efficiencies", "keep", "fractions"):
            for value in getattr(self, name):
                if not 0 < value < 1:
                    raise InputError(f"{name}: {value} is not between 0 and 1")
        at_least(self, num_events=1, floor=1, replicas=2, num_generated=2, seed=0)


class Scored(NamedTuple):
    """What a run says about background and signal.

    Attributes:
        trained: the run.
        reference: score to ``[J]`` of the validation part.
        background: score to ``[J]`` of the test part.
        signal: name of the signal to score to ``[M]``.
        mass: name to mass of the events, ``"background"`` and the signals.
        latents: name to the first two principal components, likewise.
        test: events ``[J, C]`` of the test part.
    """

    trained: TrainedVAE
    reference: dict[str, np.ndarray]
    background: dict[str, np.ndarray]
    signal: dict[str, dict[str, np.ndarray]]
    mass: dict[str, np.ndarray]
    latents: dict[str, np.ndarray]
    test: np.ndarray


def score(workdir: str | os.PathLike, config: ClassifyConfig) -> Scored:
    """All scores of a run, of its background and of signal.

    Raises:
        InputError: no run of tables there, changed data, a score that it cannot give,
            or whatever is wrong with a table of signal.
    """
    trained = load_vae(workdir)
    run = trained.run
    if run.domain != "events":
        raise InputError(
            f"{workdir}: is a run of {run.domain}: classify takes runs of --domain="
            "events"
        )
    parts = dataset.load_same(run.domain, run.data, trained.meta["source"])
    columns = tuple(trained.meta["columns"])
    if config.mass and config.mass not in columns:
        raise InputError(
            f"--classify.mass: {config.mass!r} is no column of {workdir}: name one of "
            f"{', '.join(columns)}, or none: --classify.mass="
        )
    tables = signals(config, columns, run.scaling.kinds)
    samples = {"background": np.asarray(parts.test)}
    samples |= {name: table.values for name, table in tables.items()}
    # All at once: compiled once.
    everything = np.concatenate([np.asarray(parts.valid), *samples.values()])
    ends = np.cumsum([len(parts.valid), *map(len, samples.values())])[:-1]
    encoded = np.split(np.asarray(posteriors(trained, everything).mean), ends)
    fitted = scores.components(encoded[0])
    found = scores.offered(trained, workdir, fitted, config.exclude)
    wanted = scores.chosen(found, config.scores, workdir)
    rows = {
        name: np.split(values, ends)
        for name, values in scores.evaluate(trained, wanted, everything).items()
    }
    reference, *given = (
        {name: pieces[i] for name, pieces in rows.items()} for i in range(len(encoded))
    )
    if len(wanted) > 1 and (not config.scores or COMBINED in config.scores):
        for values in (*given, reference):
            values[COMBINED] = scores.combine(reference, dict(values))
    masses, latents = {}, {}
    for (name, values), z in zip(samples.items(), encoded[1:], strict=True):
        if config.mass:
            masses[name] = values[:, columns.index(config.mass)]
        latents[name] = np.asarray(scores.project(fitted, z[:SHOWN]))[:, :2]
    of_signal = dict(zip(tables, given[1:], strict=True))
    return Scored(
        trained, reference, given[0], of_signal, masses, latents, samples["background"]
    )


def signals(
    config: ClassifyConfig, columns: tuple[str, ...], decided: tuple[str, ...]
) -> dict[str, Events]:
    """The tables of signal, by short names.

    Args:
        config: which.
        columns: of the run.
        decided: kinds of its columns, which the values must allow.

    Raises:
        InputError: no such table, a column that it lacks, or values that cannot be.
    """
    from jetvae_jax import events
    from jetvae_jax.events import kinds
    from jetvae_jax.events.loading import find

    found = {}
    for path in config.signal:
        name = find(path).stem
        if name in found or name == "background":
            name = f"{pathlib.Path(path).parent.name}_{name}"
        if name in found:
            raise InputError(f"--classify.signal: {path} stands there twice")
        found[name] = events.load(
            path, columns=columns, repair=config.repair, constant=True
        )
        for note in found[name].notes:
            logging.info("note: %s", note)
        try:
            kinds.find(columns, found[name].values, decided)
        except InputError as error:
            raise InputError(f"{path}: {error}, and train anew") from error
    return found


def latents_of_choice(workdir: str | os.PathLike) -> Literal["prior", "flow", "copula"]:
    """What a run is generated from: what was fitted to its latents, if anything."""
    if os.path.exists(os.path.join(workdir, COPULA_FILE)):
        return "copula"
    return "flow" if os.path.exists(os.path.join(workdir, FLOW_FILE)) else "prior"


def quality(
    workdir: str | os.PathLike, scored: Scored, config: ClassifyConfig
) -> dict[str, Any]:
    """How well the run generates: Kolmogorov-Smirnov distances from the test part."""
    latents = latents_of_choice(workdir)
    request = GenerateConfig(latents, config.num_generated, config.seed)
    chunks = samples_of(scored.trained, workdir, request)[1]
    made = np.concatenate(list(chunks))
    distances = {
        name: float(kolmogorov_smirnov(scored.test[:, i], made[:, i]))
        for i, name in enumerate(scored.trained.meta["columns"])
    }
    mean = float(np.mean(list(distances.values())))
    return {"latents": latents, "mean_ks": mean, "ks": distances}
