"""Evaluation of generated images: metrics, and all pictures.

The classifier of an evaluation is trained once and kept beside the run.
"""

import dataclasses
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Context, PixelSets
from jetvae_jax.data.streaming import head
from jetvae_jax.images import (
    conditions,
    digit_classifier,
    files,
    metrics,
    mnist,
    report,
    sets,
)
from jetvae_jax.images import load as images
from jetvae_jax.images.digit_classifier import Classifier
from jetvae_jax.images.domain import SUFFIX, Data
from jetvae_jax.metrics import inputs
from jetvae_jax.metrics.conditions import gathered, text
from jetvae_jax.metrics.inputs import EvaluateConfig, record
from jetvae_jax.report import about
from jetvae_jax.report.tables import MISSING
from jetvae_jax.training import checkpoint

TRAINING_IMAGES = 10_000  # enough; superpixels of more take minutes
SEED = 0


def without_intensity(sets: PixelSets) -> PixelSets:
    """Every point with I = 1: positions alone are evaluated."""
    mask = np.asarray(sets.mask)
    bright = mask[..., None].astype(np.float32)
    points = np.concatenate([np.asarray(sets.points)[..., :2], bright], axis=-1)
    return sets._replace(points=points, mask=mask)


def trained_classifier(
    folder: Workdir, data: Data, *, intensity: bool
) -> tuple[Classifier | None, list[str]]:
    """A classifier of all digits of the training part, and why not if there is none.

    It is seeded, and read from ``classifier*.npz`` in the folder if that was trained
    on the same images. All digits are learned even if only some are generated: the
    parts are such that it meets no test image.

    Args:
        folder: of the run.
        data: of the run.
        intensity: it sees the intensities, not only positions.
    """
    number = data.max_images or TRAINING_IMAGES
    # The least number of pixels was asked of the digits of the run, not of all.
    whole = dataclasses.replace(data, digits=(), max_images=number, min_pixels=1)
    found = images.load(whole, seed=data.split_seed, fractions=data.fractions)
    about = {"fingerprint": found.source["fingerprint"], "seed": SEED}
    path = folder / f"classifier{'' if intensity else '_positions'}.npz"
    if path.exists():
        meta = checkpoint.read_meta(path)
        if meta["about"] == about:
            params = checkpoint.restore(path, digit_classifier.template())
            return Classifier(params, meta["accuracy"], meta["epochs"]), []
    parts = found.train, found.valid
    if not intensity:
        parts = tuple(map(without_intensity, parts))
    known = np.unique(parts[0].labels)
    if len(known) < 2:
        what = "have no labels" if known[0] < 0 else "show one digit only"
        return None, [f"the images {what}: no classifier can be trained"]
    logging.info("training the classifier of the evaluation on %s images",
                 f"{len(parts[0].labels):,}")  # fmt: skip
    try:
        trained = digit_classifier.train_classifier(jax.random.key(SEED), *parts)
    except InputError as error:
        return None, [f"no classifier: {error}"]
    facts = {"accuracy": trained.accuracy, "epochs": trained.epochs, "about": about}
    checkpoint.save(path, trained.params, meta=facts)
    return trained, []


SHOWN = 24
LINES, STEPS = 4, 9


def first(given: PixelSets) -> PixelSets:
    """The first sets of a part, not chosen."""
    return head(given, SHOWN)


def reconstructed(trained: Any, few: PixelSets) -> PixelSets:
    """Decoded samples of the posteriors of a few sets."""
    return jax.device_get(trained.reconstruct(jax.random.key(0), trained.scale(few)))


def whole_images(data: Data) -> dict[str, dict[str, PixelSets]]:
    """The first images of each part with all their pixels, as rows of a figure.

    Returns:
        ``"test"`` and ``"training"``, each to ``{"image": sets}``; nothing if the file
        holds sets.
    """
    if images.holds_sets(data.path):
        return {}
    whole = dataclasses.replace(
        data, form="sparse", num_pixels=sets.MAX_PIXELS, min_pixels=1, max_images=SHOWN
    )
    found = images.load(whole, seed=data.split_seed, fractions=data.fractions)
    return {"test": {"image": found.test}, "training": {"image": found.train}}


def ends(real: PixelSets) -> PixelSets:
    """The images ``[LINES, 2, K, 3]`` that the lines connect."""
    few = head(real, 2 * LINES)
    half = len(few.labels) // 2
    return jax.tree.map(lambda a: np.stack([a[:half], a[half : 2 * half]], axis=1), few)


