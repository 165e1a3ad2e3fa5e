"""Find injected signal with models that were trained to generate background.

Of each run: the scores of background and signal (:mod:`.scores`), what each score finds
(ROC curve, rejection, gain of a cut), and how well the run generates. Over the runs:
whether better generators also find signal better (:mod:`.hypothesis`). The
classification that Stevenson, Kruger 2022, plans.
"""

import csv
import io
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from absl import logging

from jetvae_jax import events
from jetvae_jax.core import configs, seeds
from jetvae_jax.core.configs import PositiveInt, versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.events import kinds
from jetvae_jax.events.loading import Events
from jetvae_jax.events.loading import find as find_table
from jetvae_jax.metrics import kolmogorov_smirnov
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs.config import GenerateConfig, ModelRun
from jetvae_jax.runs.generation import generated_samples
from jetvae_jax.runs.trained import CHECKPOINT, TrainedModel, load_model
from jetvae_jax.studies.signal import hypothesis, report, roc, scores, significance
from jetvae_jax.studies.signal.hypothesis import COMBINED

SHOWN = 3000
"""Events in the plot of the latent space."""


_Fraction = Annotated[float, configs.positive, configs.below(1)]
_Score = Annotated[str, configs.one_of(scores.NAMES)]


@configs.config
class ClassifyConfig:
    """How trained runs are tested as classifiers of signal against background.

    Attributes:
        signal: tables of signal events, one for each mass, with the columns of the
            runs.
        scores: to compute; empty for all that a run offers. See
            jetvae_jax/studies/signal/scores.py.
        exclude: columns that the score reconstruction_rest leaves out.
        mass: column of the resonance's mass; empty if there is none.
        efficiencies: of the signal, at which background rejection is given; at the
            first the significance improvement, too.
        keep: background efficiencies of the cuts for injected signal; a cut is chosen
            on background of the validation part.
        fractions: of injected signal.
        repair: drop signal events with NaN or infinite values, and say how many.
        num_events: of the data set into which signal is injected.
        floor: background events that must be left for a result to be quoted.
        replicas: of the bootstrap that gives errors.
        num_generated: events generated for the Kolmogorov-Smirnov distance.
        seed: of the bootstrap and of these events.
    """

    signal: Annotated[tuple[configs.Path, ...], configs.not_empty] = (
        "embedded:signal",
    )
    scores: tuple[_Score, ...] = ()
    exclude: tuple[str, ...] = ("mlly", "llpt_mlly")
    mass: str = "mlly"
    efficiencies: Annotated[tuple[_Fraction, ...], configs.not_empty] = (0.3, 0.5, 0.8)
    keep: tuple[_Fraction, ...] = (0.1, 0.01)
    fractions: tuple[_Fraction, ...] = (0.001, 0.003, 0.01, 0.03, 0.1)
    repair: bool = False
    num_events: PositiveInt = 10_000
    floor: PositiveInt = 10
    replicas: Annotated[int, configs.at_least(2)] = 200
    num_generated: Annotated[int, configs.at_least(2)] = 20_000
    seed: configs.Seed = 0


class Scored(NamedTuple):
    """The scores that a run gives to background and signal.

    Attributes:
        trained: the run.
        reference: score to ``[J]`` of the validation part.
        background: score to ``[J]`` of the test part.
        signal: name of the signal to score to ``[M]``.
        mass: name to mass of the events, ``"background"`` and the signals.
        latents: name to the first two principal components, likewise.
        test: events ``[J, C]`` of the test part.
    """

    trained: TrainedModel
    reference: dict[str, np.ndarray]
    background: dict[str, np.ndarray]
    signal: dict[str, dict[str, np.ndarray]]
    mass: dict[str, np.ndarray]
    latents: dict[str, np.ndarray]
    test: np.ndarray


