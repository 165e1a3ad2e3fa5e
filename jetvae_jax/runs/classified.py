"""One run as a finder of signal: its scores, and the figures of them."""

import dataclasses
import os
import pathlib
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jetvae_jax.data.events import Events
from jetvae_jax.errors import InputError
from jetvae_jax.metrics import kolmogorov_smirnov, roc, significance
from jetvae_jax.metrics.association import rank_correlation
from jetvae_jax.metrics.c2st import auc_with_error
from jetvae_jax.runs import dataset, scores
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.fit_copula import CHECKPOINT as COPULA_FILE
from jetvae_jax.runs.fit_flow import CHECKPOINT as FLOW_FILE
from jetvae_jax.runs.fit_flow import posteriors
from jetvae_jax.runs.generate import samples_of
from jetvae_jax.runs.train import TrainedVAE, load_vae

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
        efficiencies: of the signal, at which background rejection is given.
        keep: shares of background that the cuts for injected signal keep; a cut is
            chosen on background of the validation part.
        fractions: of injected signal.
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
        for name in ("efficiencies", "keep", "fractions"):
            for value in getattr(self, name):
                if not 0 < value < 1:
                    raise InputError(f"{name}: {value} is not between 0 and 1")
        least = (("num_events", 1), ("floor", 1), ("replicas", 2),
                 ("num_generated", 2), ("seed", 0))  # fmt: skip
        for name, low in least:
            if getattr(self, name) < low:
                raise InputError(f"{name} = {getattr(self, name)}: give {low} or more")


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
    tables = signals(config, columns)
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


def signals(config: ClassifyConfig, columns: tuple[str, ...]) -> dict[str, Events]:
    """The tables of signal, by short names."""
    from jetvae_jax.data import events
    from jetvae_jax.data.events.load import find

    found = {}
    for path in config.signal:
        name = find(path).stem
        if name in found or name == "background":
            name = f"{pathlib.Path(path).parent.name}_{name}"
        if name in found:
            raise InputError(f"--classify.signal: {path} stands there twice")
        found[name] = events.load(path, columns=columns, constant=True)
    return found


def figures(scored: Scored, config: ClassifyConfig) -> dict[str, Any]:
    """Score to signal to its figures, JSON-able.

    Raises:
        InputError: too little background for a cut.
    """
    key = jax.random.key(config.seed)
    num = min(
        len(next(iter(p.values()))) for p in (scored.reference, scored.background)
    )
    for keep in config.keep:
        if keep * num < config.floor:
            raise InputError(
                f"--classify.keep: {keep:g} of {num} background events is less than "
                f"{config.floor} (--classify.floor): keep more, or train on more events"
            )
    return {
        name: {
            signal: _of_score(key, name, signal, scored, config)
            for signal in scored.signal
        }
        for name in scored.background
    }


def _of_score(key, name, signal, scored: Scored, config: ClassifyConfig) -> dict:
    low, high = scored.background[name], scored.signal[signal][name]
    auc, error = auc_with_error(low, high)
    found = roc.figures(
        key, low, high,
        efficiencies=config.efficiencies, floor=config.floor, replicas=config.replicas,
    )  # fmt: skip
    best = found.best
    result = {
        "auc": {"value": auc, "error": error},
        "rejection": {str(e): _plain(v) for e, v in found.rejection.items()},
        "best_improvement": _plain(best.value)
        | {"signal": best.signal, "background": best.background},
        "injected": {
            str(keep): _injected(keep, scored.reference[name], low, high, config)
            for keep in config.keep
        },
    }
    if scored.mass:
        result["window"] = _window(scored, name, signal, config)
        masses = scored.mass["background"]
        few = rank_correlation(key, low, masses, permutations=1)
        result["mass_correlation"] = few.value
    return result


def _plain(value: roc.Value) -> dict:
    error = None if np.isnan(value.error) else value.error
    return {"value": value.value, "error": error, "limit": value.limit}


def _injected(keep, reference, low, high, config) -> dict:
    """A cut that keeps a share of background, and what it gains at each fraction."""
    cut = float(np.quantile(reference, 1 - keep, method="higher"))
    eps_s, eps_b = float(np.mean(high >= cut)), float(np.mean(low >= cut))
    if not eps_b:
        raise InputError(
            f"--classify.keep: no background of the test part passes the cut at "
            f"{keep:g}: keep more"
        )
    gains = {
        str(f): significance.gain(
            config.num_events, f, (eps_s, len(high)), (eps_b, len(low))
        )._asdict()
        for f in config.fractions
    }
    return {"cut": cut, "signal": eps_s, "background": eps_b, "fractions": gains}


def _window(scored: Scored, name: str, signal: str, config) -> dict | None:
    """The AUC among events of the signal's own masses: what the score adds to it."""
    low, high = np.quantile(scored.mass[signal], [0.05, 0.95])
    inside = {
        k: (scored.mass[k] >= low) & (scored.mass[k] <= high)
        for k in ("background", signal)
    }
    if min(v.sum() for v in inside.values()) < max(config.floor, 2):
        return None
    auc, error = auc_with_error(
        scored.background[name][inside["background"]],
        scored.signal[signal][name][inside[signal]],
    )
    return {
        "auc": auc, "error": error, "low": float(low), "high": float(high),
        "background_events": int(inside["background"].sum()),
    }  # fmt: skip


def mass_alone(scored: Scored, config: ClassifyConfig) -> dict:
    """The AUC of the mass by itself: its distance from the median of background."""
    if not scored.mass:
        return {}
    low = scored.mass["background"]

    def far(values):
        return np.abs(scores.normal_scores(low, values))

    found = {}
    for signal in scored.signal:
        auc, error = auc_with_error(far(low), far(scored.mass[signal]))
        found[signal] = {"value": auc, "error": error}
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