def lines(trained: Any, real: PixelSets) -> PixelSets:
    """Decoded along lines between posterior means, with the nearer image's digit."""
    few = head(real, 2 * LINES)
    means = trained.encode(few)[0].mean
    lines = len(means) // 2
    way = jnp.linspace(0, 1, STEPS)[:, None]
    first, second = means[:lines, None], means[lines : 2 * lines, None]
    z = ((1 - way) * first + way * second).reshape(lines * STEPS, -1)
    condition = trained.scale(few).context.condition
    if condition is not None:
        steps = np.arange(STEPS) * 2 >= STEPS
        nearer = np.arange(lines)[:, None] + lines * steps
        condition = condition[nearer.reshape(-1)]
    context = Context(jnp.zeros((len(z), 3)), condition)
    made = trained.decode(jax.random.key(0), z, context)
    return jax.tree.map(
        lambda a: np.asarray(a).reshape(lines, STEPS, *a.shape[1:]), made
    )


class Inputs(NamedTuple):
    """What is compared.

    Attributes:
        real: images that the others are compared with.
        truth: other real images.
        candidates: name to images to evaluate.
        notes: of the readers.
        sources: name to the path or the metadata of it.
        title: for the report.
        num_train: images that trained the model; 0 if none did, or not known.
    """

    real: PixelSets
    truth: PixelSets | None
    candidates: dict[str, PixelSets]
    notes: list[str]
    sources: dict[str, Any]
    title: str
    num_train: int


def evaluate(
    folder: Workdir, trained: Any, config: EvaluateConfig, given: Data
) -> pathlib.Path:
    """Write ``evaluation.{json,txt}`` and ``report.html``.

    Args:
        folder: of a run, or where to write.
        trained: the run's TrainedModel, or None.
        config: which images are compared with which.
        given: how to read files where no run says it, and what trains the classifier.

    Returns:
        The path of the report.

    Raises:
        InputError: nothing to evaluate, or whatever is wrong with a file.
    """
    inputs.no_condition(config)
    if trained is not None:
        given = trained.run.data
    generator = None if config.generated else trained  # of the images
    encoder = generator if generator and generator.model.encode is not None else None
    compared = _gather(folder, trained, config, given)
    intensity = trained is None or trained.run.scaling.intensity
    if not intensity:
        compared = _positions_only(compared)
    classifier, notes = trained_classifier(folder, given, intensity=intensity)
    logging.info("evaluating %s", ", ".join(compared.candidates))
    result = metrics.digit_table(
        seeds.key(config.seed),
        compared.real,
        compared.candidates,
        classifier=classifier,
        truth=compared.truth,
        paired=("reconstruction",) if generator else (),
    )
    result["notes"] = [*compared.notes, *notes, *result["notes"]]
    result |= {
        "images": len(compared.real.labels),
        "intensity": intensity,
        "classifier": None if classifier is None else {
            "accuracy_validation": classifier.accuracy, "epochs": classifier.epochs,
        },
        "sources": compared.sources,
        "conditions": gathered(
            {
                name: conditions.conditions(sets, compared.real)
                for name, sets in {"real": compared.real, **compared.candidates}.items()
            }
        ),
        **inputs.provenance(trained),
    }  # fmt: skip
    bounds = text(result["conditions"])
    record(folder, result, f"{metrics.text(result)}\n{bounds}")
    logging.info("drawing the report")
    grids, asked = _by_digit(compared, classifier)
    return report.write(
        folder / "report.html",
        title=compared.title,
        about=about.of_evaluation(generator, config, compared.num_train, "images"),
        summary=[*_summary(trained, result), *result["notes"]],
        rows=metrics.rows(result),
        samples={"input": compared.real} | compared.candidates,
        reconstructed=_reconstructed(encoder, compared) if encoder else {},
        by_digit=grids,
        asked=asked,
        superpixels=given.form == "superpixels",
        lines=lines(encoder, compared.real) if encoder else None,
        ends=ends(compared.real) if encoder else None,
        history=generator.history() if generator else {},
        latents=encoder.latents(compared.real, jax.random.key(0), jax.random.key(1))
        if encoder
        else {},
        conditions=result["conditions"],
    )