def classify(
    workdirs: Sequence[str | os.PathLike],
    config: ClassifyConfig,
    *,
    output: str | os.PathLike = "",
) -> tuple[pathlib.Path, str]:
    """Score background and signal by every run, and evaluate the scores.

    Writes ``classification.json``, ``.csv``, ``.html`` and its plots.

    Args:
        workdirs: of trained runs of tables, or folders that hold such runs.
        config: which signal and scores.
        output: folder to write to; empty for the run's, or that of all runs in common.

    Returns:
        The path of the report, and the verdict in one line.

    Raises:
        InputError: no run, a score that a run cannot give, a table of signal that is
            wrong, or too little background.
    """
    announce_missing()
    found = find_runs(workdirs)
    folder = Workdir(output or os.path.commonpath(found.values()))
    runs: dict[str, dict] = {}
    scored: dict[str, Scored] = {}
    for name, workdir in found.items():
        logging.info("scoring by %s, %d of %d", name, len(runs) + 1, len(found))
        scored[name] = score_run(workdir, config)
        runs[name] = _evaluate_run(workdir, scored[name], config)
    models = label_models(found, {name: s.trained.run for name, s in scored.items()})
    for name, run in runs.items():
        run["model"] = models[name]
    links = hypothesis.links(runs, config.seed)
    result: dict[str, Any] = {
        "settings": vars(config) | {"workdirs": [str(w) for w in workdirs]},
        "versions": versions(),
        "signals": list(next(iter(scored.values())).signal),
        "runs": runs,
        "hypothesis": links,
        "answer": hypothesis.answer(runs, links),
        "notes": _notes(runs, config),
    }
    result["verdict"] = verdict(result)
    for note in result["notes"]:
        logging.info("note: %s", note)
    logging.info("drawing the report")
    panels = {name: s._asdict() for name, s in scored.items()}
    with folder.alone():
        folder.write_json("classification.json", result)
        folder.write_text("classification.csv", _csv(result))
        page = report.write(folder / "classification.html", result, panels)
    return page, result["verdict"]


def find_runs(workdirs: Sequence[str | os.PathLike]) -> dict[str, str]:
    """Name to folder of every run, all different.

    Args:
        workdirs: of runs, or folders somewhere in which there are runs, such as that
            of a comparison.

    Raises:
        InputError: none, no such folder, no run in it, or one twice.
    """
    paths: list[pathlib.Path] = []
    for given in workdirs:
        folder = pathlib.Path(os.path.abspath(given))
        if not folder.is_dir():
            raise InputError(f"--workdirs: {given}: no such folder: train there first")
        inside = [folder]
        if not (folder / CHECKPOINT).exists():
            inside = sorted(path.parent for path in folder.rglob(CHECKPOINT)) or inside
        for path in inside:
            if path in paths:
                raise InputError(f"--workdirs: {path} is listed twice")
        paths += inside
    if not paths:
        raise InputError("--workdirs: name one trained run or more")
    if len(paths) == 1:
        return {paths[0].name: str(paths[0])}
    common = os.path.commonpath(paths)
    names = [os.path.relpath(path, common) for path in paths]
    return {
        path.name if name == os.curdir else name: str(path)
        for name, path in zip(names, paths, strict=True)
    }


def label_models(folders: Mapping[str, str], settings: Mapping[str, ModelRun]) -> dict:
    """The model of every run: the same for settings that differ by the seed only.

    Args:
        folders: name of a run to its folder.
        settings: name to how it was trained.

    Returns:
        Name of a run to that of its model: the run's own if it is the only one of the
        model, else the folder that holds all of them, or the model's components.
    """
    same: dict[str, list[str]] = {}
    for name, run in settings.items():
        given = json.dumps(run.to_json() | {"seed": 0}, sort_keys=True)
        same.setdefault(given, []).append(name)
    labels: dict[str, str] = {}
    for first, *others in same.values():
        label = first
        if others:
            above = {os.path.dirname(folders[name]) for name in (first, *others)}
            label = _components(settings[first])
            if len(above) == 1:
                label = os.path.basename(above.pop())
        if label in labels.values():
            label += f" ({first})"
        labels |= dict.fromkeys((first, *others), label)
    return {name: labels[name] for name in settings}


def score_run(workdir: str | os.PathLike, config: ClassifyConfig) -> Scored:
    """All scores of a run, of its background and of signal.

    Raises:
        InputError: no run of tables there, changed data, a score that it cannot give,
            or whatever is wrong with a table of signal.
    """
    trained = load_model(workdir)
    run = trained.run
    if run.domain != "events":
        raise InputError(
            f"{workdir}: is a run of {run.domain}: classify takes runs of --domain="
            "events"
        )
    parts = trained.data()
    columns = tuple(trained.meta["columns"])
    if config.mass and config.mass not in columns:
        raise InputError(
            f"--classify.mass: {config.mass!r} is not a column of {workdir}: name one "
            f"of {', '.join(columns)}, or none: --classify.mass="
        )
    for part in (parts.valid, parts.test):
        roc.check_cuts(config.keep, len(part), config.floor, "classify")
    tables = _load_signal(config, columns, run.scaling.kinds)
    samples = {"background": np.asarray(parts.test)}
    samples |= {name: table.values for name, table in tables.items()}
    # All at once: compiled once.
    everything = np.concatenate([np.asarray(parts.valid), *samples.values()])
    ends = np.cumsum([len(parts.valid), *map(len, samples.values())])[:-1]
    encoded = np.split(np.asarray(trained.encode(everything)[0].mean), ends)
    fitted = scores.components(encoded[0])
    found = scores.offered(trained, fitted, config.exclude)
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


