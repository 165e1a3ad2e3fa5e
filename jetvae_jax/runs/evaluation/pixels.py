"""Judge generated images against real ones: figures of merit, and all pictures."""

import dataclasses
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax.data.images import files, mnist
from jetvae_jax.data.images import load as images
from jetvae_jax.errors import InputError
from jetvae_jax.losses import reparameterize
from jetvae_jax.metrics import digit_classifier, digits
from jetvae_jax.report import pixel_losses, pixel_page
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import EvaluateConfig, versions
from jetvae_jax.runs.domains.pixels import SUFFIX, Data
from jetvae_jax.runs.evaluation import _candidates, _digits, _pictures
from jetvae_jax.runs.evaluation._record import record
from jetvae_jax.runs.fit_flow import CHECKPOINT as FLOW
from jetvae_jax.runs.fit_flow import METRICS as FLOW_METRICS
from jetvae_jax.runs.fit_flow import load_flow, posteriors
from jetvae_jax.runs.train import METRICS as VAE_METRICS
from jetvae_jax.runs.train import TrainedVAE
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.types import PixelSets


class Contest(NamedTuple):
    """What is compared.

    Attributes:
        real: images that the others are compared with.
        truth: other real images.
        candidates: name to images to judge.
        notes: of the readers.
        sources: name to the path or the facts of it.
        title: for the report.
    """

    real: PixelSets
    truth: PixelSets | None
    candidates: dict[str, PixelSets]
    notes: list[str]
    sources: dict[str, Any]
    title: str


def evaluate(
    folder: Workdir, trained: TrainedVAE | None, config: EvaluateConfig, given: Data
) -> pathlib.Path:
    """Write ``evaluation.{json,txt}`` and ``report.html``.

    Args:
        folder: of a run, or where to write.
        trained: the run's VAE, if there is one.
        config: which images are judged against which.
        given: how to read files where no run says it, and what trains the classifier.

    Returns:
        The path of the report.

    Raises:
        InputError: nothing to evaluate, or whatever is wrong with a file.
    """
    if trained is not None:
        given = trained.run.data
    judged = None if config.generated else trained  # the run that made the images
    contest = _gather(folder, trained, config, given)
    intensity = trained is None or trained.run.scaling.intensity
    if not intensity:
        contest = _positions_only(contest)
    classifier, notes = _digits.classifier(folder, given, intensity=intensity)
    logging.info("judging %s", ", ".join(contest.candidates))
    result = digits.digit_table(
        jax.random.key(config.seed),
        contest.real,
        contest.candidates,
        classifier=classifier,
        truth=contest.truth,
        paired=("reconstruction",) if judged else (),
    )
    result["notes"] = [*contest.notes, *notes, *result["notes"]]
    result |= {
        "images": len(contest.real.labels),
        "intensity": intensity,
        "classifier": None if classifier is None else {
            "accuracy_validation": classifier.accuracy, "epochs": classifier.epochs,
        },
        "sources": contest.sources,
        "run": trained.run.to_json() if trained else None,
        "best_epoch": trained.meta["best_epoch"] if trained else None,
        "versions": versions(),
    }  # fmt: skip
    record(folder, result, digits.text(result))
    logging.info("drawing the report")
    grids, asked = _by_digit(contest, classifier)
    return pixel_page.write(
        folder / "report.html",
        title=contest.title,
        summary=[*_facts(trained, result), *result["notes"]],
        rows=digits.rows(result),
        samples={"input": contest.real} | contest.candidates,
        reconstructed=_reconstructed(judged, contest) if judged else {},
        by_digit=grids,
        asked=asked,
        superpixels=given.form == "superpixels",
        lines=_pictures.lines(judged, contest.real) if judged else None,
        ends=_pictures.ends(contest.real) if judged else None,
        history={
            "vae": folder.read_lines(VAE_METRICS),
            "flow": folder.read_lines(FLOW_METRICS),
        }
        if judged
        else {},
        latents=_latents(folder.path, judged, contest.real) if judged else {},
    )


