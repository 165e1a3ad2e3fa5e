"""A statistic in the loss: how much it improves, and what becomes of the others.

Ratnikov, "Generative models for natural science", IML workshop 2019: statistics can be
added to the loss, at the price that they no longer validate the model. One model is
trained without any, and with each by itself; of every observable the distance of
generated jets to validation jets is compared, training by training of the same seed.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.configs import versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Jets
from jetvae_jax.data.splits import Dataset
from jetvae_jax.data.streaming import count, head
from jetvae_jax.metrics import kolmogorov_smirnov, wasserstein_1d
from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.observables import named
from jetvae_jax.observables.named import fixed_by
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.generation import generated_samples
from jetvae_jax.runs.trained import load_model
from jetvae_jax.studies import trainings
from jetvae_jax.studies.enforce import report
from jetvae_jax.studies.seeds import ROUNDING, SURE, spread
from jetvae_jax.studies.trainings import Candidate

NONE = "none"
"""The candidate without an observable in its loss."""
SHOWN = tuple(
    b.name for b in binning.JETS if b.name not in ("energy", "eta", "phi")
)  # fmt: skip
"""Observables whose distributions are compared."""
DISTANCES = {"w1": wasserstein_1d, "ks": kolmogorov_smirnov}
MAX_JETS = 20_000  # that are compared, at most
FLOORS = 4  # samples of training jets whose distances are the floor, at most


class Change(NamedTuple):
    """What one observable in the loss does to one distance, over the seeds.

    Attributes:
        before: mean distance without it.
        after: mean distance with it.
        difference: mean difference of the trainings of one seed.
        error: its standard error; NaN of one seed.
    """

    before: float
    after: float
    difference: float
    error: float

    @property
    def sure(self) -> bool:
        """Whether the seeds decide the sign."""
        return bool(self.error > 0 and abs(self.difference) > SURE * self.error)


def candidates(
    base: Candidate, observables: Sequence[str], weight: float
) -> list[Candidate]:
    """The model without observables in its loss, and with each by itself.

    Args:
        base: a VAE of jets with a deterministic decoder; its terms of mass, pt and
            other observables are left out.
        observables: names.
        weight: of the one in the loss, in units in which the term of pt has 1.

    Raises:
        InputError: another domain, an observable that does not exist, or a loss that
            takes none.
    """
    run = base.vae
    if run.domain != "jets":
        raise InputError(
            f"--domain={run.domain}: observables are those of jets: leave it out"
        )
    for name in observables:
        if wrong := named.complaint(name):
            raise InputError(f"--enforce.observables: {name!r} {wrong}")
    if not run.objective.gamma:
        raise InputError("--objective.gamma=0: leaves all observables out of the loss")
    bare = dataclasses.replace(
        run.objective, gamma_pt=0.0, gamma_mass=0.0, observables=(),
        gamma_observables=(1.0,),
    )  # fmt: skip
    found = []
    for name in (NONE, *observables):
        held = {}
        if name != NONE:
            held = {"observables": (name,), "gamma_observables": (weight,)}
        objective = dataclasses.replace(bare, **held)
        vae = dataclasses.replace(run, objective=objective)
        found.append(base._replace(name=name, vae=vae))
    return found


def study(
    workdir: str | pathlib.Path, models: Sequence[Candidate], seeds: Sequence[int]
) -> tuple[int, pathlib.Path | None, str]:
    """Train, generate and compare; writes ``enforce.{json,html}`` and its plots.

    Args:
        workdir: holds a folder for each model, and in it one for each seed.
        models: from :func:`candidates`.
        seeds: of the trainings.

    Returns:
        The signal that stopped a training, or 0; the page; the result in a paragraph.

    Raises:
        InputError: whatever a training raises.
    """
    announce_missing()
    folder = Workdir(workdir)
    parts = dataset.load("jets", models[0].vae.data)
    done = trainings.over_seeds(
        models, seeds,
        where=lambda one, seed: folder / one.name / f"seed{seed}",
        evaluate=functools.partial(_evaluate, parts),
    )  # fmt: skip
    if done.signal_number:
        return done.signal_number, None, ""
    distances = {
        name: [one["distances"] for one in own] for name, own in done.results.items()
    }
    changed = {
        kind: {
            name: {o: change(distances, name, o, kind) for o in SHOWN}
            for name in distances
            if name != NONE
        }
        for kind in DISTANCES
    }
    result = {
        "seeds": list(seeds),
        "latents": models[0].latents,
        "validation_jets": len(_validation(parts)),
        "training_jets": count(parts.train),
        "floor": floor(parts),
        "distances": distances,
        "no_check": {
            name: sorted(fixed_by([name]) & set(SHOWN)) for name in distances
            if name != NONE
        },
        "changes": {
            kind: {
                name: {o: c._asdict() | {"sure": c.sure} for o, c in row.items()}
                for name, row in found.items()
            }
            for kind, found in changed.items()
        },
        "settings": {one.name: one.to_json() for one in models},
        "seconds": {
            n: [one["seconds"] for one in own] for n, own in done.results.items()
        },
        "versions": versions(),
        "source": parts.source,
    }  # fmt: skip
    result["verdict"] = verdict(result)
    folder.write_json("enforce.json", _plain(result))
    page = report.write(folder / "enforce.html", result, list(parts.notes))
    return 0, page, result["verdict"]


def _evaluate(parts: Dataset, path: pathlib.Path, candidate: Candidate) -> dict:
    """Distances of the jets of a training from the validation jets."""
    trained = load_model(path)
    real = _validation(parts)
    config = GenerateConfig(
        latents=candidate.latents, num_jets=len(real), seed=trained.run.seed
    )
    made = generated_samples(trained, config)
    history = trained.history()
    return {
        "distances": distances_of(Sample("made", Jets(*made[:2])), real),
        "best_epoch": trained.meta["best_epoch"],
        "seconds": round(sum(r["seconds"] for h in history.values() for r in h), 1),
    }


def _validation(parts: Dataset) -> Sample:
    return Sample("validation", head(parts.valid, MAX_JETS))


def distances_of(made: Sample, real: Sample) -> dict[str, dict[str, float]]:
    """Distances of each observable: W1 in standard deviations of the real jets, KS."""
    found: dict[str, dict[str, float]] = {name: {} for name in DISTANCES}
    for name in SHOWN:
        x, y = (np.asarray(one.jet[name], np.float64) for one in (made, real))
        deviation = float(np.std(y)) or 1.0
        for kind, distance in DISTANCES.items():
            scale = deviation if kind == "w1" else 1.0
            found[kind][name] = float(distance(x, y)) / scale
    return found


def floor(parts: Dataset) -> dict[str, Any]:
    """The same distances of training jets: mean and deviation over several samples."""
    real = _validation(parts)
    number = len(real)
    train = head(parts.train, FLOORS * number)
    found = []
    for i in range(max(len(train.mask) // number, 1)):
        rows = slice(i * number, (i + 1) * number)
        jets = Jets(train.particles[rows], train.mask[rows])
        found.append(distances_of(Sample("floor", jets), real))
    return {
        kind: {
            name: {
                "value": float(np.mean([one[kind][name] for one in found])),
                "error": float(np.std([one[kind][name] for one in found], ddof=1))
                if len(found) > 1
                else 0.0,
            }
            for name in SHOWN
        }
        for kind in DISTANCES
    }


def change(
    distances: Mapping[str, Sequence[Mapping]], name: str, observable: str, kind: str
) -> Change:
    """What an observable in the loss does to a distance, seed by seed.

    Args:
        distances: of each training of each model.
        name: of the model, the observable in its loss.
        observable: whose distance is compared.
        kind: of the distance.
    """
    before, after = (
        np.array([one[kind][observable] for one in distances[model]])
        for model in (NONE, name)
    )
    gaps = after - before
    gaps[np.abs(gaps) < ROUNDING * np.abs(before)] = 0
    error = float("nan")
    if len(gaps) > 1:
        error = spread(gaps.tolist()) / len(gaps) ** 0.5
    low, high, gap = (float(np.mean(v)) for v in (before, after, gaps))
    return Change(low, high, gap, error)


def verdict(result: Mapping[str, Any]) -> str:
    """The result and its errors."""
    own, others = _factors(result)
    counts = {"better": 0, "worse": 0}
    held_out = 0
    for name, row in result["changes"]["w1"].items():
        for observable, one in row.items():
            if observable in result["no_check"][name]:
                continue
            held_out += 1
            if one["sure"]:
                counts["better" if one["difference"] < 0 else "worse"] += 1
    several = len(result["seeds"]) > 1
    decided = (
        f"of {held_out} distances that are held out, {counts['better']} improve and "
        f"{counts['worse']} get worse by more than {SURE} standard errors"
        if several
        else "with one training of each, nothing has an error"
    )
    each = ", ".join(
        f"{name} {_factor(_log_ratios(result, name, name))}"
        for name in result["changes"]["w1"]
        if name in SHOWN
    )
    return (
        f"With an observable in the loss, its own W1 to {result['validation_jets']:,} "
        f"validation jets is multiplied by {_factor(own)} in the mean over the "
        f"observables ({each}), those that are held out by {_factor(others)}; "
        f"{decided}."
    ) + (f" Errors are of {len(result['seeds'])} trainings each." if several else "")


def _log_ratios(result: Mapping[str, Any], name: str, observable: str) -> np.ndarray:
    """Logarithm of W1 after over before, of each seed; 0 where both are exact."""
    after, before = (
        np.array([one["w1"][observable] for one in result["distances"][model]])
        for model in (name, NONE)
    )
    tiny = np.finfo(np.float32).tiny
    return np.log(np.maximum(after, tiny) / np.maximum(before, tiny))


def _factors(result: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Mean logarithm, of each seed, of the enforced and of the held-out ones."""
    own, others = [], []
    for name, held in result["no_check"].items():
        if name in SHOWN:
            own.append(_log_ratios(result, name, name))
        others += [_log_ratios(result, name, o) for o in SHOWN if o not in held]
    return np.mean(own, axis=0), np.mean(others, axis=0)


def _factor(logs: np.ndarray) -> str:
    """Geometric mean over the seeds with its standard error."""
    if np.ndim(logs) == 0:  # nothing was enforced that is compared
        return "(not compared)"
    value = float(np.exp(np.mean(logs)))
    if len(logs) < 2:
        return f"{value:.2f}"
    return f"{value:.2f} ± {value * np.std(logs, ddof=1) / len(logs) ** 0.5:.2f}"


def _plain(value: Any) -> Any:
    """For JSON, where NaN is None."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