def evaluate_scores(scored: Scored, config: ClassifyConfig) -> dict[str, Any]:
    """Score to signal to AUC, rejection, improvement and gains; JSON-able.

    Raises:
        InputError: too little background for a cut.
    """
    key = seeds.key(config.seed)
    for part in (scored.reference, scored.background):
        num = len(next(iter(part.values())))
        roc.check_cuts(config.keep, num, config.floor, "classify")
    return {
        name: {
            signal: _evaluate_score(key, name, signal, scored, config)
            for signal in scored.signal
        }
        for name in scored.background
    }


def verdict(result: dict[str, Any]) -> str:
    """One line: the best classifier, the best generator, and the hypothesis."""
    runs = result["runs"]
    auc, run, score = max(
        (hypothesis.found(run, score, "auc"), name, score)
        for name, run in runs.items()
        for score in run["scores"]
    )
    text = f"best score: {score} of {run}, AUC {auc:.3f}"
    if len(result["signals"]) > 1:
        text += f" (mean of {len(result['signals'])} signals)"
    if len(runs) > 1:
        ks, best = min((r["quality"]["mean_ks"], name) for name, r in runs.items())
        text += f"; best generator: {best}, mean KS {ks:.4f}"
    return f"{text}; {result['answer']}"


def _load_signal(
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
    found = {}
    for path in config.signal:
        name = find_table(path).stem
        if name in found or name == "background":
            name = f"{pathlib.Path(path).parent.name}_{name}"
        if name in found:
            raise InputError(f"--classify.signal: {path} is listed twice")
        found[name] = events.load(
            path, columns=columns, repair=config.repair, constant=True
        )
        for note in found[name].notes:
            logging.info("note: %s", note)
        try:
            kinds.find(columns, found[name].values, decided)
        except InputError as error:
            raise InputError(f"{path}: {error}, and train again") from error
    return found


def _evaluate_run(
    workdir: str | os.PathLike, scored: Scored, config: ClassifyConfig
) -> dict[str, Any]:
    """The entry of a run in ``classification.json``, without its model."""
    any_score = next(iter(scored.background))
    return {
        "workdir": str(workdir),
        "parts": _components(scored.trained.run),
        "events": {
            "reference": len(scored.reference[any_score]),
            "background": len(scored.background[any_score]),
            **{name: len(values[any_score]) for name, values in scored.signal.items()},
        },
        "fingerprint": scored.trained.meta["source"]["fingerprint"],
        "best_epoch": scored.trained.meta["best_epoch"],
        "seed": scored.trained.run.seed,
        "quality": _quality(workdir, scored, config),
        "mass_alone": _mass_alone(scored),
        "scores": evaluate_scores(scored, config),
    }


def _components(run: ModelRun) -> str:
    """The components of a run's model, in short."""
    of = run.components
    found = [run.model, *(() if of.latent == "gaussian" else (of.latent,))]
    return " + ".join(found + [p for p in (of.prior, of.discriminator) if p != "none"])


def _quality(
    workdir: str | os.PathLike, scored: Scored, config: ClassifyConfig
) -> dict[str, Any]:
    """How well the run generates: Kolmogorov-Smirnov distances from the test part."""
    latents = scores.fitted_latents(scored.trained)
    request = GenerateConfig(latents, config.num_generated, config.seed)
    generated = generated_samples(scored.trained, request)
    distances = {
        name: float(kolmogorov_smirnov(scored.test[:, i], generated[:, i]))
        for i, name in enumerate(scored.trained.meta["columns"])
    }
    mean = float(np.mean(list(distances.values())))
    return {"latents": latents, "mean_ks": mean, "ks": distances}


def _mass_alone(scored: Scored) -> dict:
    """The AUC of the mass by itself: its distance from the median of background."""
    if not scored.mass:
        return {}
    low = scored.mass["background"]
    return {
        signal: roc.auc(
            scores.rarity(low, low), scores.rarity(low, scored.mass[signal])
        )
        for signal in scored.signal
    }


def _evaluate_score(key, name, signal, scored: Scored, config: ClassifyConfig) -> dict:
    low, high = scored.background[name], scored.signal[signal][name]
    found = roc.summary(
        key, low, high,
        efficiencies=config.efficiencies, floor=config.floor, replicas=config.replicas,
    )  # fmt: skip
    best = found.best
    first = config.efficiencies[0]
    result = {
        "auc": roc.auc(low, high),
        "rejection": {str(e): v.plain() for e, v in found.rejection.items()},
        "improvement": _improvement(first, found.rejection[first]),
        "best_improvement": best.value.plain()
        | {"signal": best.signal, "background": best.background},
        "injected": {
            str(keep): _injected(keep, scored.reference[name], low, high, config)
            for keep in config.keep
        },
    }
    if scored.mass:
        masses = scored.mass["background"]
        result["window"] = roc.auc_in_window(
            (low, high), (masses, scored.mass[signal]), config.floor
        )
        # The correlation alone is used: permutations would only give its p-value.
        link = hypothesis.rank_correlation(key, low, masses, permutations=1)
        result["mass_correlation"] = link.value
    return result


def _improvement(efficiency: float, rejection: roc.Value) -> dict:
    """Signal over root of background efficiency where that of the signal is given."""
    value = efficiency * np.sqrt(rejection.value)
    error = 0.5 * value * rejection.error / rejection.value
    return {
        "value": float(value), "error": None if np.isnan(error) else float(error),
        "efficiency": efficiency,
    }  # fmt: skip


def _injected(keep, reference, low, high, config) -> dict:
    """A cut of given background efficiency, and its gain at each signal fraction."""
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


def _notes(runs: dict[str, dict], config: ClassifyConfig) -> list[str]:
    notes = [
        "no score has seen signal; cuts and combination are fitted to background of "
        "the validation part, results are of the test part",
    ]
    if len({run["fingerprint"] for run in runs.values()}) > 1:
        notes.append("the runs were trained on different data: compare with care")
    if config.mass:
        notes.append(
            f"{config.mass} is a column of the table: the row 'mass alone' gives the "
            "AUC of the mass without any model, 'AUC in window' that among events of "
            "the signal's central 90 % of masses, where it cannot help"
        )
    limited = [
        f"{name}: {score}: {signal} at {e}"
        for name, run in runs.items()
        for score, of in run["scores"].items()
        for signal, results in of.items()
        for e, value in results["rejection"].items()
        if value["limit"]
    ]
    if limited:
        notes.append(
            f"fewer than {config.floor} background events are left, the rejection is a "
            f"lower limit: {'; '.join(limited[:5])}"
            + (f" and {len(limited) - 5} more" if len(limited) > 5 else "")
        )
    return notes


def _csv(result: dict[str, Any]) -> str:
    """One row a result: run, score, signal, name, value, error."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("run", "score", "signal", "metric", "value", "error"))
    for name, run in result["runs"].items():
        rows.writerow((name, "", "", "mean_ks", run["quality"]["mean_ks"], ""))
        for signal, v in run["mass_alone"].items():
            rows.writerow((name, "mass alone", signal, "auc", v["value"], v["error"]))
        for score, of in run["scores"].items():
            for signal, results in of.items():
                for row in _csv_rows(results):
                    rows.writerow((name, score, signal, *row))
    return text.getvalue()


def _csv_rows(results: dict) -> Iterator[tuple[str, float, Any]]:
    yield "auc", results["auc"]["value"], results["auc"]["error"]
    if results.get("window"):
        yield "auc_in_window", results["window"]["value"], results["window"]["error"]
    for e, v in results["rejection"].items():
        yield f"rejection_at_{e}", v["value"], "limit" if v["limit"] else v["error"]
    gain = results["improvement"]
    yield f"improvement_at_{gain['efficiency']}", gain["value"], gain["error"]
    best = results["best_improvement"]
    yield "best_improvement", best["value"], best["error"]
    for keep, cut in results["injected"].items():
        for f, gain in cut["fractions"].items():
            yield f"gain_at_{f}_keeping_{keep}", gain["gain"], gain["error"]
            yield f"median_z_at_{f}_keeping_{keep}", gain["median"], ""