def _facts(trained: TrainedVAE | None, result: dict) -> list[str]:
    """What was judged, for the head of the report."""
    lines = [f"{result['images']:,} real images are compared with"]
    if trained is not None:
        run = trained.run
        what = "superpixels" if run.data.form == "superpixels" else "pixels"
        digits = ", ".join(map(str, run.data.digits)) or "all"
        lines = [
            f"{result['images']:,} test images of {run.data.path}, at most "
            f"{run.data.num_pixels} {what} each; digits: {digits}; epoch "
            f"{result['best_epoch']} of the training was kept"
        ]
        if run.scaling.tell_digit or len(run.data.digits) == 1:
            lines.append(
                "the decoder knows the digit: that a reconstruction shows it is no "
                "merit of the latents"
            )
    if result["classifier"] is not None:
        share = result["classifier"]["accuracy_validation"]
        lines.append(f"the classifier is right on {share:.1%} of the validation images")
    return lines


def _gather(folder, trained, config: EvaluateConfig, given: Data) -> Contest:
    _candidates.check(folder, trained, config)
    notes: list[str] = []
    title = "Images"
    if trained is not None:
        run, source = trained.run, trained.meta["source"]
        parts = dataset.load_same(run.domain, run.data, source)
        real, truth, notes = parts.test, parts.train, [*parts.notes]
        title = (
            f"Sparse images: {run.model}, {pixel_losses.LABELS.get(run.loss, run.loss)}"
        )
        sources: dict[str, Any] = {"real": source}
    if config.real:
        real, truth = _whole(given, config.real), None
        sources = {"real": config.real}
    if config.truth:
        truth = _whole(given, config.truth)
        sources["truth"] = config.truth
    judged = {pathlib.Path(path).stem: path for path in config.generated}
    if len(judged) < len(config.generated):
        raise InputError("--evaluate.generated: files of one name: rename one")
    if not judged:
        judged = _candidates.found(folder, SUFFIX, "images")
    made = {
        name: files.read(path, columns=given.columns, blank=True)
        for name, path in judged.items()
    }
    if trained is not None and not config.generated:
        if "reconstruction" in made:
            made["reconstruction"] = made["reconstruction"]._replace(labels=real.labels)
        made = {name: _of_the_one_digit(s, real) for name, s in made.items()}
    return Contest(real, truth, made, notes, sources | judged, title)


def _of_the_one_digit(sets: PixelSets, real: PixelSets) -> PixelSets:
    """A network that has seen one digit is asked for no other."""
    digits = np.unique(np.asarray(real.labels))
    if len(digits) > 1:
        return sets
    return sets._replace(labels=np.full(len(sets.mask), digits[0], np.int32))


def _whole(given: Data, path: str) -> PixelSets:
    """All sets of a file, or the test part of a data set that has one."""
    request = dataclasses.replace(given, path=path)
    part = "test" if mnist.has_test(path) else "train"
    return images.finished(request, images.read(request, part))


def _positions_only(contest: Contest) -> Contest:
    plain = _digits.without_intensity
    return contest._replace(
        real=plain(contest.real),
        truth=None if contest.truth is None else plain(contest.truth),
        candidates={name: plain(s) for name, s in contest.candidates.items()},
        notes=[*contest.notes, "positions only: every pixel counts as white"],
    )


def _by_digit(contest: Contest, classifier) -> tuple[dict[str, PixelSets], bool]:
    """Sets with labels for a grid of each digit: as asked for, else as classified."""
    made = {n: s for n, s in contest.candidates.items() if n != "reconstruction"}
    asked = all(np.all(np.asarray(s.labels) >= 0) for s in made.values())
    if not asked:
        if classifier is None:
            return {"input": contest.real}, False
        made = {
            name: s._replace(labels=digit_classifier.predict(classifier, s))
            for name, s in made.items()
        }
    return {"input": contest.real} | made, asked


def _reconstructed(
    trained: TrainedVAE, contest: Contest
) -> dict[str, dict[str, PixelSets]]:
    """Images, their sets and reconstructions of the test and of the training part."""
    shown = {}
    whole = _pictures.whole_images(trained.run.data)
    for part, given in (("test", contest.real), ("training", contest.truth)):
        if given is not None:
            few = _pictures.first(given)
            again = {"reconstruction": _pictures.reconstructed(trained, few)}
            shown[part] = whole.get(part, {}) | {"input": few} | again
    return shown


def _latents(path: pathlib.Path, trained: TrainedVAE, real: PixelSets) -> dict:
    latents: dict[str, Any] = {
        "posterior": reparameterize(jax.random.key(0), posteriors(trained, real))
    }
    if (path / FLOW).exists():
        flow = load_flow(path, trained)
        condition = trained.scale(real).condition
        latents["flow"] = flow.sample(jax.random.key(1), len(real.labels), condition)
    return {name: np.asarray(z) for name, z in latents.items()}