def observables(run: Any, samples: PixelSets) -> dict[str, np.ndarray]:
    """Of images by name, ``[J]`` each: number of pixels, intensity, mean x and y."""
    del run
    points, mask = np.asarray(samples.points, np.float64), np.asarray(samples.mask)
    weight = np.where(mask, points[..., 2], 0.0)
    total = weight.sum(axis=-1)
    x, y = (
        np.sum(weight * points[..., i], axis=-1) / np.where(total > 0, total, 1.0)
        for i in range(2)
    )
    number = mask.sum(axis=-1).astype(np.float64)
    return {"pixels": number, "intensity": total, "x": x, "y": y}


def unchecked(run: Any, *, deterministic: bool = True) -> frozenset[str]:
    """The losses of images hold none of the observables."""
    del run, deterministic
    return frozenset()


def headlines(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Three metrics of every sample, for a summary.

    Args:
        result: the contents of ``evaluation.json``.
    """
    names = [*result["candidates"], "floor"]
    return [
        (
            label,
            ", ".join(
                f"{name} {cell}"
                for name, cell in zip(names, cells, strict=True)
                if cell != MISSING
            ),
        )
        for label, cells in metrics.rows(result)[:3]
    ]


def _summary(trained: Any, result: dict) -> list[str]:
    """What was compared, for the head of the report."""
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
        if run.scaling.condition_on_digit or len(run.data.digits) == 1:
            lines.append(
                "the decoder knows the digit: that a reconstruction shows it is no "
                "merit of the latents"
            )
    if result["classifier"] is not None:
        share = result["classifier"]["accuracy_validation"]
        lines.append(f"the classifier is right on {share:.1%} of the validation images")
    return lines


def _gather(folder, trained, config: EvaluateConfig, given: Data) -> Inputs:
    notes: list[str] = []
    title, num_train = "Images", 0
    if trained is not None:
        run, source = trained.run, trained.meta["source"]
        parts = trained.data()
        real, truth, notes = parts.test, parts.train, [*parts.notes]
        num_train = len(parts.train.labels)
        title = (
            f"Sparse images: {run.model}, {report.LOSS_LABELS.get(run.loss, run.loss)}"
        )
        sources: dict[str, Any] = {"real": source}
    if config.real:
        real, truth = _whole(given, config.real), None
        sources = {"real": config.real}
    if config.truth:
        truth = _whole(given, config.truth)
        sources["truth"] = config.truth
    paths = inputs.generated(config, trained, SUFFIX, "images")
    made = {
        name: files.read(path, columns=given.columns, blank=True)
        for name, path in paths.items()
    }
    if trained is not None and not config.generated:
        if "reconstruction" in made:
            again = made["reconstruction"]  # of the first test images
            labels = np.asarray(real.labels)[: len(again.mask)]
            made["reconstruction"] = again._replace(labels=labels)
        made = {name: _of_the_one_digit(s, real) for name, s in made.items()}
    return Inputs(real, truth, made, notes, sources | paths, title, num_train)


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


def _positions_only(compared: Inputs) -> Inputs:
    plain = without_intensity
    return compared._replace(
        real=plain(compared.real),
        truth=None if compared.truth is None else plain(compared.truth),
        candidates={name: plain(s) for name, s in compared.candidates.items()},
        notes=[*compared.notes, "positions only: every pixel counts as white"],
    )


def _by_digit(compared: Inputs, classifier) -> tuple[dict[str, PixelSets], bool]:
    """Sets with labels for a grid of each digit: as asked for, else as classified."""
    made = {n: s for n, s in compared.candidates.items() if n != "reconstruction"}
    asked = all(np.all(np.asarray(s.labels) >= 0) for s in made.values())
    if not asked:
        if classifier is None:
            return {"input": compared.real}, False
        made = {
            name: s._replace(labels=digit_classifier.predict(classifier, s))
            for name, s in made.items()
        }
    return {"input": compared.real} | made, asked


def _reconstructed(trained: Any, compared: Inputs) -> dict[str, dict[str, PixelSets]]:
    """Images, their sets and reconstructions of the test and of the training part."""
    shown = {}
    whole = whole_images(trained.run.data)
    for part, given in (("test", compared.real), ("training", compared.truth)):
        if given is not None:
            few = first(given)
            again = {"reconstruction": reconstructed(trained, few)}
            shown[part] = whole.get(part, {}) | {"input": few} | again
    return shown
