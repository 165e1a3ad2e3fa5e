"""Several candidates, several trainings each: the loop that all comparisons share.

Every pair of candidate and seed has a workdir of its own. After an interruption the
same call continues and skips what is done.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, intact, read_json
from jetvae_jax.core.words import counted
from jetvae_jax.runs.config import CopulaRun, FlowRun, ModelRun
from jetvae_jax.runs.latent_density import fit_density
from jetvae_jax.runs.training import check, train
from jetvae_jax.training.logs import NO_LOGS, Logs
from jetvae_jax.training.progress import clock

RESULTS = "metrics.json"
"""Results of a candidate and seed; there once it is evaluated."""


class Candidate(NamedTuple):
    """A training, and how samples are made with it.

    Attributes:
        name: for the table.
        vae: the training.
        latents: as in ``GenerateConfig``.
        after: the fit of a flow or a copula to the latents, if they are drawn from one.
        log: of its trainings; see :mod:`jetvae_jax.training.logs`.
    """

    name: str
    vae: ModelRun
    latents: Literal["prior", "flow", "copula", "reconstruction"]
    after: FlowRun | CopulaRun | None
    log: Logs = NO_LOGS

    def seeded(self, seed: int) -> "Candidate":
        """The same with another seed of networks, shuffles and noise."""
        vae, after = dataclasses.replace(self.vae, seed=seed), self.after
        if after is not None:
            after = dataclasses.replace(after, seed=seed)
        return self._replace(vae=vae, after=after)

    def to_json(self) -> dict:
        """The settings that determine the generated samples."""
        after = None if self.after is None else self.after.to_json()
        return {"vae": self.vae.to_json(), "latents": self.latents, "after": after}


class Finished(NamedTuple):
    """What :func:`over_seeds` found.

    Attributes:
        results: candidate to the results of each of its trainings.
        signal_number: of the signal that stopped a training, or 0.
    """

    results: dict[str, list[dict]]
    signal_number: int


def over_seeds(
    candidates: Sequence[Candidate],
    seeds: Sequence[int],
    *,
    where: Callable[[Candidate, int], pathlib.Path],
    evaluate: Callable[[pathlib.Path, Candidate], dict],
    complete: Callable[[dict], bool] = lambda results: True,
) -> Finished:
    """Train and evaluate every candidate with every seed.

    Args:
        candidates: with different names.
        seeds: of training and fit.
        where: the workdir of a candidate and a seed.
        evaluate: ``(workdir, candidate) -> results`` once it is trained, for JSON.
        complete: whether results that are there are all that is asked for.

    Raises:
        InputError: a workdir of other settings, before anything is trained, or whatever
            a training raises.
    """
    jobs = [(c.seeded(seed), where(c, seed)) for seed in seeds for c in candidates]

    def done(job: tuple[Candidate, pathlib.Path]) -> dict | None:
        found = _stored(*job)
        return found if found is not None and complete(found) else None

    to_do = [candidate for candidate, path in jobs if done((candidate, path)) is None]
    left = len(to_do)
    logging.info("%s, %d to do", counted(len(jobs), "training"), left)
    for candidate in {one.name: one for one in to_do}.values():
        check(candidate.vae)  # all, before the first one takes its time
    start, new = time.monotonic(), 0
    results: dict[str, list[dict]] = {one.name: [] for one in candidates}
    for job in jobs:
        candidate, path = job
        found = done(job)
        if found is None:
            if signal_number := _train(candidate, path):
                return Finished(results, signal_number)
            found = {"settings": candidate.to_json()} | evaluate(path, candidate)
            Workdir(path).write_json(RESULTS, found)
            new, left = new + 1, left - 1
            rest = clock((time.monotonic() - start) / new * left)
            logging.info(
                "%s, seed %d: done; %s", candidate.name, candidate.vae.seed,
                f"{left} left, about {rest}" if left else "none is left",
            )  # fmt: skip
        results[candidate.name].append(found)
    return Finished(results, 0)


def _train(candidate: Candidate, path: pathlib.Path) -> int:
    """The signal that stopped it, or 0."""
    if signal_number := train(path, candidate.vae, log=candidate.log).signal_number:
        return signal_number
    if candidate.after is None:
        return 0
    fitted = fit_density(path, candidate.after, log=candidate.log)
    return fitted.signal_number if fitted else 0


def _stored(candidate: Candidate, path: pathlib.Path) -> dict | None:
    """The results in a workdir; None without, or if an earlier version wrote them.

    Raises:
        InputError: they are of other settings, or the file is damaged.
    """
    if not (path / RESULTS).exists():
        return None
    found = read_json(path / RESULTS)
    if "settings" not in found:
        return None
    with intact(path / RESULTS):
        settings = found["settings"]
        # Fields that were added since have their defaults.
        settings = settings | {"vae": ModelRun.from_json(settings["vae"]).to_json()}
    if settings != candidate.to_json():
        raise InputError(
            f"{path}: holds a run with other settings: give another --workdir, or "
            "delete that folder to train it again"
        )
    return found
